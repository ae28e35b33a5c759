"""Offers and outcomes of rules on the wire, each with an example for the contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handlers.application_views import VIEW, ApplicationView
from server.domain.errors import InvalidInputError
from server.domain.offers import COUNTS, State, Tally
from server.domain.resources import Named
from server.services.offer_outcomes import RuleOutcomes
from server.services.offers import Accepted, OwnOffer
from server.services.rule_figures import CityFigures, Counted, published

ID = "9f86d081884c7d659a2feaa0c55ad015"
AT = "2026-11-24T09:30:00+08:00"
TOLD = tuple(name for name in COUNTS if name not in ("all", State.FOUND.value))
_OFFER: Mapping[str, Any] = {
    "id": ID, "rule": "elderly-allowance-80", "kind": "offer", "title": "您可以领取高龄津贴",
    "body": "已满80周岁，点一下即可申领", "state": "seen", "item": "elderly-allowance",
    "link": "/v1/items/elderly-allowance", "is_one_tap": True,
    "declares": ["我承诺所填内容真实，愿意承担相应责任"], "application": "", "found_at": AT,
    "expires_at": "2027-05-23T09:30:00+08:00",
}  # fmt: skip
_COUNTS = {
    "offered": 480, "seen": 310, "accepted": 205, "done": 190, "declined": 12, "lapsed": 40, "withdrawn": 0,
}  # fmt: skip
_OUTCOMES: Mapping[str, Any] = {"rule": "elderly-allowance-80", "found": 480, **_COUNTS, "counted_at": AT}
_RUN = {
    "version": 1, "day": "2026-11-24", "since": "2026-11-23", "state": "done", "found": 41, "new": 40, "done_at": AT,
}  # fmt: skip
_COUNTED: Mapping[str, Any] = {
    "rule": "elderly-allowance-80", "kind": "offer", "title": "您可以领取高龄津贴", "item": "elderly-allowance",
    "item_name": "高龄津贴", "is_one_tap": True, "offered": 480, "accepted": 205, "done": 190,
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER = re.compile(r"(\d{1,14})\.([0-9a-f]{32})", re.ASCII)


def _like(example: Mapping[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(example)})


class OffersQuery(BaseModel):
    """Which part of the own list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str = Field(default="", max_length=60, description="`next` of the page before", examples=[""])
    limit: int = Field(default=20, ge=1, le=100, examples=[20])

    @property
    def place(self) -> tuple[datetime, str] | None:
        """Where the page begins; InvalidInputError `cursor_invalid`."""
        if not self.after:
            return None
        match = _AFTER.fullmatch(self.after)
        if match is None:
            raise InvalidInputError(
                "cursor_invalid", zh="游标有误", en="this cursor is none of ours", field="after"
            )  # fmt: skip
        return _EPOCH + int(match[1]) * timedelta(milliseconds=1), match[2]


def write_place(place: tuple[datetime, str] | None) -> str | None:
    """The cursor of the next page; None: there is none."""
    return f"{(place[0] - _EPOCH) // timedelta(milliseconds=1)}.{place[1]}" if place else None


class AcceptForm(BaseModel):
    """What the citizen adds, if anything: a declaration, an account number."""

    model_config = _like({"form": {"truth": True}})

    form: Mapping[str, Any] = Field(default_factory=dict, max_length=100)


class OfferView(BaseModel):
    """An offer or a reminder."""

    model_config = _like(_OFFER)

    id: str
    rule: str
    kind: str = Field(description="offer or reminder")
    title: str
    body: str
    state: State
    item: str = Field(description='of the catalogue; "": there is nothing to apply for')
    link: str = Field(description="where the item is described")
    is_one_tap: bool = Field(description="免申即享: accepting hands the application in")
    declares: tuple[str, ...] = Field(description="what accepting agrees to: show it beside the button")
    application: str = Field(description='what it began; "": nothing yet')
    found_at: AwareDatetime
    expires_at: AwareDatetime

    @classmethod
    def of(cls, own: OwnOffer, language: str) -> OfferView:
        """In the caller's language."""
        offer, rule = own.offer, own.rule
        declares = tuple(each.get(language) for each in own.declares)
        return cls(
            id=offer.id, rule=rule.id, kind=rule.kind, title=own.title.get(language), body=own.body.get(language),
            state=offer.state, item=rule.item, link=f"/v1/items/{rule.item}" if rule.item else "",
            is_one_tap=rule.is_one_tap, declares=declares, application=offer.application,
            found_at=offer.found_at, expires_at=offer.expires_at,
        )  # fmt: skip


class OfferPage(BaseModel):
    """Some of the own ones, newest first."""

    model_config = _like({"offers": [_OFFER], "next": None})

    offers: tuple[OfferView, ...]
    next: str | None


class AcceptedView(BaseModel):
    """What accepting led to."""

    model_config = _like({"offer": {**_OFFER, "state": "accepted"}, "application": VIEW, "is_filed": True})

    offer: OfferView
    application: ApplicationView
    is_filed: bool = Field(description="it has a number; else it is a draft to be completed and handed in")

    @classmethod
    def of(cls, accepted: Accepted, language: str) -> AcceptedView:
        """In the caller's language."""
        return cls(
            offer=OfferView.of(accepted.own, language),
            application=ApplicationView.of_seen(accepted.seen, language),
            is_filed=accepted.is_filed,
        )


class RehearsalQuery(BaseModel):
    """Which version: without it the one on the desk, else the one in force."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int | None = Field(default=None, ge=1, le=999_999, examples=[1])


class RehearsalView(BaseModel):
    """What a rule would do today, before anybody is told."""

    model_config = _like(
        {
            "rule": "elderly-allowance-80", "day": "2026-11-24", "found": 41, "would_tell": 38, "known": 0,
            "kept_back": {"no_consent": 2, "applied": 1}, "by_channel": {"wechat": 30, "push": 4, "sms": 3,
            "unreachable": 1}, "by_division": {"440305": 38}, "samples": [{"person": "9f86d0", "division": "440305",
            "why": {"birth_date": "1946-11-24"}, "texts": {"push": {"zh": {"title": "您可以领取高龄津贴",
            "body": "已满80周岁，点一下即可申领"}}}}], "is_complete": True,
        }
    )  # fmt: skip

    rule: str
    day: str
    found: int = Field(description="people and things that the facts fit")
    would_tell: int = Field(description="offers that a run would make or has made")
    known: int = Field(description="of these, how many are there already")
    kept_back: Mapping[str, int]
    by_channel: Mapping[str, int] = Field(description="by the first channel that would be tried")
    by_division: Mapping[str, int]
    samples: tuple[Mapping[str, Any], ...] = Field(description="who is shown here reads that on the list of uses")
    is_complete: bool = Field(description="false: it took too long, and stopped before it had seen everybody")


class OutcomesView(BaseModel):
    """What became of a rule's offers: how many ever came so far."""

    model_config = _like(_OUTCOMES)

    rule: str
    found: int = Field(description="all that were made")
    offered: int
    seen: int
    accepted: int
    done: int
    declined: int
    lapsed: int
    withdrawn: int
    counted_at: AwareDatetime | None = Field(description="null: nothing was counted yet")

    @classmethod
    def of(cls, rule: str, tally: Tally) -> OutcomesView:
        """Of a tally."""
        counts = {name: tally.counts.get(name, 0) for name in TOLD}
        return cls(rule=rule, found=tally.counts.get("all", 0), **counts, counted_at=tally.counted_at)


class AllOutcomesView(BaseModel):
    """Of all rules that ever made an offer."""

    model_config = _like({"rules": [_OUTCOMES]})

    rules: tuple[OutcomesView, ...]


class RunView(BaseModel):
    """One run of a rule."""

    model_config = _like(_RUN)

    version: int
    day: str
    since: str | None = Field(description="the run before it; null: it looked at everybody")
    state: str
    found: int
    new: int
    done_at: AwareDatetime | None = None


class RuleOutcomesView(BaseModel):
    """Of one rule, with its newest runs."""

    model_config = _like({"outcomes": _OUTCOMES, "runs": [_RUN]})

    outcomes: OutcomesView
    runs: tuple[RunView, ...]

    @classmethod
    def of(cls, rule: str, found: RuleOutcomes) -> RuleOutcomesView:
        """As officers see it."""
        return cls(
            outcomes=OutcomesView.of(rule, found.tally), runs=tuple(RunView.model_validate(each) for each in found.runs)
        )


class CountedView(BaseModel):
    """A rule in force; numbers below ten are null: they would tell who."""

    model_config = _like(_COUNTED)

    rule: str
    kind: str
    title: str
    item: str
    item_name: str
    is_one_tap: bool
    offered: int | None
    accepted: int | None
    done: int | None

    @classmethod
    def of(cls, counted: Counted, language: str) -> CountedView:
        """As everybody reads it."""
        rule, counts = counted.rule, counted.tally.counts if counted.tally else {}
        return cls(
            rule=rule.id, kind=rule.kind, title=Named(zh=rule.title.zh[:60], en=rule.title.en[:120]).get(language),
            item=rule.item, item_name=counted.item.name.get(language) if counted.item else "",
            is_one_tap=rule.is_one_tap,
            **{name: published(counts.get(name, 0)) for name in ("offered", "accepted", "done")},
        )  # fmt: skip


class CityFiguresView(BaseModel):
    """主动服务: what the city has promised and what it does."""

    model_config = _like({"target": 446, "items": 446, "rules": [_COUNTED]})

    target: int = Field(description="of the plan")
    items: int = Field(description="items on offer of which the city speaks first")
    rules: tuple[CountedView, ...]

    @classmethod
    def of(cls, figures: CityFigures, language: str) -> CityFiguresView:
        """In the caller's language."""
        rules = tuple(CountedView.of(each, language) for each in figures.rules)
        return cls(target=figures.target, items=figures.items, rules=rules)
