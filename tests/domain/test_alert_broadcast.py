"""From alert to broadcast: an exercise cannot reach the public, whoever asks and however it is written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.alerts.desk import DeskAlert, Hand, signed_digest
from server.domain.alerts.model import Area, NamedValue
from server.domain.alerts.release import MAX_POINTS, World, broadcast_of, message_of
from server.domain.alerts.verbs import first_message
from server.domain.alerts.vocabulary import DIVISION_CODE, Colour, Scope, Status
from server.domain.broadcasts import Lane, Policy
from server.domain.errors import InvalidInputError
from server.domain.preferences import Topics
from server.domain.wording import Kind
from server.storage.catalogues import load_topics
from tests.services.desk import DIVISIONS, NANSHAN_RING, START, TEXTS, UNIT, typhoon

WORLD = World(DIVISIONS, TEXTS)


def desk_alert(colour: Colour = Colour.YELLOW, *, area: Area | None = None, **head: str) -> DeskAlert:
    """A draft as the desk holds it."""
    alert = typhoon(colour, area=area).model_copy(update=head)
    message = first_message(alert, name="44030041600000_20260901093000", sender=UNIT.sender)
    hand = Hand("o", "p")
    return DeskAlert(alert=message, chain=message.identifier, kind=Kind.ALERT, unit=UNIT, author=hand, editor=hand)


@given(
    st.sampled_from([*Status, "", "actual", "Real"]),
    st.sampled_from([*Scope, ""]),
    st.sampled_from(Colour),
    st.lists(st.integers(0, 99), max_size=3).map(tuple),
)
def test_only_an_actual_public_alert_can_become_a_broadcast_for_everyone(
    status: str, scope: str, colour: Colour, test_list: tuple[int, ...]
):
    world = replace(WORLD, test_list=test_list)
    try:
        built = broadcast_of(desk_alert(colour, status=str(status), scope=str(scope)), world, (), START)
    except InvalidInputError:
        assert (status, scope) != (Status.ACTUAL, Scope.PUBLIC)
        return
    assert scope == Scope.PUBLIC
    if status == Status.ACTUAL:
        assert built.audience.citizens is None
        return
    assert built.is_exercise
    assert built.audience.citizens == test_list != ()
    for channel in ("wechat", "push", "sms"):
        assert "演练" in str(built.texts[channel]["zh"])


@pytest.mark.parametrize("topics", [Topics(), load_topics()])
def test_a_warning_has_the_topic_of_its_event_and_one_of_its_own_if_no_topic_takes_it(topics: Topics):
    built = broadcast_of(desk_alert(), replace(WORLD, topics=topics), (), START)
    assert built.topic == ("alert.weather" if topics.topics else "alert")


def test_texts_that_forget_to_say_exercise_stop_it():
    frames = TEXTS.frames["zh"].model_copy(update={"exercise": "", "exercise_only": ""})
    forgetful = replace(TEXTS, frames={**TEXTS.frames, "zh": frames})
    with pytest.raises(InvalidInputError, match="drill_unmarked"):
        broadcast_of(desk_alert(status="Exercise"), World(DIVISIONS, forgetful, (1,)), (), START)


def test_every_text_of_the_message_of_an_exercise_says_so():
    message = message_of(desk_alert(status="Exercise"), WORLD, START)
    for info in message.infos:
        mark = "演练" if info.language == "zh-CN" else "[EXERCISE]"
        assert all(mark in (text or "") for text in (info.headline, info.description, info.instruction))


@given(st.sampled_from(Colour))
def test_the_colour_chooses_lane_and_policy(colour: Colour):
    built = broadcast_of(desk_alert(colour), WORLD, (), START)
    assert built.lane is Lane(colour.lower())
    assert (built.policy is Policy.ALL) == (colour in (Colour.RED, Colour.ORANGE))


def test_the_digest_moves_with_words_area_colour_and_audience_but_not_with_the_moment_of_sending():
    one = desk_alert()

    def signed(desk: DeskAlert, world: World = WORLD) -> str:
        return signed_digest(desk.alert, broadcast_of(desk, world, (), START))

    sent = one.model_copy(update={"alert": one.alert.model_copy(update={"sent": "2026-09-01T10:00:00+08:00"})})
    assert signed(one) == signed(sent)
    others = [
        desk_alert(Colour.BLUE),
        desk_alert(area=Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="440303"),))),
        desk_alert(area=Area(polygons=(NANSHAN_RING,))),
        desk_alert(note="别的"),
        one.model_copy(update={"is_loud": False}),
    ]
    assert len({signed(one), *map(signed, others)}) == 6
    drill = desk_alert(status="Test")
    assert signed(drill, replace(WORLD, test_list=(1,))) == signed(drill, replace(WORLD, test_list=(1, 2)))
    assert signed(drill, replace(WORLD, test_list=(1,))) not in {signed(one), *map(signed, others)}


def test_an_unknown_division_and_an_area_outside_the_city_are_refused():
    with pytest.raises(InvalidInputError, match="division_unknown"):
        broadcast_of(
            desk_alert(area=Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="999999"),))), WORLD, (), START
        )
    with pytest.raises(InvalidInputError, match="area_missing"):
        broadcast_of(desk_alert(area=Area(circles=("0,0 1",))), WORLD, (), START)


def test_more_points_than_the_map_should_be_asked_for_are_refused():
    ring = " ".join(["22.5,114.0"] * (MAX_POINTS + 1))
    with pytest.raises(InvalidInputError, match="area_too_fine"):
        broadcast_of(desk_alert(area=Area(polygons=(ring,))), WORLD, (), START)
