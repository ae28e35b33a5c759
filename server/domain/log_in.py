"""Logging in as a citizen: how long tokens last, what a refresh token is made of, what a number alone does not open.

Pure. A refresh token is 128 random bits that name its family (one log-in) and 256 that change with every use. Whoever
shows a family's first half with a second half of the past holds a token that was used: its own, or a stolen one.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from server.domain.citizens import Client, LogIn

ACCESS_LIFE = timedelta(minutes=15)
IDLE = timedelta(days=90)  # a log-in that is not refreshed for so long is over
ABSOLUTE = timedelta(days=365)
GRACE = timedelta(seconds=10)  # a used refresh token yields the same successor: the answer may have been lost
CODE_MEMORY = timedelta(minutes=10)  # of WeChat's one-time codes; they last five
SESSION_KEY_LIFE = timedelta(days=2)
# An address that a provider called dead or unwilling is still a means of log-in for so long: a number gets a new owner
# after ninety days at the earliest, and we may hear late that it was given up; an openid is never anybody else's.
REVIVED_WITHIN = {"sms": timedelta(days=30), "wechat": timedelta(days=3_650)}
PROOF_LIFE = timedelta(minutes=10)
PROOF_TRIES = 3  # with one ticket
# Seconds until the next try, by wrong proofs of one account in a row: five a day, however many tickets there are.
PROOF_DELAYS_S: Sequence[int] = (0, 0, 0, 0, 0, 86_400)

FAMILY_BYTES = 16
SECRET_BYTES = 32
REFRESH_CHARACTERS = 64  # base64url of both


class Platform(StrEnum):
    """What an app runs on."""

    ANDROID = "android"
    IOS = "ios"
    HARMONY = "harmony"


@dataclass(frozen=True, slots=True)
class WeChatSession:
    """What WeChat says of a `wx.login` code. The session key stays on the server."""

    openid: str
    session_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Terminal:
    """What somebody logs in with. `device` is random text that an installation makes up once and keeps."""

    client: Client
    label: str = ""
    device: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, taken apart."""

    family: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> RefreshToken | None:
        """The token in some text; None if it is none."""
        if len(text) != REFRESH_CHARACTERS or not text.isascii():
            return None
        try:
            whole = urlsafe_b64decode(text)
        except NotBase64Error:
            return None
        if len(whole) != FAMILY_BYTES + SECRET_BYTES:
            return None
        return cls(whole[:FAMILY_BYTES], whole[FAMILY_BYTES:])

    @property
    def text(self) -> str:
        """As its holder keeps it."""
        return urlsafe_b64encode(self.family + self.secret).decode()

    @property
    def family_hash(self) -> bytes:
        """What is stored of the first half: SHA-256 suffices for random bits."""
        return hashlib.sha256(self.family).digest()

    @property
    def secret_hash(self) -> bytes:
        """What is stored of the second half."""
        return hashlib.sha256(self.secret).digest()

    @property
    def successor_key(self) -> bytes:
        """The key that its successor is sealed with during the grace: only who holds this token can open it."""
        return hmac.digest(self.secret, b"successor", "sha256")


@dataclass(frozen=True, slots=True)
class Device:
    """An app that gets push notices. Its token is not kept here."""

    id: str
    log_in: str | None  # None: the log-in ended when accounts were joined, the token still works
    platform: Platform
    label: str
    registered_at: datetime


def ends_at(began_at: datetime, seen_at: datetime) -> datetime:
    """When a log-in ends if it is not refreshed any more."""
    return min(seen_at + IDLE, began_at + ABSOLUTE)


def is_over(log_in: LogIn, at: datetime) -> bool:
    """Whether it has ended by itself."""
    return at >= ends_at(log_in.began_at, log_in.seen_at)


def is_same_tail(known: str | None, given: str) -> bool:
    """Whether `given` are the last four characters of an ID number; takes as long without one."""
    right = (known or "").upper()[-4:].encode()
    return hmac.compare_digest(right, given.upper().encode("utf-8", "replace")) and len(right) == 4


def masked(phone: str) -> str:
    """A number as its owner may recognise it.

    >>> masked("+8613800001234")
    '+86138****1234'
    """
    return f"{phone[:-8]}****{phone[-4:]}" if len(phone) >= 12 else f"****{phone[-2:]}"
