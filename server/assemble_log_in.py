"""The part of `assemble` that lets citizens in: tokens and their keys, WeChat, log-ins, means, devices."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from channels.transport import transport_for
from channels.wechat import token_keeper
from channels.wechat_api import WeChatApi
from channels.wechat_log_in import WeChatLogIn
from server.assemble import Assembly
from server.domain.errors import ConfigurationError
from server.domain.one_time_codes import Purpose
from server.services.access_tokens import AccessTokens
from server.services.devices import Devices
from server.services.holdings import Holding
from server.services.log_in import Counters, LogIns, Stores
from server.services.log_in_holdings import DevicesHolding, LogInsHolding
from server.services.means import Means
from server.services.one_time_codes import OneTimeCodes
from server.services.wechat_codes import WeChat, WeChatCodes
from server.settings import SANDBOX_PREFIX, Settings
from server.storage.attempts import Attempts
from server.storage.devices import DeviceStore
from server.storage.log_ins import LogInStore, Proofs, SessionKeys, UsedCodes
from server.storage.real_names import RealNameStore
from server.storage.token_keys import KeyFolder, make_key


@dataclass(frozen=True, slots=True)
class LogInParts:
    """These counters."""

    log_ins: LogIns
    means: Means
    devices: Devices
    wechat_codes: WeChatCodes


def log_in(assembly: Assembly, codes: OneTimeCodes, wechat: WeChat | None = None) -> LogInParts:
    """The counters of one API process. Without `wechat` nobody logs in by WeChat."""
    db, now = assembly.db, assembly.now
    wechat_codes = WeChatCodes(wechat, UsedCodes(db), now)
    devices = Devices(DeviceStore(db), assembly.citizens, now=now, random=os.urandom)
    keys = SessionKeys(db, assembly.vault)
    stores = Stores(
        assembly.accounts,
        assembly.citizens,
        LogInStore(db, assembly.vault),
        keys,
        Proofs(db, assembly.vault),
        Attempts(db, assembly.vault),
    )
    counters = Counters(
        wechat_codes,
        RealNameStore(db, assembly.vault, assembly.person_vault),
        devices,
        assembly.notices,
        assembly.audit,
    )
    return LogInParts(
        log_ins=LogIns(
            stores,
            counters,
            access_tokens(assembly),
            partial(codes.check, purpose=Purpose.LOG_IN),
            now=now,
            random=os.urandom,
        ),
        means=Means(stores, counters, partial(codes.check, purpose=Purpose.BIND_PHONE), now=now, random=os.urandom),
        devices=devices,
        wechat_codes=wechat_codes,
    )


def log_in_holdings(assembly: Assembly) -> list[Holding]:
    """What logging in holds about somebody."""
    db, vault = assembly.db, assembly.vault
    stores = (LogInStore(db, vault), SessionKeys(db, vault), Proofs(db, vault))
    return [DevicesHolding(DeviceStore(db)), LogInsHolding(assembly.accounts, *stores)]


def access_tokens(assembly: Assembly) -> AccessTokens:
    """What writes and reads access tokens of this city."""
    settings = assembly.settings
    issuer = f"urn:huimin:{settings.city}"
    return AccessTokens(_token_keys(settings), issuer, now=assembly.now, random=os.urandom)


def wechat(assembly: Assembly, stack: AsyncExitStack) -> WeChat | None:
    """What asks WeChat about codes; its transport is closed with the stack. None without an account."""
    account = assembly.settings.wechat
    if account is None:
        return None
    transport = transport_for(account)
    stack.callback(transport.close)
    keeper = token_keeper(account, transport, assembly.tokens, assembly.now)
    return WeChatLogIn(WeChatApi(account, transport, keeper), account.appid)


def _token_keys(settings: Settings) -> KeyFolder:
    """The keys of the folder that the settings name; in a sandbox, one made on first use."""
    folder = settings.token_keys or settings.home / "token_keys"
    if settings.token_keys is None:
        make_key(folder, f"{SANDBOX_PREFIX}1")
    keys = KeyFolder(folder, time.monotonic)
    name, _ = keys.signing()
    if settings.mode == "production" and name.startswith(SANDBOX_PREFIX):
        raise ConfigurationError(
            "token_keys_missing",
            zh=f"HUIMIN_TOKEN_KEYS 中的 {name} 是试用密钥",
            en=f"{name} in HUIMIN_TOKEN_KEYS is a key of the sandbox",
        )
    return keys
