"""The next message of a chain: references, marks and carried words, over random histories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.alerts.model import Alert, Area, Info, NamedValue, cap_time
from server.domain.alerts.verbs import (
    VERB_PARAMETER,
    Change,
    Words,
    area_of,
    colour_of,
    edited,
    first_message,
    identifier,
    is_loud,
    is_over,
    next_message,
)
from server.domain.alerts.vocabulary import Colour
from server.domain.china import CHINA
from server.domain.errors import ConflictError, HuiminError, InvalidInputError
from server.domain.wording import Kind

START = datetime(2026, 9, 1, 1, 30, tzinfo=UTC)
UNIT = "44030041600000"


def block(language: str, colour: Colour, hours: float) -> Info:
    return Info(
        language=language,
        event="台风",
        severity=colour.severity.value,
        expires=cap_time(START + timedelta(hours=hours), CHINA),
        description=f"自己的话 {language}",
        instruction=f"怎么做 {language}",
        parameters=(NamedValue(value_name="风力", value="12"),),
        areas=(Area(area_desc="南山区", geocodes=(NamedValue(value_name="CPEAS Geographic Code", value="440305"),)),),
    )


def first(colour: Colour = Colour.YELLOW, hours: float = 6) -> Alert:
    """A released first message."""
    wanted = Alert(references="x,y,z", infos=(block("zh-CN", colour, hours), block("en-US", colour, hours)))
    alert = first_message(wanted, name=identifier(UNIT, START), sender="weather@sz.example")
    return alert.model_copy(update={"sent": cap_time(START, CHINA)})


def after(chain: list[Alert], kind: Kind, change: Change, minutes: float) -> Alert:
    """The next message, released at once."""
    at = START + timedelta(minutes=minutes)
    message = next_message(chain, kind, change, name=identifier(UNIT, at, len(chain) % 10), at=at)
    return message.model_copy(update={"sent": cap_time(at, CHINA)})


changes = st.builds(
    Change,
    colour=st.one_of(st.none(), st.sampled_from(Colour)),
    expires_at=st.one_of(st.none(), st.integers(1, 900).map(lambda m: START + timedelta(minutes=m))),
    note=st.sampled_from([None, "", "台风远离"]),
)
steps = st.lists(st.tuples(st.sampled_from(Kind), changes, st.integers(1, 200)), max_size=8)


@given(st.sampled_from(Colour), steps)
def test_whatever_the_history_the_references_name_every_open_message_of_the_chain_once(
    colour: Colour, plan: list[tuple[Kind, Change, int]]
):
    chain, minutes = [first(colour)], 0.0
    for kind, change, pause in plan:
        minutes += pause
        at = START + timedelta(minutes=minutes)
        try:
            message = after(chain, kind, change, minutes)
        except HuiminError:
            continue
        assert list(message.referenced) == [m.reference for m in chain if not is_over(m, at)]
        assert message.referenced
        assert message.identifier not in {m.identifier for m in chain}
        assert {info.colour for info in message.infos} == {colour_of(message)}
        assert {info.severity for info in message.infos} == {colour_of(message).severity.value}
        assert [info.language for info in message.infos] == ["zh-CN", "en-US"]
        assert all(info.parameter("风力") == "12" for info in message.infos)
        assert chain[-1].msg_type != "Cancel"
        chain.append(message)


@given(st.sampled_from(Colour), st.sampled_from(Colour))
def test_upgrade_goes_up_downgrade_goes_down_and_the_rest_stays(before: Colour, wanted: Colour):
    rise = list(Colour).index(before) - list(Colour).index(wanted)
    fits = {Kind.UPGRADE: rise > 0, Kind.DOWNGRADE: rise < 0, Kind.UPDATE: rise == 0, Kind.CANCEL: rise == 0}
    change = Change(colour=wanted, note="原因")
    for kind in (kind for kind, is_right in fits.items() if is_right):
        message = after([first(before)], kind, change, 5)
        assert message.infos[0].parameter(VERB_PARAMETER) == f"{kind}; {before}"
    for kind in (kind for kind, is_right in fits.items() if not is_right):
        with pytest.raises(InvalidInputError, match="verb_misfit"):
            after([first(before)], kind, change, 5)


def test_an_upgrade_keeps_the_words_but_not_the_advice_for_the_colour_before():
    message = after([first()], Kind.UPGRADE, Change(colour=Colour.RED), 5)
    assert [info.description for info in message.infos] == ["自己的话 zh-CN", "自己的话 en-US"]
    assert [info.instruction for info in message.infos] == [None, None]


def test_words_replace_only_the_language_they_are_for():
    message = after([first()], Kind.UPDATE, Change(words={"zh": Words(description="风力减弱")}), 5)
    assert [info.description for info in message.infos] == ["风力减弱", "自己的话 en-US"]
    assert [info.instruction for info in message.infos] == ["怎么做 zh-CN", "怎么做 en-US"]


def test_a_cancel_says_all_clear_gives_its_reason_and_drops_what_is_over():
    message = after([first()], Kind.CANCEL, Change(note="台风远离"), 5)
    assert (message.msg_type, message.note) == ("Cancel", "台风远离")
    assert all(info.response_types == ("AllClear",) and info.description is None for info in message.infos)
    with pytest.raises(InvalidInputError, match="note_missing"):
        after([first()], Kind.CANCEL, Change(note="  "), 5)


def test_to_extend_needs_a_later_end():
    longer = after([first()], Kind.EXTEND, Change(expires_at=START + timedelta(hours=7)), 5)
    assert longer.expires_at == START + timedelta(hours=7)
    with pytest.raises(InvalidInputError, match="verb_misfit"):
        after([first()], Kind.EXTEND, Change(expires_at=START + timedelta(hours=6)), 5)


def test_nothing_follows_a_cancel_or_the_end():
    cancelled = after([first()], Kind.CANCEL, Change(note="台风远离"), 5)
    with pytest.raises(ConflictError, match="alert_cancelled"):
        after([first(), cancelled], Kind.UPDATE, Change(), 6)
    with pytest.raises(ConflictError, match="alert_expired"):
        after([first(hours=1)], Kind.UPDATE, Change(), 60)


def test_only_an_update_with_the_same_colour_and_area_is_silent():
    start = first()
    elsewhere = (Area(geocodes=(NamedValue(value_name="CPEAS Geographic Code", value="440303"),)),)
    later = Change(expires_at=START + timedelta(hours=7))
    assert is_loud(None, start)
    assert not is_loud(start, after([start], Kind.UPDATE, Change(), 5))
    assert not is_loud(start, after([start], Kind.EXTEND, later, 5))
    assert is_loud(start, after([start], Kind.UPDATE, Change(areas=elsewhere), 5))
    assert is_loud(start, after([start], Kind.UPGRADE, Change(colour=Colour.RED), 5))
    assert is_loud(start, after([start], Kind.CANCEL, Change(note="台风远离"), 5))


def test_an_area_is_the_same_whatever_its_order_and_language():
    one, two = Area(polygons=("1,2 3,4",)), Area(circles=("22.5,114.0 3",))
    here = Alert(infos=(Info(areas=(one, two)), Info(areas=(one,))))
    there = Alert(infos=(Info(areas=(two, Area(polygons=("1,2  3,4",)))),))
    assert area_of(here) == area_of(there)


def test_the_first_message_refers_to_nothing_whatever_its_author_wrote():
    assert (first().references, first().msg_type) == (None, "Alert")


def test_an_edit_changes_words_but_never_identity_status_or_references():
    stored = after([first()], Kind.UPDATE, Change(), 5)
    wanted = first().model_copy(
        update={"identifier": "x", "sender": "y", "status": "Test", "references": "a,b,c", "note": "n", "sent": "now"}
    )
    result = edited(stored, wanted, Kind.UPDATE, first())
    kept = ("identifier", "sender", "sent", "status", "msg_type", "references")
    assert [getattr(result, name) for name in kept] == [getattr(stored, name) for name in kept]
    assert result.note == "n"
    with pytest.raises(InvalidInputError, match="verb_misfit"):
        edited(stored, first(Colour.RED), Kind.UPDATE, first())


def test_an_alert_without_a_colour_is_refused():
    with pytest.raises(InvalidInputError, match="colour_missing"):
        first_message(Alert(infos=(Info(),)), name="x", sender="y")


@given(st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)), st.integers(0, 9))  # noqa: DTZ001
def test_identifiers_differ_if_second_or_number_differ(at: datetime, nth: int):
    name = identifier(UNIT, at, nth)
    assert name.startswith(f"{UNIT}_{at.astimezone(CHINA):%Y%m%d%H%M%S}")
    assert name != identifier(UNIT, at + timedelta(seconds=1), nth)
    assert len({identifier(UNIT, at, n) for n in range(10)}) == 10
