"""What a rule means: the index ranges of a run find the people whose facts match, no others, and each of them once."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from server.domain.facts import Value, day_number
from server.domain.rules import (
    After,
    Bound,
    Condition,
    Period,
    Rule,
    Said,
    Scan,
    counted_on,
    occurrences,
    period_of,
    scans,
)
from server.domain.working_days import WorkingDays

CALENDAR = WorkingDays()
WORDS = Said(zh="身份证{date}到期", en="Your ID card runs out on {date}")
days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
ends = st.one_of(st.none(), st.integers(-60, 60))


def _is_window(ends: tuple[int | None, int | None]) -> bool:
    first, last = ends
    return ends != (None, None) and (first is None or last is None or first <= last)


windows = st.tuples(ends, ends).filter(_is_window)
afters = st.builds(After, years=st.sampled_from([0, 0, 1, 18, 80]), months=st.sampled_from([0, 0, 8]))


def rule(*when: Condition, unless: tuple[Condition, ...] = (), period: Period = Period.OCCURRENCE) -> Rule:
    return Rule(
        id="a-rule", kind="reminder", unit="police", title=WORDS, body=WORDS, when=when, unless=unless,
        lane="reminder", period=period, lasts_days=30,
    )  # fmt: skip


def found(scan: Scan, facts: dict[str, Value]) -> bool:
    """What the database does with a scan."""

    def holds(test: Bound) -> bool:
        value = facts.get(test.fact)
        return value is not None and test.holds(value)

    return holds(scan.by) and all(map(holds, scan.also)) and not any(map(holds, scan.unless))


@given(windows, afters, days, st.integers(-100, 100))
def test_a_window_is_what_it_says_day_by_day(
    window: tuple[int | None, int | None], after: After, today: date, offset: int
) -> None:
    """The compiled range and the plain words agree on every date, leap days and short months included."""
    fact = today - timedelta(days=offset) - timedelta(days=int(365.2425 * after.years))
    kept = occurrences(rule(Condition(fact="d", after=after, days=window)), {"d": day_number(fact)}, today, CALENDAR)
    ahead = (counted_on(fact, after) - today).days
    is_in = (window[0] is None or ahead >= window[0]) and (window[1] is None or ahead <= window[1])
    assert bool(kept) is is_in


@given(st.lists(st.tuples(windows, st.booleans()), min_size=1, max_size=3), afters, days, st.integers(1, 9), st.data())
def test_runs_day_by_day_find_everybody_that_a_full_run_finds(
    conditions: list[tuple[tuple[int | None, int | None], bool]],
    after: After,
    today: date,
    gap: int,
    data: st.DataObject,
) -> None:
    """Whoever matches today and was known all the time matched at the last run, or is found by today's scans."""
    when = tuple(
        Condition.model_validate({"fact": f"d{n}", "after": after, ("working_days" if is_working else "days"): window})
        for n, (window, is_working) in enumerate(conditions)
    )
    facts: dict[str, Value] = {}
    for number in range(len(when)):
        near = today - timedelta(days=int(365.2425 * after.years) + 30 * after.months)
        facts[f"d{number}"] = day_number(near) + data.draw(st.integers(-90, 90))
    one, last = rule(*when), today - timedelta(days=gap)
    is_in = bool(occurrences(one, facts, today, CALENDAR))
    was_in = bool(occurrences(one, facts, last, CALENDAR))
    entered = any(found(scan, facts) for scan in scans(one, today, CALENDAR, last))
    assert found(scans(one, today, CALENDAR)[0], facts) is is_in
    assert entered <= is_in, "a daily run finds nobody whom a full one would not"
    assert is_in <= (was_in or entered), "who came in by time is found"


def test_an_exclusion_beats_a_match_and_a_missing_fact_excludes_nobody() -> None:
    """`unless` needs the fact to be there."""
    one = rule(Condition(fact="d", days=(0, 9)), unless=(Condition(fact="card", among=(True,)),))
    today = date(2026, 11, 24)
    facts: dict[str, Value] = {"d": day_number(today)}
    assert occurrences(one, facts, today, CALENDAR)
    assert not occurrences(one, facts | {"card": True}, today, CALENDAR)
    assert occurrences(one, facts | {"card": False}, today, CALENDAR)
    assert not occurrences(one, {"card": False}, today, CALENDAR)


def test_each_of_several_cars_has_its_own_occurrence() -> None:
    """A fact of several things matches per thing."""
    today = date(2026, 11, 24)
    one = rule(Condition(fact="cars", days=(0, 30)))
    due = [day_number(today) + n for n in (5, 29, 31)]
    kept = occurrences(one, {"cars": due}, today, CALENDAR)
    assert [period_of(one, each, today) for each in kept] == ["2026-11-29", "2026-12-23"]
