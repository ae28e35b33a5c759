"""Facts about citizens: what departments know of somebody that makes a service due (birth, expiry dates). Pure.

Which facts there are, and which source may state each, is data (`data/facts.yaml`): 一数一源. A source that is not
named there for a fact cannot state it. Of what the named sources state the newest counts (by their own `as_of`), and a
contradiction is recorded. A date is kept as days since 1970-01-01, so that a rule is a range of an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.domain.errors import ConfigurationError

NAME = r"^[a-z][a-z0-9_]{1,39}$"
EPOCH = date(1970, 1, 1)
MAX_NUMBER = 10**15
EARLIEST, LATEST = date(1880, 1, 1), date(2200, 12, 31)
MAX_THINGS = 200  # of one fact of one person (cars, children) whose values count: the latest dates, or largest numbers

Value = int | str | bool  # a date is an int: days since EPOCH
Values = Mapping[str, Value | Sequence[Value]]  # of one person; a fact of several things has them all, sorted


class Kind(StrEnum):
    """What a fact is."""

    DATE = "date"
    NUMBER = "number"
    CHOICE = "choice"
    FLAG = "flag"


class Fact(BaseModel):
    """One thing that may be known. `is_many`: one per thing (car, child), told apart by the `thing` of a statement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=NAME)
    zh: str = Field(min_length=1, max_length=30)
    en: str = Field(min_length=1, max_length=60)
    kind: Kind
    sources: tuple[str, ...] = Field(min_length=1, description="who may state it, the usual one first")
    choices: Mapping[str, tuple[str, str]] = Field(default_factory=dict, description="with words in zh and en")
    consent: str = Field(default="service_offers", description="data/consents.yaml: without it nothing is kept")
    is_many: bool = False
    is_indexed: bool = Field(default=True, description="a rule may begin with it")

    @model_validator(mode="after")
    def _has_choices(self) -> Self:
        if (self.kind is Kind.CHOICE) != bool(self.choices):
            raise ValueError(f"{self.id}: a choice has choices, and nothing else has")
        return self


class Facts(BaseModel):
    """All of them. Build it with `load_facts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: tuple[Fact, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Fact]:
        """By their ids."""
        return {fact.id: fact for fact in self.facts}


def load_facts(data: Any) -> Facts:
    """The facts in what `data/facts.yaml` holds; ConfigurationError `facts_invalid` says what is wrong."""
    try:
        found = Facts.model_validate(data)
    except ValidationError as error:
        raise _wrong(str(error)) from None
    if len(found.by_id) != len(found.facts):
        raise _wrong("a fact stands there twice")
    return found


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError("facts_invalid", zh=f"事实清单有误：{what}", en=f"facts: {what}")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a source says of one person and fact. `value` None: it does not hold any more. `thing`: "" or which one.

    The same source, person, fact and thing has one statement: a later `as_of_at` takes the place of an earlier one.
    """

    citizen: int
    fact: str
    value: Value | None
    source: str
    as_of_at: datetime
    thing: str = ""
    purpose: str = "service_offers"


def winner(statements: Sequence[Statement], fact: Fact) -> Statement | None:
    """Which of the statements about one fact and thing counts: the newest; of equally new ones the usual source's.

    None if there is no statement of a source that may state it.
    """
    able = [each for each in statements if each.source in fact.sources]
    return max(able, key=lambda each: (each.as_of_at, -fact.sources.index(each.source)), default=None)


def is_contradicted(statements: Sequence[Statement], fact: Fact) -> bool:
    """Whether sources that may state it say different things."""
    return len({each.value for each in statements if each.source in fact.sources}) > 1


def day_number(day: date) -> int:
    """Days since 1970-01-01.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return (day - EPOCH).days


def day_of_number(number: int) -> date:
    """The inverse of `day_number`.

    >>> day_of_number(-1)
    datetime.date(1969, 12, 31)
    """
    return EPOCH + timedelta(days=number)
