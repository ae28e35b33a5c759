"""ID numbers, codes and names: each fault has its own code, ages are right to the day."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import InvalidInputError
from server.domain.real_name import (
    age_years,
    born_date,
    is_elder,
    is_minor,
    mask_name,
    mask_number,
    read_id_number,
    read_name,
    read_organisation_name,
    read_uscc,
)
from tests.domain.numbers import id_number, uscc_of

TODAY = date(2026, 11, 24)


def fault(text: str) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read_id_number(text, TODAY)
    assert caught.value.field == "id_number"
    return caught.value.code


def test_a_number_is_read_with_spaces_small_x_and_wide_digits():
    number = next(n for n in (id_number(f"{i:03}") for i in range(100, 300)) if n.endswith("X"))
    wide = number.translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"})
    for typed in (number, number.lower(), f" {number[:6]} {number[6:14]}-{number[14:]} ", wide):
        assert read_id_number(typed, TODAY).text == number


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "id_number_length"),
        (id_number()[:-1], "id_number_length"),
        (id_number() + "1", "id_number_length"),
        ("44030519900101A" + id_number()[15:], "id_number_characters"),
        ("X" + id_number()[1:], "id_number_characters"),
        ("四四〇三〇五一九九〇〇一〇一一〇一一", "id_number_characters"),
        (id_number()[:-1] + ("1" if id_number()[-1] != "1" else "2"), "id_number_check_digit"),
        (id_number(born="19900230"), "id_number_birth_date"),
        (id_number(born="00000101"), "id_number_birth_date"),
        (id_number(born="20261125"), "id_number_birth_date"),
        (id_number(born="18000101"), "id_number_birth_date"),
        (id_number(region="990000"), "id_number_region"),
        (id_number(region="449999"), "id_number_region"),
        (id_number(region="000000"), "id_number_region"),
    ],
)
def test_each_fault_of_a_number_has_its_own_code(text: str, code: str):
    assert fault(text) == code


@pytest.mark.parametrize("region", ["440305", "440301", "130102", "810000", "830000", "911156"])
def test_old_people_and_residents_from_elsewhere_have_numbers_too(region: str):
    assert read_id_number(id_number(region=region, born="19350606"), TODAY).born_date == date(1935, 6, 6)


@given(st.integers(0, 16), st.integers(1, 9))
def test_every_single_mistyped_digit_is_found(place: int, shift: int):
    number = id_number()
    wrong = str((int(number[place]) + shift) % 10)
    assert fault(number[:place] + wrong + number[place + 1 :]) == "id_number_check_digit"


@given(st.text(max_size=40))
def test_no_text_makes_reading_a_number_break(text: str):
    with suppress(InvalidInputError):
        assert len(read_id_number(text, TODAY).text) == 18


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("91440300", "uscc_length"),
        ("9144030*" + uscc_of()[8:], "uscc_characters"),
        (uscc_of()[:9] + "I" + uscc_of()[10:], "uscc_characters"),
        (uscc_of()[:-1] + ("A" if uscc_of()[-1] != "A" else "B"), "uscc_check_digit"),
    ],
)
def test_each_fault_of_a_code_has_its_own_code(text: str, code: str):
    with pytest.raises(InvalidInputError) as caught:
        read_uscc(text)
    assert (caught.value.code, caught.value.field) == (code, "uscc")


def test_a_code_is_read_with_spaces_and_small_letters():
    assert read_uscc(f" {uscc_of().lower()[:9]} {uscc_of()[9:]}") == uscc_of()


def test_a_name_has_one_spelling():
    assert read_name("  买买提•艾力 ") == read_name("买买提・艾力") == "买买提·艾力"
    assert read_name("Anne-Marie  O'Neill") == "Anne-Marie O'Neill"
    assert read_organisation_name("深圳市 示范（集团）公司") == "深圳市 示范(集团)公司"


@pytest.mark.parametrize("name", ["", " ", "张3", "张\n三<b>", "·", "张" * 51, "=HYPERLINK(1)"])
def test_what_is_no_name_is_refused(name: str):
    with pytest.raises(InvalidInputError) as caught:
        read_name(name)
    assert caught.value.code == "name_invalid"


def test_an_age_counts_completed_years():
    born = date(2008, 11, 25)
    assert (age_years(born, TODAY), is_minor(born, TODAY)) == (17, True)
    assert not is_minor(born, TODAY + timedelta(days=1))
    assert (is_elder(date(1966, 11, 24), TODAY), is_elder(date(1966, 11, 25), TODAY)) == (True, False)
    assert [age_years(date(2004, 2, 29), day) for day in (date(2026, 2, 28), date(2026, 3, 1))] == [21, 22]


def test_masks_keep_what_the_owner_recognises_and_no_more():
    number = id_number()
    assert (mask_name("张三丰"), mask_number(number)) == ("张**", f"440***********{number[-4:]}")
    assert len(mask_number(number)) == 18
    assert born_date(number) == date(1990, 1, 1)
