"""Facts: what departments state (/v1/partners/facts), what is known of the caller (/v1/me/facts), objections."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.fact_feeds import SAID, Refused
from server.domain.fact_objections import MAX_TEXT, Objection
from server.domain.facts import Kind, day_of_number
from server.domain.wording import Words
from server.services.own_facts import Asked, Known, ObjectionDesk, OwnFacts
from server.services.partner_facts import HandedIn, PartnerFacts, Signed

JSON_LINES = ("application/x-ndjson", "application/jsonl")
FACTS_BYTES = 5 * 1_048_576
_REFUSED = {"line": 3, "code": "date_wrong", "field": "value", "detail": "日期有误"}
_KNOWN = {
    "fact": "id_card_until",
    "title": "身份证有效期",
    "kind": "date",
    "value": "2031-05-01",
    "value_title": "",
    "holds": True,
    "thing": "",
    "source": "population",
    "source_title": "人口库",
    "as_of": "2026-11-24T01:30:05Z",
    "purpose": "service_offers",
    "is_used": True,
    "is_disputed": False,
    "is_in_conflict": False,
}
_OBJECTION = {
    "id": "9f86d081884c7d659a2feaa0c55ad015",
    "fact": "id_card_until",
    "text": "证件已于上月换领",
    "at": "2026-11-24T01:30:05Z",
    "is_open": True,
    "answer": "",
    "answered_at": None,
}


def _like(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class RefusedView(BaseModel):
    """A line that was refused. What stood in it is not repeated."""

    model_config = _like(_REFUSED)

    line: int = Field(description="from 1")
    code: str = Field(description="stable")
    field: str = Field(description="the field that is at fault, if it is one")
    detail: str = Field(description="in the caller's language")

    @classmethod
    def of(cls, each: Refused, language: str) -> RefusedView:
        """As the partner reads it."""
        return cls(line=each.number, code=each.why.value, field=each.field, detail=SAID[each.why].get(language))


class FactsTaken(BaseModel):
    """Every line that is not among the refused ones is taken. Whether a person is known here is not told."""

    model_config = _like({"lines": 3, "taken": 2, "refused": [_REFUSED], "refused_count": 1})

    lines: int
    taken: int
    refused: tuple[RefusedView, ...] = Field(description="the first 5,000 of them")
    refused_count: int

    @classmethod
    def of(cls, found: HandedIn, language: str) -> FactsTaken:
        """Of a request."""
        refused = tuple(RefusedView.of(each, language) for each in found.refused)
        taken = found.lines - found.refused_count
        return cls(lines=found.lines, taken=taken, refused=refused, refused_count=found.refused_count)


class KnownView(BaseModel):
    """One thing that a source states."""

    model_config = _like(_KNOWN)

    fact: str
    title: str = Field(description="in the caller's language")
    kind: Kind
    value: str | int | bool | None = Field(description="a date as 2026-11-24; null: it does not hold any more")
    value_title: str = Field(description='a choice in words, in the caller\'s language; "" = the value says it')
    holds: bool
    thing: str = Field(description='which one, of a fact of several things; as a number without meaning. "" = none')
    source: str = Field(description="who states it")
    source_title: str = Field(description="in words, in the caller's language")
    as_of: datetime = Field(description="the source's own word on how fresh it is")
    purpose: str = Field(description="the consent under which it is kept")
    is_used: bool = Field(description="services are offered by it now")
    is_disputed: bool = Field(description="objected to: not used until the source states it anew")
    is_in_conflict: bool = Field(description="sources say different things")

    @classmethod
    def of(cls, each: Known, language: str) -> KnownView:
        """As somebody reads it."""
        fact, said = each.fact, each.statement
        value = said.value
        if fact.kind is Kind.DATE and value is not None:
            value = day_of_number(int(value)).isoformat()
        words = fact.choices.get(str(value))
        return cls(
            fact=fact.id, title=fact.zh if language == "zh" else fact.en, kind=fact.kind, value=value,
            value_title=Words(*words).get(language) if words else "", holds=value is not None, thing=said.thing,
            source=said.source, source_title=each.source.get(language), as_of=said.as_of_at, purpose=said.purpose,
            is_used=each.is_used, is_disputed=each.is_disputed, is_in_conflict=each.is_in_conflict,
        )  # fmt: skip


class ObjectionView(BaseModel):
    """What somebody said against a fact, and what was answered."""

    model_config = _like(_OBJECTION)

    id: str
    fact: str
    text: str
    at: datetime
    is_open: bool
    answer: str
    answered_at: datetime | None

    @classmethod
    def of(cls, each: Objection) -> ObjectionView:
        """Of a stored one."""
        return cls(**_said(each))


class KnownFacts(BaseModel):
    """All of it."""

    model_config = _like({"facts": [_KNOWN], "objections": [_OBJECTION]})

    facts: tuple[KnownView, ...]
    objections: tuple[ObjectionView, ...]


class ObjectionText(BaseModel):
    """Words of an objection, or of its answer."""

    model_config = _like({"text": "证件已于上月换领"})

    text: str = Field(min_length=1, max_length=MAX_TEXT)


class AskedView(ObjectionView):
    """An objection as an officer sees it, with what is stated of the fact."""

    model_config = _like(_OBJECTION | {"division": "440305", "stated": [_KNOWN]})

    division: str
    stated: tuple[KnownView, ...]

    @classmethod
    def seen(cls, each: Asked, language: str) -> AskedView:
        """In the officer's language."""
        stated = tuple(KnownView.of(known, language) for known in each.known)
        return cls(**_said(each.objection), division=each.objection.division, stated=stated)


class ObjectionsPage(BaseModel):
    """Longest waiting first; ask again with `after=next`."""

    model_config = _like({"objections": [_OBJECTION | {"division": "440305", "stated": [_KNOWN]}], "next": None})

    objections: tuple[AskedView, ...]
    next: str | None


class ObjectionsQuery(BaseModel):
    """Which ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_open: bool = Field(default=True, examples=[True], description="false: those that were answered")
    after: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$", examples=["9f86d081884c7d659a2feaa0c55ad015"])
    limit: int = Field(default=50, ge=1, le=200, examples=[50])


class PartnerFactsHandler(ApiHandler):
    """/v1/partners/facts."""

    def initialize(self, facts: PartnerFacts) -> None:
        """`facts` checks and keeps."""
        self.facts = facts

    async def post(self) -> None:
        """JSON lines, signed as Standard Webhooks has it."""
        headers = self.request.headers
        signed = Signed(*(headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")))
        found = await self.facts.take(self.partner, signed, self.request.body)
        self.respond(FactsTaken.of(found, self.language))


class OwnFactsHandler(ApiHandler):
    """/v1/me/facts."""

    def initialize(self, own: OwnFacts) -> None:
        """`own` holds the verbs."""
        self.own = own

    async def get(self) -> None:
        """What departments state of the caller."""
        known, objections = await self.own.show(self.caller.id)
        self.respond(
            KnownFacts(
                facts=tuple(KnownView.of(each, self.language) for each in known),
                objections=tuple(map(ObjectionView.of, objections)),
            )
        )


class ObjectionHandler(ApiHandler):
    """/v1/me/facts/{fact}/objection."""

    def initialize(self, own: OwnFacts) -> None:
        """`own` holds the verbs."""
        self.own = own

    async def post(self, fact: str) -> None:
        """It is wrong."""
        found = await self.own.object(self.caller, fact, self.given(ObjectionText).text)
        self.respond(ObjectionView.of(found), 201)


class ObjectionsHandler(ApiHandler):
    """/v1/staff/fact-objections."""

    def initialize(self, desk: ObjectionDesk) -> None:
        """`desk` holds the verbs."""
        self.desk = desk

    async def get(self) -> None:
        """Those within the officer's reach."""
        asked = self.asked(ObjectionsQuery)
        found = await self.desk.page(self.officer, asked.after, asked.limit, is_open=asked.is_open)
        more = found[-1].objection.id if len(found) == asked.limit else None
        self.link_next({"after": more})
        seen = tuple(AskedView.seen(each, self.language) for each in found)
        self.respond(ObjectionsPage(objections=seen, next=more))


class AnswerHandler(ApiHandler):
    """/v1/staff/fact-objections/{objection}/answer."""

    def initialize(self, desk: ObjectionDesk) -> None:
        """`desk` holds the verbs."""
        self.desk = desk

    async def post(self, objection: str) -> None:
        """Answer it."""
        found = await self.desk.answer(self.officer, objection, self.given(ObjectionText).text)
        self.respond(ObjectionView.of(found))


def _said(each: Objection) -> dict[str, Any]:
    return {
        "id": each.id, "fact": each.fact, "text": each.text, "at": each.at, "is_open": each.is_open,
        "answer": each.answer, "answered_at": each.answered_at,
    }  # fmt: skip
