"""A department's feed of facts, line by line: CSV (long or wide) and JSON lines. Pure.

Long: `id_number,fact,value,as_of[,thing][,gone][,source]`. Wide: `id_number,as_of[,thing][,source]` and a column per
fact; an empty cell says nothing, `gone` that the fact does not hold any more. JSON lines: objects with the fields of
the long form. One line is one record: a line that is wrong is refused with its number, a reason and the column, never
with what stood in it (a name in the wrong column would leave the house with the report), and the rest goes on.

Times without a zone are China's; a day alone is its midnight there. What is stated as of later than now is refused: the
newest word counts, so a mistyped year would silence the source for ever.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import orjson

from server.domain.china import CHINA
from server.domain.errors import InvalidInputError
from server.domain.facts import EARLIEST, LATEST, MAX_NUMBER, NAME, Fact, Facts, Kind, Value, day_number
from server.domain.real_name import read_id_number
from server.domain.wording import Words

MAX_LINE_BYTES = 8_192
MAX_THING = 60  # characters
AHEAD = timedelta(hours=1)  # how far a department's clock may be before ours
GONE = "gone"
FIELDS = frozenset({"id_number", "fact", "value", "as_of", "thing", GONE, "source"})
_TRUE, _FALSE = frozenset({"true", "1", "是"}), frozenset({"false", "0", "否"})
_NAME = re.compile(NAME, re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_DAY = re.compile(r"([0-9]{4})([-/]?)([0-9]{2})\2([0-9]{2})", re.ASCII)


class Form(StrEnum):
    """How a feed is written."""

    CSV = "csv"
    JSONL = "jsonl"


class Encoding(StrEnum):
    """What its bytes are. A byte order mark is read past."""

    UTF_8 = "utf-8"
    GB18030 = "gb18030"


class Why(StrEnum):
    """Why a line is refused."""

    ENCODING = "encoding_wrong"
    TOO_LONG = "line_too_long"
    FORM = "line_unreadable"
    ID_NUMBER = "id_number_wrong"
    FACT = "fact_unknown"
    VALUE = "value_unfit"
    DATE = "date_wrong"
    AS_OF = "as_of_wrong"
    FUTURE = "as_of_future"
    THING = "thing_unfit"
    UNREGISTERED = "source_unregistered"
    DENIED = "source_denied"
    DUPLICATE = "line_duplicate"
    EMPTY = "nothing_stated"


SAID: Mapping[Why, Words] = MappingProxyType(
    {
        Why.ENCODING: Words("编码不符，无法解码", "it does not decode in the encoding that was named"),
        Why.TOO_LONG: Words("该行过长", f"longer than {MAX_LINE_BYTES} bytes"),
        Why.FORM: Words("格式不符：列数、引号或JSON有误", "not a record: columns, quotes or JSON are wrong"),
        Why.ID_NUMBER: Words("身份证号有误", "not an ID number: length, birth date, region or check digit"),
        Why.FACT: Words("没有这项事实", "there is no such fact"),
        Why.VALUE: Words("值与该事实的类型不符", "the value does not fit the kind of fact"),
        Why.DATE: Words("日期有误", "not a date, or out of bounds"),
        Why.AS_OF: Words("时点有误", "as_of is missing, or no date or time"),
        Why.FUTURE: Words("时点在将来", "as_of lies in the future"),
        Why.THING: Words("须注明是哪一个（仅多值事实）", "a fact of several things needs `thing`, no other has one"),
        Why.UNREGISTERED: Words("数据源未登记", "the source is not registered"),
        Why.DENIED: Words("该数据源无权提供此项", "this source may not state this fact here"),
        Why.DUPLICATE: Words("与本次前面的某行重复", "the same was stated by an earlier line"),
        Why.EMPTY: Words("该行未提供任何事实", "the line states nothing"),
    }
)


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a line says. `value` None: it does not hold any more."""

    fact: str
    value: Value | None
    thing: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is well formed. `thing` is as the department names it: it is not stored so."""

    number: int
    id_number: str
    source: str
    as_of_at: datetime
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that is not. `field` names the column, never its content."""

    number: int
    why: Why
    field: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a feed is read against: the known facts, all registered sources, those that the feed speaks for, now."""

    known: Facts
    registered: frozenset[str]
    speaks_for: tuple[str, ...]
    now: datetime


Reader = Callable[[int, str], Line | Refused]  # a line's number and text


class _UnfitError(Exception):
    """Within this module: why a line is refused."""

    def __init__(self, why: Why, field: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.field = field


def decoded(data: bytes, encoding: Encoding) -> str | None:
    r"""The text of one line; None if it does not decode.

    >>> decoded("深圳".encode("gb18030"), Encoding.GB18030), decoded(b"\xff", Encoding.UTF_8)
    ('深圳', None)
    """
    try:
        return data.decode(encoding.value, "strict").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None


def json_reader(terms: Terms) -> Reader:
    """Reads lines that are JSON objects."""
    return lambda number, text: _told(number, lambda: _from_json(number, text, terms))


def csv_reader(header: str, terms: Terms) -> tuple[Reader, list[Refused]]:
    """Reads lines under this header; and what of the header is not understood: those columns are passed over.

    InvalidInputError `feed_header_wrong` if there can be no line under it that says anything.
    """
    try:
        names = [name.strip().lower() for name in next(csv.reader([header], strict=True), [])]
    except csv.Error:
        names = []
    is_long = "fact" in names
    needed = {"id_number", "as_of"} | ({"fact", "value"} if is_long else set())
    facts = [name for name in names if name in terms.known.by_id]
    if not needed <= set(names) or len(set(names)) != len(names) or not (is_long or facts):
        raise InvalidInputError(
            "feed_header_wrong",
            zh="首行应为列名：id_number,fact,value,as_of，或id_number,as_of和各事实名，不得重复",
            en="the first line names the columns: id_number,fact,value,as_of or id_number,as_of and facts; none twice",
            field="header",
        )
    allowed = FIELDS if is_long else (FIELDS - {"fact", "value", GONE}) | set(facts)
    strange = [Refused(1, Why.FACT, name if _NAME.fullmatch(name) else "") for name in names if name not in allowed]
    read = _from_long if is_long else _from_wide
    return lambda number, text: _told(number, lambda: read(number, _cells(text, names), terms)), strange


def _told(number: int, read: Callable[[], Line]) -> Line | Refused:
    try:
        return read()
    except _UnfitError as error:
        return Refused(number, error.why, error.field)


def _cells(text: str, names: list[str]) -> dict[str, str]:
    try:
        cells = next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise _UnfitError(Why.FORM) from None
    if len(cells) != len(names):
        raise _UnfitError(Why.FORM)
    return dict(zip(names, cells, strict=True))


def _from_json(number: int, text: str, terms: Terms) -> Line:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _UnfitError(Why.FORM) from None
    if not isinstance(found, dict) or not found.keys() <= FIELDS:
        raise _UnfitError(Why.FORM)
    for name in ("id_number", "fact", "as_of", "thing", "source"):
        if not isinstance(found.get(name, ""), str):
            raise _UnfitError(Why.FORM, name)
    if not isinstance(found.get(GONE, False), bool):
        raise _UnfitError(Why.FORM, GONE)
    return _from_long(number, found, terms)


def _from_long(number: int, cells: Mapping[str, Any], terms: Terms) -> Line:
    fact = terms.known.by_id.get(cells.get("fact", "").strip())
    if fact is None:
        raise _UnfitError(Why.FACT, "fact")
    source = _source(cells, (fact,), terms)
    gone = cells.get(GONE, False)
    is_gone = gone if isinstance(gone, bool) else _flag(gone or "false", GONE)
    value = None if is_gone else _value(cells.get("value"), fact, "value")
    thing = cells.get("thing", "").strip()
    if bool(thing) != fact.is_many or len(thing) > MAX_THING:
        raise _UnfitError(Why.THING, "thing")
    return Line(number, _id(cells, terms), source, _as_of(cells, terms), (Said(fact.id, value, thing),))


def _from_wide(number: int, cells: Mapping[str, str], terms: Terms) -> Line:
    named = [terms.known.by_id[name] for name, cell in cells.items() if cell.strip() and name in terms.known.by_id]
    if not named:
        raise _UnfitError(Why.EMPTY)
    source = _source(cells, named, terms)
    thing = cells.get("thing", "").strip()
    if len(thing) > MAX_THING or (not thing and any(fact.is_many for fact in named)):
        raise _UnfitError(Why.THING, "thing")
    said = tuple(
        Said(
            fact.id,
            None if cells[fact.id].strip().lower() == GONE else _value(cells[fact.id], fact, fact.id),
            thing if fact.is_many else "",
        )
        for fact in named
    )
    return Line(number, _id(cells, terms), source, _as_of(cells, terms), said)


def _source(cells: Mapping[str, Any], facts: tuple[Fact, ...] | list[Fact], terms: Terms) -> str:
    """Who says it: as the line names it, or the one that the feed speaks for."""
    source = str(cells.get("source", "")).strip() or (terms.speaks_for[0] if len(terms.speaks_for) == 1 else "")
    if source not in terms.registered:
        raise _UnfitError(Why.UNREGISTERED, "source")
    if source not in terms.speaks_for:
        raise _UnfitError(Why.DENIED, "source")
    for fact in facts:
        if source not in fact.sources:
            raise _UnfitError(Why.DENIED, fact.id)
    return source


def _id(cells: Mapping[str, Any], terms: Terms) -> str:
    try:
        return read_id_number(cells.get("id_number", ""), terms.now.astimezone(CHINA).date()).text
    except InvalidInputError:
        raise _UnfitError(Why.ID_NUMBER, "id_number") from None


def _value(given: Any, fact: Fact, field: str) -> Value:
    text = given.strip() if isinstance(given, str) else given
    match fact.kind:
        case Kind.DATE:
            day = _day(text) if isinstance(text, str) else None
            if day is None or not EARLIEST <= day <= LATEST:
                raise _UnfitError(Why.DATE, field)
            return day_number(day)
        case Kind.NUMBER:
            number = int(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else text
            if not isinstance(number, int) or isinstance(number, bool) or abs(number) > MAX_NUMBER:
                raise _UnfitError(Why.VALUE, field)
            return number
        case Kind.CHOICE:
            if text not in fact.choices:
                raise _UnfitError(Why.VALUE, field)
            return str(text)
        case Kind.FLAG:
            return _flag(text, field)


def _flag(given: Any, field: str) -> bool:
    if isinstance(given, bool):
        return given
    text = given.strip().lower() if isinstance(given, str) else ""
    if text not in _TRUE | _FALSE:
        raise _UnfitError(Why.VALUE, field)
    return text in _TRUE


def _day(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def _as_of(cells: Mapping[str, Any], terms: Terms) -> datetime:
    text = cells.get("as_of", "").strip()
    day = _day(text)
    try:
        at = datetime.combine(day, datetime.min.time()) if day else datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=CHINA)
        is_future = at > terms.now + AHEAD
    except (ValueError, OverflowError):
        raise _UnfitError(Why.AS_OF, "as_of") from None
    if at.year < EARLIEST.year:
        raise _UnfitError(Why.AS_OF, "as_of")
    if is_future:
        raise _UnfitError(Why.FUTURE, "as_of")
    return at.replace(microsecond=at.microsecond // 1000 * 1000)  # as the database keeps it
