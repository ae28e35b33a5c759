"""An application 办件: one citizen's request for one item, from the draft to the delivered result. Pure.

An application keeps the version of its item that was applied for, because a form may change while somebody fills it in.
The timeline only grows; its lines are written once, when the step is taken, and name nobody. What the applicant filled
in and what an officer wrote to them are theirs alone: the store seals both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from stdnum.iso7064 import mod_11_10

from server.domain.audit import SYSTEM, Detail, Event
from server.domain.catalogue import Item, Material
from server.domain.catalogue_forms import check
from server.domain.china import china_day
from server.domain.co_applicants import Agreement, is_agreed
from server.domain.deadlines import Card, Runs, card_on, next_card_at
from server.domain.errors import ConflictError, HuiminError, NotFoundError, StepRefusedError
from server.domain.faults import Fault
from server.domain.wording import Words
from server.domain.workflow import FIRST, Act, Guard, Moved, Party, Refused, Standing, Why, Workflow

MAX_STEPS = 300  # of one timeline; an application that needs more is handled elsewhere
MAX_DRAFTS = 50  # of one citizen
ASKING = ("ask", "ask_again")  # 补正
NUMBER_DIGITS = 8
NOBODY = 0  # whose an application is after its citizen was erased


@dataclass(frozen=True, slots=True)
class Terms:
    """An item in the version that was applied for, and how it moves."""

    item: Item
    version: int
    workflow: Workflow

    def faults(self, form: Mapping[str, Any]) -> list[Fault]:
        """Everything that is wrong with what was filled in, by field and rule, in both languages."""
        return [Fault(f"form.{f.field}" if f.field else "form", f.zh, f.en) for f in check(self.item.form, dict(form))]

    def is_needed(self, material: Material, form: Mapping[str, Any]) -> bool:
        """Whether this has to be there, as the form is filled in."""
        rule = material.show_if
        return material.is_required and (rule is None or form.get(rule.field) in rule.among)


class Items(Protocol):
    """The catalogue, as far as applications ask it."""

    async def terms(self, item: str, version: int | None = None) -> Terms:
        """One item in one version, or in the one in force; NotFoundError `item_unknown`."""
        ...


class Means(StrEnum):
    """How a material came."""

    UPLOAD = "upload"
    SOURCE = "source"  # 免提交


@dataclass(frozen=True, slots=True)
class Brought:
    """A material that is there. `evidence`: SHA-256 of the file, or of what the source answered; `ref` finds it.

    `size_bytes`: of the file as it is kept.
    """

    material: str
    means: Means
    ref: str
    evidence: str
    at: datetime
    as_of_at: datetime | None = None
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline. `who` (an account, for the log) is for the office; the public reads the words.

    `note` is what an officer wrote to the applicant, "" for none. `key` is the caller's name for the request.
    """

    seq: int
    at: datetime
    action: str
    state: str
    party: Party
    words: Words
    is_told: bool = False
    who: str = ""
    unit: str = ""
    task: str = ""
    note: str = ""
    key: str = ""


class Stage(StrEnum):
    """How far a seat and its application have come; see `application_seats`."""

    WANTED = "wanted"  # the seat is about to be confirmed: that decides for both
    KEPT = "kept"
    DROPPED = "dropped"  # it could not be, or the application came to nothing: the seat is about to be freed


@dataclass(frozen=True, slots=True)
class Seat:
    """A seat that is booked together with handing in. From `until` on anybody may finish what was begun."""

    code: str
    holder: int
    who: str  # public id of who hands in, for the log
    key: str  # of the request
    stage: Stage = Stage.WANTED
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """One of them. `citizen` is whom it is for, `actor` who made it; `owner` the officer who has claimed it."""

    id: str
    citizen: int
    actor: int
    item: str
    item_version: int
    item_name: Words
    workflow: str
    unit: str
    division: str
    created_at: datetime
    changed_at: datetime
    standing: Standing = field(default_factory=Standing)
    number: str = ""
    code: str = ""  # opens the tracking page together with the number
    form: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    answers: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))  # what sources said, by source
    brought: Sequence[Brought] = ()
    agreements: Sequence[Agreement] = ()
    timeline: Sequence[Line] = ()
    units: Sequence[str] = ()  # whose inbox it is in: the unit's, and those of undecided tasks
    owner: str = ""
    version: int = 1
    submitted_at: datetime | None = None
    ended_at: datetime | None = None
    card: Card = Card.NONE
    card_at: datetime | None = None  # when the card changes by itself
    urged: int = 0
    seat: Seat | None = None
    offer: str = ""  # the offer that it was begun by; of one offer there is one application

    @property
    def is_draft(self) -> bool:
        """Whether the unit has not got it."""
        return self.standing.state == FIRST

    @property
    def is_between(self) -> bool:
        """Whether it is being handed in with a seat just now: nothing else may be done."""
        return self.seat is not None and self.seat.stage is not Stage.KEPT

    @property
    def asked(self) -> int:
        """How often the applicant was asked for more; more than once is an exception that a supervisor answers for."""
        return sum(line.action in ASKING for line in self.timeline)

    @property
    def is_open(self) -> bool:
        """Whether the unit has something to do, or waits for the citizen."""
        return self.standing.clock.runs in (Runs.INTAKE, Runs.WORK, Runs.PAUSED)

    def may_see(self, citizen: int) -> bool:
        """Whether it is one of this person's."""
        return citizen in (self.citizen, self.actor) or any(
            a.citizen == citizen and a.may_look for a in self.agreements
        )


def missing(terms: Terms, application: Application) -> list[Material]:
    """The required materials that are not there."""
    there = {each.material for each in application.brought}
    needed = [each for each in terms.item.materials if terms.is_needed(each, application.form)]
    return [each for each in needed if each.id not in there]


def facts(terms: Terms, application: Application, faults: Sequence[Fault]) -> frozenset[Guard]:
    """What is so, for the guards."""
    said = {
        Guard.FORM_VALID: not faults,
        Guard.MATERIALS_COMPLETE: not missing(terms, application),
        Guard.ALL_AGREED: is_agreed(application.agreements, terms.workflow.agreeing),
        Guard.NOT_ASKED: not application.asked,
    }
    return frozenset(guard for guard, is_so in said.items() if is_so)


@dataclass(frozen=True, slots=True)
class By:
    """Who takes a step, and what they add to it. `who` is an officer's id or a citizen's public one."""

    party: Party
    who: str = ""
    unit: str = ""
    note: str = ""
    key: str = ""


def stepped(application: Application, workflow: Workflow, moved: Moved, act: Act, by: By, now: datetime) -> Application:
    """The application after a step, one version on, with its new line."""
    standing, step = moved.standing, moved.step
    words = _line_words(workflow, moved, act)
    line = Line(
        seq=len(application.timeline) + 1,
        at=now,
        action=step.action,
        state=standing.state,
        party=by.party,
        words=words,
        is_told=step.is_told,
        who=by.who,
        unit=by.unit,
        task=act.task if step.task else "",
        note=by.note,
        key=by.key,
    )
    row = workflow.by_name[standing.state]
    is_end = standing.clock.runs is Runs.DONE
    card = card_on(standing.clock, china_day(now))
    return replace(
        application,
        standing=standing,
        timeline=(*application.timeline, line),
        units=units_of(application.unit, workflow, standing),
        version=application.version + 1,
        changed_at=now,
        submitted_at=application.submitted_at or (now if not _is_first(standing) else None),
        ended_at=application.ended_at or (now if is_end else None),
        owner="" if is_end else application.owner,
        card=card,
        card_at=next_card_at(standing.clock, card),
        urged=application.urged + (step.action == "urge"),
        seat=_seat_after(application.seat, now, is_lost=row.is_end and not row.is_granted),
    )


def carded(application: Application, now: datetime) -> Application:
    """The card as it is now; who keeps a copy of the list is told."""
    card = card_on(application.standing.clock, china_day(now))
    return replace(application, card=card, card_at=next_card_at(application.standing.clock, card), changed_at=now)


def events_of(application: str, lines: Iterable[Line]) -> list[Event]:
    """Lines of a timeline as the log has them. The key makes recording one a second time no second entry."""
    found = []
    for line in lines:
        details: dict[str, Detail] = {"seq": line.seq, "state": line.state, "party": line.party.value}
        details |= {"task": line.task} if line.task else {}
        key = f"application/{application}/{line.seq}"
        action = f"application.{line.action}"
        found.append(Event(line.who or SYSTEM, action, f"application/{application}", details=details, key=key))
    return found


def units_of(own: str, workflow: Workflow, standing: Standing) -> tuple[str, ...]:
    """Whose inbox it belongs in."""
    if standing.clock.runs in (Runs.NOTHING, Runs.DONE):
        return ()
    others = {row.unit for name, row in workflow.tasks.items() if name in standing.tasks and row.unit}
    return (own, *sorted(others - {own}))


def done_before(application: Application, action: str, key: str) -> bool:
    """Whether this very request was carried out already."""
    return bool(key) and any(line.key == key and line.action == action for line in application.timeline)


def refusal_of(refused: Refused, workflow: Workflow) -> HuiminError:
    """What the caller is told: `step_not_allowed` with the allowed ones, or what is missing."""
    told = "、".join(refused.allowed) or "无", ", ".join(refused.allowed) or "nothing"
    match refused.why:
        case Why.STATE | Why.PARTY:
            return StepRefusedError(
                "step_not_allowed", zh=f"此时不能如此办理；可以：{told[0]}", en=f"not now; allowed: {told[1]}",
                allowed=refused.allowed,
            )  # fmt: skip
        case Why.TASK:
            return StepRefusedError(
                "task_not_open",
                zh="该证已审定或不属于您的部门",
                en="this task is decided already, or another unit's",
                allowed=tuple(workflow.tasks),
            )
        case Why.REASON:
            return StepRefusedError(
                "reason_missing", zh="请说明理由", en="a reason has to be given", allowed=refused.allowed
            )
        case Why.GUARD:
            return _guarded(refused)


def asking_words(named: Sequence[Material], there: Sequence[Material]) -> str:
    """All that has to be brought, in one list: what the officer named, and whatever is not there at all.

    行政许可法 第三十二条: the applicant is told once, and everything. "" if it is about no paper.
    """
    listed = list({each.id: each for each in (*named, *there)}.values())
    if not listed:
        return ""
    zh, en = "、".join(each.name.zh for each in listed), ", ".join(each.name.en for each in listed)
    return f"需补正：{zh}\nTo bring: {en}"


def unknown() -> NotFoundError:
    """The same for one that is not there and one that is not the caller's."""
    return NotFoundError("application_unknown", zh="没有这个办件", en="there is no such application")


def changed() -> ConflictError:
    """412: another version is newer."""
    return ConflictError(
        "application_changed", zh="办件已在别处修改，请刷新", en="it has been changed elsewhere: load it again"
    )


def number_of(division: str, day: str, digits: int) -> str:
    """A number as people read it out: division, day, eight random digits and a check digit (ISO 7064, MOD 11-10).

    >>> number_of("440305", "20261124", 1234567)
    '440305-20261124-01234567-2'
    """
    bare = f"{division[:6]}{day}{digits:0{NUMBER_DIGITS}d}"
    return with_dashes(f"{bare}{mod_11_10.calc_check_digit(bare)}")


def with_dashes(number: str) -> str:
    """A number as it is kept, however its dashes were typed.

    >>> with_dashes("44030520261124012345672")
    '440305-20261124-01234567-2'
    """
    digits = number.replace("-", "")
    return f"{digits[:6]}-{digits[6:14]}-{digits[14:-1]}-{digits[-1:]}"


def is_number(text: str) -> bool:
    """Whether somebody could have got this number: a typing error is told apart from an unknown one.

    >>> is_number("440305-20261124-01234567-2"), is_number("440305-20261124-01234568-2")
    (True, False)
    """
    digits = text.replace("-", "")
    return len(digits) == 23 and digits.isascii() and digits.isdigit() and mod_11_10.is_valid(digits)


def _seat_after(seat: Seat | None, now: datetime, *, is_lost: bool) -> Seat | None:
    """A seat that is kept for what came to nothing is to be freed: anybody may do it from now on."""
    if seat is None or seat.stage is not Stage.KEPT or not is_lost:
        return seat
    return replace(seat, stage=Stage.DROPPED, until=now)


def _is_first(standing: Standing) -> bool:
    return standing.state == FIRST


def _line_words(workflow: Workflow, moved: Moved, act: Act) -> Words:
    """The step's own words; of a task, with its name; with the last task, where that has led to."""
    words = moved.step.words
    if moved.step.task and (row := workflow.tasks.get(act.task)):
        words = Words(f"{row.zh}：{words.zh}", f"{row.en}: {words.en}")
    if moved.is_joined:
        state = workflow.by_name[moved.standing.state].words
        words = Words(f"{words.zh}；{state.zh}", f"{words.en}; {state.en}")
    return words


def _guarded(refused: Refused) -> HuiminError:
    if Guard.NOT_ASKED in refused.missing:
        return StepRefusedError(
            "asked_already",
            zh="补正须一次告知，已告知过；再次补正须由主管说明理由",
            en="the applicant was asked once already; a second time takes a supervisor and a reason",
            allowed=tuple(action for action in refused.allowed if action not in ASKING),
        )
    told: Mapping[Guard, tuple[str, str]] = {
        Guard.FORM_VALID: ("表单未填写正确", "the form is not filled in right"),
        Guard.MATERIALS_COMPLETE: ("材料不齐", "materials are missing"),
        Guard.ALL_AGREED: ("尚有共同申请人未确认", "somebody who applies with you has not confirmed"),
    }
    words: Iterable[tuple[str, str]] = [told[guard] for guard in refused.missing]
    zh, en = ("；".join(w[0] for w in words), "; ".join(w[1] for w in words))
    return StepRefusedError("application_incomplete", zh=zh, en=en, allowed=refused.allowed)
