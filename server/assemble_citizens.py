"""The part of `assemble` that serves citizens: accounts, log-in, profile, inbox. One field per counter."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial

from server import assemble_log_in
from server.assemble import Assembly
from server.assemble_codes import one_time_codes
from server.services.holdings import Holding
from server.services.one_time_codes import OneTimeCodes
from server.services.profile import City, Profile
from server.services.profile_holdings import GrantsHolding, PlacesHolding, PreferencesHolding
from server.services.wechat_codes import WeChat
from server.storage.accounts import Accounts
from server.storage.profiles import Profiles


@dataclass(frozen=True, slots=True)
class CitizenParts:
    """What handlers may ask on behalf of citizens."""

    accounts: Accounts
    profile: Profile
    codes: OneTimeCodes
    log_in: assemble_log_in.LogInParts


def citizens(assembly: Assembly, wechat: WeChat | None = None) -> CitizenParts:
    """The citizens' counters of one API process. Without `wechat` nobody logs in by WeChat."""
    codes = one_time_codes(assembly)
    return CitizenParts(
        accounts=assembly.accounts,
        profile=profile(assembly),
        codes=codes,
        log_in=assemble_log_in.log_in(assembly, codes, wechat),
    )


def profile(assembly: Assembly) -> Profile:
    """People's own settings, places and opt-outs."""
    standing = tuple(assembly.subjects.standing.values())
    city = City(assembly.divisions, assembly.topics, assembly.templates, standing)
    store = Profiles(assembly.db, assembly.person_vault)
    return Profile(assembly.accounts, store, city, now=assembly.now, new_id=partial(secrets.token_hex, 16))


def profile_holdings(assembly: Assembly) -> list[Holding]:
    """What a profile holds about somebody."""
    store = Profiles(assembly.db, assembly.person_vault)
    return [PlacesHolding(store, partial(secrets.token_hex, 16)), PreferencesHolding(store), GrantsHolding(store)]
