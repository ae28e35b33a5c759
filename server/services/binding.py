"""What the counters of "who somebody is and for whom they act" share: stores, the authority, the post, the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from server.domain.audit import Detail, Event
from server.domain.china import china_day
from server.domain.errors import ForbiddenError
from server.domain.one_time_codes import Purpose
from server.domain.real_name import RealName, Verdict
from server.domain.wording import Words
from server.services.audit import Audit
from server.storage.accounts import Accounts
from server.storage.citizens import Citizens
from server.storage.real_names import RealNameStore
from server.storage.relations import RelationStore


class Verifier(Protocol):
    """An authority that knows who is who. UnavailableError `verifier_away` if it does not answer in time."""

    async def verify(self, name: str, id_number: str) -> Verdict:
        """Whether this number is this person's."""
        ...

    async def kinship(self, guardian: str, child: str) -> bool:
        """Whether one (by ID number) is a guardian of the other: parents by birth register or household book."""
        ...

    async def represents(self, id_number: str, name: str, uscc: str) -> Verdict:
        """Whether this person is the legal representative of this organisation, and it has this name."""
        ...


class Codes(Protocol):
    """One-time codes by SMS."""

    async def check(self, request: str, code: str, purpose: Purpose) -> str:
        """The number that the code was sent to; an error of ours if it is wrong, over, or for another purpose."""
        ...


class OpenIds(Protocol):
    """WeChat's log-in."""

    async def openid(self, code: str) -> str:
        """Whose fresh `wx.login` code this is; an error of ours if it is not good."""
        ...


class Tells(Protocol):
    """The post: a notice to one person. The same key happens once."""

    async def tell(self, citizen: int, title: Words, body: Words, *, key: str, page: str = "") -> bool:
        """Durable when it returns."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands under these counters. `random` gives so many random bytes."""

    accounts: Accounts
    citizens: Citizens
    names: RealNameStore
    relations: RelationStore
    verifier: Verifier
    codes: Codes
    post: Tells
    audit: Audit
    now: Callable[[], datetime]
    random: Callable[[int], bytes]

    @property
    def today(self) -> date:
        """The day it is in China."""
        return china_day(self.now())

    def new_id(self) -> str:
        """128 random bits, to be shown outside."""
        return self.random(16).hex()

    def new_citizen(self) -> int:
        """63 random bits, never shown."""
        return int.from_bytes(self.random(8), "big") >> 1

    async def own_name(self, citizen: int) -> RealName:
        """The verified name of who asks; ForbiddenError `real_name_needed`."""
        found = await self.names.find(citizen)
        if found is None:
            raise ForbiddenError("real_name_needed", zh="请先完成实名认证", en="verify your own real name first")
        return found

    async def log(
        self, actor: str, action: str, what: str, details: Mapping[str, Detail] | None = None, *, key: str = ""
    ) -> None:
        """Put into the log what somebody (public id) did; the same key is one entry."""
        await self.audit.record(Event(actor, action, what, details=details or {}, key=key))
