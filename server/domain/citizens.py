"""Citizens as account holders: who somebody is to the product, and who is asking. Pure.

`id` is 63 random bits and never leaves the house; `public` is 128 random bits in hexadecimal, which people may see and
hand on. An organisation (法人) is an account too: people act for it, it never logs in itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What an account stands for."""

    PERSON = "person"
    ORGANISATION = "organisation"


class AccountState(StrEnum):
    """Whether it can be used. What is not active never becomes active again, except that a lock may be lifted."""

    ACTIVE = "active"
    LOCKED = "locked"  # by an officer, or while it is being erased
    JOINED = "joined"  # it went into another account
    ERASED = "erased"  # its keys are gone; what is left tells nothing about a person


class Client(StrEnum):
    """What somebody logs in with."""

    MINIPROGRAM = "miniprogram"
    APP = "app"
    OTHER = "other"  # a third party's program


@dataclass(frozen=True, slots=True)
class LogIn:
    """One live log-in of an account: the family of its refresh tokens. `id` names it in lists and in tokens."""

    id: str
    client: Client
    label: str  # what the person may recognise the device by
    began_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """One account as it is stored, without the fields that are sealed."""

    id: int
    public: str
    kind: Kind
    state: AccountState
    session_version: int  # access tokens of an earlier one are void
    version: int  # of the profile: its ETag
    log_ins: Sequence[LogIn]
    is_real_name: bool  # bound to a verified ID number (a person) or USCC (an organisation)
    language: str  # "zh" or "en"
    is_elder_mode: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: an active account with a live log-in."""

    account: Account
    log_in: str  # its id

    @property
    def id(self) -> int:
        """The internal id of the citizen."""
        return self.account.id
