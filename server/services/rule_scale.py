"""Rules of any number for the scale test: varied like those of `data/rules`, over the facts that there are.

446 services that come to the citizen is what the plan asks for; an engine is only as good as with all of them at once.
Seeded: the same call makes the same rules. Each of them has no fault (`domain.rule_faults`), which a test proves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from server.domain.broadcasts import Lane
from server.domain.facts import Fact, Facts, Kind
from server.domain.rules import Period, Rule

OWN = "service_offers"  # the consent that every rule needs
LANES = (Lane.DIGEST,) * 6 + (Lane.REMINDER,) * 3 + (Lane.TRANSACTIONAL,)
AHEAD = (7, 15, 30, 30, 30, 60, 90)  # days: how long before its date a thing is told
AGES = (3, 6, 14, 16, 18, 22, 35, 40, 46, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100)
SINCE = (1, 3, 6, 12, 24, 36)  # months after something happened
MONTHS = (6, 12, 24, 36, 60, 120, 180, 240, 300)  # of insurance, fund or residence
PAST = ("_on", "_since", "birth_date")  # how dates are called on which something happened


def generated_rules(count: int, seed: int, facts: Facts, items: Mapping[str, str]) -> list[Rule]:
    """So many rules. `items`: ids of catalogue items, each with its unit; an offer leads to one of them."""
    dice = Random(seed)  # noqa: S311 - made-up rules
    anchors = [fact for fact in facts.facts if fact.is_indexed]
    others = [fact for fact in facts.facts if fact.kind in (Kind.CHOICE, Kind.FLAG, Kind.NUMBER)]
    return [_rule(dice, number, anchors[number % len(anchors)], others, items) for number in range(count)]


def _rule(dice: Random, number: int, anchor: Fact, others: Sequence[Fact], items: Mapping[str, str]) -> Rule:
    also = [fact for fact in dice.sample(others, dice.choice((0, 0, 1, 1, 2))) if fact.id != anchor.id]
    barred = [fact for fact in dice.sample(others, dice.choice((0, 0, 1))) if fact.id != anchor.id]
    item = dice.choice(sorted(items))
    is_offer = dice.random() < 0.6
    consents = sorted({OWN, *(fact.consent for fact in (anchor, *also, *barred))})
    return Rule.model_validate(
        {
            "id": f"scale-{number:04d}-{anchor.id.replace('_', '-')}"[:60].rstrip("-"),
            "kind": "offer" if is_offer else "reminder",
            "unit": items[item],
            **_words(anchor, number),
            "when": [_dated(dice, anchor) if anchor.kind is Kind.DATE else _plain(dice, anchor)]
            + [_plain(dice, fact) for fact in also],
            "unless": [_plain(dice, fact) for fact in barred],
            "consents": consents,
            "lane": dice.choice(LANES),
            "period": _period(dice, anchor),
            "cap": dice.choice((None, None, {"count": dice.choice((1, 2, 3)), "days": dice.choice((30, 365))})),
            "lasts_days": dice.choice((15, 30, 60, 90)),
            "item": item if is_offer else "",
            "is_one_tap": is_offer and dice.random() < 0.2,
        }
    )


def _words(anchor: Fact, number: int) -> Mapping[str, Any]:
    body = {
        Kind.DATE: ("{date}，还有{days}天", "On {date}"),
        Kind.NUMBER: ("目前为{number}", "It is {number}"),
    }.get(anchor.kind, (anchor.zh, "It concerns you"))
    return {
        "title": {"zh": f"服务提醒{number}", "en": f"Service {number}"},
        "body": dict(zip(("zh", "en"), body, strict=True)),
    }


def _dated(dice: Random, fact: Fact) -> Mapping[str, Any]:
    """Before a date that comes, or so long after one that was."""
    if fact.id.endswith(PAST):
        is_birthday = fact.id == "birth_date"
        after = {"years": dice.choice(AGES)} if is_birthday else {"months": dice.choice(SINCE)}
        return {"fact": fact.id, "after": after, "days": [-dice.choice((0, 3, 30)), dice.choice(AHEAD)]}
    if dice.random() < 0.2:
        return {"fact": fact.id, "working_days": [0, dice.choice((3, 5, 10, 20))]}
    return {"fact": fact.id, "days": [dice.choice((-30, 0, 0, 0)), dice.choice(AHEAD)]}


def _plain(dice: Random, fact: Fact) -> Mapping[str, Any]:
    match fact.kind:
        case Kind.CHOICE:
            return {
                "fact": fact.id,
                "is": sorted(dice.sample(tuple(fact.choices), dice.choice((1, len(fact.choices) - 1)))),
            }
        case Kind.FLAG:
            return {"fact": fact.id, "is": [True]}
        case _:
            least = dice.choice(MONTHS)
            return {"fact": fact.id, "at_least": least, "at_most": least + dice.choice((2, 11))}


def _period(dice: Random, anchor: Fact) -> Period:
    if anchor.kind is Kind.DATE:
        return dice.choice((Period.OCCURRENCE, Period.OCCURRENCE, Period.OCCURRENCE, Period.YEARLY))
    return dice.choice((Period.ONCE, Period.YEARLY))
