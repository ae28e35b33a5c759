"""An API with the real door for citizens, and the world outside it: WeChat, one-time codes, verified names."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from handlers.bounds import listen
from handlers.gate import Gate
from server.app import make_app
from server.assemble import Assembly
from server.assemble_log_in import LogInParts
from server.domain.errors import InvalidInputError
from server.domain.log_in import WeChatSession
from server.routes import session
from server.services.access_tokens import AccessTokens
from server.services.devices import Devices
from server.services.log_in import Counters, LogIns, Stores
from server.services.means import Means
from server.services.wechat_codes import WeChatCodes
from server.storage.attempts import Attempts
from server.storage.devices import DeviceStore
from server.storage.log_ins import LogInStore, Proofs, SessionKeys, UsedCodes
from server.storage.token_keys import KeyFolder, make_key
from tests.api.client import Answer, Client, client_of

ISSUER = "urn:huimin:440300"
SESSION_KEY = "CanaryCanaryCanary=="


@dataclass
class Clock:
    """The database's clock, moved by the test."""

    at: datetime

    def __call__(self) -> datetime:
        """The time."""
        return self.at

    def pass_(self, **by: float) -> None:
        """Some time goes by."""
        self.at += timedelta(**by)


@dataclass
class FakeWeChat:
    """Codes are `<who>.<nonce>`; `raises` is what the next question gets instead of an answer."""

    raises: list[Exception] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    async def session(self, code: str) -> WeChatSession:
        """Everybody keeps one openid."""
        self.asked[code] += 1
        if self.raises:
            raise self.raises.pop()
        return WeChatSession(f"o-{code.partition('.')[0]:0>26}", SESSION_KEY)

    async def phone(self, code: str) -> str:
        """The number stands in the code."""
        self.asked[code] += 1
        return f"+86{code.partition('.')[0]}"


@dataclass
class RealName:
    """A verified name."""

    number: str


@dataclass
class FakeRealNames:
    """Numbers by citizen."""

    numbers: dict[int, str] = field(default_factory=dict)

    async def find(self, citizen: int) -> RealName | None:
        """That of an account."""
        return RealName(self.numbers[citizen]) if citizen in self.numbers else None


async def check_code(request: str, code: str) -> str:
    """The request is the number; the code is 123456."""
    if code != "123456":
        raise InvalidInputError("code_wrong", zh="验证码不正确", en="wrong code", field="code")
    return request


@dataclass
class Doors:
    """What a test holds in its hands."""

    client: Client
    parts: LogInParts
    assembly: Assembly
    clock: Clock
    wechat: FakeWeChat
    names: FakeRealNames
    tokens: AccessTokens
    folder: Path

    async def by_wechat(self, who: str, **more: Any) -> Answer:
        """Log in by WeChat with a fresh code."""
        return await self.client("POST", "/v1/session/wechat", {"code": f"{who}.{secrets.token_hex(4)}", **more})

    async def by_phone(self, phone: str, **more: Any) -> Answer:
        """Log in by phone."""
        return await self.client("POST", "/v1/session/phone", {"request": phone, "code": "123456", **more})

    async def refresh(self, token: str) -> Answer:
        """Use a refresh token."""
        return await self.client("POST", "/v1/session/refresh", {"refresh_token": token})

    async def me(self, token: str) -> Answer:
        """Who one is."""
        return await self.client("GET", "/v1/session", token=token)

    async def citizen(self, account: str) -> int:
        """The internal id behind a public one."""
        found = await self.assembly.accounts.find_public(account)
        assert found is not None
        return found.id


@asynccontextmanager
async def doors(assembly: Assembly, folder: Path) -> AsyncIterator[Doors]:
    """The real services on the run's databases, with `folder` for the keys, at a port."""
    db, clock, wechat, names = assembly.db, Clock(assembly.now().replace(microsecond=0)), FakeWeChat(), FakeRealNames()
    make_key(folder, "key-1")
    tokens = AccessTokens(KeyFolder(folder, lambda: 0.0), ISSUER, now=clock, random=secrets.token_bytes)
    codes = WeChatCodes(wechat, UsedCodes(db), clock)
    devices = Devices(DeviceStore(db), assembly.citizens, now=clock, random=secrets.token_bytes)
    stores = Stores(
        assembly.accounts, assembly.citizens, LogInStore(db, assembly.vault), SessionKeys(db, assembly.vault),
        Proofs(db, assembly.vault), Attempts(db, assembly.vault),
    )  # fmt: skip
    counters = Counters(codes, names, devices, assembly.notices, assembly.audit)
    log_ins = LogIns(stores, counters, tokens, check_code, now=clock, random=secrets.token_bytes)
    means = Means(stores, counters, check_code, now=clock, random=secrets.token_bytes)
    parts = LogInParts(log_ins, means, devices, codes)
    gate = Gate(assembly.officers, None, assembly.now, log_ins)
    server, port = listen(make_app(session.routes(parts), gate), 0, "127.0.0.1")
    yield Doors(client_of(port), parts, assembly, clock, wechat, names, tokens, folder)
    server.stop()
    await server.close_all_connections()


def tokens_of(answer: Answer) -> tuple[str, str]:
    """The access and the refresh token of a log-in or a refresh."""
    assert answer.status in (200, 201), answer.body
    return answer.json["access_token"], answer.json["refresh_token"]
