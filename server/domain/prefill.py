"""What fills in the form of an offer so that a bare tap can hand it in (免申即享). Pure.

Four things do, and a rule names each as data: facts that departments state, what follows from them (a tier of age),
the citizen's own account (verified name, ID number, bound telephone), and what most people answer. The fifth is the
tap: it agrees to the declarations whose words the offer shows. Nothing here is a guess: what is not known stays empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from server.domain.catalogue_forms import FieldKind, Form, FormField
from server.domain.facts import Facts, Kind, Value, day_of_number
from server.domain.resources import Named
from server.domain.rules import Rule, Years

NAME, ID_NUMBER, PHONE = "account.name", "account.id_number", "account.phone"
OWN: Mapping[str, FieldKind] = MappingProxyType(  # what an account knows, and which fields of a form it fills
    {NAME: FieldKind.TEXT, ID_NUMBER: FieldKind.ID_NUMBER, PHONE: FieldKind.PHONE}
)
AGREED = frozenset({FieldKind.DECLARATION, FieldKind.YES_NO})  # kinds of fields that a tap can say yes to


def filled(
    rule: Rule, facts: Facts, values: Mapping[str, Value], own: Mapping[str, str], today: date
) -> dict[str, Any]:
    """Fields with their answers. `values`: by fact, the one that counts; `own`: of the account, by names of `OWN`."""
    answers: dict[str, Any] = dict(rule.usual)
    for field, origin in rule.prefill.items():
        if isinstance(origin, Years):
            number = values.get(origin.fact)
            answer: Value | None = None if number is None else origin.chosen(int(number), today)
        elif origin in OWN:
            answer = own.get(origin) or None
        else:
            answer = shown(facts, origin, values[origin]) if origin in values else None
        if answer is not None:
            answers[field] = answer
    return answers


def shown(facts: Facts, fact: str, value: Value) -> Value:
    """A fact as a form has it: a date as a date."""
    return day_of_number(int(value)).isoformat() if facts.by_id[fact].kind is Kind.DATE else value


def declarations(rule: Rule, form: Form) -> dict[str, Named]:
    """What the tap declares, field by field, in the words of the form."""
    return {each.id: each.label for each in form.fields if each.id in rule.declares and each.kind in AGREED}


def digest_of(words: Mapping[str, Named]) -> str:
    """Which words they were: 64 hexadecimal digits."""
    lines = [f"{field}\n{each.zh}\n{each.get('en')}" for field, each in sorted(words.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def left_open(rule: Rule, form: Form) -> Iterator[FormField]:
    """Required fields that nothing in the rule fills, so that a bare tap could never hand the form in."""
    given = {*rule.prefill, *rule.usual, *rule.declares}
    for each in form.fields:
        is_shown = each.show_if is None or rule.usual.get(each.show_if.field) in (None, *each.show_if.among)
        if each.is_required and is_shown and each.id not in given:
            yield each
