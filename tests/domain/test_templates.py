"""The registry of provider templates and the arithmetic of lengths."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.domain.templates import (
    SMS_VALUE_LIMIT,
    WECHAT_LIMITS,
    Choice,
    Key,
    Registry,
    clean,
    fit,
    segments,
    units,
    wechat_limit,
)
from server.storage.catalogues import DATA

RED_RAIN = Key("11B03", "red", "alert", exercise=False, language="zh")


@pytest.fixture(scope="module")
def source():
    return yaml.safe_load((DATA / "templates.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def registry(source: dict[str, Any]):
    return Registry.model_validate(source)


def test_a_warning_with_texts_of_its_own_uses_them_and_any_other_the_generic_ones(registry: Registry):
    own, generic = registry.choose(RED_RAIN), registry.choose(RED_RAIN._replace(event="14F00"))
    assert own.wechat == generic.wechat
    assert own.sms_aliyun != generic.sms_aliyun
    assert own.sms_tencent != generic.sms_tencent


def test_an_exercise_never_uses_a_template_of_a_real_warning(registry: Registry):
    for row in registry.rows:
        key = Key(row.event, row.colour, row.kind, exercise=True, language=row.language)
        chosen = registry.choose(key)
        aliyun = next(t for t in registry.sms_aliyun if t.id == chosen.sms_aliyun)
        assert "演练" in aliyun.text or "[EXERCISE]" in aliyun.text
        assert chosen.wechat == "WX_EXERCISE"


def test_both_sms_providers_have_the_same_words_for_every_row(registry: Registry):
    aliyun = {t.id: t for t in registry.sms_aliyun}
    tencent = {t.id: t for t in registry.sms_tencent}
    values = {"area": "南山区", "event": "暴雨", "colour": "红色", "change": "升级为", "verb": "升级", "code": "012345"}
    for row in registry.rows:
        assert aliyun[row.sms_aliyun].fill(values) == tencent[row.sms_tencent].fill(values)
        assert aliyun[row.sms_aliyun].params == tencent[row.sms_tencent].params


def test_every_sms_template_is_one_segment_with_the_longest_values_and_the_sign(registry: Registry):
    longest = dict.fromkeys(("area", "event", "colour", "change", "verb", "code"), "长" * SMS_VALUE_LIMIT)
    for template in (*registry.sms_aliyun, *registry.sms_tencent):
        assert segments(f"【{registry.sign}】{template.fill(longest)}") == 1, template.id


def test_no_id_is_listed_twice_and_every_id_is_used(registry: Registry):
    for provider, ids in registry.all_ids().items():
        assert len(ids) == len(getattr(registry, provider))
        assert ids == {getattr(row, provider) for row in registry.rows} - {None}


def test_the_event_counts_more_than_all_other_columns(source: dict[str, Any]):
    rows = [
        *source["rows"],
        {"event": "14F00", "wechat": "WX_CANCEL"},
        {"event": "*", "colour": "red", "kind": "alert", "exercise": False, "language": "zh", "wechat": "WX_UPDATE"},
    ]
    registry = Registry.model_validate(source | {"rows": rows})
    chosen = registry.choose(RED_RAIN._replace(event="14F00"))
    assert chosen == Choice("WX_CANCEL", "SMS_900000001", "1900001")
    assert registry.choose(RED_RAIN).wechat == "WX_UPDATE"


@pytest.mark.parametrize(
    "change",
    [
        {"rows": []},
        {"rows": [{"event": "*", "wechat": "WX_ALERT"}]},
        {"rows": [{"wechat": "NOT_FILED", "sms_aliyun": "SMS_900000001"}]},
        {"wechat": [{"id": "WX_ALERT", "kind": "long_term", "fields": {"things1": "event"}}]},
        {"wechat": [{"id": "WX_ALERT", "kind": "long_term", "fields": {"thing1": "weather"}}]},
        {"wechat": [{"id": "WX_ALERT", "kind": "forever", "fields": {"thing1": "event"}}]},
        {"sms_aliyun": [{"id": "SMS_900000001", "text": "${password}"}]},
        {"sms_tencent": [{"id": "1900001", "text": "{1}{3}", "params": ["area", "event"]}]},
        {"sign": ""},
        {"colour": "red"},
    ],
)
def test_a_registry_that_does_not_fit_together_is_refused(source: dict[str, Any], change: dict[str, Any]):
    with pytest.raises(ValidationError):
        Registry.model_validate(source | change)


def test_two_rows_for_the_same_warning_are_refused(source: dict[str, Any]):
    with pytest.raises(ValidationError, match="two rows"):
        Registry.model_validate(source | {"rows": [*source["rows"], source["rows"][0]]})


@given(st.text(), st.integers(2, 80))
def test_a_fitted_text_never_exceeds_its_limit_and_holds_nothing_a_provider_refuses(text: str, limit: int):
    fitted = fit(text, limit)
    assert units(fitted) <= limit
    assert clean(fitted) == fitted
    assert fitted == clean(text) or fitted.endswith("…")
    fitted.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "limit", "fitted"),
    [
        ("影响已结束", 20, "影响已结束"),
        ("停课停业，未出门的不要出门，在路上的就近躲避", 20, "停课停业，未出门的不要出门…"),
        ("Jingxing Mining District", 20, "Jingxing Mining…"),
        ("境外威胁我国境内的森林火灾", 6, "境外威胁我…"),
        ("a\r\nb\u2028c\x00d\ud800e\u202e", 20, "a b c d e"),
    ],
)
def test_a_text_is_cut_where_its_sense_allows(text: str, limit: int, fitted: str):
    assert fit(text, limit) == fitted


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("雨" * 70, 1),
        ("雨" * 71, 2),
        ("雨" * 134, 2),
        ("雨" * 160, 3),  # the vendor's own example
        ("𠮷" * 35, 1),  # beyond the basic plane: two units each
        ("𠮷" * 36, 2),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("[" * 80, 1),  # escaped in GSM-7
        ("[" * 81, 2),
        ("a" * 71 + "【】", 2),  # one Chinese bracket makes all of it UCS-2
    ],
)
def test_segments_are_counted_as_they_are_billed(text: str, count: int):
    assert segments(text) == count


@pytest.mark.parametrize("key", ["thing", "1thing", "thing1x", "topic1", "thing1234", "", "thing１"])
def test_a_key_of_no_known_type_has_no_limit(key: str):
    with pytest.raises(ValueError, match="no typed key"):
        wechat_limit(key)


def test_every_type_of_wechat_has_its_limit():
    assert {kind: wechat_limit(f"{kind}9") for kind in WECHAT_LIMITS} == WECHAT_LIMITS
