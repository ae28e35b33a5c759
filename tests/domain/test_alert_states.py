"""The desk's one policy table: every cell walked, and the promises as properties over all actors and alerts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.alerts.states import RULES, Action, Facts, State, Why, is_within, may, next_state, refusal
from server.domain.officers import Officer, Role, Unit

UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
FACTS = Facts(
    state=State.SUBMITTED,
    author="p-author",
    editor="p-author",
    submitter="p-author",
    unit_division="440300",
    divisions=("440305",),
    events=("11B01",),
    is_red=False,
    is_exercise=False,
)
# the table again, by hand and from the brief, not from the code: (state, action) -> next state, who
A, R = "author", "second person"
EXPECTED = {
    ("draft", "edit"): ("draft", A),
    ("draft", "submit"): ("submitted", A),
    ("draft", "reject"): ("rejected", A),
    ("submitted", "return"): ("returned", "author or releaser"),
    ("submitted", "reject"): ("rejected", R),
    ("submitted", "release"): ("released", R),
    ("submitted", "page"): ("submitted", "product"),
    ("returned", "edit"): ("returned", A),
    ("returned", "submit"): ("submitted", A),
    ("returned", "reject"): ("rejected", A),
    ("released", "follow"): ("released", A),
    ("released", "mark_updated"): ("updated", "product"),
    ("released", "mark_cancelled"): ("cancelled", "product"),
    ("released", "mark_expired"): ("expired", "product"),
}
SECOND = {("releaser", "p-other"), ("chief", "p-other")}
WHO = {
    A: {("author", "p-author"), ("author", "p-other")},
    R: SECOND,
    "author or releaser": {
        (role, person) for role in ("author", "releaser", "chief") for person in ("p-author", "p-other")
    },
    "product": set(),
}


def officer(
    *roles: Role, person: str = "p-other", division: str = "440300", events: tuple[str, ...] = ("11B",)
) -> Officer:
    """An officer of the city with these roles."""
    return Officer(
        id=f"o-{person}", person=person, name="张", roles=frozenset(roles), unit=UNIT, division=division, events=events
    )


def test_every_cell_of_the_table_is_as_the_brief_says():
    for state, action in product(State, Action):
        expected = EXPECTED.get((state.value, action.value))
        assert next_state(state, action) == (State(expected[0]) if expected else None)
        facts = replace(FACTS, state=state)
        assert may(None, action, facts) == (expected is not None and expected[1] == "product")
        for role, person in product(Role, ("p-author", "p-other")):
            allowed = may(officer(role, person=person), action, facts)
            assert allowed == (expected is not None and (role.value, person) in WHO[expected[1]]), (
                state,
                action,
                role,
                person,
            )


def test_final_states_have_no_way_out():
    for state in (State.REJECTED, State.UPDATED, State.CANCELLED, State.EXPIRED):
        assert all(next_state(state, action) is None for action in Action)


def test_every_state_can_be_reached_from_a_draft():
    seen = {State.DRAFT}
    while more := {rule.to for (state, _), rule in RULES.items() if state in seen} - seen:
        seen |= more
    assert seen == set(State)


persons = st.sampled_from(["p1", "p2", "p3"])
divisions = st.sampled_from(["440000", "440300", "440305", "440306", "440305001", "440305001002", "130100"])
events = st.sampled_from(["11B01", "11B03", "11A01", "00000"])
officers = st.builds(
    Officer,
    id=st.sampled_from(["o1", "o2", "o3", "o4"]),
    person=persons,
    name=st.just("张"),
    roles=st.frozensets(st.sampled_from(Role)),
    unit=st.just(UNIT),
    division=divisions,
    events=st.lists(st.sampled_from(["", "1", "11B", "11B01", "00000"]), max_size=2).map(tuple),
)
alerts = st.builds(
    Facts,
    state=st.sampled_from(State),
    author=persons,
    editor=persons,
    submitter=st.one_of(st.none(), persons),
    unit_division=divisions,
    divisions=st.lists(divisions, max_size=2).map(tuple),
    events=st.lists(events, max_size=2).map(tuple),
    is_red=st.booleans(),
    is_exercise=st.booleans(),
)
actions = st.sampled_from(Action)


@given(officers, alerts)
def test_a_release_always_takes_another_human_being_and_a_chief_for_red(actor: Officer, alert: Facts):
    if may(actor, Action.RELEASE, alert):
        assert actor.person not in {alert.author, alert.editor, alert.submitter}
        assert not alert.is_red or Role.CHIEF in actor.roles


@given(officers, alerts, actions)
def test_nobody_acts_outside_the_own_divisions_and_events(actor: Officer, alert: Facts, action: Action):
    if may(actor, action, alert):
        assert alert.divisions
        assert all(is_within(d, actor.division) for d in alert.divisions)
        assert alert.events
        assert all(any(p and e.startswith(p) for p in actor.events) for e in alert.events)


@given(officers, alerts, actions)
def test_exercises_take_their_own_permission(actor: Officer, alert: Facts, action: Action):
    if alert.is_exercise and Role.DRILL not in actor.roles:
        assert not may(actor, action, alert)


@given(officers, alerts, actions, st.frozensets(st.sampled_from(Role)))
def test_taking_a_role_away_never_allows_more(actor: Officer, alert: Facts, action: Action, taken: frozenset[Role]):
    if may(actor.model_copy(update={"roles": actor.roles - taken}), action, alert):
        assert may(actor, action, alert)


@given(alerts, actions, persons)
def test_an_officer_without_roles_may_nothing(alert: Facts, action: Action, person: str):
    assert not may(officer(person=person, events=("1", "0")), action, alert)


@pytest.mark.parametrize(
    ("actor", "facts", "why"),
    [
        (officer(Role.RELEASER, person="p-author"), FACTS, Why.SAME_PERSON),
        (officer(Role.CHIEF, person="p-editor"), replace(FACTS, editor="p-editor"), Why.SAME_PERSON),
        (officer(Role.RELEASER), replace(FACTS, is_red=True), Why.CHIEF),
        (officer(Role.CHIEF), replace(FACTS, is_exercise=True), Why.DRILL),
        (officer(Role.CHIEF, division="440306"), FACTS, Why.DIVISION),
        (
            officer(Role.CHIEF, division="440305"),
            FACTS,
            Why.DIVISION,
        ),  # a district does not release for the city's unit
        (officer(Role.CHIEF, events=("11A",)), FACTS, Why.EVENT),
        (officer(Role.CHIEF, events=()), FACTS, Why.EVENT),
        (officer(Role.CHIEF), replace(FACTS, divisions=()), Why.DIVISION),
        (officer(Role.CHIEF), replace(FACTS, state=State.DRAFT), Why.STATE),
    ],
)
def test_a_refused_release_says_why(actor: Officer, facts: Facts, why: Why):
    assert refusal(actor, Action.RELEASE, facts) is why


@pytest.mark.parametrize(
    ("division", "root", "within"),
    [
        ("440305", "440300", True),
        ("440305001002", "440305001", True),
        ("440305001000", "440305000000", True),
        ("440300000000", "440300", True),
        ("440300", "440000", True),
        ("440000", "440300", False),
        ("440306", "440305", False),
        ("130100", "440300", False),
    ],
)
def test_subtrees_are_prefixes_of_significant_digits(division: str, root: str, within: bool):  # noqa: FBT001
    assert is_within(division, root) is within
