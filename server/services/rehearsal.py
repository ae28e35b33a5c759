"""What a rule would do, before anybody is told: who, why, how many on which channel and where, and the very words.

Promises. Nothing is written about anybody. The figures come from the same steps that a real run takes. It ends after a
bounded time and says whether it saw everybody. Whose facts are shown as a sample finds it in their list of uses, and
the look is in the audit log, both before it is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from server.domain.audit import Event
from server.domain.broadcasts import CHANNELS, UNREACHABLE
from server.domain.china import china_day
from server.domain.delivery import first_channels
from server.domain.divisions import Divisions
from server.domain.facts import Facts, Kind, Value, day_of_number
from server.domain.offers import Offer
from server.domain.officers import Officer
from server.domain.outbox import Texts
from server.domain.rules import Live, Rule, scans
from server.domain.uses import User
from server.services.audit import Audit
from server.services.offer_notices import MADE, OfferNotices
from server.services.proactive import Ground, Proactive, named
from server.services.uses import Uses, user_of
from server.storage.citizens import Citizens
from server.storage.facts import Held

SAMPLES = 8
WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One person whom it would tell. `person` is a short name that says nothing; `why` the facts that matched."""

    person: str
    division: str
    why: Mapping[str, str]
    texts: Texts


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The figures. `found`: whose facts match; `would_tell`: offers; `known`: of these, offers that exist already."""

    rule: str
    day: date
    found: int
    would_tell: int
    known: int
    kept_back: Mapping[str, int]
    by_channel: Mapping[str, int]
    by_division: Mapping[str, int]
    samples: Sequence[Sample]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """Where looks at people are written down."""

    uses: Uses
    audit: Audit


@dataclass(frozen=True, slots=True)
class Stage:
    """What a real run works with."""

    engine: Proactive
    ground: Ground
    notices: OfferNotices


@dataclass(frozen=True, slots=True)
class City:
    """Who lives where, and what may be known."""

    citizens: Citizens
    divisions: Divisions
    facts: Facts


class Rehearsals:
    """Rehearses rules, released or not."""

    def __init__(self, stage: Stage, city: City, watched: Watched, clock: Callable[[], float]) -> None:
        self._engine, self._ground, self._notices = stage.engine, stage.ground, stage.notices
        self._citizens, self._divisions, self._facts = city.citizens, city.divisions, city.facts
        self._watched = watched
        self._clock = clock

    async def rehearse(self, by: Officer, rule: Rule, within_s: float = WITHIN_S) -> Rehearsal:
        """A full run of the rule for today, on paper."""
        day, ends, live = china_day(self._ground.now()), self._clock() + within_s, Live(rule, 0)
        found, is_complete = 0, True
        kept_back, channels, places = Counter[str](), Counter[str](), Counter[str]()
        told: dict[str, Offer] = {}
        shown: list[tuple[Offer, Held]] = []
        known = 0
        for scan in scans(rule, day, self._ground.calendar):
            async for page in self._ground.facts.scan(scan, named(rule)):
                judged = await self._engine.wanted(live, page, day)
                found += len(page)
                kept_back.update(judged.kept_back)
                fresh = [offer for offer in judged.offers if offer.id not in told]
                told |= {offer.id: offer for offer in fresh}
                known += len(await self._ground.offers.find([offer.id for offer in fresh]))
                await self._count(fresh, channels, places)
                held = {each.citizen: each for each in page}
                shown += [(offer, held[offer.citizen]) for offer in fresh[: SAMPLES - len(shown)]]
                if self._clock() > ends:
                    is_complete = False
                    break
        samples = await self._samples(by, rule, shown)
        return Rehearsal(
            rule.id, day, found, len(told), known, kept_back, channels, places, samples, is_complete=is_complete
        )  # fmt: skip

    async def _count(self, offers: Sequence[Offer], channels: Counter[str], places: Counter[str]) -> None:
        standing = next(each for each in self._notices.standing if each.template == MADE)
        people = {offer.citizen for offer in offers}
        members = await self._citizens.by_id(sorted(people))
        channels[UNREACHABLE] += len(people) - len(members)  # who left neither an address nor a place
        for member in members:
            first = first_channels(member.channels, standing.order, standing.policy, member.order)
            channels[first[0] if first else UNREACHABLE] += 1
            places[self._district(member.division)] += 1

    def _district(self, index: int) -> str:
        code = self._divisions.code_at(index) if index else ""
        return code[:6]

    async def _samples(self, by: Officer, rule: Rule, shown: Sequence[tuple[Offer, Held]]) -> list[Sample]:
        if not shown:
            return []
        user: User = user_of(by)
        fields = sorted(named(rule))
        await self._watched.audit.record(
            Event(by.id, "rule.rehearse", f"rule/{rule.id}", details={"samples": len(shown), "fields": len(fields)})
        )
        await self._watched.uses.note(
            [offer.citizen for offer, _ in shown], user, f"主动服务规则预演：{rule.title.zh}", fields, about=rule.id
        )
        return [
            Sample(
                person=offer.id[:6],
                division=self._district(held.division),
                why={name: self._words(name, value) for name, value in held.values.items()},
                texts=self._notices.texts(offer, rule),
            )
            for offer, held in shown
        ]

    def _words(self, fact: str, value: Value | Sequence[Value]) -> str:
        values = (value,) if isinstance(value, int | str) else value
        is_date = self._facts.by_id[fact].kind is Kind.DATE
        return ", ".join(day_of_number(int(each)).isoformat() if is_date else str(each) for each in values)


def as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """As officers get it."""
    return {
        "rule": rehearsal.rule,
        "day": rehearsal.day.isoformat(),
        "found": rehearsal.found,
        "would_tell": rehearsal.would_tell,
        "known": rehearsal.known,
        "kept_back": dict(rehearsal.kept_back),
        "by_channel": {channel: rehearsal.by_channel.get(channel, 0) for channel in (*CHANNELS, UNREACHABLE)},
        "by_division": dict(sorted(rehearsal.by_division.items())),
        "samples": [
            {"person": each.person, "division": each.division, "why": dict(each.why), "texts": each.texts}
            for each in rehearsal.samples
        ],
        "is_complete": rehearsal.is_complete,
    }
