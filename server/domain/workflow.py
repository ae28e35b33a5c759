"""How an application moves: states, actions, parties and guards as data, and the one pure function that takes a step.

A workflow is a file of `data/workflows`, checked when it is loaded: every name exists, every state can be reached and
left, an end stays an end. `next_standing` is total: for any state, action, party and time it gives the new standing or
says why not and what may be done instead; it never raises.

Parallel work (四证同发): a state with tasks is left when each of them is decided, by the unit it belongs to; what was
granted and what was refused stays told apart, on one timeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from server.domain.china import china_day
from server.domain.deadlines import Calendar, Clock, Runs, set_to
from server.domain.errors import ConfigurationError
from server.domain.wording import Words

BACK = "@back"  # to the state it was paused in
SAME = "@same"
LAPSE = "lapse"  # the step that the house takes when the time of a state is over
NAME = r"^[a-z][a-z0-9_-]{1,39}$"
FIRST = "draft"


class Party(StrEnum):
    """Who takes a step."""

    APPLICANT = "applicant"  # or who acts for them
    CLERK = "clerk"  # 受理
    APPROVER = "approver"  # 审批
    SUPERVISOR = "supervisor"  # answers for the unit: lets it ask a second time
    SYSTEM = "system"


class Guard(StrEnum):
    """What has to be so before a step."""

    FORM_VALID = "form_valid"
    MATERIALS_COMPLETE = "materials_complete"
    ALL_AGREED = "all_agreed"  # everybody who applies together has confirmed
    NOT_ASKED = "not_asked"  # 一次告知: the applicant has not been asked for more yet


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StateRow(_Model):
    """One state. `zh` and `en` are what a citizen reads as "where it stands"."""

    name: str = Field(pattern=NAME)
    clock: Runs
    zh: str = Field(min_length=1, max_length=20)
    en: str = Field(min_length=1, max_length=60)
    is_granted: bool = False  # of an end or near it: the citizen got what was asked for
    lapse_days: int | None = Field(
        default=None, ge=1, le=250, description="of a pause: working days that the citizen has, then comes `lapse`"
    )
    fetch_days: int | None = Field(
        default=None, ge=1, le=250, description="a result that still waits after so many working days is reminded of"
    )

    @property
    def words(self) -> Words:
        """Both languages."""
        return Words(self.zh, self.en)

    @property
    def is_end(self) -> bool:
        """Whether the unit has nothing left to decide."""
        return self.clock is Runs.DONE


class StepRow(_Model):
    """One step. `zh` and `en` are the line of the timeline. `needs`: a reason has to be given."""

    action: str = Field(pattern=NAME)
    origins: tuple[str, ...] = Field(alias="from", min_length=1)
    to: str
    by: frozenset[Party] = Field(min_length=1)
    guards: tuple[Guard, ...] = ()
    needs: Literal["", "reason"] = ""
    task: Literal["", "granted", "refused"] = ""  # decides one of the state's tasks
    is_told: bool = True  # the citizen gets a notice
    zh: str = Field(min_length=1, max_length=120)
    en: str = Field(min_length=1, max_length=240)

    @property
    def words(self) -> Words:
        """Both languages."""
        return Words(self.zh, self.en)


class TaskRow(_Model):
    """One of the things that are decided side by side. `unit` "" is the item's own."""

    name: str = Field(pattern=NAME)
    unit: str = ""
    zh: str = Field(min_length=1, max_length=20)
    en: str = Field(min_length=1, max_length=60)


class Fork(_Model):
    """A state whose tasks are decided in any order; with the last of them it is left."""

    state: str
    tasks: tuple[TaskRow, ...] = Field(min_length=2, max_length=20)
    granted: str  # if any task was granted
    refused: str


class Workflow(_Model):
    """One way of working. Build it with `load_workflow`."""

    name: str = Field(pattern=NAME)
    zh: str
    en: str
    intake_days: int = Field(default=5, ge=1, le=60, description="working days until an application is taken or not")
    states: tuple[StateRow, ...] = Field(min_length=2)
    steps: tuple[StepRow, ...] = Field(min_length=1)
    fork: Fork | None = None
    agreeing: frozenset[str] = Field(default=frozenset(), description="roles of those who confirm too: spouse, parent")

    @cached_property
    def by_name(self) -> Mapping[str, StateRow]:
        """The states."""
        return {state.name: state for state in self.states}

    @cached_property
    def table(self) -> Mapping[tuple[str, str], StepRow]:
        """The step for a state and an action."""
        return {(origin, step.action): step for step in self.steps for origin in step.origins}

    @property
    def tasks(self) -> Mapping[str, TaskRow]:
        """What is decided side by side, by name."""
        return {task.name: task for task in self.fork.tasks} if self.fork else {}

    def allowed(self, state: str, party: Party | None = None) -> tuple[str, ...]:
        """The actions of a state, of one party or of all."""
        return tuple(
            sorted(a for (origin, a), step in self.table.items() if origin == state and party in {None, *step.by})
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [state.name for state in self.states]
        used = {name for step in self.steps for name in (*step.origins, step.to)} - {BACK, SAME}
        used |= {self.fork.state, self.fork.granted, self.fork.refused} if self.fork else set()
        if len(set(names)) != len(names) or FIRST not in names:
            raise ValueError(f"states are named once, and one of them is {FIRST}")
        if used - set(names):
            raise ValueError(f"unknown states {sorted(used - set(names))}")
        if sum(len(step.origins) for step in self.steps) != len(self.table):
            raise ValueError("a state has two steps of one action")
        if unreached := set(names) - self._reached():
            raise ValueError(f"nothing leads to {sorted(unreached)}")
        if stuck := [s.name for s in self.states if not s.is_end and not self.allowed(s.name)]:
            raise ValueError(f"nothing leads out of {stuck}")
        self._check_steps()
        for state in self.states:
            lapse = self.table.get((state.name, LAPSE))
            if state.lapse_days and (state.clock is not Runs.PAUSED or not lapse or lapse.by != {Party.SYSTEM}):
                raise ValueError(f"{state.name}: lapse_days need a pause with a step {LAPSE} by the system")
        return self

    def _reached(self) -> set[str]:
        reached = {FIRST}
        for _ in self.states:
            reached |= {s.to for s in self.steps if reached & {*s.origins} and s.to not in (BACK, SAME)}
            if self.fork and self.fork.state in reached:
                reached |= {self.fork.granted, self.fork.refused}
        return reached

    def _check_steps(self) -> None:
        for step in self.steps:
            origins = [self.by_name[name] for name in step.origins]
            if step.to == BACK and any(origin.clock is not Runs.PAUSED for origin in origins):
                raise ValueError(f"{step.action}: only a paused state goes back")
            to = self.by_name.get(step.to)
            if to and not to.is_end and any(origin.is_end for origin in origins):
                raise ValueError(f"{step.action}: an end stays an end")
            if step.task and (self.fork is None or {*step.origins} != {self.fork.state} or step.to != SAME):
                raise ValueError(f"{step.action}: tasks are decided in the state of the fork, which stays")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an application stands. `tasks`: "" is undecided. `back`: the state a pause returns to."""

    state: str = FIRST
    back: str = ""
    tasks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody wants to do. `facts`: what is so.

    `units`: of tasks, those that the officer may decide for, "" the item's own; None: any.
    """

    action: str
    facts: frozenset[Guard] = frozenset()
    has_reason: bool = False
    task: str = ""
    units: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """The new standing and the step that led there. `is_joined`: the last task was decided."""

    standing: Standing
    step: StepRow
    is_joined: bool = False


class Why(StrEnum):
    """Why a step is not taken."""

    STATE = "state"  # not in this state
    PARTY = "party"  # not by this party
    GUARD = "guard"  # something is missing
    REASON = "reason"
    TASK = "task"  # no such task, or it is decided, or it is another unit's


@dataclass(frozen=True, slots=True)
class Refused:
    """No, and what this party may do now."""

    why: Why
    allowed: tuple[str, ...]
    missing: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Days:
    """The time limits of one application in working days, and the calendar they are counted by."""

    promised: int
    calendar: Calendar


def next_standing(
    workflow: Workflow, standing: Standing, act: Act, party: Party, now: datetime, days: Days
) -> Moved | Refused:
    """One step, or why not. Total: it raises for no input. `now` is aware."""
    allowed = workflow.allowed(standing.state, party)
    step = workflow.table.get((standing.state, act.action))
    if step is None:
        return Refused(Why.STATE, allowed)
    if party not in step.by:
        return Refused(Why.PARTY, allowed)
    if step.task and not _may_decide(workflow, standing, act):
        return Refused(Why.TASK, allowed)
    if missing := tuple(guard for guard in step.guards if guard not in act.facts):
        return Refused(Why.GUARD, allowed, missing)
    if step.needs == "reason" and not act.has_reason:
        return Refused(Why.REASON, allowed)
    tasks = {**standing.tasks, act.task: step.task} if step.task else standing.tasks
    to, is_joined = _target(workflow, standing, step, tasks)
    row = workflow.by_name[to]
    if workflow.fork and to == workflow.fork.state and not tasks:
        tasks = dict.fromkeys(workflow.tasks, "")
    length = workflow.intake_days if row.clock is Runs.INTAKE else days.promised
    clock = set_to(standing.clock, row.clock, length, china_day(now), days.calendar)
    if to != standing.state:
        lapses_on = days.calendar.add(china_day(now), row.lapse_days).day if row.lapse_days else None
        clock = replace(clock, lapses_on=lapses_on)
    back = standing.state if row.clock is Runs.PAUSED and to != standing.state else standing.back
    back = back if row.clock is Runs.PAUSED else ""
    return Moved(
        replace(standing, state=to, back=back, tasks=MappingProxyType(dict(tasks)), clock=clock), step, is_joined
    )


def _may_decide(workflow: Workflow, standing: Standing, act: Act) -> bool:
    row = workflow.tasks.get(act.task)
    if row is None or standing.tasks.get(act.task, ""):
        return False
    return act.units is None or row.unit in act.units


def _target(workflow: Workflow, standing: Standing, step: StepRow, tasks: Mapping[str, str]) -> tuple[str, bool]:
    if step.to == BACK:
        return (standing.back or FIRST), False
    if step.task and workflow.fork and all(tasks.get(name) for name in workflow.tasks):
        any_granted = "granted" in tasks.values()
        return (workflow.fork.granted if any_granted else workflow.fork.refused), True
    return (standing.state if step.to == SAME else step.to), False


def load_workflow(data: Any, where: str) -> Workflow:
    """A workflow from what its file holds; ConfigurationError `workflow_invalid` names the file and what is wrong."""
    try:
        return Workflow.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigurationError("workflow_invalid", zh=f"{where}：{wrong}", en=f"{where}: {wrong}") from None


def by_name(workflows: Iterable[Workflow]) -> Mapping[str, Workflow]:
    """All of them; ConfigurationError if two have one name."""
    found: dict[str, Workflow] = {}
    for workflow in workflows:
        if found.setdefault(workflow.name, workflow) is not workflow:
            text = f"two workflows are named {workflow.name}"
            raise ConfigurationError("workflow_invalid", zh=f"流程重名：{workflow.name}", en=text)
    return MappingProxyType(found)
