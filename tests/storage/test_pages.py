"""The ledger on a real mongod: leases, fences, and changes that only raise."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.domain import ranks
from server.domain.broadcasts import UNREACHABLE, Lane, range_of
from server.domain.pages import MOVED, PageState, Sent, effective, in_doubt
from server.storage import pages as ledger
from server.storage.mongo import Database
from server.storage.pages import Pages, hash_reference
from tests.storage.ledger import LATER, age, page

AT = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def pages(db: Database) -> Pages:
    return Pages(db)


async def read(pages: Pages, number: int = 0):
    return next(p for p in await pages.of_range("b", 0) if p.id.endswith(f"{number:05d}"))


async def test_of_two_claimers_exactly_one_gets_a_page(pages: Pages):
    await pages.insert([page(n) for n in range(20)])
    ids = [page(n).id for n in range(20)]
    claims = await asyncio.gather(*(pages.claim(ids[i % 7 :], f"w{i}", f"w{i}.1") for i in range(6)))
    taken = [p.id for got in claims for p in got]
    assert sorted(taken) == ids


async def test_of_two_claimers_of_one_page_exactly_one_gets_it(pages: Pages):
    await pages.insert([page()])
    claims = await asyncio.gather(*(pages.claim([page().id], f"w{i}", f"w{i}.1") for i in range(8)))
    assert sorted(map(len, claims)) == [0] * 7 + [1]


@pytest.mark.parametrize("lane", [Lane.RED, Lane.YELLOW])
async def test_a_lease_holds_for_its_length_by_the_databases_clock_and_can_be_taken_over_then(
    pages: Pages, db: Database, lane: Lane
):
    await pages.insert([page(lane=lane)])
    [first] = await pages.claim([page().id], "w1", "w1.1")
    await age(db, ledger.lease_s(lane) - 1.0)
    assert await pages.claim([page().id], "w2", "w2.1") == []
    assert await pages.find_lapsed([lane]) == []
    await age(db, 1.1)
    assert [hint[0] for hint in await pages.find_lapsed([lane])] == [page().id]
    [second] = await pages.claim([page().id], "w2", "w2.2")
    assert (first.attempt, second.attempt) == (1, 2)


async def test_a_page_is_not_claimed_before_it_is_due_nor_when_it_is_done(pages: Pages):
    await pages.insert([page(0, not_before=LATER), page(1)])
    [taken] = await pages.claim([page(0).id, page(1).id], "w", "w.1")
    assert taken.id == page(1).id
    assert await pages.write(taken, ledger.release(state=PageState.DONE), is_fenced=True)
    assert await pages.claim([page(1).id], "w", "w.2") == []


@pytest.mark.parametrize("is_urgent", [True, False])
async def test_an_intent_with_a_stale_lease_does_not_match_and_an_outcome_does(
    pages: Pages, db: Database, *, is_urgent: bool
):
    await pages.insert([page()])
    [old] = await pages.claim([page().id], "w1", "w1.1")
    await age(db, 60)
    [new] = await pages.claim([page().id], "w2", "w2.1")
    intent = ledger.intent(Sent([0, 1], 1, AT, "a"))
    assert not await pages.write(old, intent, is_fenced=True, is_urgent=is_urgent)
    assert await pages.write(new, intent, is_fenced=True, is_urgent=is_urgent)
    late = ledger.outcomes({0: ranks.ACCEPTED}, {}, [(0, "m1")], "1_1_0")
    assert await pages.write(old, late, is_fenced=False, is_urgent=is_urgent)
    found = await read(pages)
    assert len(found.sent) == 1
    assert effective(found)[:2] == [ranks.ACCEPTED, ranks.sending(1)]
    assert in_doubt(found) == [1]


async def test_the_same_owner_with_an_older_attempt_is_fenced_out(pages: Pages, db: Database):
    await pages.insert([page()])
    [old] = await pages.claim([page().id], "w1", "w1.1")
    await age(db, 60)
    await pages.claim([page().id], "w1", "w1.2")
    assert not await pages.write(old, ledger.intent(Sent([0], 1, AT, "a")), is_fenced=True)


async def test_an_intent_renews_the_lease(pages: Pages, db: Database):
    await pages.insert([page()])
    [mine] = await pages.claim([page().id], "w1", "w1.1")
    await age(db, 8)
    await pages.write(mine, ledger.intent(Sent([0], 1, AT, "a")), is_fenced=True)
    await age(db, 8)
    assert await pages.claim([page().id], "w2", "w2.1") == []


async def test_group_commit_answers_every_waiter_truthfully(pages: Pages, db: Database):
    await pages.insert([page(n) for n in range(40)])
    ids = [page(n).id for n in range(40)]
    mine = {p.id: p for p in await pages.claim(ids, "w1", "w1.1")}
    await db["pages"].update_many({"_id": {"$in": ids[::3]}}, {"$set": {"lease.owner": "thief"}})
    change = ledger.intent(Sent([0], 1, AT, "a"))
    answers = await asyncio.gather(*(pages.write(mine[i], change, is_fenced=True) for i in ids))
    assert answers == [n % 3 != 0 for n in range(40)]
    written = {p.id for p in await pages.of_range("b", 0) if p.sent}
    assert written == {i for n, i in enumerate(ids) if n % 3}


async def test_a_writer_is_answered_while_others_keep_coming(pages: Pages):
    await pages.insert([page(n) for n in range(8)])
    change = ledger.outcomes({0: ranks.ACCEPTED}, {}, {}, "1")
    is_over = asyncio.Event()

    async def keep_writing(number: int) -> None:
        while not is_over.is_set():
            await pages.write(page(number), change, is_fenced=False)

    first = asyncio.create_task(pages.write(page(0), change, is_fenced=False))
    others = [asyncio.create_task(keep_writing(n)) for n in range(1, 8)]
    try:
        assert await asyncio.wait_for(first, 2.0)
    finally:
        is_over.set()
        await asyncio.gather(*others)


async def test_outcomes_and_receipts_never_lower_a_rank(pages: Pages):
    await pages.insert([page()])
    for rank in (ranks.DELIVERED, ranks.ACCEPTED, ranks.REFUSED, ranks.UNDELIVERED):
        await pages.apply({page().id: ledger.outcomes({2: rank}, {}, {}, "")})
    assert (await read(pages)).outcomes == [0, 0, ranks.DELIVERED, 0, 0]


async def test_a_second_planner_of_a_page_is_told_so_and_changes_nothing(pages: Pages):
    assert await pages.insert([page()])
    assert not await pages.insert([page(to=[7, 8])])
    assert list((await read(pages)).to) == [1, 2, 3, 4, 5]


async def test_planning_resumes_after_the_last_planned_page_and_ignores_follow_ups(pages: Pages):
    assert await pages.last_of_range("b", "sms", 0) is None
    first, second = page(0, to=[1, 2]), page(1, to=[5, 9])
    follow = [
        replace(second, id=f"{second.id}{tail}", to=[99], divisions=[0], outcomes=[0])
        for tail in ("+push.1", "~010700.0")
    ]
    await pages.insert([first, second, *follow])
    assert await pages.last_of_range("b", "sms", 0) == (2, 9)
    assert await pages.last_of_range("b", "push", 0) is None


async def test_a_stop_closes_what_nobody_touched_and_leaves_what_may_have_been_sent(pages: Pages, db: Database):
    await pages.insert([page(n) for n in range(4)])
    [held, sent] = await pages.claim([page(1).id, page(2).id], "w", "w.1")
    await pages.write(sent, ledger.combine(ledger.intent(Sent([0], 1, AT, "a"))), is_fenced=True)
    await pages.write(sent, ledger.release(not_before=LATER), is_fenced=True)
    assert await pages.close_untouched("b", "cancelled") == 2
    states = {p.id: (p.state, p.outcomes[0], p.reason) for p in await pages.of_range("b", 0)}
    for n in (0, 3):
        assert states[page(n).id] == (PageState.DONE, ranks.SUPPRESSED, "cancelled")
    assert states[held.id][0] is states[sent.id][0] is PageState.OPEN
    due = {hint[0] for hint in await pages.hasten("b")}
    assert due == {held.id, sent.id}
    assert [p.id for p in await pages.claim([sent.id], "w2", "w2.1")] == [sent.id]
    assert await db["pages"].count_documents({"state": "open"}) == 2


async def test_only_pages_that_are_due_and_free_wait_longest_due_first(pages: Pages):
    now = datetime.now(UTC)
    early, late = now - timedelta(hours=2), now - timedelta(hours=1)
    await pages.insert([page(0, not_before=late), page(1, not_before=early), page(2, not_before=LATER), page(3)])
    await pages.claim([page(3).id], "w", "w.1")
    waiting = await pages.find_waiting(Lane.YELLOW, "sms")
    assert [hint[0] for hint in waiting] == [page(1).id, page(0).id]
    assert await pages.find_waiting(Lane.RED, "sms") == []
    assert await pages.find_waiting(Lane.YELLOW, "push") == []


async def test_a_held_page_keeps_its_successor_broadcast_waiting_until_the_lease_lapses(pages: Pages, db: Database):
    await pages.insert([page(to=[10, 20])])
    assert not await pages.is_any_leased(["b"], 0, 100)
    await pages.claim([page().id], "w", "w.1")
    assert await pages.is_any_leased(["b"], 0, 100)
    assert await pages.is_any_leased(["b"], 20, 30)
    assert not await pages.is_any_leased(["b"], 21, 30)
    assert not await pages.is_any_leased(["c"], 0, 100)
    await age(db, 60)
    assert not await pages.is_any_leased(["b"], 0, 100)


async def test_a_dead_page_is_listed_with_its_reason_and_can_be_put_back_to_work(pages: Pages):
    await pages.insert([page()])
    [mine] = await pages.claim([page().id], "w", "w.1")
    change = ledger.combine(ledger.failed(), ledger.release(state=PageState.DEAD, reason="47003 at position 0"))
    await pages.write(mine, change, is_fenced=True)
    [dead] = await pages.dead()
    assert (dead.reason, dead.tries) == ("47003 at position 0", 1)
    assert await pages.is_any_dead("b")
    assert not await pages.is_any_open("b")
    assert await pages.claim([page().id], "w", "w.2") == []
    assert [hint[0] for hint in await pages.revive([page().id, "unknown"])] == [page().id]
    [again] = await pages.claim([page().id], "w", "w.3")
    assert (again.tries, again.reason) == (0, "")


async def test_a_receipt_finds_only_notices_that_left_or_may_have_left(pages: Pages):
    planned = page(0, to=[1], outcomes=[ranks.PLANNED])
    refused = page(1, to=[2], outcomes=[ranks.REFUSED])
    unknown = page(2, to=[3], outcomes=[ranks.UNKNOWN])
    moved = page(3, to=[4], outcomes=[ranks.SUPPRESSED], why={0: MOVED})
    doubt = page(4, to=[5])
    await pages.insert([planned, refused, unknown, moved, doubt])
    [held] = await pages.claim([doubt.id], "w", "w.1")
    await pages.write(held, ledger.intent(Sent([0], 1, AT, "a")), is_fenced=True)
    spots = await pages.find_spots("sms", [("b", 1)], [1, 2, 3, 4, 5])
    assert {i: [s.page for s in found] for i, found in spots.items()} == {3: [unknown.id], 5: [doubt.id]}


async def test_references_are_found_again_among_several_broadcasts(pages: Pages):
    for name in ("b", "c"):
        one = page(broadcast=name, to=[1, 2], outcomes=[ranks.ACCEPTED] * 2)
        await pages.insert([one])
        references = [(0, f"{name}-first"), (1, f"{name}-second"), (1, f"{name}-other-device")]
        await pages.apply({one.id: ledger.outcomes({0: ranks.ACCEPTED, 1: ranks.ACCEPTED}, {}, references, "1_1_0")})
    spots = await pages.find_spots("sms", [("c", 1), ("b", 1)], [2])
    assert [s.references for s in spots[2]] == [
        {hash_reference(f"{name}-second"), hash_reference(f"{name}-other-device")} for name in ("c", "b")
    ]
    assert not any(s.is_incomplete for s in spots[2])


async def test_one_citizen_is_found_on_every_page_of_every_channel(pages: Pages):
    mine = page(0, to=[1, 2, 3], outcomes=[ranks.ACCEPTED, ranks.REFUSED, 0])
    await pages.insert([mine, page(1, to=[5, 9])])
    assert [(p.id, i) for p, i in await pages.of_citizen(2, [("b", 1)])] == [(mine.id, 1)]
    assert await pages.of_citizen(4, [("b", 1)]) == []
    assert range_of(2, 1) == 0


async def test_those_without_an_address_are_listed_and_never_open(pages: Pages):
    await pages.insert([replace(page(), id="b/unreachable/00000/00000", channel=UNREACHABLE)])
    [found] = await pages.of_range("b", 0)
    assert found.state is PageState.DONE
    assert not await pages.is_any_open("b")


async def test_the_mark_that_a_doubt_is_sent_again_comes_with_the_intent_and_once(pages: Pages):
    await pages.insert([page()])
    [mine] = await pages.claim([page().id], "w", "w.1")
    change = ledger.combine(ledger.intent(Sent([1, 3], 2, AT, "a")), ledger.send_again([3]))
    await pages.write(mine, change, is_fenced=True)
    await pages.write(mine, change, is_fenced=True)  # a repeated write after a lost answer
    found = await read(pages)
    assert found.resent == {3}
    assert effective(found) == [0, ranks.sending(2), 0, ranks.sending(2), 0]
