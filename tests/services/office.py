"""An office with real stores and a cheap hasher, and people who know their secrets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyotp

from server.domain.officers import NewOfficer, Role, Unit
from server.services.audit import AuditLog
from server.services.officers import Hasher, LogIn, Officers, Stores
from server.services.passwords import Argon2
from server.storage.attempts import Attempts
from server.storage.mongo import Database
from server.storage.officers import OfficerStore
from server.storage.sessions import SessionStore
from server.storage.vault import Vault
from tests.services.desk import UNIT, Clock

PASSWORD = "seven purple otters juggle"
HERE = "192.0.2.10"


@dataclass
class Person:
    """Someone with an account, a password and an authenticator."""

    id: str
    name: str
    secret: str
    clock: Clock

    def code(self) -> str:
        """What the authenticator shows now."""
        return pyotp.TOTP(self.secret).at(self.clock.at)

    def log_in(self, **other: str) -> LogIn:
        """What the person types, or something `other`."""
        right = {"name": self.name, "password": PASSWORD, "code": self.code(), "origin": HERE}
        return LogIn(**(right | other))


def office_of(db: Database, audit: AuditLog, now: Callable[[], datetime], hasher: Hasher | None = None) -> Officers:
    """The product's own office. Without `hasher` passwords cost little, for tests that are not about that."""
    vault = Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes)
    stores = Stores(OfficerStore(db, vault), SessionStore(db, vault), Attempts(db, vault))
    return Officers(stores, audit, now=now, random=secrets.token_bytes, hasher=hasher or Argon2(memory_kib=64))


def newcomer(
    name: str = "王敏", person: str = "p1", *roles: Role, unit: Unit = UNIT, division: str = "440300"
) -> NewOfficer:
    """A releaser, unless said otherwise."""
    return NewOfficer(
        name=name, person=person, roles=frozenset(roles) or frozenset({Role.RELEASER}), unit=unit, division=division,
        events=("11B",),
    )  # fmt: skip


async def hired(office: Officers, clock: Clock, new: NewOfficer | None = None) -> Person:
    """Somebody whose account is active."""
    account, link = await office.create(None, new or newcomer())
    activation = await office.activate(link, PASSWORD)
    return Person(account.officer.id, account.officer.name, activation.totp_secret, clock)
