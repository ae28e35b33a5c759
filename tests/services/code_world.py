"""A counter for one-time codes with a real store, a clock the test moves, and phones that show what they get."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from server.domain.errors import WorkNeededError
from server.domain.one_time_codes import Purpose, Rule, has_worked, rules
from server.services.one_time_codes import Asking, OneTimeCodes, Proof, SentCode
from server.storage.mongo import Database
from server.storage.one_time_codes import CodeStore
from server.storage.vault import Vault
from tests.services.desk import Clock

RULES = rules(per_minute=1_000, per_hour=1_000, per_day=1_000)


@dataclass
class Phones:
    """What every phone got, and whether texts can be sent at all."""

    got: list[tuple[str, str]] = field(default_factory=list)  # (phone, code)
    is_away: bool = False

    async def text(self, phone: str, purpose: Purpose, language: str, code: str) -> bool:  # noqa: ARG002
        """Show it."""
        if self.is_away:
            return False
        self.got.append((phone, code))
        return True

    @property
    def code(self) -> str:
        """The newest code."""
        return self.got[-1][1]


def counter(db: Database, clock: Clock, phones: Phones, table: Sequence[Rule] = RULES) -> OneTimeCodes:
    """The counter."""
    store = CodeStore(db, Vault({1: b"k" * 32}, b"i" * 32, os.urandom))
    return OneTimeCodes(store, phones, table, regions=["CN"], now=clock, random=os.urandom)


def phone(number: int) -> str:
    """A number; ten thousand neighbours each."""
    return f"138{number:08d}"


def asking(number: int, origin: str = "", device: str = "") -> Asking:
    """Somebody wants to log in."""
    return Asking(phone(number), Purpose.LOG_IN, origin=origin, device=device)


def solved(error: WorkNeededError) -> Proof:
    """The work, done."""
    return Proof(error.challenge, next(str(n) for n in count() if has_worked(error.challenge, str(n), error.bits)))


async def working(codes: OneTimeCodes, wish: Asking) -> SentCode:
    """Ask as an honest client does: solve what has to be solved."""
    try:
        return await codes.send(wish)
    except WorkNeededError as error:
        return await codes.send(replace(wish, proof=solved(error)))
