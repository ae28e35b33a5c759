"""One-time codes by SMS: which numbers get one, how many, and what a flood has to pay. Figures as data. Pure.

An SMS costs money and wakes a person, so asking for one is bounded from every side: by the number it goes to, the
network and the device it is asked from, the first seven digits of the number, and the whole city. Two kinds of rules:

- a *bound* is never passed, however many ask at once;
- a *breaker* looks at how many codes came back. People type in the code they asked for; a machine that asks for codes
  to strangers' numbers does not. While too few come back, whoever asks has to do a little work first (a hash puzzle:
  nothing to read, no service of others), and at the end a prefix is closed for the rest of the hour.

A network over its share is asked for work before it is refused: mobile carriers put thousands of honest people behind
one address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

import phonenumbers

from server.domain.errors import InvalidInputError

CODE_DIGITS = 6
LIVES_FOR = timedelta(minutes=5)
TRIES = 5
PREFIX_DIGITS = 7  # of a national number: with a mainland mobile number, ten thousand neighbours
NUMBER_BOUNDS = ((1, timedelta(seconds=60)), (5, timedelta(hours=1)), (10, timedelta(days=1)))  # sliding
LEAST_SHARE = 0.2  # of the codes that were sent, to come back
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400

WORK_BITS, MOST_WORK_BITS = 16, 22  # leading zero bits: 65,000 hashes on average (half a second in a mini-program) ..
WORK_LIVES_FOR = timedelta(minutes=2)


class Purpose(StrEnum):
    """What a code is for. A code for one thing is worth nothing for another."""

    LOG_IN = "log_in"
    BIND_PHONE = "bind_phone"
    JOIN = "join"  # two accounts become one
    CONSENT = "consent"  # to be acted for by somebody else
    ERASE = "erase"


class Counted(StrEnum):
    """What codes are counted by, besides the number they go to."""

    DEVICE = "device"
    ORIGIN = "origin"
    PREFIX = "prefix"
    CITY = "city"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the codes of one window, which begins at a multiple of its length (Unix time).

    `most`: then it is closed. `work_after`: then it costs work, one bit more for every doubling. `is_by_share`: both
    count only while fewer than LEAST_SHARE of the codes came back; such a rule is a breaker, any other a bound.
    """

    of: Counted
    window_s: int
    most: int | None = None
    work_after: int | None = None
    is_by_share: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """The codes of one window: how many were sent, and how many of them came back."""

    sent: int = 0
    verified: int = 0

    @property
    def is_poor(self) -> bool:
        """Whether too few came back."""
        return self.verified < LEAST_SHARE * self.sent


@dataclass(frozen=True, slots=True)
class Window:
    """One window of something counted."""

    of: Counted
    window_s: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say: wait so long (0 = go on), and do work of so many bits (0 = none). `why`: what was over."""

    wait_s: int = 0
    work_bits: int = 0
    why: Counted | None = None


def rules(*, per_minute: int, per_hour: int, per_day: int) -> tuple[Rule, ...]:
    """The table. The arguments are the city's budget, in messages."""
    return (
        Rule(Counted.DEVICE, HOUR_S, most=10),
        Rule(Counted.ORIGIN, HOUR_S, most=120, work_after=10),
        Rule(Counted.PREFIX, HOUR_S, most=300, work_after=20, is_by_share=True),
        Rule(
            Counted.CITY, MINUTE_S, most=per_minute
        ),  # who floods the city keeps others waiting for a minute, not more
        Rule(Counted.CITY, HOUR_S, most=per_hour),
        Rule(Counted.CITY, DAY_S, most=per_day),
        Rule(Counted.CITY, HOUR_S, work_after=100, is_by_share=True),
    )


def bounds(table: Sequence[Rule]) -> Mapping[Window, int | None]:
    """Every window that is counted, and how many codes may never be passed in it; None = only breakers look at it."""
    found: dict[Window, int | None] = {}
    for rule in table:
        window = Window(rule.of, rule.window_s)
        most = None if rule.is_by_share else rule.most
        found[window] = most if found.get(window) is None else found[window]
    return found


def judge(table: Sequence[Rule], tallies: Mapping[Window, Tally], now: datetime) -> Judgement:
    """What the rules say of one code more; windows without a tally are not asked (no device was named)."""
    told = [_of_rule(rule, tallies[w], now) for rule in table if (w := Window(rule.of, rule.window_s)) in tallies]
    closed = max(told, key=lambda one: one.wait_s, default=Judgement())
    return closed if closed.wait_s else max(told, key=lambda one: one.work_bits, default=Judgement())


def _of_rule(rule: Rule, tally: Tally, now: datetime) -> Judgement:
    if rule.is_by_share and not tally.is_poor:
        return Judgement()
    if rule.most is not None and tally.sent >= rule.most:
        return Judgement(wait_s=until_next(rule.window_s, now), why=rule.of)
    if rule.work_after is not None and tally.sent >= rule.work_after:
        doublings = (tally.sent // rule.work_after).bit_length() - 1
        return Judgement(work_bits=min(WORK_BITS + doublings, MOST_WORK_BITS), why=rule.of)
    return Judgement()


def until_next(window_s: int, now: datetime) -> int:
    """Seconds until the next window begins, rounded up.

    >>> until_next(60, datetime.fromisoformat("2026-11-24T09:30:15.5+08:00"))
    45
    """
    return ceil(window_s - now.timestamp() % window_s)


def number_wait_s(sent: Sequence[datetime], now: datetime) -> int:
    """Seconds until one number may get the next code after those that it was sent, rounded up; 0 = now."""
    newest_first = sorted(sent, reverse=True)
    ends = [newest_first[most - 1] + window for most, window in NUMBER_BOUNDS if len(newest_first) >= most]
    return max(0, ceil((max(ends, default=now) - now).total_seconds()))


def parse_phone(text: str, regions: Sequence[str]) -> str:
    """The E.164 form of a mobile number of one of these regions (ISO 3166); the first is that of numbers without "+".

    InvalidInputError `phone_invalid` for anything else: a landline, a premium number, another country's.

    >>> parse_phone("138 0013 8000", ["CN"])
    '+8613800138000'
    """
    try:
        number = phonenumbers.parse(text, regions[0])
    except phonenumbers.NumberParseException:
        raise _no_phone() from None
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    is_ours = phonenumbers.region_code_for_number(number) in regions
    if number.extension or not is_ours or phonenumbers.number_type(number) not in mobile:
        raise _no_phone()
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def prefix_of(phone: str) -> str:
    """What neighbours of an E.164 number share.

    >>> prefix_of("+8613800138000")
    '+861380013'
    """
    number = phonenumbers.parse(phone)
    return f"+{number.country_code}{str(number.national_number)[:PREFIX_DIGITS]}"


def has_worked(challenge: str, solution: str, bits: int) -> bool:
    """Whether SHA-256 of `<challenge>.<solution>` begins with so many zero bits."""
    digest = hashlib.sha256(f"{challenge}.{solution}".encode()).digest()
    return int.from_bytes(digest) >> (8 * len(digest) - bits) == 0


def _no_phone() -> InvalidInputError:
    return InvalidInputError("phone_invalid", zh="手机号不正确", en="this is no mobile number here", field="phone")


def code_wrong() -> InvalidInputError:
    """For whatever is wrong with a code: nobody learns how close they were."""
    return InvalidInputError(
        "code_wrong",
        zh="验证码不正确或已失效，多次不成功请重新获取",
        en="this code is wrong or no longer good; after some tries get a new one",
        field="code",
    )
