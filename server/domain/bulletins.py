"""Public notices 公告 by topic and area: what one says, who may hear of it, and what leaves when it is published. Pure.

A *notice* is what one person gets; what the public reads is a bulletin. Promises: what two persons signed (`digest`) is
what is told, any change voids it; a version that was published stays in the history for good; each version makes
exactly one broadcast, whose id is made of the bulletin's and the version's number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from server.domain.broadcasts import Audience, Broadcast, Lane, Policy
from server.domain.broadcasts import digest as broadcast_digest
from server.domain.divisions import Divisions
from server.domain.errors import ConfigurationError, InvalidInputError
from server.domain.follows import asked_of
from server.domain.notices import Frame, Notice, notice_texts
from server.domain.officers import DIVISION, Officer
from server.domain.wording import Words

BULLETIN = r"[0-9a-f]{32}"
TOPIC = r"[a-z]{2,20}"
OPT_OUT = "bulletin"  # the topic that people switch off, and what all of these are part of
MAX_AREAS, MAX_VERSIONS = 20, 30
MAX_VALID = timedelta(days=2 * 366)
TOLD_WITHIN = timedelta(days=3)  # receipts are looked for among the broadcasts of three days
WAIT_S = 1_800.0  # nobody is in danger: half an hour before the next, dearer channel is tried
PAGE = "pages/bulletins/bulletins?id="  # of the mini-program
_NO_CONTROLS, _LINES = r"^[^\x00-\x1f\x7f]+$", r"^[^\x00-\x08\x0b-\x1f\x7f]+$"


def _fit_for_xml(text: str) -> str:
    """ValueError for the two characters of the basic plane that no XML document may hold."""
    if "\ufffe" in text or "\uffff" in text:
        raise ValueError("a character that is none")
    return text


_Text = Annotated[str, AfterValidator(_fit_for_xml)]
Division = Annotated[str, Field(pattern=DIVISION)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Topic(_Model):
    """One thing to follow. `lane`: how urgently it is told."""

    id: str = Field(pattern=f"^{TOPIC}$")
    group: str = Field(pattern=r"^[a-z_]{2,20}$")
    lane: Literal[Lane.REMINDER, Lane.DIGEST]
    zh: str = Field(min_length=1, max_length=20)
    en: str = Field(min_length=1, max_length=40)


class Group(_Model):
    """Topics that stand together."""

    id: str
    zh: str = Field(min_length=1, max_length=20)
    en: str = Field(min_length=1, max_length=40)


class Topics(_Model):
    """All of them, in the order in which they are shown. Build it with `load_bulletin_topics`."""

    topics: tuple[Topic, ...]
    groups: tuple[Group, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Topic]:
        """By their ids."""
        return {topic.id: topic for topic in self.topics}

    def get(self, topic: str) -> Topic:
        """One; InvalidInputError `bulletin_topic_unknown`."""
        found = self.by_id.get(topic)
        if found is None:
            raise InvalidInputError(
                "bulletin_topic_unknown", zh="没有这个公告主题", en="no such topic of public notices", field="topic"
            )
        return found


def load_bulletin_topics(data: Any) -> Topics:
    """The topics in what `data/bulletin_topics.yaml` holds; ConfigurationError says what is wrong."""
    try:
        found = Topics.model_validate(data)
    except ValidationError as error:
        raise _wrong(str(error)) from None
    if len(found.by_id) != len(found.topics):
        raise _wrong("a topic stands there twice")
    if strays := {topic.group for topic in found.topics} - {group.id for group in found.groups}:
        raise _wrong(f"no such group: {min(strays)}")
    return found


class Title(_Model):
    """A headline in both languages; English may be missing."""

    zh: _Text = Field(min_length=2, max_length=60, pattern=_NO_CONTROLS)
    en: _Text = Field(default="", max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")


class Body(_Model):
    """What it says, as plain text with line ends."""

    zh: _Text = Field(min_length=2, max_length=4_000, pattern=_LINES)
    en: _Text = Field(default="", max_length=6_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")


_CONTENT: JsonDict = {
    "topic": "water",
    "title": {"zh": "南头街道计划停水", "en": "Planned water outage in Nantou"},
    "body": {"zh": "11月25日9时至17时，因管网检修停水，请提前储水。", "en": "No water on 25 Nov, 9:00-17:00."},
    "areas": ["440305001"],
    "valid_from": "2026-11-25T09:00:00+08:00",
    "valid_until": "2026-11-25T17:00:00+08:00",
    "link": "https://water.sz.example/outages/42",
    "note": "",
}


class Content(_Model):
    """All that two persons sign. It is shown from its publication until `valid_until`."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": _CONTENT})

    topic: str = Field(pattern=f"^{TOPIC}$")
    title: Title
    body: Body
    areas: tuple[Division, ...] = Field(min_length=1, max_length=MAX_AREAS, description="codes of divisions")
    valid_from: AwareDatetime = Field(description="when what it tells of begins")
    valid_until: AwareDatetime = Field(description="when it ends, and leaves lists and feeds")
    link: _Text = Field(default="", max_length=500, pattern=r"^(https://[^\s<>\"\x00-\x1f]+)?$")
    note: _Text = Field(
        default="", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="of a correction: what changed"
    )

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        if not self.valid_from < self.valid_until <= self.valid_from + MAX_VALID:
            raise ValueError("valid_until comes after valid_from, within two years")
        return self


def digest(content: Content, unit: str) -> str:
    """SHA-256 of what is signed: the content and the code of the unit that says it."""
    signed = {"content": content.model_dump(mode="json"), "unit": unit}
    return hashlib.sha256(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS)).hexdigest()


def fitted(content: Content, topics: Topics, divisions: Divisions) -> Content:
    """The same with areas in one spelling; InvalidInputError for a topic or an area that does not exist."""
    topics.get(content.topic)
    codes = tuple(sorted({divisions.get(code).code for code in content.areas}))
    return content.model_copy(update={"areas": codes})


class State(StrEnum):
    """Of a bulletin, as officers see it."""

    DRAFT = "draft"  # nothing was published yet
    PUBLISHED = "published"  # there may be a draft of a correction beside it
    WITHDRAWN = "withdrawn"


class Source(_Model):
    """The unit that says it: that of the officer who drafted it."""

    code: str
    name: str
    name_en: str = ""


class Draft(_Model):
    """What is being written. `persons`: everybody who had a hand in it; none of them publishes it."""

    content: Content
    persons: tuple[str, ...]
    by: str = Field(description="account of the last editor")
    submitted: str = Field(default="", description="the digest that was handed in; any change empties it")


class Version(_Model):
    """One publication, for good."""

    number: int
    content: Content
    digest: str
    published_at: AwareDatetime
    by: str = Field(description="account of the approver")


class Withdrawal(_Model):
    """That it does not hold any more."""

    at: AwareDatetime
    by: str
    reason: str


class Bulletin(_Model):
    """One bulletin with all that ever happened to it. `edit` counts its writes; `pending` are broadcasts still to go.

    `stops`: it was withdrawn and its broadcasts may still run.
    """

    id: str
    source: Source
    edit: int
    edited_at: AwareDatetime
    draft: Draft | None = None
    versions: tuple[Version, ...] = ()
    withdrawal: Withdrawal | None = None
    pending: tuple[Broadcast, ...] = ()
    stops: bool = False

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.withdrawal is not None:
            return State.WITHDRAWN
        return State.PUBLISHED if self.versions else State.DRAFT

    @property
    def newest(self) -> Content:
        """What was written last: the draft, or what is published."""
        return self.draft.content if self.draft else self.versions[-1].content

    @property
    def areas(self) -> tuple[str, ...]:
        """All that it touches, published or drafted: what reach is asked for."""
        published = self.versions[-1].content.areas if self.versions else ()
        return tuple(sorted({*published, *self.newest.areas}))

    @property
    def broadcasts(self) -> tuple[str, ...]:
        """The ids of the broadcasts of all its versions."""
        return tuple(broadcast_id(self.id, version.number) for version in self.versions)

    @property
    def changed_at(self) -> datetime:
        """When the public saw the last change."""
        return self.withdrawal.at if self.withdrawal else self.versions[-1].published_at


def broadcast_id(bulletin: str, number: int) -> str:
    """The broadcast of one version."""
    return f"bulletin-{bulletin}.{number}"


def bulletin_of(broadcast: str) -> str | None:
    """The bulletin that a broadcast is of; None for any other."""
    name, _, number = broadcast.removeprefix("bulletin-").partition(".")
    is_one = broadcast.startswith("bulletin-") and len(name) == 32 and number.isdecimal()
    return name if is_one else None


def chain_of(bulletin: str) -> str:
    """What its versions have in common: on a phone a correction takes the place of what it corrects."""
    return f"bulletin-{bulletin}"


def source_of(officer: Officer) -> Source:
    """The unit that an officer speaks for."""
    return Source(code=officer.unit.code, name=officer.unit.name, name_en=officer.unit.name_en)


def broadcast_of(bulletin: Bulletin, version: Version, topic: Topic, divisions: Divisions, frame: Frame) -> Broadcast:
    """What leaves for a version: to those who follow, by one channel after the other, instead of what it corrects."""
    content, id_ = version.content, broadcast_id(bulletin.id, version.number)
    notice = Notice(
        title=Words(content.title.zh, content.title.en),
        body=Words(content.body.zh, content.body.en),
        page=f"{PAGE}{bulletin.id}",
        told_at=version.published_at,
    )
    lineages = [divisions.lineage(code) for code in content.areas]
    made = Broadcast(
        id=id_,
        kind="bulletin",
        subject=id_,
        chain=chain_of(bulletin.id),
        topic=f"{OPT_OUT}.{content.topic}",
        lane=topic.lane,
        policy=Policy.LADDER,
        wait_s=WAIT_S,
        texts=dict(notice_texts(notice, frame)),
        audience=Audience(divisions=content.areas, follows=asked_of(content.topic, lineages)),
        replaces=tuple(broadcast_id(bulletin.id, n) for n in range(1, version.number)),
        released_at=version.published_at,
        expires_at=min(content.valid_until, version.published_at + TOLD_WITHIN),
    )
    return made.model_copy(update={"digest": broadcast_digest(made)})


def shown_marks(content: Content, lineage: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    """What a shown bulletin is found by: `T:` all of a topic, `T:A` at or below A, `T=A` exactly A; `*` any topic."""
    lineages = [lineage(code) for code in content.areas]
    below = {code for each in lineages for code in each}
    places = {":", *(f":{code}" for code in below), *(f"={each[-1]}" for each in lineages)}
    return tuple(sorted(f"{topic}{place}" for topic in (content.topic, "*") for place in places))


def marks_about(topic: str | None, lineage: Sequence[str]) -> tuple[str, ...]:
    """The marks of shown bulletins that concern a division (its lineage; () = everywhere) on a topic (None = any)."""
    name = topic or "*"
    if not lineage:
        return (f"{name}:",)
    return (f"{name}:{lineage[-1]}", *(f"{name}={code}" for code in lineage[:-1]))


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(
        "bulletin_topics_invalid", zh=f"bulletin_topics.yaml有误：{what}", en=f"bulletin_topics.yaml: {what}"
    )
