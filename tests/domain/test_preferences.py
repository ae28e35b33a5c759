"""Opt-outs in the fewest words, topics of events, and how many messages WeChat will take."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.broadcasts import CHANNELS, Lane
from server.domain.delivery import may_not_go
from server.domain.errors import ConfigurationError
from server.domain.preferences import (
    ALWAYS_SENT,
    CONFIRMED_WITHIN,
    Grant,
    OptOut,
    Told,
    load_topics,
    parsed,
    tidy,
    ways,
)
from server.storage.catalogues import DATA
from server.storage.catalogues import load_topics as load_city_topics

TOPICS = load_city_topics()
NOW = datetime(2026, 7, 1, tzinfo=UTC)
IDS = [topic.id for topic in TOPICS.topics]
OPT_OUT = st.builds(
    OptOut, st.sampled_from(["*", *IDS]), st.sampled_from(["*", *Lane]), st.sampled_from(["*", *CHANNELS])
)
OPT_OUTS = st.lists(OPT_OUT, max_size=12)


def kept_back(off: list[OptOut]) -> set[tuple[str, Lane, str]]:
    texts = {each.text for each in off}
    return {(t, lane, c) for t in IDS for lane in Lane for c in CHANNELS if may_not_go(texts, t, lane, c)}


@given(OPT_OUTS)
def test_tidying_changes_nothing_of_what_is_kept_back_and_leaves_nothing_to_tidy(off: list[OptOut]) -> None:
    short = tidy(off)
    assert kept_back(short) == kept_back(off)
    assert tidy(short) == short
    assert not [(a, b) for a in short for b in short if a != b and a.covers(b)]


@given(OPT_OUT)
def test_an_opt_out_is_read_back_as_it_was_written(off: OptOut) -> None:
    assert parsed(off.text) == off


@given(OPT_OUT)
def test_what_is_always_sent_is_just_what_an_opt_out_names_and_does_not_keep_back(off: OptOut) -> None:
    named = {
        lane
        for topic in TOPICS.topics
        for lane in topic.lanes
        if off.topic in ("*", topic.id, topic.id.split(".")[0]) and off.level in ("*", lane.value)
    }
    held = {lane for _, lane, _ in kept_back([off])}
    assert set(off.always_sent(TOPICS)) == {lane for lane in named if lane.is_urgent}
    assert not held & set(off.always_sent(TOPICS))


def test_every_event_has_a_topic_of_warnings_and_the_known_families_their_own() -> None:
    with (DATA / "event_codes.csv").open() as file:
        found = {row["code"]: TOPICS.of_event(row["code"]) for row in csv.DictReader(file)}
    assert {topic.split(".")[0] for topic in found.values()} == {"alert"}
    assert [found[code] for code in ("11B03", "11A01", "11C01", "12D02", "11Y00")] == [
        "alert.weather", "alert.water", "alert.ground", "alert.accident", "alert",
    ]  # fmt: skip
    assert set(found.values()) == {t.id for t in TOPICS.topics if t.events}


@pytest.mark.parametrize(
    ("topics", "why"),
    [
        ([{"id": "a:b", "zh": "x", "en": "x", "lanes": ["blue"]}], "pattern"),
        ([{"id": "aa", "zh": "x", "en": "x", "lanes": ["pink"]}], "lanes"),
        ([{"id": "aa", "zh": "x", "en": "x", "lanes": []}], "lanes"),
        ([{"id": "aa", "zh": "x", "en": "x", "lanes": ["blue"]}] * 2, "twice"),
        ([{"id": "aa.bb", "zh": "x", "en": "x", "lanes": ["blue"]}], "aa.bb is a part of no topic"),
    ],
)
def test_a_list_of_topics_that_does_not_fit_together_refuses_to_start(topics: list[object], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        load_topics({"topics": topics})


def told(seconds: float, *, is_accepted: bool = True) -> Told:
    return Told(f"question-{seconds}", NOW + timedelta(seconds=seconds), is_accepted)


@pytest.mark.parametrize(
    ("grant", "left"),
    [
        (Grant(), 0),
        (Grant(left=2, at=NOW), 2),
        (Grant(left=-1, at=NOW), 0),
        (Grant(told=(told(0), told(1))), 2),
        (Grant(told=(told(0), told(1, is_accepted=False))), 0),
        (Grant(told=(told(1, is_accepted=False), told(0))), 0),
        (Grant(left=1, at=NOW, told=(told(2),)), 1),  # WeChat's event is about the same tap
        (Grant(left=0, at=NOW, told=(told(2),)), 0),
        (Grant(left=1, at=NOW, told=(told(CONFIRMED_WITHIN.total_seconds() + 1),)), 2),
        (Grant(told=(told(-3600),)), 0),  # never confirmed
    ],
)
def test_wechats_word_counts_and_what_was_told_only_until_it_comes(grant: Grant, left: int) -> None:
    assert grant.forecast(NOW + timedelta(minutes=2)) == left


@given(
    off=OPT_OUTS,
    has=st.sets(st.sampled_from(CHANNELS)),
    order=st.permutations(CHANNELS),
    has_grant=st.booleans(),
)
def test_red_and_orange_use_whatever_there_is(
    off: list[OptOut], has: set[str], order: list[str], *, has_grant: bool
) -> None:
    texts = {each.text for each in off}
    for lane in ALWAYS_SENT:
        found = ways(lane, TOPICS, texts, has, has_grant=has_grant, order=order)
        used = [way.channel for way in found if not way.why]
        assert used == [c for c in order if c in has and (c != "wechat" or has_grant)]
        assert not any(way.opted_out for way in found)


@given(OPT_OUTS, st.sampled_from([lane for lane in TOPICS.lanes if not lane.is_urgent]))
def test_a_channel_is_opted_out_only_if_every_topic_of_the_level_is(off: list[OptOut], lane: Lane) -> None:
    texts = {each.text for each in off}
    concerned = {topic.id for topic in TOPICS.on(lane)}
    for way in ways(lane, TOPICS, texts, CHANNELS, has_grant=True, order=CHANNELS):
        silent = {topic for topic in concerned if may_not_go(texts, topic, lane, way.channel)}
        assert set(way.opted_out) == silent
        assert (way.why == "opted_out") == (silent == concerned)
