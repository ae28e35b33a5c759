"""Messages of our own for the alert tests, and strategies that make whole alerts, right and wrong ones."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from lxml import etree

from server.domain.alerts.codec import canonical, slots, values_of
from server.domain.alerts.model import Alert, Area, China, Info, Kept, Method, NamedValue, Node, Resource
from server.domain.alerts.vocabulary import (
    CAP12,
    COLOUR_PARAMETER,
    DIVISION_CODE,
    EVENT_CODE,
    ISSUER_PARAMETER,
    XMLDSIG,
)

CAP = f"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="{CAP12}">
  <identifier>44030041600000_20260801093000</identifier>
  <sender>44030041600000</sender>
  <sent>2026-08-01T09:30:00+08:00</sent>
  <status>Actual</status>
  <msgType>Alert</msgType>
  <source>值班室</source>
  <scope>Public</scope>
  <code>profile:x</code>
  <incidents>台风海棠</incidents>
  <info>
    <language>zh-CN</language>
    <category>Met</category>
    <event>台风</event>
    <responseType>Shelter</responseType>
    <responseType>Avoid</responseType>
    <urgency>Immediate</urgency>
    <severity>Extreme</severity>
    <certainty>Observed</certainty>
    <eventCode><valueName>GB/T 35561</valueName><value>11B01</value></eventCode>
    <onset>2026-08-01T10:00:00+08:00</onset>
    <expires>2026-08-01T21:30:00+08:00</expires>
    <senderName>深圳市气象局</senderName>
    <headline>深圳市气象局发布台风红色预警</headline>
    <description>台风中心将于今天中午登陆，平均风力可达12级以上。</description>
    <instruction>请留在室内，关好门窗。</instruction>
    <web>https://weather.example.cn/a/1</web>
    <contact>0755-12121</contact>
    <parameter><valueName>预警级别</valueName><value>Red; I</value></parameter>
    <resource>
      <resourceDesc>路径图</resourceDesc><mimeType>image/png</mimeType><size>3</size>
      <derefUri>YWJj</derefUri><digest>a9993e364706816aba3e25717850c26c9cd0d89d</digest>
    </resource>
    <area>
      <areaDesc>福田区</areaDesc>
      <polygon>22.50,114.00 22.50,114.10 22.60,114.10 22.60,114.00 22.50,114.00</polygon>
      <circle>22.55,114.05 3.5</circle>
      <geocode><valueName>CPEAS Geographic Code</valueName><value>440304</value></geocode>
      <geocode><valueName>CPEAS Geographic Code</valueName><value>440304001</value></geocode>
      <altitude>0</altitude>
      <ceiling>300</ceiling>
    </area>
  </info>
  <info>
    <language>en-US</language>
    <category>Met</category>
    <event>Typhoon</event>
    <responseType>Shelter</responseType>
    <responseType>Avoid</responseType>
    <urgency>Immediate</urgency>
    <severity>Extreme</severity>
    <certainty>Observed</certainty>
    <eventCode><valueName>GB/T 35561</valueName><value>11B01</value></eventCode>
    <onset>2026-08-01T10:00:00+08:00</onset>
    <expires>2026-08-01T21:30:00+08:00</expires>
    <senderName>Shenzhen Meteorological Service</senderName>
    <headline>Red typhoon warning for Futian</headline>
    <description>The typhoon makes landfall at noon.</description>
    <instruction>Stay indoors and close the windows.</instruction>
    <contact>0755-12121</contact>
    <area>
      <areaDesc>Futian District</areaDesc>
      <polygon>22.50,114.00 22.50,114.10 22.60,114.10 22.60,114.00 22.50,114.00</polygon>
      <circle>22.55,114.05 3.5</circle>
      <geocode><valueName>CPEAS Geographic Code</valueName><value>440304</value></geocode>
      <geocode><valueName>CPEAS Geographic Code</valueName><value>440304001</value></geocode>
    </area>
  </info>
</alert>
"""

GUOTU = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="http://com.icss.amp">
  <identifier>13010041600000_20260802141500_1</identifier>
  <sender>石家庄市气象台</sender>
  <senderCode>13010041600000</senderCode>
  <phone>0311-12345</phone>
  <sendTime>2026-08-02 14:15:00+08:00</sendTime>
  <status>Actual</status>
  <msgType>Update</msgType>
  <scope>Public</scope>
  <code>
    <method>
      <methodName>SMS</methodName>
      <message>石家庄市气象台发布暴雨橙色预警，请勿前往低洼处。</message>
      <audienceGrp>责任人</audienceGrp>
      <audenceprt>长安区</audenceprt>
    </method>
    <method>
      <methodName>WEB</methodName>
      <message>暴雨橙色预警</message>
    </method>
  </code>
  <secClassification>None</secClassification>
  <note>雨势增强</note>
  <references>13010041600000_20260802110000</references>
  <platformStamp by="up">7</platformStamp>
  <info>
    <language>zh-CN</language>
    <eventType>11B03</eventType>
    <urgency>Unknown</urgency>
    <severity>Orange</severity>
    <certainty>Unknown</certainty>
    <effective>2026-08-02 14:15:00+08:00</effective>
    <onset/>
    <expires></expires>
    <senderName>王工</senderName>
    <headline>石家庄市气象台发布暴雨橙色预警[II级/严重]</headline>
    <description>预计未来3小时降雨量将达50毫米以上。</description>
    <instruction>切断低洼地带有危险的室外电源。</instruction>
    <resource><resourceDesc>雷达图.png</resourceDesc><size>12</size><digest>00ff</digest></resource>
    <area>
      <areaDesc>长安区</areaDesc>
      <circle>38.04,114.53 1500</circle>
      <geocode>130102,130102001</geocode>
    </area>
  </info>
</alert>
"""


def cap(*changes: tuple[str, str]) -> bytes:
    """The CAP message with some strings replaced, each of them once; a string that is not there is a mistake."""
    text = CAP
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


def bare(element: etree._Element) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """What a tree says, without white space between elements."""
    return [
        (str(e.tag), "" if len(e) and not (e.text or "").strip() else e.text or "", sorted(e.attrib.items()))
        for e in element.iter()
    ]


_words = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)
texts = st.one_of(_words, st.sampled_from(["", " ", "a,b c", "\r\n\t", "<br/>&amp;", "None", "台风", "]]>"]))
times = st.one_of(
    texts,
    st.sampled_from([
        "2026-08-01T09:30:00+08:00", "2026-08-01 09:30:00+08:00", "2026-08-01T01:30:00Z", "2026-08-01T01:30:00-00:00",
        "2026-08-01T01:30:00.5+08:00", "2026-08-01 09:30:00",
    ]),
)  # fmt: skip
_names = st.sampled_from(["{urn:x}a", "b", f"{{{XMLDSIG}}}Signature", f"{{{CAP12}}}zzz"])


@st.composite
def _xml(draw: st.DrawFn) -> str:
    element = etree.Element(draw(_names), draw(st.dictionaries(st.sampled_from(["k", "{urn:y}k"]), texts, max_size=1)))
    element.text = draw(texts)
    if draw(st.booleans()):
        etree.SubElement(element, draw(_names)).tail = draw(texts)
    return canonical(element)


@st.composite
def _with_kept(draw: st.DrawFn, nodes: st.SearchStrategy[Node]) -> Node:
    node = draw(nodes)
    places: list[tuple[str, int]] = [("", 0)]
    for slot in slots(type(node)).values():
        places += [(slot.tag, nth) for nth in range(1, len(values_of(node, slot)) + 1)]
    kept = []
    for index in sorted(draw(st.sets(st.integers(0, len(places) - 1), max_size=2))):
        tag, nth = places[index]
        if (not tag or slots(type(node))[tag].child is None) and draw(st.booleans()):
            kept.append(Kept(kind="attribute", tag=tag, nth=nth, name="{urn:z}k", text=draw(texts)))
        else:
            kept.append(Kept(kind="element", tag=tag, nth=nth, text=draw(_xml())))
    return node.model_copy(update={"kept": tuple(kept)})


def _many(strategy: st.SearchStrategy[object], most: int = 2) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


_maybe = st.none() | texts
_named = _with_kept(
    st.builds(
        NamedValue,
        value_name=st.sampled_from([DIVISION_CODE, EVENT_CODE, COLOUR_PARAMETER, ISSUER_PARAMETER]) | texts,
        value=st.sampled_from(["440300", "440304001", "Orange; II", "White", "11B03", "a,b"]) | texts,
    )
)
_resources = _with_kept(
    st.builds(Resource, resource_desc=texts, mime_type=texts, size=_maybe, uri=_maybe, deref_uri=_maybe, digest=_maybe)
)
_circles = st.sampled_from(["22.5,114 1.5", "22.5,114 10.0", "22.5,114 0", "22.5,114  0.0005", "x 1e3"]) | texts
_areas = _with_kept(
    st.builds(
        Area, area_desc=texts, polygons=_many(texts), circles=_many(_circles), geocodes=_many(_named, 3),
        altitude=_maybe, ceiling=_maybe,
    )
)  # fmt: skip
_infos = _with_kept(
    st.builds(
        Info,
        language=st.sampled_from([None, "zh-CN", "zh", "en-US", ""]) | texts,
        categories=_many(st.sampled_from(["Met", "Other"]) | texts),
        event=texts,
        response_types=_many(texts),
        urgency=texts,
        severity=st.sampled_from(["Extreme", "Severe", "Moderate", "Minor", "Unknown"]) | texts,
        certainty=texts,
        audience=_maybe,
        event_codes=_many(_named),
        effective=st.none() | times,
        onset=st.none() | times,
        expires=st.none() | times,
        sender_name=_maybe,
        headline=_maybe | st.just("深圳市气象局发布台风红色预警"),
        description=_maybe,
        instruction=_maybe,
        web=_maybe,
        contact=_maybe,
        parameters=_many(_named),
        resources=_many(_resources),
        areas=_many(_areas),
    )
)
_methods = st.builds(
    Method, method_name=texts, message=_maybe, audience_group=_maybe, audience_part=_maybe, is_misspelt=st.booleans(),
    group=st.integers(0, 2),
)  # fmt: skip
_china = st.builds(
    China, unit=_maybe, phone=_maybe, methods=_many(_methods), sec_classification=_maybe,
    namespace=st.sampled_from(["http://com.icss.amp", ""]),
)  # fmt: skip
alerts = _with_kept(
    st.builds(
        Alert,
        identifier=texts,
        sender=texts | st.just("44030041600000"),
        sent=times,
        status=texts,
        msg_type=texts,
        source=_maybe,
        scope=texts,
        restriction=_maybe,
        addresses=_maybe,
        codes=_many(texts | st.just('huimin:guotu={"china":{}}')),
        note=_maybe,
        references=_maybe
        | st.sampled_from(
            [
                "44030041600000_20260801093000",
                "44030041600000,44030041600000_20260801093000,2026-08-01T09:30:00+08:00",
                "a,b,2026-08-01T09:30:00+08:00 a,c,2026-08-01T09:31:00+08:00",
            ]
        ),
        incidents=_maybe,
        infos=_many(_infos, 3),
        china=st.none() | _china,
    )
)


_their_words = _words.map(str.strip).filter(bool)
_some = st.none() | _their_words
_their_times = st.sampled_from([None, "2026-08-02 14:15:00+08:00", "2026-08-02 23:59:59-01:00", "soon"])
_chains = st.sampled_from([None, "x", "13010041600000_20260802110000", "13010041600000_20269902110000"])
_HEAD = (
    ("identifier", _their_words), ("sender", _their_words), ("senderCode", st.none() | st.just("13010041600000")),
    ("phone", _some), ("sendTime", _their_times), ("status", st.just("Actual")), ("msgType", _their_words),
    ("scope", st.just("Public")),
)  # fmt: skip
_TAIL = (("secClassification", _some), ("note", _some), ("references", _chains))
_METHOD = (("methodName", _some), ("message", _some), ("audienceGrp", _some))
_PART = st.sampled_from(["audiencePrt", "audenceprt"])
_INFO = (
    ("language", st.just("zh-CN")), ("eventType", _some | st.just("11B03")), ("urgency", st.just("Unknown")),
    ("severity", st.sampled_from(["Red", "Blue", "Unknown", "White", "red"])), ("certainty", st.just("Unknown")),
    ("effective", _their_times), ("onset", _their_times), ("expires", _their_times), ("senderName", _some),
    ("headline", _some), ("description", _some), ("instruction", _some), ("web", _some),
)  # fmt: skip
_AREA = (
    ("areaDesc", _some), ("polygon", _some),
    ("circle", st.sampled_from([None, "38.04,114.53 1500", "38.04,114.53 0.5", "38.04,114.53", "a b c"])),
    ("geocode", st.sampled_from([None, "130102", "130102,130102001"])),
)  # fmt: skip


@st.composite
def guotu_messages(draw: st.DrawFn) -> bytes:
    """Messages as the platform's partners write them: empty tags, misspellings, strange levels, unknown elements."""
    namespace = draw(st.sampled_from(["http://com.icss.amp", ""]))

    def hold(parent: etree._Element | None, tag: str) -> etree._Element:
        name = f"{{{namespace}}}{tag}"
        return (
            etree.Element(name, nsmap={None: namespace} if namespace else None)
            if parent is None
            else etree.SubElement(parent, name)
        )

    def fill(parent: etree._Element, fields: Iterable[tuple[str, st.SearchStrategy[str | None]]]) -> None:
        for tag, values in fields:
            hold(parent, tag).text = draw(values)
            if draw(st.integers(0, 15)) == 0:
                etree.SubElement(parent, draw(st.sampled_from(["{urn:x}y", f"{{{namespace}}}odd"]))).text = "7"

    root = hold(None, "alert")
    fill(root, _HEAD)
    for _ in range(draw(st.integers(0, 2))):
        fill(hold(hold(root, "code"), "method"), (*_METHOD, (draw(_PART), _some)))
    fill(root, _TAIL)
    for _ in range(draw(st.integers(0, 2))):
        info = hold(root, "info")
        fill(info, _INFO)
        fill(hold(info, "area"), _AREA)
    return etree.tostring(root, encoding="UTF-8")
