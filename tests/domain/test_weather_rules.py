"""Conditions, outlooks, typhoons and words of the weather; and warnings of JSON services as CAP."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.alerts.cap import to_cap
from server.domain.alerts.model import Reference
from server.domain.alerts.reading import inspect
from server.domain.alerts.vocabulary import Colour, MsgType
from server.domain.china import CHINA
from server.domain.divisions import Area
from server.domain.forecasts import Air, Day, Forecast, Hour, Outlook, Sky, outlook, wind_level
from server.domain.profile import Label
from server.domain.typhoons import TrackPoint, Typhoon, distance_km, geojson
from server.domain.weather_conditions import LIMITS, Condition, Sight, What, holds, reasons
from server.domain.weather_subscriptions import (
    Subscription,
    Wish,
    about_of,
    due_on,
    is_due,
    key_of,
    minute_of,
    minutes_between,
    next_due,
    read_about,
)
from server.domain.weather_warnings import HEADLINE_COLOUR, HEADLINE_EVENT, LiveWarning, judged, to_alert, where_of
from server.domain.weather_words import Told, notice_of
from server.domain.wording import NO_WORDS, Words
from server.domain.working_days import WorkingDays
from server.storage.catalogues import load_divisions, load_texts

NOW = datetime(2026, 7, 24, 7, 30, tzinfo=CHINA)
DAY = NOW.date()
OUTLOOK = Outlook(DAY, Sky.RAIN, 18.0, 24.0, 70, 5, 160, NOW)
SHENZHEN = (22.54, 114.06)
EVENTS = load_texts().events
DIVISIONS = load_divisions()
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
instants = st.integers(0, 5 * 365 * 24 * 3600).map(lambda seconds: FIRST + timedelta(seconds=seconds))
conditions = st.sampled_from(What).flatmap(lambda what: st.builds(Condition, st.just(what), st.integers(*LIMITS[what])))


def typhoon(lat: float = 20.0, lon: float = 116.0, *, is_active: bool = True, as_of: datetime = NOW) -> Typhoon:
    points = tuple(TrackPoint(at=NOW - timedelta(hours=6 * n), lat=lat - n, lon=lon + n) for n in (2, 1, 0))
    ahead = (TrackPoint(at=NOW + timedelta(hours=12), lat=lat + 1, lon=lon - 1),)
    return Typhoon(
        id="NP_2618", name="海棠", is_active=is_active, source="t", as_of=as_of, observed=points, forecast=ahead
    )


def sight(found: Outlook | None = OUTLOOK, *storms: Typhoon) -> Sight:
    return Sight(found, storms, SHENZHEN, NOW)


# -- conditions


@given(conditions)
def test_where_nothing_is_known_no_condition_holds(condition: Condition):
    assert holds(condition, Sight(None, (), SHENZHEN, NOW)) is None
    assert holds(condition, Sight(None, (typhoon(as_of=NOW - timedelta(days=1)),), SHENZHEN, NOW)) is None


@given(st.integers(*LIMITS[What.RAIN]))
def test_a_limit_is_passed_only_by_more_than_it(limit: int):
    assert (holds(Condition(What.RAIN, limit), sight()) is not None) == (limit < 70)


@given(st.lists(conditions, min_size=1, max_size=5))
def test_one_condition_is_enough_and_all_that_hold_are_said(wanted: list[Condition]):
    each = [words for condition in wanted if (words := holds(condition, sight(OUTLOOK, typhoon())))]
    assert reasons(wanted, sight(OUTLOOK, typhoon())) == (each or None)


def test_without_conditions_it_is_always_told():
    assert reasons((), sight(None)) == []


@pytest.mark.parametrize(
    ("what", "limit", "said"),
    [
        (What.RAIN, 69, "降雨概率70%"), (What.AQI, 150, "空气中度污染（AQI 160）"), (What.BELOW, 19, "最低18℃"),
        (What.ABOVE, 23, "最高24℃"), (What.WIND, 4, "风力5级"), (What.TYPHOON, 500, "台风“海棠”距此347公里"),
    ],
)  # fmt: skip
def test_a_reason_says_what_is_the_case(what: What, limit: int, said: str):
    words = holds(Condition(what, limit), sight(OUTLOOK, typhoon()))
    assert words is not None
    assert words.zh == said
    assert words.en


def test_a_typhoon_that_is_over_or_of_which_nothing_was_heard_is_near_nobody():
    gone = typhoon(is_active=False), typhoon(as_of=NOW - timedelta(hours=10))
    assert holds(Condition(What.TYPHOON, 3_000), sight(OUTLOOK, *gone)) is None


@pytest.mark.parametrize("what", What)
def test_a_limit_beyond_what_there_is_is_a_mistake(what: What):
    low, high = LIMITS[what]
    for limit in (low - 1, high + 1):
        with pytest.raises(ValueError, match="limits"):
            Condition(what, limit)


# -- outlook


def forecast(**changes: object) -> Forecast:
    days = [Day(day=DAY + timedelta(days=n), sky=Sky.RAIN, night_sky=Sky.CLEAR, low_c=10 + n, high_c=20 + n,
                rain_percent=30) for n in range(3)]  # fmt: skip
    midnight = datetime.combine(DAY, datetime.min.time(), CHINA)
    hours = [Hour(at=midnight + timedelta(hours=n), sky=Sky.CLEAR, temperature_c=n, rain_percent=n, wind_kmh=n)
             for n in range(48)]  # fmt: skip
    whole: dict[str, object] = {
        "division": "440305", "source": "t", "as_of": NOW, "days": tuple(days), "hours": tuple(hours),
        "air": Air(at=NOW, aqi=80),
    }  # fmt: skip
    return Forecast.model_validate(whole | changes)


def test_of_today_what_is_left_of_it_is_told():
    found = outlook(forecast(), NOW)
    assert found
    assert (found.day, found.low_c, found.high_c, found.rain_percent, found.aqi) == (DAY, 7, 23, 23, 80)


def test_from_the_evening_on_tomorrow_is_told_without_the_air_of_now():
    found = outlook(forecast(), NOW.replace(hour=18))
    assert found
    assert (found.day, found.low_c, found.high_c, found.aqi) == (DAY + timedelta(days=1), 24, 47, None)


def test_without_hours_the_whole_day_is_told():
    found = outlook(forecast(hours=()), NOW)
    assert found
    assert (found.low_c, found.high_c, found.rain_percent, found.wind_level) == (10, 20, 30, None)


@given(instants)
def test_an_outlook_is_of_one_day_and_its_lowest_is_not_above_its_highest(at: datetime):
    found = outlook(forecast(), at)
    if found:
        assert found.low_c <= found.high_c
        assert (found.day - at.astimezone(CHINA).date()).days in (0, 1)


@given(st.floats(0, 500), st.floats(0, 500))
def test_more_wind_has_no_lower_level(one: float, other: float):
    low, high = sorted((one, other))
    assert 0 <= wind_level(low) <= wind_level(high) <= 17


# -- typhoons


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_a_distance_is_the_same_both_ways_and_never_more_than_half_around(a: float, b: float, c: float, d: float):
    there, back = distance_km((a, b), (c, d)), distance_km((c, d), (a, b))
    assert there == pytest.approx(back, abs=1e-6)
    assert 0 <= there <= 20_016


def test_a_map_has_both_ways_and_every_point():
    kinds = [(f["geometry"]["type"], f["properties"]["part"]) for f in geojson([typhoon()])["features"]]
    assert kinds == [("LineString", "observed"), ("LineString", "forecast"), *[("Point", "observed")] * 3,
                     ("Point", "forecast")]  # fmt: skip


# -- when


@given(instants, st.integers(0, 1439))
def test_a_wish_is_due_once_in_a_day_of_china(at: datetime, minute: int):
    wish = Subscription("s", 1, Wish(("p",), minute), 1, datetime(2020, 1, 1, tzinfo=UTC))
    due = [each for each in minutes_between(at, at + timedelta(days=1)) if is_due(wish, each, WorkingDays())]
    assert [minute_of(each) for each in due] == [minute]
    assert next_due(wish, at, WorkingDays()) == due[0]


@given(instants, st.integers(1, 9))
def test_a_key_is_of_the_day_in_china_and_an_about_can_be_read(at: datetime, version: int):
    at = at.replace(second=0, microsecond=0)
    assert key_of("s", version, at).endswith(f"{at.astimezone(CHINA):%Y%m%d}")
    assert read_about(about_of("s", at)) == ("s", at)


def test_working_days_know_holidays_and_the_days_that_make_up_for_them():
    wish = Subscription("s", 1, Wish(("p",), 450, is_working_days=True), 1, datetime(2020, 1, 1, tzinfo=UTC))
    days = {date(2026, 10, 1): False, date(2026, 10, 9): True, date(2026, 10, 10): True, date(2026, 10, 11): False}
    assert {day: is_due(wish, due_on(day, 450), WorkingDays()) for day in days} == days


def test_a_wish_that_was_changed_after_its_minute_is_not_due_for_it():
    wish = Subscription("s", 1, Wish(("p",), 450), 2, due_on(DAY, 450) + timedelta(seconds=1))
    assert not is_due(wish, due_on(DAY, 450), WorkingDays())
    assert next_due(wish, due_on(DAY, 450), WorkingDays()) == due_on(DAY + timedelta(days=1), 450)


# -- words


def test_a_notice_says_where_what_and_how_old():
    told = [Told(Label.HOME, Area("南山区", "Nanshan"), OUTLOOK), Told(Label.OTHER, Area("福田区", "Futian"), OUTLOOK)]
    notice = notice_of(told, NOW, NOW, "pages/weather/weather")
    assert notice.title == Words("今天天气", "Weather today")
    assert notice.body.zh == (
        "家（南山区）：中雨，18~24℃，降雨70%，空气中度污染；福田区：中雨，18~24℃，降雨70%，空气中度污染"
    )
    old = notice_of(told[:1], NOW, NOW + timedelta(hours=4), "")
    assert old.body.en.endswith("as of 07:30")


@given(st.sampled_from(Label), st.booleans(), st.lists(st.just(Words("雨", "rain")), max_size=3))
def test_a_notice_has_words_in_both_languages(label: Label, has: bool, why: list[Words]):  # noqa: FBT001
    notice = notice_of([Told(label, Area("南山区", "Nanshan"), OUTLOOK if has else None, why)], NOW, NOW, "")
    assert notice.title != NO_WORDS
    assert notice.body.zh
    assert notice.body.en


# -- warnings of JSON services


def warning(**changes: object) -> LiveWarning:
    plain: dict[str, object] = {
        "id": "10128060120260724073000", "issuer": "深圳市气象台", "title": "深圳市气象台发布暴雨橙色预警[II级/严重]",
        "text": "预计未来3小时有强降水。", "number": "1003", "name": "暴雨", "colour": "Orange",
        "published_at": NOW, "status": MsgType.ALERT, "ends_at": NOW + timedelta(hours=6),
    }  # fmt: skip
    return LiveWarning(**{**plain, **changes})  # type: ignore[arg-type]


def test_a_warning_becomes_a_message_that_the_intake_reads():
    found = judged(warning(), EVENTS)
    alert = to_alert(warning(), found, "weather-api", DIVISIONS.get("440300"), None)
    inspected = inspect(to_cap(alert))
    assert inspected.alert == alert
    assert inspected.is_accepted, inspected.findings
    assert (alert.infos[0].event_code, alert.infos[0].colour, found.doubts) == ("11B03", Colour.ORANGE, ())


@pytest.mark.parametrize(
    ("number", "title", "code", "doubts"),
    [
        ("1006", "大风蓝色预警", "11B06", ()),
        ("1242", "泥石流橙色预警", "11D02", ()),
        ("1006", "暴雨橙色预警", "11B06", (HEADLINE_EVENT,)),  # both are kept
        ("0104", "台风红色预警", "11B01", ()),  # another service's numbers: blue is 01 there, red elsewhere
        ("p0007003", "雷雨大风黄色预警", "11B20", ()),
        ("1087", "森林火险黄色预警", "11B25", ()),  # private: nationally 11B25
        ("", "公告", None, ()),
    ],
)
def test_numbers_are_believed_in_one_form_and_against_the_headline(
    number: str, title: str, code: str | None, doubts: tuple[str, ...]
):
    found = judged(warning(number=number, title=title, name="", colour=""), EVENTS)
    assert (found.event and found.event.code) == code
    assert tuple(each.value_name for each in found.doubts) == doubts


def test_the_colour_after_the_verb_counts_and_a_contradiction_is_kept():
    raised = warning(title="深圳市气象台将暴雨橙色预警升级为红色", colour="Orange")
    found = judged(raised, EVENTS)
    assert found.colour is Colour.RED
    assert [each.value_name for each in found.doubts] == [HEADLINE_COLOUR]
    alert = to_alert(raised, found, "weather-api", DIVISIONS.get("440300"), None)
    assert alert.note is not None
    assert alert.infos[0].parameter(HEADLINE_COLOUR) == "Red; I"


def test_an_update_refers_to_what_came_before_and_without_it_is_a_first_message():
    update = warning(status=MsgType.UPDATE, related="before")
    before = Reference("weather-api", "before", "2026-07-24T06:00:00+08:00")
    known, unknown = (
        to_alert(update, judged(update, EVENTS), "weather-api", DIVISIONS.get("440300"), each)
        for each in (before, None)
    )
    assert (known.msg_type, known.references) == ("Update", str(before))
    assert (unknown.msg_type, unknown.references) == ("Alert", None)
    assert "before" in (unknown.note or "")


@pytest.mark.parametrize(
    ("issuer", "city", "code"),
    [
        ("深圳市气象台", "440300", "440300"), ("深圳市南山区气象台", "440300", "440305"),
        ("井陉县气象局", "130100", "130121"), ("赵县气象局", "130100", "130133"), ("广东省气象台", "440300", "440300"),
    ],
)  # fmt: skip
def test_a_warning_is_about_the_district_that_its_issuer_names(issuer: str, city: str, code: str):
    assert where_of(issuer, city, DIVISIONS).code == code
