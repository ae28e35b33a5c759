"""Workflows: every cell of state, action and party; the step function is total; a file that is wrong is refused."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.deadlines import Clock, Runs
from server.domain.errors import ConfigurationError
from server.domain.workflow import (
    Act,
    Days,
    Guard,
    Moved,
    Party,
    Refused,
    Standing,
    Why,
    Workflow,
    by_name,
    load_workflow,
    next_standing,
)
from server.domain.working_days import WorkingDays
from server.storage.catalogues import load_workflows

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
ALL = frozenset(Guard)
WORKFLOWS = load_workflows()
DAYS = Days(10, WorkingDays())
ACTIONS = sorted({step.action for workflow in WORKFLOWS.values() for step in workflow.steps} | {"unknown"})
STANDARD = WORKFLOWS["standard"]

# Who may do what in which state of the standard workflow, written down a second time and by hand: A applicant, C clerk,
# P approver, V supervisor, S system. What is not here is refused.
MATRIX = {
    ("draft", "submit"): "A",
    ("submitted", "accept"): "C",
    ("submitted", "refuse"): "C",
    ("submitted", "ask"): "CP",
    ("submitted", "ask_again"): "V",
    ("submitted", "withdraw"): "A",
    ("submitted", "urge"): "A",
    ("accepted", "ask"): "CP",
    ("accepted", "ask_again"): "V",
    ("accepted", "approve"): "P",
    ("accepted", "reject"): "P",
    ("accepted", "withdraw"): "A",
    ("accepted", "urge"): "A",
    ("supplement", "supply"): "A",
    ("supplement", "withdraw"): "A",
    ("supplement", "lapse"): "S",
    ("approved", "complete"): "CP",
    ("approved", "urge"): "A",
    ("completed", "deliver"): "C",
}
LETTER = {Party.APPLICANT: "A", Party.CLERK: "C", Party.APPROVER: "P", Party.SUPERVISOR: "V", Party.SYSTEM: "S"}


def step(workflow: Workflow, standing: Standing, action: str, party: Party, **more: Any) -> Moved | Refused:
    return next_standing(workflow, standing, Act(action, ALL, has_reason=True, **more), party, NOW, DAYS)


@pytest.mark.parametrize("state", [state.name for state in STANDARD.states])
def test_every_cell_of_state_action_and_party_is_as_written_down(state: str):
    for action, party in itertools.product(ACTIONS, Party):
        found = step(STANDARD, Standing(state, back="accepted"), action, party)
        assert isinstance(found, Moved) == (LETTER[party] in MATRIX.get((state, action), "")), (action, party)
        if isinstance(found, Refused):
            expected = {a for (s, a), who in MATRIX.items() if s == state and LETTER[party] in who}
            assert set(found.allowed) == expected


states = st.sampled_from([s.name for w in WORKFLOWS.values() for s in w.states] + ["nowhere", ""])
tasks = st.dictionaries(
    st.sampled_from([*WORKFLOWS["parallel"].tasks, "other"]), st.sampled_from(["", "granted", "refused"])
)
dates = st.dates(date(2024, 1, 1), date(2031, 12, 31))
clocks = st.builds(
    Clock,
    runs=st.sampled_from(Runs),
    due_on=st.none() | dates,
    warn_on=st.none() | dates,
    left_days=st.none() | st.integers(-50, 50),
    resumes=st.none() | st.sampled_from(Runs),
)
standings = st.builds(
    Standing, state=states, back=st.sampled_from(["", "accepted", "submitted"]),
    tasks=tasks.map(MappingProxyType), clock=clocks,
)  # fmt: skip
acts = st.builds(
    Act, action=st.sampled_from(ACTIONS), facts=st.frozensets(st.sampled_from(Guard)), has_reason=st.booleans(),
    task=st.sampled_from(["", *WORKFLOWS["parallel"].tasks, "other"]),
    units=st.sampled_from([None, frozenset(), frozenset({"sz-tax"})]),
)  # fmt: skip
times = st.datetimes(datetime(2025, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.sampled_from(sorted(WORKFLOWS)), standings, acts, st.sampled_from(Party), times)
def test_a_step_from_anywhere_by_anybody_leads_to_a_known_state_or_says_why_not(
    name: str, standing: Standing, act: Act, party: Party, now: datetime
):
    workflow = WORKFLOWS[name]
    found = next_standing(workflow, standing, act, party, now, DAYS)
    if isinstance(found, Refused):
        assert found.why in Why
        assert found.allowed == workflow.allowed(standing.state, party)
        return
    assert found.standing.state in workflow.by_name
    assert found.standing.clock.runs in (workflow.by_name[found.standing.state].clock, standing.clock.runs)
    assert party in found.step.by
    assert set(found.step.guards) <= act.facts
    before = workflow.by_name[standing.state]
    assert not before.is_end or workflow.by_name[found.standing.state].is_end


@given(st.sampled_from(sorted(WORKFLOWS)), st.lists(st.tuples(acts, st.sampled_from(Party)), max_size=40))
def test_a_pause_returns_to_where_it_began_and_never_forgets_a_task(name: str, course: list[tuple[Act, Party]]):
    workflow, standing, now = WORKFLOWS[name], Standing(), NOW
    for act, party in course:
        now += timedelta(hours=30)
        found = next_standing(workflow, standing, act, party, now, DAYS)
        if isinstance(found, Refused):
            continue
        if act.action == "supply":
            assert found.standing.state == standing.back
        decided = {task: word for task, word in standing.tasks.items() if word}
        assert decided.items() <= dict(found.standing.tasks).items()
        standing = found.standing


def test_the_last_task_leads_on_and_one_grant_is_enough():
    workflow = WORKFLOWS["parallel"]
    for words in itertools.product(("granted", "refused"), repeat=4):
        standing = Standing("accepted", tasks=dict.fromkeys(workflow.tasks, ""), clock=Clock(Runs.WORK))
        for task, word in zip(workflow.tasks, words, strict=True):
            action = "grant_task" if word == "granted" else "reject_task"
            moved = step(workflow, standing, action, Party.APPROVER, task=task)
            assert isinstance(moved, Moved)
            standing = moved.standing
        assert standing.state == ("approved" if "granted" in words else "rejected")


def test_a_task_of_another_unit_is_not_decided():
    rows = WORKFLOWS["parallel"].model_dump(by_alias=True, mode="json")
    rows["fork"]["tasks"][2]["unit"] = "sz-tax"
    workflow = load_workflow(rows, "x")
    standing = Standing("accepted", tasks=dict.fromkeys(workflow.tasks, ""), clock=Clock(Runs.WORK))
    foreign = step(
        workflow, standing, "grant_task", Party.APPROVER, task="tax_registration", units=frozenset({"sz-market"})
    )
    assert isinstance(foreign, Refused)
    assert foreign.why is Why.TASK
    own = step(workflow, standing, "grant_task", Party.APPROVER, task="tax_registration", units=frozenset({"sz-tax"}))
    assert isinstance(own, Moved)


SMALL: dict[str, Any] = {
    "name": "small",
    "zh": "小",
    "en": "Small",
    "states": [
        {"name": "draft", "clock": "nothing", "zh": "草稿", "en": "Draft"},
        {"name": "ended", "clock": "done", "zh": "完", "en": "Ended"},
    ],
    "steps": [{"action": "submit", "from": ["draft"], "to": "ended", "by": ["applicant"], "zh": "交", "en": "In"}],
}


def _without_draft(rows: dict[str, Any]) -> None:
    rows["states"][0]["name"] = "begin"


def _unknown_target(rows: dict[str, Any]) -> None:
    rows["steps"][0]["to"] = "nowhere"


def _twice(rows: dict[str, Any]) -> None:
    rows["steps"] *= 2


def _unreached(rows: dict[str, Any]) -> None:
    rows["states"].append({"name": "island", "clock": "done", "zh": "岛", "en": "Island"})


def _stuck(rows: dict[str, Any]) -> None:
    rows["states"][1]["clock"] = "work"


def _out_of_the_end(rows: dict[str, Any]) -> None:
    rows["steps"].append({"action": "again", "from": ["ended"], "to": "draft", "by": ["clerk"], "zh": "再", "en": "X"})


def _back_from_work(rows: dict[str, Any]) -> None:
    rows["steps"].append({"action": "back", "from": ["draft"], "to": "@back", "by": ["clerk"], "zh": "回", "en": "X"})


def _task_without_fork(rows: dict[str, Any]) -> None:
    rows["steps"][0]["task"] = "granted"


@pytest.mark.parametrize(
    "spoil",
    [
        _without_draft, _unknown_target, _twice, _unreached, _stuck, _out_of_the_end, _back_from_work,
        _task_without_fork,
    ],
)  # fmt: skip
def test_a_workflow_that_does_not_fit_together_is_refused_by_name(spoil: Any):
    rows = load_workflow(SMALL, "x").model_dump(by_alias=True, mode="json")
    spoil(rows)
    with pytest.raises(ConfigurationError, match=r"workflow_invalid: small\.yaml"):
        load_workflow(rows, "small.yaml")


def test_two_workflows_of_one_name_are_refused():
    small = load_workflow(SMALL, "x")
    with pytest.raises(ConfigurationError, match="workflow_invalid"):
        by_name([small, small.model_copy()])
