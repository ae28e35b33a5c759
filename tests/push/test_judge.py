"""The judge itself: each of its rules can fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from push.judge import FAULTS, judge
from server.domain import ranks
from server.domain.broadcasts import UNREACHABLE, Lane
from server.domain.pages import MOVED, Page, PageState, Sent

AT = datetime(2026, 7, 1, tzinfo=UTC)
SPOTS = {
    "refused": 0, "suppressed": 1, "expired": 2, "unknown": 3,
    "accepted": 4, "undelivered": 5, "delivered": 6, "read": 7,
}  # fmt: skip
RANKS = [
    ranks.REFUSED, ranks.SUPPRESSED, ranks.EXPIRED, ranks.UNKNOWN,
    ranks.ACCEPTED, ranks.UNDELIVERED, ranks.DELIVERED, ranks.READ,
]  # fmt: skip
TRUE = Page(
    id="b/sms/00000/00000", broadcast="b", channel="sms", number=0, lane=Lane.RED, state=PageState.DONE,
    to=list(range(8)), divisions=[0] * 8, not_before=AT, expires_at=AT, outcomes=RANKS,
)  # fmt: skip
JOURNAL = Counter({("sms", i): 1 for i in (4, 5, 6, 7)})


def faults(page: Page, journal: Counter[tuple[str, int]], *more: Page) -> list[str]:
    summary = judge([page, *more], journal).summary()
    return [name for name in FAULTS if summary[name]]


def test_a_true_ledger_equals_its_journal():
    finding = judge([TRUE], JOURNAL)
    assert finding.is_equal
    assert finding.statuses["sms", "delivered"] == 1


def test_what_is_unknown_may_be_in_the_journal_or_not():
    assert faults(TRUE, JOURNAL + Counter({("sms", SPOTS["unknown"]): 1})) == []


@pytest.mark.parametrize("status", ["accepted", "undelivered", "delivered", "read"])
def test_a_notice_that_no_provider_took_must_not_be_called_handed_over(status: str):
    journal = JOURNAL.copy()
    del journal["sms", SPOTS[status]]
    assert faults(TRUE, journal) == ["not_in_journal"]


@pytest.mark.parametrize("status", ["refused", "suppressed", "expired"])
def test_a_notice_that_a_provider_took_must_not_be_called_unsent(status: str):
    assert "wrongly_in_journal" in faults(TRUE, JOURNAL + Counter({("sms", SPOTS[status]): 1}))


def test_an_accept_of_a_stranger_is_not_accounted_for():
    assert faults(TRUE, JOURNAL + Counter({("sms", -1): 1})) == ["not_accounted"]
    assert faults(TRUE, JOURNAL + Counter({("push", 4): 1})) == ["not_accounted"]


def test_two_accepts_need_the_mark_that_it_was_sent_again():
    journal = JOURNAL + Counter({("sms", SPOTS["accepted"]): 1})
    assert faults(TRUE, journal) == ["twice_without_mark"]
    assert faults(replace(TRUE, resent=frozenset({SPOTS["accepted"]})), journal) == []
    thrice = journal + Counter({("sms", SPOTS["accepted"]): 1})
    assert faults(replace(TRUE, resent=frozenset({SPOTS["accepted"]})), thrice) == ["twice_without_mark"]


@pytest.mark.parametrize("rank", [ranks.PLANNED, ranks.retry(1)])
def test_nothing_may_be_left_unfinished(rank: int):
    assert faults(replace(TRUE, outcomes=[rank, *RANKS[1:]]), JOURNAL) == ["unfinished"]


def test_an_intent_without_an_outcome_is_unfinished():
    assert faults(replace(TRUE, outcomes=[0, *RANKS[1:]], sent=[Sent([0], 1, AT, "a")]), JOURNAL) == ["unfinished"]


def test_nobody_stands_twice_on_one_channel_of_a_broadcast_but_whoever_moved():
    again = replace(
        TRUE, id="b/sms/00000/00000~010700.1", to=[SPOTS["suppressed"]], divisions=[0], outcomes=[ranks.REFUSED]
    )
    assert faults(TRUE, JOURNAL, again) == ["planned_twice"]
    assert faults(replace(TRUE, why={SPOTS["suppressed"]: MOVED}), JOURNAL, again) == []
    assert faults(TRUE, JOURNAL, replace(again, broadcast="c", id="c/sms/00000/00000")) == []


def test_those_without_any_address_are_no_notices():
    assert judge([replace(TRUE, channel=UNREACHABLE)], Counter()).notices == 0
