"""The part of `assemble` that sends one-time codes: the SMS accounts of this process, and the counter in front."""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import replace
from functools import partial

from push.pace import Pace
from push.texting import Texting
from server.assemble import Assembly, provider_accounts
from server.domain.one_time_codes import rules
from server.services.one_time_codes import OneTimeCodes
from server.storage.one_time_codes import CodeStore


def one_time_codes(assembly: Assembly) -> OneTimeCodes:
    """The counter for one-time codes; with SMS accounts it has to be made on the running loop that uses it."""
    settings = assembly.settings
    table = rules(
        per_minute=settings.codes_per_minute, per_hour=settings.codes_per_hour, per_day=settings.codes_per_day
    )
    return OneTimeCodes(
        CodeStore(assembly.db, assembly.vault),
        texting(assembly),
        table,
        regions=settings.phone_regions,
        now=assembly.now,
        random=os.urandom,
    )


def texting(assembly: Assembly) -> Texting:
    """What sends one SMS at once. Its transports are closed with the process."""
    only_sms = assembly.settings.model_copy(update={"wechat": None, "fcm": None})
    return Texting(
        provider_accounts(replace(assembly, settings=only_sms), assembly.stack)["sms"],
        Pace(assembly.queue, _loop_time, assembly.now, assembly.settings.workers),
        assembly.templates,
        clock=_loop_time,
        reference=partial(secrets.token_hex, 8),
    )


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
