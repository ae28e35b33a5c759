"""Rules in force, facts of citizens, and the engine that makes offers of them: for tests over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from server.assemble import Assembly
from server.assemble_proactive import ProactiveParts, prepare_facts, proactive
from server.domain.catalogue import Item
from server.domain.china import china_day
from server.domain.facts import Statement, day_number
from server.domain.rule_life import Hand, drafted, released, submitted
from server.domain.rules import Rule
from server.storage.catalogue import CatalogueStore
from server.storage.catalogues import load_facts
from tests.api.client import Client
from tests.domain.items import item

BIRTHDAY: dict[str, Any] = {
    "id": "elderly-80", "kind": "offer", "unit": "civil-affairs", "lane": "reminder", "period": "once",
    "title": {"zh": "您可以领取高龄津贴", "en": "Allowance for over 80"},
    "body": {"zh": "已满80周岁，点一下即可申领", "en": "You are 80: one tap and it is applied for"},
    "when": [{"fact": "birth_date", "after": {"years": 80}, "days": [None, 0]}],
    "lasts_days": 180, "item": "elder-allowance", "prefill": {"birth_day": "birth_date"}, "is_one_tap": True,
}  # fmt: skip
CARD: dict[str, Any] = {
    "id": "id-card", "kind": "reminder", "unit": "police", "lane": "reminder", "period": "occurrence",
    "title": {"zh": "身份证快到期", "en": "Your ID card runs out"}, "body": {"zh": "到期{date}", "en": "On {date}"},
    "when": [{"fact": "id_card_until", "days": [0, 30]}], "lasts_days": 40,
}  # fmt: skip
BIRTH_DAY = {"id": "birth_day", "kind": "day", "label": {"zh": "出生日期", "en": "Born on"}}
TRUTH = {"id": "truth", "kind": "declaration", "label": {"zh": "情况属实", "en": "It is true"}}


def allowance(*more: dict[str, Any], **change: Any) -> Item:
    """An item that a birth date alone may be enough for."""
    return item(workflow="proactive", form={"fields": [BIRTH_DAY, *more]}, modes=["online", "proactive"], **change)


def years_ago(day: date, years: int, days: int = 0) -> int:
    """The day number of a birth date. The 29th of February becomes the 28th."""
    day = day if (day.month, day.day) != (2, 29) else day.replace(day=28)
    return day_number(day.replace(year=day.year - years)) + days


class OfferTown:
    """One process's engine, with rules in force and people who agreed to be told."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.parts: ProactiveParts = proactive(assembly)

    async def ready(self, rules: Sequence[dict[str, Any]] = (BIRTHDAY,), *items: Item) -> None:
        """Put these in force, with what they lead to."""
        await prepare_facts(self.assembly)
        await CatalogueStore(self.assembly.db).publish_all(items or [allowance()], "test", "", self.now())
        for rule in rules:
            await self.release(Rule.model_validate(rule))

    async def release(self, rule: Rule, version: int = 1) -> None:
        """As two people would."""
        author, other, at, store = Hand("a", "p-a"), Hand("b", "p-b"), self.now(), self.parts.rules
        draft = drafted(rule, version, author, at)
        assert await store.insert(draft)
        waiting = submitted(draft, author, at)
        assert await store.swap(draft, waiting)
        assert await store.release(waiting, released(waiting, waiting.digest, other, at))

    def now(self) -> datetime:
        """The time."""
        return self.assembly.now()

    async def knows(self, citizen: int, **facts: int | str | bool | None) -> None:
        """The usual source states these facts, now, of somebody who agrees to be told."""
        await self.assembly.consents.give(citizen, "service_offers", 1)
        known = load_facts().by_id
        await self.parts.facts.apply(
            [Statement(citizen, name, value, known[name].sources[0], self.now()) for name, value in facts.items()]
        )

    async def is_eighty(self, citizen: int) -> None:
        """Today."""
        await self.knows(citizen, birth_date=years_ago(china_day(self.now()), 80))

    async def run(self) -> None:
        """The rules are run for today."""
        await self.parts.engine.schedule()
        await self.parts.engine.run_open()

    async def offer_of(self, citizen: int) -> str:
        """The id of their newest offer."""
        return (await self.parts.offers.page_of(citizen, None, 1))[0].id


async def make_offer(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """An offer of theirs, made anew each time, of an item that nothing else is about."""
    town, gift = OfferTown(assembly), allowance(id="birthday-gift", code="440300-11440300MB2C92027E-101099")
    for name in ("rules", "offers", "runs"):
        await assembly.db[name].delete_many({})
    await town.ready([BIRTHDAY | {"item": gift.id, "unless_applied": False}], gift)
    await town.is_eighty(owner)
    await town.run()
    return {"offer": await town.offer_of(owner)}
