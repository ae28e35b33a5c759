"""The form of an offer: filled in, with where each answer came from, and with what the tap declares.

Promises. Facts and the citizen's account fill the form (`server/domain/prefill.py`), nothing else. That they did is in
the log and on the citizen's list before the draft exists. A declaration holds the words that the offer shows: who
agreed, when, to which version of the item, and the words themselves, sealed into the application; the log has their
digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from server.domain.applications import Terms
from server.domain.audit import Event
from server.domain.china import china_day
from server.domain.citizens import Caller
from server.domain.facts import Facts, Statement, Value, winner
from server.domain.offers import Offer
from server.domain.prefill import ID_NUMBER, NAME, PHONE, declarations, digest_of, filled, shown
from server.domain.real_name import RealName
from server.domain.resources import Named
from server.domain.rules import ACCOUNT, Rule
from server.domain.uses import User
from server.services.application_steps import Ground
from server.services.applications import DECLARED, KNOWN
from server.services.uses import Uses
from server.storage.facts import FactStore


class Names(Protocol):
    """Verified names: `RealNameStore`."""

    async def find(self, citizen: int) -> RealName | None:
        """One person's; None: not verified."""
        ...


class Numbers(Protocol):
    """Bound telephones: `Citizens`."""

    async def addresses_of(self, citizen: int, channel: str) -> list[str]:
        """One person's on a channel, in E.164."""
        ...


@dataclass(frozen=True, slots=True)
class FormShelves:
    """What a form is filled in from."""

    facts: FactStore
    known: Facts
    names: Names
    numbers: Numbers
    uses: Uses


@dataclass(frozen=True, slots=True)
class Prepared:
    """A form and its evidence, as an application keeps it beside the answers of sources."""

    form: Mapping[str, Any]
    answers: Mapping[str, Any]


class OfferForms:
    """Prepares forms. `ground` is that of applications."""

    def __init__(self, ground: Ground, shelves: FormShelves) -> None:
        self._ground = ground
        self._shelves = shelves

    async def prepare(self, caller: Caller, offer: Offer, rule: Rule, given: Mapping[str, Any]) -> Prepared:
        """For the caller, who taps and has `given` some answers themselves. May be repeated."""
        counting = await self._counting(offer, rule)
        own = await self._own(offer.citizen, rule)
        values: dict[str, Value] = {name: each.value for name, each in counting.items() if each.value is not None}
        today = china_day(self._ground.now())
        terms = await self._ground.items.terms(rule.item)
        agreed = declarations(rule, terms.item.form)
        form = {**filled(rule, self._shelves.known, values, own, today), **dict.fromkeys(agreed, True), **given}
        known = {name: self._evidence(each) for name, each in counting.items()}
        known |= {name: self._of_account(value) for name, value in own.items()}
        if known:
            await self._note(caller, offer, rule, known)
        answers: dict[str, Any] = {KNOWN: known} if known else {}
        words = {name: each for name, each in agreed.items() if form[name] is True}
        if words:
            answers[DECLARED] = await self._declared(caller, offer, terms, words)
        return Prepared(form, answers)

    async def _counting(self, offer: Offer, rule: Rule) -> dict[str, Statement]:
        """By fact what fills a field: the statement that counts; of the anchor the one that the offer is about."""
        if not rule.prefill_facts:
            return {}
        stated = await self._shelves.facts.statements_of(offer.citizen)
        held = (await self._shelves.facts.find([offer.citizen])).get(offer.citizen)
        found: dict[str, Statement] = {}
        for fact in sorted(rule.prefill_facts):
            values = _values(held.values.get(fact)) if held else ()
            if fact == rule.anchor.fact:
                values = tuple(each for each in values if each == offer.occurrence)
            about = [each for each in stated if each.fact == fact and each.value in values]
            best = winner(about, self._shelves.known.by_id[fact])
            if best is not None and best.value is not None:
                found[fact] = best
        return found

    async def _own(self, citizen: int, rule: Rule) -> dict[str, str]:
        """What the form asks of the account and the account knows."""
        asked = {each for each in rule.prefill.values() if isinstance(each, str) and each.startswith(ACCOUNT)}
        own: dict[str, str] = {}
        if asked & {NAME, ID_NUMBER} and (person := await self._shelves.names.find(citizen)):
            own = {NAME: person.name, ID_NUMBER: person.number}
        if PHONE in asked and (numbers := await self._shelves.numbers.addresses_of(citizen, "sms")):
            own[PHONE] = numbers[0]
        return {name: value for name, value in own.items() if name in asked}

    def _evidence(self, found: Statement) -> dict[str, Any]:
        assert found.value is not None
        return {
            "value": shown(self._shelves.known, found.fact, found.value), "source": found.source,
            "as_of": found.as_of_at.isoformat(), "purpose": found.purpose,
        }  # fmt: skip

    def _of_account(self, value: str) -> dict[str, Any]:
        as_of = self._ground.now().isoformat()
        return {"value": value, "source": "account", "as_of": as_of, "purpose": "service_offers"}

    async def _note(self, caller: Caller, offer: Offer, rule: Rule, known: Mapping[str, Any]) -> None:
        """In the log and on the citizen's list before the draft exists."""
        application = f"application/{offer.application}"
        sources = ",".join(sorted({each["source"] for each in known.values()}))
        await self._ground.audit.record(
            Event(
                caller.account.public, "application.prefill", application,
                details={"rule": rule.id, "version": offer.version, "sources": sources, "fields": len(known)},
                key=f"{application}/prefill",
            )
        )  # fmt: skip
        user = User("system", rule.unit, ("系统预填", "filled in by the system"))
        purpose = f"主动服务预填：{rule.title.zh}"
        await self._shelves.uses.note([caller.id], user, purpose, sorted(known), about=offer.application)

    async def _declared(self, caller: Caller, offer: Offer, terms: Terms, words: Mapping[str, Named]) -> dict[str, Any]:
        """What the tap agrees to; in the log before the draft exists."""
        digest, application = digest_of(words), f"application/{offer.application}"
        await self._ground.audit.record(
            Event(
                caller.account.public, "application.declare", application,
                details={"item": terms.item.id, "version": terms.version, "texts": digest, "fields": ",".join(words)},
                key=f"{application}/declare",
            )
        )  # fmt: skip
        return {
            "by": caller.account.public, "at": self._ground.now().isoformat(), "rule": f"{offer.rule}@{offer.version}",
            "item_version": terms.version, "digest": digest,
            "texts": {name: {"zh": each.zh, "en": each.get("en")} for name, each in words.items()},
        }  # fmt: skip


def _values(found: Value | Sequence[Value] | None) -> tuple[Value, ...]:
    if found is None:
        return ()
    return (found,) if isinstance(found, int | str) else tuple(found)
