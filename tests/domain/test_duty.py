"""Who hears of which card, and in which words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.china import CHINA
from server.domain.deadlines import Card
from server.domain.duty import Case, CaseList, Digest, Ticket, digest_entry, digest_of, load_escalation
from server.domain.errors import ConfigurationError
from server.domain.officers import Officer, Role
from server.domain.templates import units
from server.domain.wording import LANGUAGES
from server.domain.working_days import WorkingDays
from server.storage.catalogues import load_escalation as load_city_escalation
from tests.services.application_world import officer

TABLE = load_city_escalation()
TODAY = date(2026, 11, 24)  # a Tuesday
UNIT, OTHER = "sz-civil-affairs", "sz-police"

CLERK = officer(Role.CLERK, name="a", division="440305")
COLLEAGUE = officer(Role.APPROVER, name="b", division="440305")
SUPERVISOR = officer(Role.SUPERVISOR, name="c", division="440300")
ELSEWHERE = officer(Role.SUPERVISOR, name="d", institution=OTHER)
NEIGHBOUR = officer(Role.SUPERVISOR, name="e", division="440306")
DISTRICT = officer(Role.SUPERVISOR, name="f", institution="", division="440305")
CITY = officer(Role.SUPERVISOR, name="9", institution="", division="440300")
ALL = (CLERK, COLLEAGUE, SUPERVISOR, ELSEWHERE, NEIGHBOUR, DISTRICT, CITY)


def late_days(due_on: date) -> int:
    return WorkingDays().between(due_on, TODAY)


def case(card: Card, *, owner: str = "", late: int = 0, units: tuple[str, ...] = (UNIT,)) -> Case:
    """One whose deadline was so many working days ago."""
    due_on = next(day for n in range(60) if late_days(day := TODAY - timedelta(days=n)) == late)
    return Case(units, "440305001", owner, card, due_on)


def hearers(*cases: Case) -> list[str]:
    board = CaseList(cases)
    return [o.name[-1] for o in ALL if not digest_of(o, board.of(o), (), TABLE, late_days).is_empty]


@pytest.mark.parametrize(
    ("seen", "heard"),
    [
        (case(Card.YELLOW), "ab"),  # nobody's yet: who could take it
        (case(Card.YELLOW, owner=CLERK.id), "a"),
        (case(Card.RED, owner=CLERK.id, late=1), "c"),
        (case(Card.RED, late=3), "c"),
        (case(Card.RED, late=4), "cf"),
        (case(Card.RED, late=5), "cf"),
        (case(Card.RED, late=6), "cf9"),
        (case(Card.RED, late=1, units=(UNIT, OTHER)), "cd"),  # another unit has a part in it
        (case(Card.NONE), ""),
    ],
)
def test_yellow_is_the_counters_red_the_supervisors_and_what_stays_red_rises(seen: Case, heard: str):
    assert "".join(hearers(seen)) == heard


@given(
    st.sampled_from(ALL), st.lists(st.builds(case, st.sampled_from([Card.YELLOW, Card.RED]), late=st.integers(1, 9)))
)
def test_an_officer_hears_the_same_of_the_own_cases_as_of_all(who: Officer, cases: list[Case]):
    board = CaseList(cases)
    own = digest_of(who, board.of(who), (), TABLE, late_days)
    assert own == digest_of(who, dict.fromkeys(cases), (), TABLE, late_days) or not who.institutions


def test_bad_ratings_are_told_to_supervisors_who_did_not_handle_the_case():
    tickets = [Ticket(UNIT, "440305"), Ticket(UNIT, "440305", frozenset({SUPERVISOR.id}), 5)]
    told = {o.name[-1]: digest_of(o, (), tickets, TABLE, late_days).ratings for o in ALL}
    assert told == {"a": 0, "b": 0, "c": 1, "d": 0, "e": 0, "f": 0, "9": 0}


def test_the_words_are_numbers_that_fit_a_field_of_wechat_and_leave_out_what_is_zero():
    title, body = Digest(yellow=120, red=999, ratings=12).words()
    assert (body.zh, body.en) == ("红牌999件，黄牌120件，差评12件", "red 999, yellow 120, ratings 12")
    assert all(units(words.get(language)) <= 40 for words in (title, body) for language in LANGUAGES)
    assert Digest(red=1).words()[1].zh == "红牌1件"


def test_a_digest_has_one_name_an_officer_and_day_and_is_late_in_the_evening():
    at = [datetime(2026, 11, 24, hour, tzinfo=UTC) for hour in (1, 9)]
    one, other = (digest_entry(CLERK.id, 7, TODAY, TABLE, now) for now in at)
    assert one.key == other.key
    assert one.expires_at == datetime(2026, 11, 24, 20, tzinfo=CHINA)


@pytest.mark.parametrize(("clock", "is_on"), [("08:29", False), ("08:30", True), ("19:59", True), ("20:00", False)])
def test_digests_ring_by_day_in_china(clock: str, is_on: bool):  # noqa: FBT001 - what is expected
    now = datetime.fromisoformat(f"2026-11-24T{clock}:00+08:00").astimezone(UTC)
    assert TABLE.is_on(now) is is_on


@pytest.mark.parametrize(
    "change",
    [
        {"from": "21:00"},
        {"rules": []},
        {"rules": [{"card": "none", "to": "unit"}]},
        {"rules": [{"card": "yellow", "to": "owner", "after": 2}]},
        {"rules": [{"card": "red", "to": "mayor"}]},
        {"ratings_before": -1},
    ],
)
def test_a_table_that_is_wrong_is_refused(change: dict[str, object]):
    sound = {"from": "08:30", "until": "20:00", "rules": [{"card": "red", "to": "unit"}], "ratings_before": 2}
    assert load_escalation(sound).ratings_before == 2
    with pytest.raises(ConfigurationError, match="escalation_invalid"):
        load_escalation(sound | change)
