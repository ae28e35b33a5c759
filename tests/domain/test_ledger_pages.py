"""What a page means: doubts, what is left, who may have it, and sums that count everybody once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.domain import pages, ranks
from server.domain.broadcasts import Lane
from server.domain.pages import MOVED, Page, PageState, Sent

AT = datetime(2026, 7, 1, tzinfo=UTC)
OUTCOMES = st.sampled_from(
    [ranks.PLANNED, ranks.retry(1), ranks.retry(2), ranks.SUPPRESSED, ranks.REFUSED, ranks.UNKNOWN, ranks.ACCEPTED]
)


def page(outcomes: list[int], sent: list[Sent] | None = None, **changes: object) -> Page:
    made = Page(
        id="b/sms/00000/00000",
        broadcast="b",
        channel="sms",
        number=0,
        lane=Lane.RED,
        state=PageState.OPEN,
        to=list(range(100, 100 + len(outcomes))),
        divisions=[i % 3 for i in range(len(outcomes))],
        not_before=AT,
        expires_at=AT,
        outcomes=outcomes,
        sent=sent or [],
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@st.composite
def a_page(draw: st.DrawFn) -> Page:
    outcomes = draw(st.lists(OUTCOMES, min_size=1, max_size=30))
    spots = st.sets(st.integers(0, len(outcomes) - 1)).map(sorted)
    sent = [Sent(draw(spots), draw(st.integers(1, 3)), AT, "a") for _ in range(draw(st.integers(0, 3)))]
    moved = draw(spots)
    return page(outcomes, sent, why=dict.fromkeys(moved, MOVED))


@given(a_page())
def test_every_position_is_in_doubt_or_unfinished_or_final_and_never_two_of_them(one: Page):
    final = [i for i, rank in enumerate(pages.effective(one)) if ranks.is_final(rank)]
    assert sorted([*pages.in_doubt(one), *pages.unfinished(one), *final]) == list(range(len(one.to)))


@given(a_page())
def test_an_intent_without_an_outcome_is_in_doubt_and_an_outcome_of_that_attempt_settles_it(one: Page):
    for sent in one.sent:
        for i in sent.positions:
            assert pages.effective(one)[i] >= ranks.sending(sent.attempt)
    settled = replace(one, outcomes=[max(rank, ranks.UNKNOWN) for rank in one.outcomes])
    assert pages.in_doubt(settled) == pages.unfinished(settled) == []


@given(a_page())
def test_whoever_may_have_got_it_is_included_in_the_all_clear_and_nobody_else(one: Page):
    expected = {i for i, rank in enumerate(one.outcomes) if rank >= ranks.UNKNOWN} | set(pages.in_doubt(one))
    assert set(pages.may_have_it(one)) == expected


@given(a_page())
def test_sums_count_everybody_once_except_those_who_moved(one: Page):
    moved = sum(r == ranks.SUPPRESSED and one.why.get(i) == MOVED for i, r in enumerate(pages.effective(one)))
    assert pages.sums(one).total() == len(one.to) - moved
    by_division = Counter(one.divisions)
    counted = Counter()
    for (_, division), count in pages.sums(one).items():
        counted[division] += count
    assert all(counted[division] <= by_division[division] for division in counted)


@given(st.sets(st.integers(0, 499)).map(sorted))
def test_runs_name_exactly_the_positions_and_as_few_intervals_as_possible(positions: list[int]):
    runs = pages.runs(positions)
    assert [i for a, b in runs for i in range(a, b + 1)] == positions
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(runs))


@given(st.lists(st.integers(0, 2**63 - 1), max_size=50))
def test_packed_ids_sort_like_ids_and_come_back(ids: list[int]):
    assert list(pages.ids_from_bytes(pages.ids_to_bytes(ids))) == ids
    assert sorted(ids) == sorted(ids, key=lambda i: pages.ids_to_bytes([i]))


@given(st.lists(st.integers(0, 65535), max_size=50))
def test_packed_shorts_come_back(values: list[int]):
    assert list(pages.shorts_from_bytes(pages.shorts_to_bytes(values))) == values


@given(st.lists(st.integers(), max_size=40), st.integers(1, 7))
def test_windows_cut_without_loss(positions: list[int], size: int):
    cut = pages.windows(positions, size)
    assert [i for window in cut for i in window] == positions
    assert all(1 <= len(window) <= size for window in cut)


def test_the_refused_and_the_unreached_are_told_apart():
    one = page([ranks.REFUSED, ranks.UNKNOWN, ranks.ACCEPTED, ranks.UNDELIVERED, ranks.DELIVERED, ranks.SUPPRESSED])
    assert pages.refused(one) == [0]
    assert pages.unreached(one) == [1, 2, 3]


def test_an_entry_tells_a_person_what_happened_and_when():
    one = page([ranks.ACCEPTED, ranks.PLANNED], [Sent([0], 1, AT, "sms/x")], resent=frozenset({0}))
    told = one.entry(0)
    assert told["status"] == "accepted"
    assert told["sent_twice"] is True
    assert told["handed_over"] == [{"at": AT.isoformat(), "account": "sms/x", "attempt": 1}]
    assert one.entry(1)["handed_over"] == []
