"""The rules of one-time codes: which numbers, how many, how much work, and that the city has filed their texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from push.texting import code_content
from server.domain.errors import InvalidInputError
from server.domain.one_time_codes import (
    HOUR_S,
    MOST_WORK_BITS,
    NUMBER_BOUNDS,
    WORK_BITS,
    Counted,
    Judgement,
    Purpose,
    Tally,
    Window,
    bounds,
    has_worked,
    judge,
    number_wait_s,
    parse_phone,
    prefix_of,
    rules,
)
from server.storage.catalogues import load_texts

NOW = datetime(2026, 11, 24, 1, 30, 15, tzinfo=UTC)
RULES = rules(per_minute=10, per_hour=400, per_day=1_000)
PREFIX, CITY, ORIGIN = (Window(of, HOUR_S) for of in (Counted.PREFIX, Counted.CITY, Counted.ORIGIN))


@pytest.mark.parametrize("text", ["13800138000", "+86 138-0013-8000", "0086 13800138000", "１３８００１３８０００"])
def test_the_ways_to_write_a_number_are_one_number(text: str) -> None:
    assert parse_phone(text, ["CN"]) == "+8613800138000"


@pytest.mark.parametrize(
    "text",
    [
        "010-62345678",
        "10086",
        "+16502530000",
        "+85291234567",
        "+861380013800",
        "13800138000,123",
        "",
        "+",
        "\ud800" * 9,
    ],
)
def test_what_is_no_mobile_number_of_the_mainland_gets_no_code(text: str) -> None:
    with pytest.raises(InvalidInputError, match="phone_invalid"):
        parse_phone(text, ["CN"])


def test_a_city_may_serve_mobile_numbers_of_other_regions() -> None:
    assert parse_phone("+852 9123 4567", ["CN", "HK"]) == "+85291234567"


@given(st.text(max_size=24) | st.from_regex(r"(\+|00)?[0-9 ()-]{5,20}", fullmatch=True))
def test_any_text_is_refused_or_becomes_a_number_that_is_its_own_e164_form(text: str) -> None:
    try:
        phone = parse_phone(text, ["CN"])
    except InvalidInputError:
        return
    assert parse_phone(phone, ["CN"]) == phone
    assert phone.startswith(prefix_of(phone))


@given(st.lists(st.integers(0, 2 * 86_400), max_size=40))
def test_who_always_waits_as_told_never_passes_a_bound_of_a_number(gaps_s: list[int]) -> None:
    sent: list[datetime] = []
    now = NOW
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s % 4_000)
        now += timedelta(seconds=number_wait_s(sent, now))
        assert number_wait_s(sent, now) == 0  # the wait that was told is the whole wait
        sent.append(now)
        for most, window in NUMBER_BOUNDS:
            assert sum(1 for at in sent if at > now - window) <= most


def test_a_full_bound_closes_until_its_window_ends() -> None:
    minute = Window(Counted.CITY, 60)
    assert judge(RULES, {minute: Tally(9)}, NOW) == Judgement()
    assert judge(RULES, {minute: Tally(10)}, NOW) == Judgement(wait_s=45, why=Counted.CITY)


def test_a_flood_whose_codes_come_back_costs_no_work() -> None:
    assert judge(RULES, {PREFIX: Tally(299, 60), CITY: Tally(399, 80)}, NOW) == Judgement()
    assert judge(RULES, {CITY: Tally(399, 79)}, NOW).work_bits == WORK_BITS + 1


def test_a_prefix_whose_codes_do_not_come_back_costs_more_and_more_and_then_closes() -> None:
    said = [judge(RULES, {PREFIX: Tally(sent)}, NOW) for sent in range(301)]
    bits = [one.work_bits for one in said[:300]]
    assert bits == sorted(bits)
    assert bits[:20] == [0] * 20
    assert WORK_BITS == bits[20] < bits[299] <= MOST_WORK_BITS
    assert said[300].wait_s > 0


def test_a_network_over_its_share_works_before_it_is_refused() -> None:
    assert judge(RULES, {ORIGIN: Tally(10, 10)}, NOW).work_bits == WORK_BITS
    assert judge(RULES, {ORIGIN: Tally(120, 120)}, NOW).wait_s > 0


def test_the_budget_of_the_city_holds_however_well_codes_come_back() -> None:
    assert bounds(RULES)[CITY] == 400
    assert bounds(RULES)[PREFIX] is None
    assert judge(RULES, {CITY: Tally(400, 400)}, NOW).wait_s == 29 * 60 + 45


def test_a_solution_is_found_by_trying_and_good_for_its_challenge_only() -> None:
    found = next(str(n) for n in count() if has_worked("one", str(n), 10))
    assert not has_worked("one", found, 40)
    assert not has_worked("another", found, 20)


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_purpose_has_a_filed_text_that_says_the_code_and_nothing_variable_else(
    purpose: Purpose, language: str
) -> None:
    content = code_content(load_texts().templates, purpose, language, "012345")
    assert "012345" in content.text
    assert set(content.templates) == {"sms_aliyun", "sms_tencent"}
    assert {t.params for t in content.templates.values()} == {(("code", "012345"),)}


def test_the_text_says_what_the_code_is_for() -> None:
    registry = load_texts().templates
    assert len({code_content(registry, p, lang, "1").text for p in Purpose for lang in ("zh", "en")}) == 10
