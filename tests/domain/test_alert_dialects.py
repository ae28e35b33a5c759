"""CAP and 国突 say the same alert: each is read and written without loss, and each survives the other."""

from __future__ import annotations

from decimal import Decimal
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from server.domain.alerts.cap import read_cap, to_cap
from server.domain.alerts.document import parse_xml
from server.domain.alerts.finding import Fault
from server.domain.alerts.grammar import check_grammar
from server.domain.alerts.guotu import in_kilometres, in_metres, read_guotu
from server.domain.alerts.guotu_writing import to_guotu
from server.domain.alerts.model import Alert, Info, Kept, NamedValue
from server.domain.alerts.reading import inspect, read
from server.domain.alerts.vocabulary import CAP12, Colour, Dialect, Severity
from tests.domain.alert_messages import CAP, GUOTU, alerts, bare, cap, guotu_messages


def tree(data: bytes) -> etree._Element:
    root = parse_xml(data)
    assert not isinstance(root, Fault), root
    return root


def without_empty_elements(root: etree._Element) -> etree._Element:
    for element in list(root.iter()):
        if len(element) == 0 and not element.text and not element.attrib:
            element.getparent().remove(element)
    return root


@given(alerts)
@settings(max_examples=80, deadline=None)
def test_every_alert_survives_cap(alert: Alert):
    assert read_cap(tree(to_cap(alert))) == alert


@given(alerts)
@settings(max_examples=80, deadline=None)
def test_every_alert_survives_guotu(alert: Alert):
    assert read_guotu(tree(to_guotu(alert))) == alert


@given(alerts)
@settings(max_examples=40, deadline=None)
def test_every_alert_survives_both_dialects_in_either_order(alert: Alert):
    assert read_guotu(tree(to_guotu(read_cap(tree(to_cap(alert)))))) == alert
    assert read_cap(tree(to_cap(read_guotu(tree(to_guotu(alert)))))) == alert


def test_a_cap_message_is_written_as_it_was_read():
    assert bare(tree(to_cap(read_cap(tree(cap()))))) == bare(tree(cap()))


def test_a_guotu_message_is_written_as_it_was_read_but_for_empty_elements():
    written = to_guotu(read_guotu(tree(GUOTU.encode())))
    assert bare(tree(written)) == bare(without_empty_elements(tree(GUOTU.encode())))


def test_a_guotu_message_survives_cap_with_its_misspelt_and_unknown_elements():
    through_cap = read_cap(tree(to_cap(read_guotu(tree(GUOTU.encode())))))
    assert bare(tree(to_guotu(through_cap))) == bare(without_empty_elements(tree(GUOTU.encode())))
    assert b"audenceprt" in to_guotu(through_cap)


def test_a_guotu_message_without_namespace_keeps_having_none():
    plain = GUOTU.replace(' xmlns="http://com.icss.amp"', "").encode()
    assert bare(tree(to_guotu(read_guotu(tree(plain))))) == bare(without_empty_elements(tree(plain)))


def test_what_a_guotu_message_means_in_cap():
    alert = read_guotu(tree(GUOTU.encode()))
    (info,) = alert.infos
    assert alert.sender == "13010041600000"
    assert alert.sent == "2026-08-02T14:15:00+08:00"
    assert alert.references == "13010041600000,13010041600000_20260802110000,2026-08-02T11:00:00+08:00"
    assert (info.severity, info.colour, info.event, info.event_code) == ("Severe", Colour.ORANGE, "暴雨", "11B03")
    assert info.categories == ("Met",)
    assert info.sender_name == "石家庄市气象台"
    assert info.areas[0].circles == ("38.04,114.53 1.5",)
    assert info.areas[0].divisions == ("130102", "130102001")
    assert alert.china is not None
    assert [method.method_name for method in alert.china.methods] == ["SMS", "WEB"]


def test_a_guotu_message_becomes_a_valid_cap_message():
    written = to_cap(read_guotu(tree(GUOTU.encode())))
    inspection = inspect(written)
    assert inspection.dialect is Dialect.CAP12
    assert not [finding for finding in inspection.findings if finding.code == "CAP-003"]


def test_what_a_cap_message_says_on_the_platform():
    root = tree(to_guotu(read_cap(tree(cap()))))
    text = {etree.QName(e).localname: e.text for e in root.iter() if etree.QName(e).namespace == "http://com.icss.amp"}
    assert text["sendTime"] == "2026-08-01 09:30:00+08:00"
    assert text["severity"] == "Red"
    assert text["circle"] == "22.55,114.05 3500"
    assert text["geocode"] == "440304,440304001"
    assert text["eventType"] == "11B01"
    assert (text["sender"], text["senderCode"]) == ("深圳市气象局", "44030041600000")


def test_a_strict_platform_gets_its_own_elements_only():
    root = tree(to_guotu(read_cap(tree(cap())), is_whole=False))
    assert {etree.QName(e).namespace for e in root.iter()} == {"http://com.icss.amp"}
    assert not any(e.attrib for e in root.iter())
    assert list(check_grammar(root, Dialect.GUOTU)) == []


def test_the_platform_gets_the_first_identifier_of_a_chain():
    references = "s,first,2026-08-01T09:00:00+08:00 s,second,2026-08-01T09:10:00+08:00"
    written = to_guotu(Alert(identifier="third", sender="s", sent="2026-08-01T09:20:00+08:00", references=references))
    assert tree(written).findtext("{http://com.icss.amp}references") == "first"
    assert read_guotu(tree(written)).references == references


def test_each_colour_is_its_severity_in_both_directions():
    for colour in Colour:
        assert Colour.of(colour.severity) is colour
        guotu = GUOTU.replace(">Orange<", f">{colour}<").encode()
        info = read_guotu(tree(guotu)).infos[0]
        assert (info.severity, info.colour) == (colour.severity, colour)
        assert info.parameter("预警级别") == f"{colour}; {colour.level}"
    assert Colour.of(Severity.UNKNOWN) is None


def test_a_colour_that_cap_has_no_severity_for_is_kept():
    white = read_guotu(tree(GUOTU.replace(">Orange<", ">White<").encode()))
    assert white.infos[0].severity == "Unknown"
    assert b"<severity>White</severity>" in to_guotu(read_cap(tree(to_cap(white))))


@given(st.decimals(min_value=0, max_value=99999, places=3).map(lambda d: f"22.5,114.1 {d.normalize():f}"))
def test_kilometres_and_metres_are_the_same_length(circle: str):
    metres = in_metres(circle)
    assert in_kilometres(metres) == circle
    assert Decimal(metres.split()[1]) == Decimal(circle.split()[1]) * 1000


def test_unknown_elements_attributes_and_a_signature_stay_in_their_place():
    signature = '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignatureValue>x</ds:SignatureValue></ds:Signature>'
    message = cap(
        ("<status>", '<x:stamp xmlns:x="urn:x" x:k="1"><y xmlns="">z</y></x:stamp><status lang="zh">'),
        ("<event>台风</event>", "<event>台<b>风</b></event><event>again</event>"),
        ("</alert>", f"{signature}</alert>"),
    )
    alert = read_cap(tree(message))
    assert alert.infos[0].event == "台风"
    assert bare(tree(to_cap(alert))) == bare(tree(message))


def test_what_stood_beside_a_field_that_is_gone_comes_last():
    alert = Alert(identifier="a", note="n", kept=(Kept(kind="element", tag="note", nth=1, text="<x/>"),))
    changed = alert.model_copy(update={"note": None})
    assert [etree.QName(e).localname for e in tree(to_cap(changed))][-1] == "x"


def test_a_text_that_was_changed_is_not_overwritten_by_what_was_kept():
    message = cap(("<event>台风</event>", "<event>台<b>风</b></event>"))
    alert = read_cap(tree(message))
    info = alert.infos[0].model_copy(update={"event": "暴雨"})
    written = to_cap(alert.model_copy(update={"infos": (info, *alert.infos[1:])}))
    assert tree(written).findtext(f".//{{{CAP12}}}event") == "暴雨"


def test_cap_1_1_is_read_and_becomes_cap_1_2():
    old = CAP.replace(CAP12, "urn:oasis:names:tc:emergency:cap:1.1").encode()
    reading = read(old)
    assert reading.dialect is Dialect.CAP11
    assert reading.alert == read(cap()).alert


def test_other_declared_encodings_are_read():
    expected = read(cap()).alert
    for encoding in ("gbk", "gb18030", "utf-16"):
        message = CAP.replace("UTF-8", encoding.upper()).encode(encoding)
        assert read(message).alert == expected, encoding
    assert read(b"\xef\xbb\xbf" + cap()).alert == expected


def test_a_strangers_code_that_looks_like_ours_stays_a_code():
    for code in (
        'huimin:guotu={"china":{}}x',
        'huimin:guotu={ "china":{"phone":"1"}}',
        "huimin:guotu=[]",
        "huimin:guotu={}",
    ):
        alert = Alert(identifier="a", codes=(code,))
        assert read_cap(tree(to_cap(alert))).codes == (code,)


def test_a_block_is_found_by_its_language():
    alert = Alert(infos=(Info(event="a"), Info(event="b", language="zh-CN")))
    zh, en = alert.info("zh"), alert.info("en-US")
    assert zh is not None
    assert en is not None
    assert (zh.event, en.event, alert.info("fr")) == ("b", "a", None)


@pytest.mark.parametrize("text", ["\0", "\x1b", "\ufffe", "\ud800"])
def test_a_model_cannot_hold_what_xml_cannot(text: str):
    with pytest.raises(ValidationError):
        NamedValue(value=text)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("element", "", "<a"),
        ("element", "", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&z;</a>"),
        ("content", "", ""),
        ("attribute", "a b", "x"),
        ("attribute", "xmlns", "urn:x"),
        ("attribute", "", "x"),
    ],
)
def test_nothing_can_be_kept_that_could_not_be_written(kind: str, name: str, text: str):
    with pytest.raises(ValidationError):
        Kept.model_validate({"kind": kind, "name": name, "text": text})
    mark = f'<k:item xmlns:k="urn:huimin:kept:1" kind="{kind}" name="{name}">{escape(text)}</k:item>'
    smuggled = GUOTU.replace("<phone>", f"{mark}<phone>")
    alert = read(smuggled.encode()).alert
    assert alert is not None
    assert read(to_cap(alert)).alert == alert


@given(guotu_messages())
@settings(max_examples=60, deadline=None)
def test_every_guotu_message_is_written_as_it_was_read_and_survives_cap(message: bytes):
    expected = bare(without_empty_elements(tree(message)))
    alert = read_guotu(tree(message))
    assert bare(tree(to_guotu(alert))) == expected
    assert bare(tree(to_guotu(read_cap(tree(to_cap(alert)))))) == expected
