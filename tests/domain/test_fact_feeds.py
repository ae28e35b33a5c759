"""A line of a feed is a statement or a refusal with its reason, never anything else."""

from __future__ import annotations

from datetime import UTC, date, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.china import CHINA
from server.domain.errors import InvalidInputError
from server.domain.fact_feeds import Encoding, Line, Refused, Said, Terms, Why, csv_reader, decoded, json_reader
from server.domain.facts import day_number
from server.storage.catalogues import load_facts
from tests.domain.numbers import id_number

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
KNOWN, REGISTERED = load_facts(), frozenset({"population", "residence", "vehicle", "health_record", "property"})
LONG = "id_number,fact,value,as_of,thing,gone,source"
ID = id_number()


def terms(*speaks_for: str) -> Terms:
    return Terms(KNOWN, REGISTERED, speaks_for or ("population",), NOW)


def long(line: str, *speaks_for: str) -> Line | Refused:
    return csv_reader(LONG, terms(*speaks_for))[0](7, line)


def why(found: Line | Refused) -> tuple[Why, str]:
    assert isinstance(found, Refused), found
    assert found.number == 7
    return found.why, found.field


def said(found: Line | Refused) -> tuple[Said, ...]:
    assert isinstance(found, Line), found
    return found.said


def test_a_line_of_each_form_says_the_same() -> None:
    """Long, wide and JSON lines are three spellings of one statement."""
    wide, strange = csv_reader("id_number,as_of,id_card_until", terms())
    written = {"id_number": ID, "fact": "id_card_until", "value": "2031-05-01", "as_of": "2026-11-20"}
    found = [
        long(f"{ID},id_card_until,20310501,2026-11-20,,,"),
        wide(7, f"{ID},2026-11-20T00:00:00+08:00,2031/05/01"),
        json_reader(terms())(7, orjson.dumps(written).decode()),
    ]
    at = datetime(2026, 11, 20, tzinfo=CHINA)
    assert found == [Line(7, ID, "population", at, (Said("id_card_until", day_number(date(2031, 5, 1)), ""),))] * 3
    assert strange == []


def test_every_kind_of_value_is_read_and_what_ended_is_none() -> None:
    assert said(long(f"{ID},lives_alone,是,2026-11-20,,,")) == (Said("lives_alone", value=True, thing=""),)
    assert said(long(f"{ID},residence,hukou,2026-11-20,,,")) == (Said("residence", "hukou", ""),)
    assert said(long(f"{ID},homes_count,2,2026-11-20,,,", "property")) == (Said("homes_count", 2, ""),)
    assert said(long(f"{ID},homes_count,,2026-11-20,,true,", "property")) == (Said("homes_count", None, ""),)
    wide, _ = csv_reader("id_number,as_of,thing,inspection_until,driving_licence_until", terms("vehicle"))
    day = day_number(date(2027, 1, 2))
    assert said(wide(7, f"{ID},2026-11-20,粤B12345,2027-01-02,gone")) == (
        Said("inspection_until", day, "粤B12345"), Said("driving_licence_until", None, ""),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason", "field"),
    [
        (f"{ID},id_card_until,2031-02-30,2026-11-20,,,", Why.DATE, "value"),
        (f"{ID},id_card_until,1031-02-20,2026-11-20,,,", Why.DATE, "value"),
        (f"{ID},id_card_until,,2026-11-20,,,", Why.DATE, "value"),
        (f"{ID},residence,landlord,2026-11-20,,,", Why.VALUE, "value"),
        (f"{ID},lives_alone,maybe,2026-11-20,,,", Why.VALUE, "value"),
        (f"{ID},shoe_size,44,2026-11-20,,,", Why.FACT, "fact"),
        (f"{ID},id_card_until,2031-02-20,,,,", Why.AS_OF, "as_of"),
        (f"{ID},id_card_until,2031-02-20,0001-01-01T00:00:00+23:00,,,", Why.AS_OF, "as_of"),
        (f"{ID},id_card_until,2031-02-20,2062-11-20,,,", Why.FUTURE, "as_of"),
        (
            f"{ID[:-1]}{'0' if ID[-1] != '0' else '1'},id_card_until,2031-02-20,2026-11-20,,,",
            Why.ID_NUMBER,
            "id_number",
        ),
        (f"{ID},inspection_until,2031-02-20,2026-11-20,car,,", Why.DENIED, "inspection_until"),
        (f"{ID},id_card_until,2031-02-20,2026-11-20,,,vehicle", Why.DENIED, "source"),
        (f"{ID},id_card_until,2031-02-20,2026-11-20,,,astrology", Why.UNREGISTERED, "source"),
        (f"{ID},id_card_until,2031-02-20,2026-11-20,car,,", Why.THING, "thing"),
        (f"{ID},child_birth_date,2021-02-20,2026-11-20,,,", Why.THING, "thing"),
        (f"{ID},id_card_until,2031-02-20", Why.FORM, ""),
        (f'{ID},"id_card_until,2031-02-20,2026-11-20,,,', Why.FORM, ""),
        (f"{ID},homes_count,99999999999999999,2026-11-20,,,", Why.DENIED, "homes_count"),
    ],
)
def test_a_wrong_line_is_refused_with_its_reason(line: str, reason: Why, field: str) -> None:
    assert why(long(line)) == (reason, field)


def test_json_values_have_the_kind_of_their_fact() -> None:
    read = json_reader(terms("property"))
    base = {"id_number": ID, "fact": "homes_count", "as_of": "2026-11-20"}
    for value in (True, 1.5, "many", None, [2], {"n": 2}, 10**30):
        assert why(read(7, orjson.dumps(base | {"value": value}).decode() if value != 10**30 else
                        f'{{"id_number":"{ID}","fact":"homes_count","as_of":"2026-11-20","value":{value}}}')
                   )[0] in (Why.VALUE, Why.FORM)  # fmt: skip
    assert why(read(7, "[1]")) == (Why.FORM, "")
    assert why(read(7, orjson.dumps(base | {"value": 2, "name": "王小明"}).decode())) == (Why.FORM, "")
    assert said(read(7, orjson.dumps(base | {"gone": True}).decode())) == (Said("homes_count", None, ""),)


def test_a_header_that_cannot_be_one_is_refused_and_a_strange_column_is_passed_over() -> None:
    for header in ("", ID, "id_number,as_of", "id_number,fact,value", "id_number,as_of,residence,residence", '"'):
        with pytest.raises(InvalidInputError):
            csv_reader(header, terms())
    read, strange = csv_reader("id_number,as_of,shoe_size,王小明,residence", terms())
    assert [(each.why, each.field) for each in strange] == [(Why.FACT, "shoe_size"), (Why.FACT, "")]
    assert said(read(7, f"{ID},2026-11-20,44,x,hukou")) == (Said("residence", "hukou", ""),)
    assert why(read(7, f"{ID},2026-11-20,44,x,")) == (Why.EMPTY, "")


def test_a_source_speaks_for_itself_only_if_there_is_no_doubt() -> None:
    assert why(long(f"{ID},id_card_until,2031-02-20,2026-11-20,,,", "population", "residence")) == (
        Why.UNREGISTERED, "source",
    )  # fmt: skip
    assert said(long(f"{ID},id_card_until,2031-02-20,2026-11-20,,,population", "population", "residence"))


@given(st.text(max_size=300))
def test_no_text_breaks_a_reader_or_comes_back(text: str) -> None:
    """Whatever a line holds, it is a statement or a refusal; a refusal repeats nothing of it."""
    for read in (csv_reader(LONG, terms())[0], json_reader(terms())):
        found = read(7, text)
        assert isinstance(found, Refused)
        assert found.field in {"", "id_number", "fact", "value", "as_of", "thing", "gone", "source"}


@given(st.binary(max_size=100))
def test_bytes_decode_or_do_not(data: bytes) -> None:
    for encoding in Encoding:
        found = decoded(data, encoding)
        assert found is None or found == data.decode(encoding.value).removeprefix("\ufeff")
