"""Who may act for whom: one rule, asked in every combination."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.relations import (
    ASKED_FOR,
    Kind,
    Relation,
    Role,
    Scope,
    Side,
    State,
    is_live,
    may_act,
    may_invite,
    may_see_handlers,
    merged,
    who_agrees,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ONE = Relation(
    "r", Kind.RELATIVE, 1, 2, Role.PARENT, frozenset({Scope.BOOK}), State.ACTIVE, NOW, NOW + timedelta(days=1)
)


@pytest.mark.parametrize(("state", "scope", "age_h"), list(product(State, Scope, (0, 23, 24, 48))))
def test_one_acts_only_by_an_active_relation_of_this_scope_in_its_time(state: State, scope: Scope, age_h: int):
    allowed = state is State.ACTIVE and scope is Scope.BOOK and age_h < 24
    assert may_act([replace(ONE, state=state)], scope, NOW + timedelta(hours=age_h)) is allowed


def test_no_relation_means_no():
    assert not may_act([], Scope.SEE, NOW)


def test_a_representative_has_no_end():
    assert is_live(replace(ONE, until=None), NOW + timedelta(days=10_000))


def test_a_question_is_gone_after_two_weeks():
    asked = replace(ONE, state=State.ASKED, until=NOW + timedelta(days=365))
    assert is_live(asked, NOW + ASKED_FOR - timedelta(seconds=1))
    assert not is_live(asked, NOW + ASKED_FOR)


@pytest.mark.parametrize(("own", "wanted"), list(product(Role, Role)))
def test_who_may_take_on_whom(own: Role, wanted: Role):
    allowed = {
        (Role.REPRESENTATIVE, Role.MANAGER),
        (Role.REPRESENTATIVE, Role.HANDLER),
        (Role.MANAGER, Role.HANDLER),
    }
    relation = replace(ONE, kind=Kind.ORGANISATION, role=own)
    assert may_invite([relation], wanted, NOW) is ((own, wanted) in allowed)
    assert not may_invite([replace(relation, state=State.ENDED)], wanted, NOW)
    assert may_see_handlers([relation], NOW) is (own in (Role.REPRESENTATIVE, Role.MANAGER))


def test_who_gives_something_away_agrees():
    assert (who_agrees(Kind.RELATIVE), who_agrees(Kind.ORGANISATION)) == (Side.SUBJECT, Side.ACTOR)


scopes = st.frozensets(st.sampled_from(list(Scope)), min_size=1)
ends = st.none() | st.integers(1, 1_000).map(lambda days: NOW + timedelta(days=days))


@given(scopes, scopes, ends, ends)
def test_of_two_relations_that_become_one_nothing_is_lost(
    a: frozenset[Scope], b: frozenset[Scope], until: datetime | None, later: datetime | None
):
    one = merged(replace(ONE, scopes=a, until=until), replace(ONE, scopes=b, until=later))
    assert one.scopes == a | b
    assert one.until is None or (until is not None and later is not None and one.until == max(until, later))
