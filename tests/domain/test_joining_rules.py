"""When two accounts may become one, and how long it has to wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from server.domain.citizens import AccountState, Kind
from server.domain.joining import COOL_DOWN, RECYCLED_AFTER, Means, Refusal, Standing, refusal, waits_for

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PLAIN = Standing(AccountState.ACTIVE, Kind.PERSON, None, has_other_way=False, entered_at=NOW)
ANN, BOB = b"ann", b"bob"
NO_TIME = timedelta(0)


@pytest.mark.parametrize(
    ("survivor", "absorbed", "shown", "why"),
    [
        (None, None, None, None),
        (ANN, None, None, None),
        (ANN, ANN, None, None),
        (ANN, BOB, None, Refusal.NAMES),
        (ANN, BOB, BOB, Refusal.NAMES),
        (None, BOB, None, Refusal.PROOF),
        (None, BOB, ANN, Refusal.PROOF),
        (None, BOB, BOB, None),
    ],
)
def test_a_verified_person_is_joined_only_with_their_number(
    survivor: bytes | None, absorbed: bytes | None, shown: bytes | None, why: Refusal | None
):
    assert refusal(replace(PLAIN, identity=survivor), replace(PLAIN, identity=absorbed), shown) is why


@pytest.mark.parametrize(("one", "other"), list(product(AccountState, AccountState)))
def test_only_two_usable_accounts_are_joined(one: AccountState, other: AccountState):
    fits = one is other is AccountState.ACTIVE
    found = refusal(replace(PLAIN, state=one), replace(PLAIN, state=other), None)
    assert found is (None if fits else Refusal.UNUSABLE)


@pytest.mark.parametrize(("one", "other"), [(Kind.PERSON, Kind.ORGANISATION), (Kind.ORGANISATION, Kind.PERSON)])
def test_an_organisation_is_never_joined(one: Kind, other: Kind):
    assert refusal(replace(PLAIN, kind=one), replace(PLAIN, kind=other), None) is Refusal.ORGANISATION


@pytest.mark.parametrize(
    ("means", "other_ways", "days_ago", "wait"),
    [
        (Means.WECHAT, 1, 400, NO_TIME),  # nobody else can hold that WeChat now
        (Means.PHONE, 0, 1, NO_TIME),
        (Means.PHONE, 1, 1, COOL_DOWN),  # in use by WeChat: the number may be somebody else's by now
        (Means.PHONE, 0, RECYCLED_AFTER.days, COOL_DOWN),
        (Means.PHONE, 0, None, COOL_DOWN),
    ],
)
def test_a_number_that_may_have_been_handed_on_has_to_wait(
    means: Means, other_ways: int, days_ago: int | None, wait: timedelta
):
    entered_at = None if days_ago is None else NOW - timedelta(days=days_ago)
    assert waits_for(replace(PLAIN, has_other_way=bool(other_ways), entered_at=entered_at), means, NOW) == wait
