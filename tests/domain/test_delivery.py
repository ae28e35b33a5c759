"""Quiet hours, opt-outs and the order of the ladder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import ranks
from server.domain.broadcasts import CHANNELS, Lane, Policy
from server.domain.china import CHINA
from server.domain.delivery import (
    all_clear_order,
    first_channels,
    may_not_go,
    next_channel,
    opt_out,
    opt_outs,
    quiet_until,
    rungs,
)

NIGHT = (22 * 60, 7 * 60)
URGENT = [Lane.RED, Lane.ORANGE]
REST = [lane for lane in Lane if lane not in URGENT]
MINUTE = st.integers(0, 1439)
A_TIME = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 7, 1, hour, minute, tzinfo=CHINA)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (at(21, 59), None),
        (at(22), at(7) + timedelta(days=1)),
        (at(23, 59), at(7) + timedelta(days=1)),
        (at(0), at(7)),
        (at(6, 59), at(7)),
        (at(7), None),
    ],
)
def test_quiet_hours_over_midnight_end_in_the_morning(now: datetime, until: datetime | None):
    assert quiet_until(NIGHT, Lane.YELLOW, now.astimezone(UTC)) == until


@given(st.tuples(MINUTE, MINUTE), A_TIME)
def test_when_quiet_hours_end_it_may_ring_and_that_is_within_a_day(quiet: tuple[int, int], now: datetime):
    until = quiet_until(quiet, Lane.BLUE, now)
    if until is not None:
        assert now < until <= now + timedelta(days=1)
        assert quiet_until(quiet, Lane.BLUE, until) is None


@given(st.tuples(MINUTE, MINUTE), A_TIME, st.sampled_from(URGENT))
def test_red_and_orange_know_no_quiet_hours(quiet: tuple[int, int], now: datetime, lane: Lane):
    assert quiet_until(quiet, lane, now) is None


def test_equal_ends_and_no_setting_mean_no_quiet_hours():
    assert quiet_until((60, 60), Lane.BLUE, at(1)) is None
    assert quiet_until(None, Lane.BLUE, at(1)) is None


@pytest.mark.parametrize("lane", REST)
def test_who_opted_out_of_a_topic_or_of_a_lane_of_it_gets_nothing(lane: Lane):
    assert may_not_go({"alert"}, "alert", lane, "sms")
    assert may_not_go({f"alert:{lane.value}"}, "alert", lane, "sms")
    assert not may_not_go({"digest", "alert:other"}, "alert", lane, "sms")


@pytest.mark.parametrize("off", ["*", "alert", "alert.weather", "*:yellow", "alert:*:sms", "alert.weather:yellow:sms"])
def test_an_opt_out_covers_the_topics_lanes_and_channels_below_it(off: str):
    assert may_not_go({off}, "alert.weather", Lane.YELLOW, "sms")


@pytest.mark.parametrize(
    "off", ["alert.sea", "alert.weather.hail", "*:blue", "alert:*:push", "alert.weather:yellow:push"]
)
def test_an_opt_out_leaves_everything_else_alone(off: str):
    assert not may_not_go({off}, "alert.weather", Lane.YELLOW, "sms")


TOPIC = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3).map(".".join)


@given(TOPIC, st.sampled_from(list(Lane)), st.sampled_from(CHANNELS), st.data())
def test_what_covers_a_notice_is_just_what_matches_part_by_part(
    topic: str, lane: Lane, channel: str, data: st.DataObject
):
    asked = data.draw(st.one_of(st.just("*"), TOPIC))
    level = data.draw(st.sampled_from(["*", *Lane]))
    by = data.draw(st.sampled_from(["*", *CHANNELS]))
    matches = (
        (asked == "*" or f"{topic}.".startswith(f"{asked}."))
        and level in ("*", lane.value)
        and by in ("*", channel)
        and not lane.is_urgent
    )
    assert (opt_out(asked, level, by) in opt_outs(topic, lane, channel)) == matches


@pytest.mark.parametrize("lane", URGENT)
def test_nobody_opts_out_of_red_and_orange(lane: Lane):
    assert not may_not_go({"*", "alert", f"alert:{lane.value}", f"alert:{lane.value}:sms"}, "alert", lane, "sms")


SOME = st.lists(st.sampled_from(CHANNELS), unique=True)


@given(SOME, SOME, st.sets(st.sampled_from(CHANNELS)))
def test_the_ladder_climbs_every_usable_rung_once_and_in_the_persons_own_order(
    order: list[str], own: list[str], usable: set[str]
):
    climbed = list(first_channels(usable, order, Policy.LADDER, own))
    while climbed and (after := next_channel(usable, [c for c in order if c not in climbed], own)):
        climbed.append(after)
    assert climbed == [c for c in rungs(order, own) if c in usable]
    ranked, others = [c for c in climbed if c in own], [c for c in climbed if c not in own]
    assert climbed == [*sorted(ranked, key=own.index), *sorted(others, key=order.index)]


@given(SOME, SOME, st.sets(st.sampled_from(CHANNELS)))
def test_all_channels_at_once_know_no_own_order(order: list[str], own: list[str], usable: set[str]):
    assert first_channels(usable, order, Policy.ALL, own) == first_channels(usable, order, Policy.ALL)


def test_the_all_clear_goes_first_where_the_warning_arrived_most_surely():
    assert all_clear_order({"wechat": ranks.UNKNOWN, "sms": ranks.DELIVERED, "push": ranks.ACCEPTED}) == (
        "sms",
        "push",
        "wechat",
    )
    assert all_clear_order({"sms": ranks.ACCEPTED, "wechat": ranks.ACCEPTED}) == ("wechat", "sms")
