"""What an alert is: CAP 1.2, all of it, plus what the national platform (国突) says beyond it.

Fields are CAP's, in the schema's order (the readers and writers rely on that order), with CAP's names as aliases. A
field holds the text as it was sent, right or wrong, so that a message can be written again as it came and a wrong value
can be reported instead of lost; the typed view is a property beside it (`sent` is text, `sent_at` an aware UTC
datetime). What no field can hold (unknown elements and attributes, an XML signature) is `kept` in place.

Promise: all of it is frozen, all of it survives `to_cap` and `to_guotu`, and no text holds a character XML forbids.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Literal, NamedTuple

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from server.domain.alerts.document import secure_parser
from server.domain.alerts.vocabulary import (
    COLOUR_PARAMETER,
    DIVISION_CODE,
    EVENT_CODE,
    GUOTU,
    Colour,
    MsgType,
    Scope,
    Severity,
    Status,
)

Text = Annotated[str, Field(pattern=r"^[\t\n\r\x20-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]*$")]
_TIME = re.compile(r"\s*(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*(Z|[-+]\d\d:\d\d)\s*", re.ASCII)


class Reference(NamedTuple):
    """One entry of `references`. A 国突 message names the identifier only; then the others are empty."""

    sender: str
    identifier: str
    sent: str

    def __str__(self) -> str:
        return f"{self.sender},{self.identifier},{self.sent}"


class Node(BaseModel):
    """An element that holds others. `kept` is what the model has no field for."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    kept: tuple[Kept, ...] = ()

    @field_validator("kept")
    @classmethod
    def _in_order(cls, kept: tuple[Kept, ...]) -> tuple[Kept, ...]:
        return tuple(sorted(kept, key=lambda item: item.home))  # each dialect reads its own first: one order for both


class Kept(BaseModel):
    """An element, an attribute or a mixed content that the model does not know, and where it stood.

    kind `element`: `text` is its XML, it stands after the `nth` (from 1) `tag`, or first if `tag` is "".
    kind `attribute`: `name`="`text`" on the `nth` `tag`, or on the node itself if `tag` is "".
    kind `content`: the `nth` `tag` held elements inside its text; `text` is its XML.
    `home` says whose it is: CAP cannot hold 国突's unknown elements in place, nor the other way round.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["element", "attribute", "content"]
    text: Text
    tag: Text = ""
    nth: int = 0
    name: Text = ""
    home: Literal["cap", "guotu"] = "cap"

    @model_validator(mode="after")
    def _can_be_written(self) -> Kept:
        try:
            if self.kind == "attribute":
                copy = etree.Element("x")
                copy.set(self.name, self.text)
                is_read_again = etree.fromstring(etree.tostring(copy), secure_parser()).get(self.name) == self.text
                if not is_read_again:  # xmlns would change the names around it
                    raise ValueError(f"{self.name} is no attribute")  # noqa: TRY301 - one place says what is wrong
            else:
                etree.fromstring(self.text, secure_parser())
        except (etree.XMLSyntaxError, ValueError) as error:
            raise ValueError(f"not XML: {error}") from None
        return self


class NamedValue(Node):
    """An eventCode, a parameter or a geocode."""

    value_name: Text = Field(default="", alias="valueName")
    value: Text = ""


class Resource(Node):
    """A file that belongs to an info block."""

    resource_desc: Text = Field(default="", alias="resourceDesc")
    mime_type: Text = Field(default="", alias="mimeType")
    size: Text | None = None
    uri: Text | None = None
    deref_uri: Text | None = Field(default=None, alias="derefUri")
    digest: Text | None = None


class Area(Node):
    """Where. Polygons are "lat,lon lat,lon ...", circles "lat,lon radius_km", both WGS-84; altitudes are feet."""

    area_desc: Text = Field(default="", alias="areaDesc")
    polygons: tuple[Text, ...] = Field(default=(), alias="polygon")
    circles: tuple[Text, ...] = Field(default=(), alias="circle")
    geocodes: tuple[NamedValue, ...] = Field(default=(), alias="geocode")
    altitude: Text | None = None
    ceiling: Text | None = None

    @property
    def divisions(self) -> tuple[str, ...]:
        """The division codes (GB/T 2260 and below) among the geocodes."""
        return tuple(code.value.strip() for code in self.geocodes if code.value_name == DIVISION_CODE)


class Info(Node):
    """What happens, in one language."""

    language: Text | None = None
    categories: tuple[Text, ...] = Field(default=(), alias="category")
    event: Text = ""
    response_types: tuple[Text, ...] = Field(default=(), alias="responseType")
    urgency: Text = "Unknown"
    severity: Text = "Unknown"
    certainty: Text = "Unknown"
    audience: Text | None = None
    event_codes: tuple[NamedValue, ...] = Field(default=(), alias="eventCode")
    effective: Text | None = None
    onset: Text | None = None
    expires: Text | None = None
    sender_name: Text | None = Field(default=None, alias="senderName")
    headline: Text | None = None
    description: Text | None = None
    instruction: Text | None = None
    web: Text | None = None
    contact: Text | None = None
    parameters: tuple[NamedValue, ...] = Field(default=(), alias="parameter")
    resources: tuple[Resource, ...] = Field(default=(), alias="resource")
    areas: tuple[Area, ...] = Field(default=(), alias="area")

    @property
    def colour(self) -> Colour | None:
        """The level: the parameter 预警级别 if the sender said it, else what the severity means."""
        said = (self.parameter(COLOUR_PARAMETER) or "").partition(";")[0].strip()
        return Colour(said) if said in {*Colour} else Colour.of(self.severity)

    @property
    def event_code(self) -> str | None:
        """The national event code (11B01), if given."""
        return next((code.value for code in self.event_codes if code.value_name == EVENT_CODE), None)

    @property
    def effective_at(self) -> datetime | None:
        """When the information takes effect."""
        return parse_time(self.effective)

    @property
    def onset_at(self) -> datetime | None:
        """When the event is expected to begin."""
        return parse_time(self.onset)

    @property
    def expires_at(self) -> datetime | None:
        """When the information ends."""
        return parse_time(self.expires)

    def parameter(self, value_name: str) -> str | None:
        """The first value of a parameter."""
        return next((p.value for p in self.parameters if p.value_name == value_name), None)


class Method(Node):
    """国突 code/method: what one channel should say, and to whom."""

    method_name: Text = Field(default="", alias="methodName")
    message: Text | None = None
    audience_group: Text | None = Field(default=None, alias="audienceGrp")
    audience_part: Text | None = Field(default=None, alias="audiencePrt")
    is_misspelt: bool = Field(default=False, description="the sender wrote audenceprt, as real systems do")
    group: int = Field(default=0, description="which of several <code> elements it stood in")


class China(BaseModel):
    """What the national platform says about the whole message and CAP cannot."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    unit: Text | None = Field(default=None, description="国突 sender: the name of the issuing unit")
    phone: Text | None = None
    methods: tuple[Method, ...] = ()
    sec_classification: Text | None = Field(default=None, alias="secClassification", description="None | Inner")
    namespace: Text = Field(default=GUOTU, description="real messages use this one or none")


class Alert(Node):
    """One message of a chain. Times are text as CAP writes it; see `cap_time`."""

    identifier: Text = ""
    sender: Text = ""
    sent: Text = ""
    status: Text = Status.ACTUAL.value
    msg_type: Text = Field(default=MsgType.ALERT.value, alias="msgType")
    source: Text | None = None
    scope: Text = Scope.PUBLIC.value
    restriction: Text | None = None
    addresses: Text | None = None
    codes: tuple[Text, ...] = Field(default=(), alias="code")
    note: Text | None = None
    references: Text | None = None
    incidents: Text | None = None
    infos: tuple[Info, ...] = Field(default=(), alias="info")
    china: China | None = None

    @property
    def sent_at(self) -> datetime | None:
        """When it was sent; None if nobody can read `sent`."""
        return parse_time(self.sent)

    @property
    def reference(self) -> Reference:
        """How another message refers to this one."""
        return Reference(self.sender, self.identifier, self.sent)

    @property
    def referenced(self) -> tuple[Reference, ...]:
        """The messages this one refers to, in order; what is no triple counts as a bare identifier."""
        found = []
        for word in (self.references or "").split():
            parts = word.split(",")
            found.append(Reference(*parts) if len(parts) == 3 else Reference("", word, ""))
        return tuple(found)

    @property
    def expires_at(self) -> datetime | None:
        """When the last info block ends; None if one of them says no end."""
        ends = [info.expires_at for info in self.infos]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def severity(self) -> Severity:
        """The worst severity of its info blocks."""
        said = {info.severity for info in self.infos}
        return next((level for level in Severity if level in said), Severity.UNKNOWN)

    def info(self, language: str) -> Info | None:
        """The block of a language ("zh" finds "zh-CN"); CAP's default language is en-US."""
        wanted = language.lower()
        for info in self.infos:
            tag = (info.language or "en-US").strip().lower()
            if tag == wanted or tag.startswith(f"{wanted}-"):
                return info
        return None


def parse_time(text: str | None) -> datetime | None:
    """An aware UTC datetime from a time as either dialect writes it (T or space, Z and fractions too), else None."""
    match = _TIME.fullmatch(text or "")
    if not match:
        return None
    try:
        return datetime.fromisoformat("T".join(match.group(1, 2)) + match.group(3)).astimezone(UTC)
    except (ValueError, OverflowError):  # the 32nd of a month; the year 0
        return None


def cap_time(at: datetime, zone: tzinfo) -> str:
    """An aware time as CAP writes it in `zone`: whole seconds, never Z, UTC as -00:00 (CAP 1.2, 3.3.2)."""
    text = at.astimezone(zone).isoformat(timespec="seconds")
    return text[:-6] + "-00:00" if text.endswith("+00:00") else text


def colour_parameter(colour: Colour) -> NamedValue:
    """The parameter that carries the colour through CAP: 预警级别 = "Orange; II"."""
    return NamedValue(value_name=COLOUR_PARAMETER, value=f"{colour}; {colour.level}")
