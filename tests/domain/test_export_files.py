"""The files of an export: no cell is run, nothing is lost, every file is explained."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.export import BYTE_ORDER_MARK, cell, readme, table

DANGEROUS = re.compile(r"\s*[=+\-@|%＝＋－＠]")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
VALUES = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=30) | st.lists(st.text(max_size=5))


@given(st.text(max_size=30) | st.sampled_from("=+-@\t\r\n").flatmap(lambda c: st.text(max_size=9).map(lambda t: c + t)))
def test_no_cell_starts_like_a_formula_unless_it_is_a_number(text: str):
    assert not DANGEROUS.match(cell(text)) or NUMBER.fullmatch(cell(text))


@pytest.mark.parametrize("text", ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "＝1", "\r=1"])
def test_known_attacks_are_text(text: str):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+8613800138000", "22.54", "王小明", "a=b", ""])
def test_what_is_harmless_stays_as_it_is(text: str):
    assert cell(text) == text


@given(st.lists(st.dictionaries(st.sampled_from(["at", "unit", "what"]), VALUES, min_size=1), min_size=1, max_size=5))
def test_a_table_holds_every_row_and_every_column(rows: list[dict[str, Any]]):
    text = table(rows)
    assert text.startswith(BYTE_ORDER_MARK)
    read = list(csv.reader(StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="")))
    assert len(read) == len(rows) + 1
    assert set(read[0]) == {name for row in rows for name in row}
    for row, line in zip(rows, read[1:], strict=True):
        assert line == [cell(row.get(name)) for name in read[0]]


def test_lists_are_readable_and_no_rows_are_an_empty_file():
    assert json.loads(cell(["phone", "姓名"])) == ["phone", "姓名"]
    assert "姓名" in cell(["姓名"])
    assert table([]) == ""


def test_the_readme_names_every_file():
    text = readme(["consents", "somethingnew"], datetime(2026, 11, 24, tzinfo=UTC))
    for name in ("data.json", "consents.csv", "somethingnew.csv", "2026-11-24"):
        assert name in text
