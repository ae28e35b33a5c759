"""What a standing order covers: nothing that its terms do not name, whatever comes in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.alerts.finding import Finding, Gravity
from server.domain.alerts.model import Alert, Area, Info, Kept, NamedValue, cap_time
from server.domain.alerts.states import is_within
from server.domain.alerts.vocabulary import DIVISION_CODE, EVENT_CODE, XMLDSIG, Colour, Dialect, MsgType
from server.domain.china import CHINA
from server.domain.intake import Received
from server.domain.intake import State as IntakeState
from server.domain.officers import Officer, Role, Unit
from server.domain.standing_order_reasons import WORDS, WhyNot
from server.domain.standing_orders import (
    EXAMPLE,
    StandingOrder,
    State,
    Terms,
    admitted,
    covers,
    drafted,
    reach_of,
    released,
    sourced,
    stopped,
    written,
)
from server.storage.catalogues import load_divisions

AT = datetime(2026, 9, 1, 1, 30, tzinfo=UTC)
DIVISIONS = load_divisions(city="440300")
UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
STREETS = (*DIVISIONS.children("440305")[:2], *DIVISIONS.children("440306")[:1])
CODES = st.sampled_from(("440300", "440304", "440305", "440306", *STREETS))
EVENTS = st.sampled_from(("11B01", "11B03", "11B04", "11A01", "12A01"))
RANKS = list(Colour)


def officer(person: str, role: Role) -> Officer:
    return Officer(
        id=f"o-{person}", person=person, name="张", roles=frozenset({role}), unit=UNIT, division="440300",
        events=("11B",),
    )  # fmt: skip


AUTHOR, RELEASER = officer("a", Role.AUTHOR), officer("r", Role.RELEASER)


def terms(**changes: object) -> Terms:
    plain = EXAMPLE | {"partner": "bureau", "valid_until": "2027-03-01T00:00:00Z"} | changes
    return Terms.model_validate(plain)


def order_of(wanted: Terms) -> StandingOrder:
    return released(drafted("7c" * 16, wanted, AUTHOR, AT), RELEASER, AT)


def message(
    codes: tuple[str, ...] = ("440305",), event: str = "11B03", colour: Colour = Colour.YELLOW, hours: int = 6
) -> Received:
    """A message without a fault."""
    area = Area(area_desc="x", geocodes=tuple(NamedValue(value_name=DIVISION_CODE, value=code) for code in codes))
    info = Info(
        language="zh-CN", event="暴雨", severity=colour.severity.value, description="大雨",
        event_codes=(NamedValue(value_name=EVENT_CODE, value=event),), areas=(area,),
        expires=cap_time(AT + timedelta(hours=hours), CHINA),
    )  # fmt: skip
    alert = Alert(
        identifier="B1", sender="weather@sz.example", status="Actual", msg_type="Alert", scope="Public", infos=(info,)
    )
    return Received(
        key="5f" * 12, partner="bureau", alert=alert, dialect=Dialect.CAP12, data=b"", findings=(),
        state=IntakeState.PROPOSED, chain="5f" * 12, is_first=True, divisions=codes, received_at=AT,
    )  # fmt: skip


def asked(order: StandingOrder, found: Received, at: datetime = AT) -> WhyNot | None:
    return covers(order, found, reach_of(found.alert, DIVISIONS), at)


@given(
    named=st.lists(CODES, min_size=1, max_size=3),
    codes=st.lists(CODES, min_size=1, max_size=3),
    events=st.lists(st.sampled_from(("11B", "11B03", "11A")), min_size=1, max_size=2),
    ends=st.tuples(st.sampled_from(RANKS), st.sampled_from(RANKS)),
    warned=st.tuples(EVENTS, st.sampled_from(RANKS), st.integers(min_value=-3, max_value=9)),
)
def test_it_covers_exactly_what_its_terms_name(
    named: list[str],
    codes: list[str],
    events: list[str],
    ends: tuple[Colour, Colour],
    warned: tuple[str, Colour, int],
):
    event, colour, hours = warned
    highest, lowest = sorted(ends, key=RANKS.index)
    order = order_of(terms(divisions=named, events=events, highest=highest, lowest=lowest))
    expected = (
        hours > 0
        and all(any(is_within(code, own) for own in named) for code in codes)
        and any(event.startswith(own) for own in events)
        and RANKS.index(highest) <= RANKS.index(colour) <= RANKS.index(lowest)
    )
    found = message(tuple(codes), event, colour, hours)
    assert (asked(order, found) is None) == expected


@given(
    findings=st.lists(
        st.builds(
            Finding,
            code=st.sampled_from(("CAP-004", "CAP-033", "CAP-039", "internal")),
            path=st.just("/alert"),
            severity=st.sampled_from(Gravity),
            zh=st.just("x"),
            en=st.just("x"),
        ),
        max_size=4,
    )
)
def test_a_flagged_message_is_never_covered_and_a_plain_warning_is_no_flag(findings: list[Finding]):
    found = replace(message(), findings=tuple(findings))
    is_flagged = any(f.severity is not Gravity.WARNING or f.code in ("CAP-039", "internal") for f in findings)
    assert asked(order_of(terms()), found) == (WhyNot.FINDING if is_flagged else None)


@given(moves=st.lists(st.sampled_from(("write", "release", "stop")), max_size=6))
def test_it_acts_only_after_a_release_that_nothing_has_followed(moves: list[str]):
    order = drafted("7c" * 16, terms(), AUTHOR, AT)
    for move in moves:
        order = {
            "write": lambda o: written(o, terms(max_per_hour=9), AUTHOR, AT),
            "release": lambda o: released(o, RELEASER, AT),
            "stop": lambda o: stopped(o, RELEASER, AT, "x"),
        }[move](order)
    assert (asked(order, message()) is None) == (moves[-1:] == ["release"])
    assert [step.seq for step in order.steps] == list(range(1, len(moves) + 2))


@given(
    gaps=st.lists(st.integers(min_value=0, max_value=3_000), min_size=1, max_size=40),
    most=st.integers(min_value=1, max_value=8),
)
def test_no_hour_has_more_than_the_brake_allows_and_the_one_too_many_stops_it(gaps: list[int], most: int):
    order, at = order_of(terms(max_per_hour=most)), AT
    out: list[datetime] = []
    for n, gap in enumerate(gaps):
        at += timedelta(seconds=gap)
        due = sum(at - timedelta(hours=1) < each for each in out) < most
        order = admitted(order, f"m{n}", at)
        assert (order.state is State.IN_FORCE) == due
        if not due:
            return
        out.append(at)
        assert admitted(order, f"m{n}", at) is order  # the same message again does not count


@given(limit=st.integers(min_value=1, max_value=60), version=st.integers(min_value=2, max_value=4))
def test_the_digest_holds_for_exactly_these_terms_of_this_version(limit: int, version: int):
    order = drafted("7c" * 16, terms(max_per_hour=7), AUTHOR, AT)
    digests = {order.digest}
    for _ in range(version - 1):
        order = written(order, terms(max_per_hour=limit), AUTHOR, AT)
        digests.add(order.digest)
    assert len(digests) == version
    assert released(order, RELEASER, AT).digest == order.digest


def test_a_message_that_bears_an_unverified_signature_is_not_covered():
    found = message()
    mark = Kept(kind="element", text=f'<Signature xmlns="{XMLDSIG}"/>')
    signed = replace(found, alert=found.alert.model_copy(update={"kept": (mark,)}))
    assert asked(order_of(terms()), signed) is WhyNot.SIGNED


@pytest.mark.parametrize(
    "area",
    [
        Area(area_desc="somewhere"),
        Area(area_desc="x", polygons=("22.5,113.9 22.5",)),
        Area(area_desc="x", polygons=("10,10 10,11 11,11 10,10",)),
        Area(area_desc="x", geocodes=(NamedValue(value_name="EXCLUDE_POLYGON", value="1"),)),
        Area(area_desc="x", geocodes=(NamedValue(value_name=DIVISION_CODE, value="440399"),)),
        Area(area_desc="x", circles=("22.55,113.93 40",)),
    ],
)
def test_an_area_that_is_not_surely_within_the_order_is_outside(area: Area):
    found = message()
    info = found.alert.infos[0]
    both = info.model_copy(update={"areas": (*info.areas, area)})
    vague = replace(found, alert=found.alert.model_copy(update={"infos": (both,)}))
    assert asked(order_of(terms()), vague) is WhyNot.AREA


def test_a_kind_that_is_not_named_is_not_covered_and_a_cancel_may_repeat_what_it_lifts():
    for kind in MsgType:
        found = message(hours=-1 if kind is MsgType.CANCEL else 6)
        sent = replace(found, alert=found.alert.model_copy(update={"msg_type": kind.value}))
        named = kind in (MsgType.ALERT, MsgType.UPDATE, MsgType.CANCEL)
        assert asked(order_of(terms()), sent) == (None if named else WhyNot.KIND)
        others = [k for k in (MsgType.ALERT, MsgType.UPDATE, MsgType.CANCEL) if k is not kind]
        assert asked(order_of(terms(kinds=others)), sent) is WhyNot.KIND


def test_one_block_that_says_red_is_enough_to_be_red():
    found = message()
    info = found.alert.infos[0]
    other = info.model_copy(update={"language": "en-US", "severity": Colour.RED.severity.value})
    both = replace(found, alert=found.alert.model_copy(update={"infos": (info, other)}))
    assert asked(order_of(terms()), both) is WhyNot.COLOUR


@pytest.mark.parametrize(
    "changes",
    [
        {"highest": "Blue", "lowest": "Red"},
        {"kinds": ["Ack"]},
        {"kinds": []},
        {"events": ["11"]},
        {"events": [""]},
        {"senders": []},
        {"divisions": ["44"]},
        {"max_per_hour": 0},
        {"max_per_hour": 61},
        {"valid_until": "2027-03-01T00:00:00"},
        {"note": "a\nb"},
        {"by": "me"},
    ],
)
def test_terms_that_say_nothing_or_too_much_are_no_terms(changes: dict[str, object]):
    with pytest.raises(ValidationError):
        terms(**changes)


def test_red_is_named_by_highest_alone():
    assert [terms(highest=c, lowest=Colour.BLUE).is_red for c in Colour] == [True, False, False, False]
    assert terms(highest="Orange", lowest="Yellow").colours == {Colour.ORANGE, Colour.YELLOW}


@given(text=st.text(max_size=1_600).filter(lambda t: "\x00" not in t), name=st.text(min_size=1, max_size=60))
def test_the_source_is_said_once_and_fits(text: str, name: str):
    info = Info.model_construct(**message().alert.infos[0].model_dump() | {"description": text, "areas": ()})
    alert = Alert.model_construct(**dict(message().alert) | {"infos": (info,)})
    said = sourced(sourced(alert, name), name).infos[0].description or ""
    assert len(said) <= 1_500
    assert said.count("（来源：") == (
        text.count("（来源：") + 1 if text and len(text) < 1_400 else said.count("（来源：")
    )
    assert (said == "") == (text == "")


def test_every_reason_has_words():
    assert set(WORDS) == set(WhyNot)
    assert {MsgType.ALERT, MsgType.UPDATE, MsgType.CANCEL} == {*terms().kinds}
