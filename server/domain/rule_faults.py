"""What is wrong with a rule beyond its shape: unknown names, conditions that do not fit, words too long. Pure.

Each fault says where, why and what to do, in both languages, and all of them at once. A rule without a fault finds its
people through an index, fills its offer from facts that the form asks for, and is read whole on every channel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from string import Formatter

from server.domain.catalogue import Item
from server.domain.catalogue_forms import FieldKind, FormField
from server.domain.facts import Fact, Facts, Kind, Value
from server.domain.faults import Fault
from server.domain.prefill import AGREED, OWN, left_open
from server.domain.rules import ACCOUNT, After, Condition, Period, Rule, Said, Window, Years
from server.domain.templates import WECHAT_LIMITS, fit, units

MAX_WINDOW = 36_600  # days
PLACEHOLDERS = {"date": "2026-11-24", "days": "365", "number": "100"}  # of the anchor, each with a long value
MOST = WECHAT_LIMITS["thing"]  # characters of each value of the notice's template
FITS: dict[Kind, frozenset[str]] = {  # what can be asked of a fact
    Kind.DATE: frozenset({"days", "working_days"}),
    Kind.NUMBER: frozenset({"at_least", "at_most"}),
    Kind.CHOICE: frozenset({"is"}),
    Kind.FLAG: frozenset({"is"}),
}
FILLS: dict[Kind, frozenset[FieldKind]] = {  # which fields of a form a fact can fill
    Kind.DATE: frozenset({FieldKind.DAY, FieldKind.TEXT}),
    Kind.NUMBER: frozenset({FieldKind.WHOLE, FieldKind.TEXT}),
    Kind.CHOICE: frozenset({FieldKind.ONE_OF}),
    Kind.FLAG: frozenset({FieldKind.YES_NO}),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule may name. `templates`: events of data/templates.yaml whose frame a notice can have."""

    facts: Facts
    items: Collection[str] | None  # None: the catalogue is not at hand, items are not looked at
    units: Collection[str]
    consents: Collection[str]
    templates: Collection[str]


def faults_of(rule: Rule, known: Known) -> list[Fault]:
    """All of them; [] = it may be released."""
    return [
        *_unknown("unit", "单位", [rule.unit], known.units),
        *_unknown("consents", "授权用途", rule.consents, known.consents),
        *_unknown("template", "模板", [rule.template], known.templates),
        *([] if known.items is None or not rule.item else _unknown("item", "事项", [rule.item], known.items)),
        *_unknown("prefill", "事实", sorted(rule.prefill_facts), known.facts.by_id),
        *_misfits(rule, known.facts),
        *_unindexed(rule, known.facts),
        *_unconsented(rule, known.facts),
        *_wordy(rule),
    ]


def item_faults(rule: Rule, item: Item, facts: Facts) -> list[Fault]:
    """What does not fit the item that the rule leads to: fields that its form lacks, or that cannot be filled so.

    A fact of several things fills a field only as the anchor: then it is the one that the offer is about. One tap
    fills every field that is required.
    """
    fields = {each.id: each for each in item.form.fields}
    faults = [fault for name in sorted(rule.prefill) for fault in _unfilled(name, fields.get(name), facts, rule)]
    for name, answer in sorted(rule.usual.items()):
        field = fields.get(name)
        if field is None or not _is_answer(field, answer):
            zh, en = (
                f"表单此项不能答 {answer}，请改用可选的答案",
                f"the form has no such answer as {answer}: choose one",
            )
            faults.append(Fault(f"usual.{name}", zh, en))
    faults += [
        Fault("declares", f"{name} 不是可承诺的字段，请改", f"{name} is nothing to agree to: name a field")
        for name in rule.declares
        if name not in fields or fields[name].kind not in AGREED
    ]
    if rule.is_one_tap:
        faults += [
            Fault("is_one_tap", f"{each.id} 为必填而未预填，请补上", f"{each.id} is required: say what fills it")
            for each in left_open(rule, item.form)
        ]
    return faults


def _is_answer(field: FormField, answer: Value) -> bool:
    if isinstance(answer, bool):
        return field.kind is FieldKind.YES_NO
    return answer in {option.value for option in field.options}


def _unfilled(name: str, field: FormField | None, facts: Facts, rule: Rule) -> Iterator[Fault]:
    where, origin = f"prefill.{name}", rule.prefill[name]
    fact = facts.by_id.get(origin.fact if isinstance(origin, Years) else origin)
    if field is None:
        yield Fault(
            where, "事项表单没有此字段，请改用表单中的字段", "the item's form has no such field: name one it has"
        )
    elif isinstance(origin, str) and origin.startswith(ACCOUNT):
        if OWN.get(origin) is not field.kind:
            yield Fault(where, f"{origin} 不能填入此字段", f"{origin} cannot fill a field of kind {field.kind}")
    elif fact is None:
        return  # `faults_of` tells of it
    elif fact.is_many and fact.id != rule.anchor.fact:
        yield Fault(where, f"{fact.id} 可能有多个值，不能预填", f"{fact.id} may have several values: leave it out")
    elif not _fits(field, origin, fact):
        yield Fault(where, f"{fact.id} 不能填入此字段", f"{fact.id} cannot fill a field of kind {field.kind}")


def _fits(field: FormField, origin: str | Years, fact: Fact) -> bool:
    options = {option.value for option in field.options}
    if isinstance(origin, Years):
        return fact.kind is Kind.DATE and field.kind is FieldKind.ONE_OF and set(origin.least_years) <= options
    return field.kind in FILLS[fact.kind] and set(fact.choices) <= options


def _unknown(field: str, what: str, names: Iterable[str], known: Collection[str]) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            zh = f"没有{what}“{name}”，请更正，或先登记"
            yield Fault(field, zh, f"there is no {name}: correct it, or let it be known first")


def _conditions(rule: Rule) -> Iterator[tuple[str, Condition]]:
    for place, conditions in (("when", rule.when), ("unless", rule.unless)):
        yield from ((f"{place}[{number}]", each) for number, each in enumerate(conditions))


def _misfits(rule: Rule, facts: Facts) -> Iterator[Fault]:
    for where, condition in _conditions(rule):
        fact = facts.by_id.get(condition.fact)
        if fact is None:
            yield from _unknown(f"{where}.fact", "事实", [condition.fact], facts.by_id)
        else:
            yield from _unfit(where, condition, fact)


def _unfit(where: str, condition: Condition, fact: Fact) -> Iterator[Fault]:
    given = {name for name in ("days", "working_days", "at_least", "at_most") if getattr(condition, name) is not None}
    given |= {"is"} if condition.among else set()
    fits = FITS[fact.kind]
    if not given or not given <= fits or {"days", "working_days"} <= given:
        names = " / ".join(sorted(fits))
        yield Fault(where, f"{fact.id} 是 {fact.kind}，请写 {names}", f"{fact.id} is a {fact.kind}: give {names}")
    if fact.kind is not Kind.DATE and condition.after != After():
        yield Fault(f"{where}.after", f"{fact.id} 不是日期，请删去 after", f"{fact.id} is no date: leave `after` out")
    able = tuple(fact.choices) if fact.kind is Kind.CHOICE else (True, False)
    for value in condition.among if "is" in fits else ():
        if value not in able or isinstance(value, bool) != (fact.kind is Kind.FLAG):
            names = ", ".join(map(str, able))
            yield Fault(f"{where}.is", f"{fact.id} 不会是 {value}，可选 {names}", f"{fact.id} is one of {names}")
    if None not in (condition.at_least, condition.at_most) and condition.at_least > condition.at_most:  # type: ignore[operator]
        yield Fault(f"{where}.at_most", "上限小于下限，请更正", "the upper bound lies below the lower: swap them")
    for name, window in (("days", condition.days), ("working_days", condition.working_days)):
        yield from _bad_window(f"{where}.{name}", window)


def _bad_window(where: str, window: Window | None) -> Iterator[Fault]:
    if window is None:
        return
    first, last = window
    if first is None and last is None:
        yield Fault(where, "时间窗至少写一端", "a window has at least one end: give it")
    elif any(end is not None and abs(end) > MAX_WINDOW for end in window):
        yield Fault(where, f"时间窗不超过{MAX_WINDOW}天", f"a window reaches at most {MAX_WINDOW} days")
    elif first is not None and last is not None and first > last:
        yield Fault(where, "时间窗先止后起，请对调", "a window ends after it begins: swap its ends")


def _unindexed(rule: Rule, facts: Facts) -> Iterator[Fault]:
    for number, condition in enumerate(rule.when):
        fact = facts.by_id.get(condition.fact)
        if fact is None:
            continue
        where = f"when[{number}]"
        if number == 0 and not fact.is_indexed:
            zh = f"{fact.id} 没有索引，规则会逐人检查；请把有索引的条件放在最前"
            yield Fault(
                where, zh, f"{fact.id} has no index, the rule would read everybody: begin with another condition"
            )
        elif number and fact.kind is Kind.DATE and not fact.is_indexed:
            zh = f"{fact.id} 没有索引，无法得知谁进入时间窗；请为它建索引或删去"
            yield Fault(
                where, zh, f"{fact.id} has no index, nobody knows who comes into its window: index it or drop it"
            )
    anchor = facts.by_id.get(rule.anchor.fact)
    if anchor and rule.period is Period.OCCURRENCE and anchor.kind is not Kind.DATE:
        zh, en = (
            "按次提醒须以日期为首个条件",
            "a period of occurrences needs a date as the first condition: choose another",
        )
        yield Fault("period", zh, en)


def _unconsented(rule: Rule, facts: Facts) -> Iterator[Fault]:
    named = [*(condition.fact for _, condition in _conditions(rule)), *rule.prefill_facts]
    needed = {fact.consent for name in named if (fact := facts.by_id.get(name))}
    for name in sorted(needed - set(rule.consents)):
        yield Fault("consents", f"所用事实需要授权 {name}，请加上", f"one of its facts needs {name}: add it")


def _wordy(rule: Rule) -> Iterator[Fault]:
    for part, words in (("title", rule.title), ("body", rule.body)):
        yield from _strange(part, words)


def _strange(part: str, words: Said) -> Iterator[Fault]:
    for language, text in (("zh", words.zh), ("en", words.en)):
        where = f"{part}.{language}"
        try:
            parts = [(name, spec, how) for _, name, spec, how in Formatter().parse(text) if name is not None]
            names = [name if not spec and not how else f"{name}:{spec or how}" for name, spec, how in parts]
        except ValueError:
            names = [text]
        unknown = [name for name in names if name not in PLACEHOLDERS]
        for name in unknown:
            zh = f"{{{name}}} 没有含义，可用 {{date}} {{days}} {{number}}"
            yield Fault(where, zh, f"{{{name}}} stands for nothing: there are {{date}}, {{days}}, {{number}}")
        if not unknown and is_cut(text, language):
            zh = f"微信最多显示{MOST}字，请缩短"
            en = f"WeChat shows {MOST} characters: shorten it, or say first what the placeholders stand for"
            yield Fault(where, zh, en)


def is_cut(text: str, language: str) -> bool:
    """Whether somebody on WeChat would miss something. English may be cut after its placeholders: push shows it all."""
    full = text.format(**PLACEHOLDERS)
    if units(full) <= MOST:
        return False
    named = {name for _, name, _, _ in Formatter().parse(text) if name}
    return language == "zh" or not all(PLACEHOLDERS[name] in fit(full, MOST) for name in named)
