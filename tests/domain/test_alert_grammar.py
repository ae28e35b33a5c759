"""The schema as data: types and order are judged as the published XSD judges them.

The verdicts in these tables are those of the XSD; it was asked when they were written.
"""

from __future__ import annotations

import pytest

from server.domain.alerts.document import parse_xml
from server.domain.alerts.finding import Fault, Gravity
from server.domain.alerts.grammar import check_grammar
from server.domain.alerts.vocabulary import Dialect
from tests.domain.alert_messages import CAP, GUOTU, cap

TIMES = {
    "2026-08-01T09:30:00+08:00": True, "2028-02-29T24:00:00+14:00": True, " 2026-08-01T09:30:00-08:00\n": True,
    "2026-08-01T09:30:00-00:00": True, "2026-02-29T09:30:00+08:00": False, "2026-08-01T09:30:60+08:00": False,
    "2026-08-01T24:00:01+08:00": False, "2026-08-01T09:30:00+14:01": False, "2026-13-01T09:30:00+08:00": False,
    "2026-08-01T09:30:00Z": False, "2026-08-01T09:30:00.0+08:00": False, "2026-08-01T09:30:00,08:00": False,
    "2026-08-01 09:30:00+08:00": False, "２026-08-01T09:30:00+08:00": False, "0000-08-01T09:30:00+08:00": False,
    "": False, "soon": False,
}  # fmt: skip
URIS = {
    "": True, "http://a b/": True, "http://[::1]:80/": True, "mailto:x@y": True, "//h/x": True, "?x#y": True,
    "%41": True, "http://用户.中国/": True, "{x}|^`": True, "\\": True, "http://a:port/": False, "//h:x": False,
    "http://[x": False, "%zz": False, "a#b#c": False, "1:2": False, ":": False, "http://:": False, "a[b]": False,
}  # fmt: skip
LANGUAGES = {
    "": True,
    "zh": True,
    "zh-Hans-CN": True,
    " en ": True,
    "zh_CN": False,
    "x" * 9: False,
    " ": False,
    "é": False,
}
NUMBERS = {
    "12": True,
    "-3": True,
    "+7": True,
    " 1 ": True,
    "1.5": False,
    "": False,
    "1e3": False,
    "--5": False,
    "１": False,
}
DECIMALS = {"12": True, ".5": True, "5.": True, "-.5": True, "1e3": False, "NaN": False, "": False, ".": False}
CASES = [
    (tag, value, is_right)
    for tag, table in (
        ("sent", TIMES),
        ("web", URIS),
        ("language", LANGUAGES),
        ("size", NUMBERS),
        ("altitude", DECIMALS),
    )
    for value, is_right in table.items()
]


def faults(data: bytes, dialect: Dialect = Dialect.CAP12) -> list[Fault]:
    root = parse_xml(data)
    assert not isinstance(root, Fault)
    return list(check_grammar(root, dialect))


@pytest.mark.parametrize(("tag", "value", "is_right"), CASES)
def test_a_value_is_right_or_wrong_as_its_xml_type_says(tag: str, value: str, *, is_right: bool):
    start = CAP.index(f"<{tag}>") + len(tag) + 2
    data = CAP[:start] + value + CAP[CAP.index(f"</{tag}>") :]
    assert (not faults(data.encode())) is is_right


@pytest.mark.parametrize(
    "tag", ["identifier", "sender", "sent", "status", "msgType", "scope", "event", "urgency", "areaDesc"]
)
def test_each_required_element_is_missed(tag: str):
    start, end = CAP.index(f"<{tag}>"), CAP.index(f"</{tag}>") + len(tag) + 3
    (fault, *_) = faults((CAP[:start] + CAP[end:]).encode())
    assert f"<{tag}>" in fault.en.partition("expected one of")[2]


def test_two_wrong_places_are_both_told():
    data = cap(("<source>值班室</source>", ""), ("<event>台风</event>", ""))
    assert [fault.path for fault in faults(cap(("<note>", "")) if "<note>" in CAP else data)] == [
        "/alert/info[1]/responseType[1]"
    ]
    both = cap(("<scope>Public</scope>", ""), ("<event>台风</event>", ""))
    assert [fault.path for fault in faults(both)] == ["/alert/code[1]", "/alert/info[1]/responseType[1]"]


def test_a_signature_may_come_last_and_nowhere_else():
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><x/></Signature>'
    assert faults(cap(("</alert>", f"{signature}</alert>"))) == []
    assert faults(cap(("<scope>", f"{signature}<scope>"))) != []
    assert faults(cap(("<info>", f"{signature}<info>"))) != []


def test_white_space_is_what_xml_says_it_is():
    assert faults(cap(("<scope>", " \t<scope>"))) == []
    assert faults(cap(("<scope>", "\u00a0<scope>"))) != []


def test_what_real_guotu_messages_do_is_a_warning_and_what_is_missing_is_not():
    assert faults(GUOTU.encode(), Dialect.GUOTU) != []
    assert {fault.intake for fault in faults(GUOTU.encode(), Dialect.GUOTU)} == {Gravity.WARNING}
    headless = GUOTU.replace("<identifier>13010041600000_20260802141500_1</identifier>", "").encode()
    assert Gravity.ERROR in {fault.intake for fault in faults(headless, Dialect.GUOTU)}


def test_lines_are_those_of_the_file():
    (fault,) = faults(cap(("<size>3<", "<size>three<")))
    assert fault.line == next(n for n, line in enumerate(CAP.splitlines(), 1) if "<size>" in line)
