"""Rules of proactive service (主动服务): who should be told of what, as data. Pure.

A rule is a match on facts. Two things follow from it here and nowhere else, and a property test holds them together:
`scans`, which index ranges find the people for a run, and `occurrences`, whether a person's facts match. A rule reads
an index range, never everybody: one that could not is refused when it is loaded (`rule_faults`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from server.domain.broadcasts import Lane
from server.domain.facts import EARLIEST, LATEST, Kind, Value, Values, day_number, day_of_number
from server.domain.working_days import WorkingDays

_FIRST, _LAST = day_number(EARLIEST), day_number(LATEST)

ACCOUNT = "account."  # what a form is filled in with from the citizen's own account begins so

Window = tuple[int | None, int | None]


class Period(StrEnum):
    """How often a person may be told by one rule: once for ever, per year or month of China, per date of the anchor."""

    ONCE = "once"
    YEARLY = "yearly"
    MONTHLY = "monthly"
    OCCURRENCE = "occurrence"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class After(_Model):
    """Counted on from a date: a birthday, the end of a term. The 31st becomes the last day of a shorter month."""

    years: int = Field(default=0, ge=0, le=130)
    months: int = Field(default=0, ge=0, le=1_200)


class Condition(_Model):
    """One fact and what must hold of it: `days`/`working_days` for a date, a range for a number, `is` for the rest.

    days: [0, 30] - the date is today or within 30 days; [null, 0] - today or in the past. null leaves a side open.
    """

    fact: str
    after: After = After()
    days: Window | None = None
    working_days: Window | None = None
    at_least: int | None = None
    at_most: int | None = None
    among: tuple[str | bool, ...] = Field(default=(), alias="is")


class Said(_Model):
    """Words in both languages, with {date}, {days}, {number} of the anchor."""

    zh: str = Field(min_length=1, max_length=200)
    en: str = Field(min_length=1, max_length=400)


class Cap(_Model):
    """At most so many notices of this rule for one person within so many days."""

    count: int = Field(ge=1, le=100)
    days: int = Field(ge=1, le=3_660)


class Years(_Model):
    """A choice that follows from a date: the one with the most years that are full today (80 -> from80)."""

    fact: str
    least_years: Mapping[str, Annotated[int, Field(ge=0, le=150)]] = Field(min_length=1, max_length=20)

    def chosen(self, number: int, today: date) -> str | None:
        """By the day number of the date; None: for nobody so young.

        >>> Years(fact="birth_date", least_years={"from80": 80, "from90": 90}).chosen(0, date(2059, 12, 31))
        'from80'
        """
        born = day_of_number(number)
        able = [
            (years, name) for name, years in self.least_years.items() if counted_on(born, After(years=years)) <= today
        ]
        return max(able)[1] if able else None


EXAMPLE: Mapping[str, Any] = {
    "id": "identity-card-expiry",
    "kind": "reminder",
    "unit": "public-security",
    "title": {"zh": "身份证快到期了", "en": "Your ID runs out"},
    "body": {"zh": "{date}到期，还有{days}天", "en": "On {date}: renew it near you"},
    "when": [{"fact": "id_card_until", "days": [0, 60]}],
    "lane": "reminder",
    "period": "occurrence",
    "lasts_days": 60,
    "item": "identity-card-renew",
    "unless_applied": False,
}


class Rule(_Model):
    """One rule. The first condition of `when` is its anchor: what its dates and its period are about."""

    model_config = ConfigDict(json_schema_extra={"example": dict(EXAMPLE)})

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,59}$")
    kind: Literal["offer", "reminder"]
    unit: str = Field(min_length=1, max_length=40, description="who answers for it (data/catalogue/units.yaml)")
    title: Said
    body: Said
    when: tuple[Condition, ...] = Field(min_length=1, max_length=8)
    unless: tuple[Condition, ...] = Field(default=(), max_length=8, description="any of these keeps it back")
    consents: tuple[str, ...] = Field(default=("service_offers",), min_length=1, max_length=4)
    template: str = Field(
        default="notice", pattern=r"^[a-z]{2,20}$", description="event of rows in data/templates.yaml"
    )
    lane: Literal[Lane.TRANSACTIONAL, Lane.REMINDER, Lane.DIGEST]  # those of personal notices
    period: Period
    cap: Cap | None = None
    lasts_days: int = Field(ge=1, le=400, description="the offer lapses so many days after it was made")
    item: str = Field(default="", max_length=60, description="the catalogue item it leads to; has none: a reminder")
    unless_applied: bool = Field(default=True, description="whoever has an open or granted application is left out")
    prefill: Mapping[str, str | Years] = Field(
        default_factory=dict,
        description="field of the item's form -> fact, choice by years, or account.{name,id_number,phone}",
    )
    usual: Mapping[str, str | bool] = Field(
        default_factory=dict, description="field of the form -> what most people answer; the citizen may say otherwise"
    )
    declares: tuple[str, ...] = Field(
        default=(), max_length=10, description="fields of the form that the tap agrees to; the offer shows their words"
    )
    is_one_tap: bool = Field(default=False, description="免申即享: accepting files the application")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "offer" and not self.item:
            raise ValueError("an offer names its item")
        if not self.item and (self.is_one_tap or self.prefill or self.usual):
            raise ValueError("is_one_tap, prefill and usual need an item")
        if self.declares and not self.is_one_tap:
            raise ValueError("only one tap declares something: give is_one_tap")
        return self

    @property
    def prefill_facts(self) -> frozenset[str]:
        """The facts that the form is filled in from."""
        named = {each.fact if isinstance(each, Years) else each for each in self.prefill.values()}
        return frozenset(each for each in named if not each.startswith(ACCOUNT))

    @property
    def anchor(self) -> Condition:
        """What the dates of the rule are about."""
        return self.when[0]


@dataclass(frozen=True, slots=True)
class Live:
    """A rule that is in force."""

    rule: Rule
    version: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition on a day: the fact lies in lo..hi (with both), or is one of `among`."""

    fact: str
    lo: int | None = None
    hi: int | None = None
    among: tuple[Value, ...] = ()

    def holds(self, value: Value) -> bool:
        """Of one value."""
        if self.among:
            return value in self.among
        return (self.lo is None or value >= self.lo) and (self.hi is None or value <= self.hi)  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class Scan:
    """One indexed query: walk the index of `by.fact` over `by`, keep whom all of `also` hold and none of `unless`."""

    by: Bound
    also: tuple[Bound, ...]
    unless: tuple[Bound, ...]


def compiled(condition: Condition, today: date, calendar: WorkingDays) -> Bound:
    """A condition as it stands on this day."""
    if condition.among:
        return Bound(condition.fact, among=condition.among)
    if condition.days is None and condition.working_days is None:
        return Bound(condition.fact, condition.at_least, condition.at_most)
    lo, hi = _ends(condition, today, calendar)
    lo = _FIRST if lo is None else lo
    hi = _LAST if hi is None else hi
    if condition.after == After():
        return Bound(condition.fact, lo, hi)
    days = range(_FIRST, _LAST + 1)

    def later(number: int) -> int:
        return day_number(counted_on(day_of_number(number), condition.after))

    return Bound(
        condition.fact,
        days[bisect_left(days, lo, key=later)] if lo <= later(_LAST) else _LAST + 1,
        days[bisect_right(days, hi, key=later) - 1] if hi >= later(_FIRST) else _FIRST - 1,
    )


def _ends(condition: Condition, today: date, calendar: WorkingDays) -> tuple[int | None, int | None]:
    if condition.days is not None:
        first, last = condition.days
        base = day_number(today)
        return (None if first is None else base + first), (None if last is None else base + last)
    assert condition.working_days is not None
    first, last = condition.working_days
    return _working(today, first, calendar), _working(today, last, calendar)


def _working(today: date, count: int | None, calendar: WorkingDays) -> int | None:
    """The day so many working days from today; backwards for a negative count."""
    if count is None:
        return None
    if count >= 0:
        return day_number(calendar.add(today, count).day if count else today)
    day, left = day_number(today), -count
    while left:
        day -= 1
        left -= calendar.is_working(day_of_number(day))
    return day


def counted_on(day: date, after: After) -> date:
    """The date so many years and months later.

    >>> counted_on(date(1948, 2, 29), After(years=81))
    datetime.date(2029, 2, 28)
    """
    months = day.year * 12 + day.month - 1 + after.years * 12 + after.months
    year, month = divmod(months, 12)
    if year > LATEST.year:
        return LATEST
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def scans(rule: Rule, today: date, calendar: WorkingDays, since: date | None = None) -> list[Scan]:
    """The index ranges of a run. Without `since` all who match; with it those who came to match by time since that day.

    Who came to match because a fact changed is found by the change, not by a scan.
    """
    tests = [compiled(each, today, calendar) for each in rule.when]
    unless = tuple(compiled(each, today, calendar) for each in rule.unless)
    if since is None:
        return [Scan(tests[0], tuple(tests[1:]), unless)]
    found = []
    for number, condition in enumerate(rule.when):
        test, before = tests[number], compiled(condition, since, calendar)
        if test.hi is None or before.hi is None or test.among or test.hi <= before.hi:
            continue  # a day that passes brings nobody in
        lo = max(before.hi + 1, test.lo if test.lo is not None else before.hi + 1)
        others = (*tests[:number], *tests[number + 1 :])
        if lo <= test.hi:
            found.append(Scan(Bound(test.fact, lo, test.hi), others, unless))
    return found


def occurrences(rule: Rule, values: Values, today: date, calendar: WorkingDays) -> list[Value]:
    """The values of the anchor that match, for a person with these facts; [] = the rule is not for them today."""
    return matching([compiled(c, today, calendar) for c in rule.when],
                    [compiled(c, today, calendar) for c in rule.unless], values)  # fmt: skip


def matching(when: Sequence[Bound], unless: Sequence[Bound], values: Values) -> list[Value]:
    """`occurrences` of a rule that is compiled already."""
    if not all(_is_held(bound, values) for bound in when[1:]) or any(_is_held(bound, values) for bound in unless):
        return []
    anchor = when[0]
    found = values.get(anchor.fact)
    if found is None:
        return []
    return [value for value in ((found,) if isinstance(found, int | str) else found) if anchor.holds(value)]


def _is_held(bound: Bound, values: Values) -> bool:
    """By one of the values of its fact; by none if nothing is known."""
    found = values.get(bound.fact)
    if found is None:
        return False
    return bound.holds(found) if isinstance(found, int | str) else any(bound.holds(value) for value in found)


def period_of(rule: Rule, occurrence: Value, today: date) -> str:
    """The name of the period within which a person is told once."""
    match rule.period:
        case Period.ONCE:
            return "once"
        case Period.YEARLY:
            return f"{today:%Y}"
        case Period.MONTHLY:
            return f"{today:%Y-%m}"
        case Period.OCCURRENCE:
            return day_of_number(int(occurrence)).isoformat()


def last_day(rule: Rule, occurrence: Value) -> date | None:
    """The last day on which the anchor's date is in its window; None: it has no end, or one in working days."""
    first = rule.anchor.days[0] if rule.anchor.days else None
    if first is None:
        return None
    return counted_on(day_of_number(int(occurrence)), rule.anchor.after) - timedelta(days=first)


def said(rule: Rule, occurrence: Value, kind: Kind, today: date) -> tuple[Said, Said]:
    """Title and body with the anchor's values. A date that is counted on (`after`) is the later one."""
    values = {"date": "", "days": "", "number": ""}
    if kind is Kind.DATE:
        day = counted_on(day_of_number(int(occurrence)), rule.anchor.after)
        values = {"date": day.isoformat(), "days": str(max((day - today).days, 0)), "number": ""}
    elif kind is Kind.NUMBER:
        values["number"] = str(occurrence)

    def filled(words: Said) -> Said:
        return Said.model_construct(zh=words.zh.format(**values), en=words.en.format(**values))

    return filled(rule.title), filled(rule.body)
