"""Every warning that can be written is written here, and every text is held against its provider's limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import texts
from server.domain.divisions import Area, Divisions
from server.domain.errors import ConfigurationError, InvalidInputError
from server.domain.templates import segments, units, wechat_limit
from server.domain.texts import LIMITS, Facts, join_areas, render
from server.domain.wording import COLOURS, FRAMES, Kind, Sources, Wording, Words
from server.storage import catalogues
from server.storage.catalogues import load_divisions, load_texts

CITIES = {"440300": Words("深圳市气象台", "Shenzhen Meteorological Observatory"), "130100": Words("石家庄市气象台", "")}
SENT_AT = datetime(2026, 12, 31, 16, 5, tzinfo=UTC)  # already 1 January in China
WECHAT_TIME = re.compile(r"\d{4}年\d{1,2}月\d{1,2}日 \d{2}:\d{2}")
OWN_EVENTS = 26
CLASSES = {"12*", "13*", "14*", "*"}  # generic advice
HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def wording():
    return load_texts()


@pytest.fixture(scope="module")
def registry():
    return load_divisions()


@pytest.fixture(scope="module")
def storm(registry: Divisions):
    return Facts(
        "11B03",
        "red",
        Kind.ALERT,
        [registry.area("440305")],
        CITIES["440300"],
        SENT_AT,
        SENT_AT + timedelta(hours=6),
        "pages/alert/index?id=0123456789abcdef",
    )


def leaves(value: Any) -> Iterator[str]:
    """All texts in a nested value."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from leaves(each)


def assert_sendable(rendered: dict[str, Any], facts: Facts) -> None:
    """Within every limit, whole, and marked if it is an exercise."""
    assert list(rendered) == ["wechat", "push", "sms", "headline", "description", "instruction"]
    for language, mark in (("zh", "演练"), ("en", "[EXERCISE]")):
        wechat, push, sms = (rendered[channel][language] for channel in ("wechat", "push", "sms"))
        for key, value in wechat["data"].items():
            assert 0 < units(value) <= wechat_limit(key), (key, value)
            assert not key.startswith("time") or WECHAT_TIME.fullmatch(value)
        assert segments(sms["text"]) == 1, sms["text"]
        for template in sms["templates"].values():
            assert all(0 < units(value) <= 6 for _, value in template["params"]), template
        assert set(sms["templates"]) == {"sms_aliyun", "sms_tencent"}
        whole = [
            push["title"],
            push["body"],
            sms["text"],
            *(rendered[part][language] for part in LIMITS if part in rendered),
        ]
        assert units(push["title"]) <= LIMITS["push_title"]
        assert units(push["body"]) <= LIMITS["push_body"]
        assert units(rendered["headline"][language]) <= LIMITS["headline"]
        assert rendered["description"][language] not in (
            rendered["headline"][language],
            rendered["instruction"][language],
        )
        for text in (*whole, " ".join(wechat["data"].values())):
            assert (mark in text) == facts.is_exercise, text
        assert not any(sign in text for text in leaves(rendered) for sign in ("{", "}", "$", "Undefined"))


def test_every_event_colour_kind_and_exercise_of_both_cities_is_written_within_all_limits(
    wording: Wording, registry: Divisions
):
    written = 0
    for (city, sender), event in product(CITIES.items(), wording.events):
        areas = [registry.area(code) for code in registry.districts(city)[: 1 + int(event[-1], 36) % 4]]
        for colour, kind, is_exercise in product(wording.colours(city, event), Kind, (False, True)):
            facts = Facts(
                event,
                colour,
                kind,
                areas,
                sender,
                SENT_AT,
                SENT_AT + timedelta(hours=3),
                "pages/alert/index?id=1",
                is_exercise=is_exercise,
                previous="yellow",
            )
            assert_sendable(render(facts, wording), facts)
            written += 1
    assert written > 19_000


def test_every_event_code_is_here_with_names_that_fit(wording: Wording):
    assert len(wording.events) == 215
    for event in wording.events.values():
        assert units(event.short) <= 6, event
        assert event.name_en.isascii()
        assert len(event.name_en) <= 20, event


def test_the_advice_of_every_event_and_colour_is_its_own(wording: Wording):
    own = {
        (event, colour): advice
        for event, each in wording.advice.items()
        if not event.endswith("*")
        for colour, advice in each.colours.items()
    }
    assert len({event for event, _ in own}) == OWN_EVENTS
    assert len(wording.advice) == OWN_EVENTS + len(CLASSES)
    for language in ("zh", "en"):
        lines = [line for advice in own.values() for line in advice.do.get(language)]
        assert len({advice.do.get(language) for advice in own.values()}) == len(own)
        assert len(set(lines)) / len(lines) > 0.98
        assert all(len(advice.do.get(language)) == 3 for advice in own.values())
    assert all(HAN.search(line) for advice in own.values() for line in advice.do.zh)
    assert not any(HAN.search(line) for advice in own.values() for line in (*advice.do.en, advice.brief.en))
    assert all(units(advice.brief.zh) <= 20 and units(advice.brief.en) <= 20 for advice in own.values())


def test_an_event_without_advice_of_its_own_takes_that_of_its_class(wording: Wording):
    assert wording.advice_for("13A05", "red") == wording.advice["13*"].colours["red"]
    assert wording.advice_for("11F01", "red") == wording.advice["*"].colours["red"]
    assert wording.advice_for("11B15", "blue") == wording.advice["*"].colours["blue"]


def test_every_colour_that_a_city_issues_for_an_event_with_a_file_has_advice(wording: Wording):
    for city, event in product(CITIES, wording.advice):
        if not event.endswith("*"):
            assert set(wording.colours(city, event)) <= set(wording.advice[event].colours), (city, event)


def test_the_colours_differ_between_the_cities(wording: Wording):
    assert wording.colours("440300", "11B01") == COLOURS
    assert wording.colours("440300", "11B03") == ("yellow", "orange", "red")
    assert wording.colours("130100", "11B03") == ("blue", "yellow", "orange", "red")
    assert wording.colours("130100", "11E01") == ()
    assert wording.colours("999999", "11B03") == ("blue", "yellow", "orange", "red")


def test_the_same_facts_give_the_same_json(wording: Wording, storm: Facts):
    first, again = (json.dumps(render(storm, wording), ensure_ascii=False, sort_keys=True) for _ in range(2))
    assert first == again
    assert json.loads(first) == render(storm, wording)


def test_times_are_those_of_china_whatever_zone_the_facts_use(wording: Wording, storm: Facts):
    rendered = render(storm, wording)
    assert "1月1日00时05分" in rendered["description"]["zh"]
    assert "00:05 on 1 Jan" in rendered["description"]["en"]
    assert rendered["wechat"]["zh"]["data"]["time4"] == "2027年1月1日 00:05"


@pytest.mark.parametrize(
    ("kind", "zh", "en", "sms"),
    [
        (Kind.ALERT, "发布暴雨红色预警", "Red alert for rainstorm, issued", "南山区暴雨红色预警："),
        (Kind.UPDATE, "更新暴雨红色预警", "updated", "南山区暴雨预警更新，仍为红色"),
        (Kind.UPGRADE, "将暴雨橙色预警升级为红色预警", "raised from Orange to Red", "南山区暴雨预警升级为红色"),
        (Kind.DOWNGRADE, "将暴雨橙色预警降级为红色预警", "lowered from Orange to Red", "南山区暴雨预警降级为红色"),
        (Kind.EXTEND, "延长暴雨红色预警", "extended", "南山区暴雨预警延长，仍为红色"),
        (Kind.CANCEL, "解除暴雨红色预警", "lifted", "南山区暴雨红色预警已解除"),
    ],
)
def test_each_verb_is_said_in_its_own_words(wording: Wording, storm: Facts, kind: Kind, zh: str, en: str, sms: str):
    rendered = render(replace(storm, kind=kind, previous="orange"), wording)
    assert zh in rendered["headline"]["zh"]
    assert en in rendered["headline"]["en"]
    assert sms in rendered["sms"]["zh"]["text"]


def test_a_cancel_says_why_in_each_language_and_has_a_reason_of_its_own_where_none_is_given(
    wording: Wording, storm: Facts
):
    told = render(replace(storm, kind=Kind.CANCEL, reason=Words("降雨云团已移出我市。", "")), wording)
    assert told["wechat"]["zh"]["data"]["thing5"] == "降雨云团已移出我市"
    assert told["wechat"]["en"]["data"]["thing5"] == "The threat is over"
    assert "解除原因：降雨云团已移出我市。" in told["description"]["zh"]


@pytest.mark.parametrize("kind", [Kind.UPGRADE, Kind.DOWNGRADE])
def test_an_upgrade_without_the_colour_before_is_refused(wording: Wording, storm: Facts, kind: Kind):
    with pytest.raises(InvalidInputError, match="previous_colour_missing"):
        render(replace(storm, kind=kind), wording)


def test_an_unknown_event_code_is_refused(wording: Wording, storm: Facts):
    with pytest.raises(InvalidInputError, match="event_unknown"):
        render(replace(storm, event="11B98"), wording)


@given(
    words=st.text(),
    reason=st.text(),
    name=st.text(max_size=60),
    kind=st.sampled_from(Kind),
    is_exercise=st.booleans(),
)
def test_whatever_officers_write_stays_within_the_limits_and_is_never_run(
    wording: Wording, words: str, reason: str, name: str, kind: Kind, *, is_exercise: bool
):
    facts = Facts(
        "11B03",
        "red",
        kind,
        [Area(name, name), Area("南山区", "Nanshan District")],
        Words("台", "Office"),
        SENT_AT,
        SENT_AT,
        "",
        is_exercise=is_exercise,
        previous="orange",
        detail=Words(words, words),
        reason=Words(reason, reason),
    )
    rendered = render(facts, wording)
    for text in leaves(rendered):
        text.encode("utf-8")
    for language in ("zh", "en"):
        data = rendered["wechat"][language]["data"]
        assert all(0 < units(value) <= wechat_limit(key) for key, value in data.items())
        assert not any(ord(char) < 32 for value in data.values() for char in value)
        assert segments(rendered["sms"][language]["text"]) == 1
        assert units(rendered["description"][language]) <= LIMITS["description"]


def test_words_with_template_signs_are_words(wording: Wording, storm: Facts):
    rendered = render(replace(storm, detail=Words("{{ 7 * 7 }}{% raw %}", "")), wording)
    assert rendered["description"]["zh"].endswith("{{ 7 * 7 }}{% raw %}")


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (20, "南山区、宝安区、井陉矿区等4地"),
        (12, "南山区、宝安区等4地"),
        (8, "南山区等4地"),
        (6, "南山区等4地"),
        (5, "南山区等"),
        (3, ""),
    ],
)
def test_area_names_are_as_many_as_fit_and_the_rest_is_counted(limit: int, text: str):
    names = [Area(zh, zh) for zh in ("南山区", "宝安区", "井陉矿区", "石家庄高新技术产业开发区")]
    assert join_areas(names, "zh", limit) == text


def test_a_long_name_is_cut_and_the_rest_still_counted():
    names = [Area("石家庄", "Shijiazhuang Chemical Park"), Area("石家庄", "Shijiazhuang Hi-tech Zone")]
    assert join_areas(names, "en", 24) == "Shijiazhuang… +1"
    assert join_areas(names[:1], "en", 20) == "Shijiazhuang…"
    assert join_areas([], "en", 20) == ""


def test_a_name_that_no_sms_can_hold_becomes_your_area(wording: Wording, storm: Facts):
    rendered = render(replace(storm, areas=[Area("石家庄高新技术产业开发区", "")]), wording)
    assert rendered["sms"]["zh"]["text"].startswith("【惠民预警】您所在区域暴雨红色预警")


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_with_a_name_nobody_knows_refuses_to_load(sources: Sources, frame: str):
    broken = sources.frames | {"zh": sources.frames["zh"] | {frame: {"*": "{{ colour_of_the_sky }}"}}}
    with pytest.raises(ConfigurationError, match="colour_of_the_sky"):
        texts.load(sources._replace(frames=broken))


@pytest.mark.parametrize(
    "text",
    ["{{ ''.__class__.__mro__[1].__subclasses__() }}", "{% for x in %}", "{{ do.append(1) }}", "{% include 'x' %}"],
)
def test_a_frame_that_reaches_out_of_its_sandbox_refuses_to_load(sources: Sources, text: str):
    broken = sources.frames | {"en": sources.frames["en"] | {"push_body": {"*": text}}}
    with pytest.raises(ConfigurationError, match="texts_invalid"):
        texts.load(sources._replace(frames=broken))


@pytest.mark.parametrize(
    "change",
    [
        {"advice": []},
        {"advice": [{"event": "*", "colours": {}}]},
        {"cities": {"440300": {"other": ["violet"], "events": {}}}},
        {"cities": {"440300": {"other": [], "events": {"99Z99": []}}}},
        {"frames": {}},
        {"templates": {}},
        {"event_codes": "code,name\n"},
        {"event_codes": "name\nx\n"},
    ],
)
def test_data_that_does_not_fit_together_refuses_to_load(sources: Sources, change: dict[str, Any]):
    with pytest.raises(ConfigurationError, match="texts_invalid"):
        texts.load(sources._replace(**change))


@pytest.fixture(scope="module")
def sources():
    return catalogues.read_sources(catalogues.DATA)


def test_sources_name_every_file(sources: Sources):
    assert isinstance(sources, Sources)
    assert len(sources.advice) == OWN_EVENTS + len(CLASSES)
