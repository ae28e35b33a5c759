"""The part of `assemble` that serves citizens: accounts, log-in, profile, inbox. One field per counter."""

from __future__ import annotations

from dataclasses import dataclass

from server import assemble_log_in
from server.assemble import Assembly
from server.assemble_binding import BindingParts, binding
from server.assemble_codes import one_time_codes
from server.assemble_profile import profile
from server.services.one_time_codes import OneTimeCodes
from server.services.profile import Profile
from server.services.wechat_codes import WeChat
from server.storage.accounts import Accounts


@dataclass(frozen=True, slots=True)
class CitizenParts:
    """What handlers may ask on behalf of citizens."""

    accounts: Accounts
    profile: Profile
    codes: OneTimeCodes
    log_in: assemble_log_in.LogInParts
    binding: BindingParts


def citizens(assembly: Assembly, wechat: WeChat | None = None) -> CitizenParts:
    """The citizens' counters of one API process. Without `wechat` nobody logs in by WeChat."""
    codes = one_time_codes(assembly)
    log_in = assemble_log_in.log_in(assembly, codes, wechat)
    return CitizenParts(
        accounts=assembly.accounts,
        profile=profile(assembly),
        codes=codes,
        log_in=log_in,
        binding=binding(assembly, codes, log_in.wechat_codes),
    )
