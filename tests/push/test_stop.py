"""A stop holds within a second, and what comes after an alert reaches those who may have it, never before it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from channels.sandbox.faults import ProviderFaults, ReceiptFaults
from server.domain.broadcasts import CHANNELS, UNREACHABLE, Audience, Lane, State
from server.domain.pages import PageState, effective
from server.domain.ranks import UNKNOWN
from server.domain.wording import Kind
from tests.push.conftest import City, ids, until

A_SECOND = timedelta(seconds=1)


async def all_clear(city: City, of: str, id_: str = "all-clear"):
    return await city.release(id_, Lane.ORANGE, replaces=(of,), is_all_clear=True, kind=Kind.CANCEL, chain=id_)


async def settled(city: City, broadcast: str) -> None:
    """Wait until nothing of a stopped broadcast is in hand."""

    async def quiet() -> bool:
        return not await city.assembly.pages.is_any_open(broadcast)

    await until(quiet)


async def test_after_a_cancel_no_hand_off_starts_later_than_a_second(city: City):
    await city.people(400)
    city.start(rate_per_s=100)
    red = await city.release("cancelled", Lane.RED)
    await city.sent(red, 60)
    await city.assembly.broadcasts.stop(red.id, State.CANCELLED)
    acknowledged_at = city.now()
    await settled(city, red.id)
    assert max(e.at for e in city.entries(red)) < acknowledged_at + A_SECOND
    finding = await city.finding(red)
    assert finding.is_equal
    assert all(finding.statuses[ch, "suppressed"] for ch in CHANNELS)


async def test_the_sums_of_a_cancelled_broadcast_are_summed_up(city: City):
    await city.people(100)
    city.start(rate_per_s=60)
    red = await city.release("cancelled-sums", Lane.RED)
    await city.sent(red, 20)
    await city.assembly.broadcasts.stop(red.id, State.CANCELLED)
    await settled(city, red.id)
    await city.receipts()
    statuses = (await city.finding(red)).statuses

    async def summed_up() -> bool:
        progress = await city.assembly.broadcasts.progress(red.id)
        return {(ch, s): n for ch in CHANNELS for s, n in progress.statuses(ch).items() if n} == dict(statuses)

    await until(summed_up)
    assert sum(n for (ch, _), n in statuses.items() if ch == "sms") == 100


async def test_a_slow_provider_cannot_carry_a_cancelled_notice_over_the_second(city: City):
    await city.people(150)
    slow = ProviderFaults(latency_ms=400, jitter_ms=400)
    await city.faults(wechat=slow, fcm=slow, sms_aliyun=slow)
    city.start(rate_per_s=80)
    red = await city.release("cancelled-slow", Lane.RED)
    await city.sent(red, 40)
    await city.assembly.broadcasts.stop(red.id, State.CANCELLED)
    acknowledged_at = city.now()
    await settled(city, red.id)
    assert max(e.at for e in city.entries(red)) < acknowledged_at + A_SECOND  # the journal is written on arrival
    assert (await city.finding(red)).is_equal


async def test_a_cancel_while_planning_closes_the_ranges_and_plans_nobody_more(city: City):
    await city.people(50, lambda _, c: replace(c, addresses={"sms": c.addresses["sms"]}))
    red = await city.release("cancelled-unplanned", Lane.RED)
    await city.assembly.broadcasts.stop(red.id, State.CANCELLED)
    city.start()
    later = await city.release("cancelled-later", Lane.RED)
    await city.finished(later)
    assert city.journal(red) == {}
    assert await city.pages(red) == []
    assert not await city.assembly.broadcast_store.is_any_range_open(red.id)


async def test_the_all_clear_reaches_exactly_those_who_may_have_the_warning_by_the_channel_that_reached_them(
    city: City,
):
    await city.people(300)
    reset = ProviderFaults(reset_after=0.3, receipts=ReceiptFaults(lost=1.0))
    await city.faults(wechat=reset)
    city.start(rate_per_s=100)
    yellow = await city.release("yellow-off", Lane.YELLOW, order=("wechat",))
    await city.sent(yellow, 60)
    await city.faults()
    over = await all_clear(city, yellow.id)
    await city.finished(over)
    may_have = {p.to[i] for p in await city.pages(yellow) for i, rank in enumerate(effective(p)) if rank >= UNKNOWN}
    assert 0 < len(may_have) < 300
    assert city.journal(over) == {("wechat", i): 1 for i in may_have}
    assert {i for _, i in city.journal(yellow)} <= may_have
    assert max(e.at for e in city.entries(yellow)) <= min(e.at for e in city.entries(over))


async def test_the_all_clear_waits_while_an_old_page_is_held(city: City):
    await city.people(3)
    red = await city.release("held", Lane.RED)
    one = city.worker()
    city.start(one)
    await city.finished(red)
    await city.assembly.db["broadcasts"].update_one({"_id": red.id}, {"$set": {"state": "live"}})
    held = (await city.pages(red))[0]
    await city.assembly.db["pages"].update_one(
        {"_id": held.id},
        {"$set": {"state": "open", "lease.owner": "somebody slow"}, "$currentDate": {"lease.at": True}},
    )
    over = await all_clear(city, red.id, "held-over")
    hold_until = city.now() + timedelta(seconds=2)  # the lease of red lasts three
    await city.finished(over)
    assert min(e.at for e in city.entries(over)) >= hold_until


async def test_an_update_reaches_old_and_new_people_once_and_stops_the_old_warning(city: City):
    await city.people(40)
    west, east, *_ = sorted({c.places[0].division for c in city.citizens})
    old_people = [c for c in city.citizens if c.places[0].division == west]
    new_people = [c for c in city.citizens if c.places[0].division == east]
    city.start()
    first = await city.release("chain-1", Lane.RED, audience=Audience(divisions=(west,)))
    await city.finished(first)
    second = await city.release(
        "chain-2", Lane.RED, audience=Audience(divisions=(east,)), replaces=(first.id,), kind=Kind.CANCEL
    )
    await city.finished(second)
    assert city.journal(second) == {(ch, i): 1 for ch in CHANNELS for i in ids(old_people) | ids(new_people)}
    assert (await city.assembly.broadcast_store.states([first.id]))[first.id] is State.REPLACED


async def test_an_update_in_the_middle_of_a_warning_sends_nobody_the_old_text_after_the_new(city: City):
    await city.people(200)
    city.start(rate_per_s=100)
    first = await city.release("middle-1", Lane.RED)
    await city.sent(first, 60)
    second = await city.release("middle-2", Lane.RED, replaces=(first.id,), kind=Kind.CANCEL)
    await city.finished(second)
    assert city.journal(second) == {(ch, c.id): 1 for ch in CHANNELS for c in city.citizens}
    assert max(e.at for e in city.entries(first)) <= min(e.at for e in city.entries(second))
    assert (await city.finding(first)).is_equal


async def test_a_paused_run_stands_still_and_goes_on_when_it_is_resumed(city: City):
    await city.people(150)
    city.start(rate_per_s=60)
    red = await city.release("paused", Lane.RED)
    await city.sent(red, 30)
    assert await city.assembly.broadcasts.pause(red.id)
    paused_at = city.now()

    async def nothing_in_hand() -> bool:
        held = {"broadcast": red.id, "lease.owner": {"$ne": None}}
        return city.now() > paused_at + A_SECOND and not await city.assembly.db["pages"].find_one(held)

    await until(nothing_in_hand)
    assert max(e.at for e in city.entries(red)) < paused_at + A_SECOND
    stood = city.journal(red).total()
    assert await city.assembly.broadcasts.resume(red.id)
    await city.finished(red)
    assert stood < city.journal(red).total() == 450
    assert (await city.finding(red)).is_equal


async def test_a_release_that_is_repeated_sends_nothing_twice(city: City):
    await city.people(10)
    city.start()
    red = await city.release("again", Lane.RED)
    await city.assembly.broadcasts.publish(red)
    await city.finished(red)
    await city.assembly.broadcasts.publish(red)
    assert Counter(city.journal(red).values()) == {1: 30}


async def test_a_release_that_died_before_its_ranges_were_cut_is_finished_by_a_worker(city: City):
    await city.people(10)
    red = await city.release("uncut", Lane.RED)
    await city.assembly.db["ranges"].delete_many({"broadcast": red.id})
    await city.assembly.db["broadcasts"].update_one({"_id": red.id}, {"$set": {"is_cut": False}})
    await city.assembly.redis.flushall()
    city.start()
    await city.finished(red)
    assert city.journal(red).total() == 30


async def test_a_planner_goes_on_where_a_killed_one_stopped(city: City):
    made = await city.people(60, lambda i, c: replace(c, addresses={} if i % 20 == 0 else c.addresses))
    red = await city.release("resumed", Lane.RED)
    city.start()
    await city.finished(red)
    pages = await city.pages(red)
    assert {p.channel: len(p.to) for p in pages} == dict.fromkeys(CHANNELS, 57) | {UNREACHABLE: 3}
    # As if the planner had died after the first page of WeChat: the range is open, the other pages were never written.
    await city.assembly.db["pages"].delete_many({"broadcast": red.id, "channel": {"$ne": "wechat"}})
    await city.assembly.db["ranges"].update_many({"broadcast": red.id}, {"$set": {"state": "open"}})
    await city.assembly.db["broadcasts"].update_one({"_id": red.id}, {"$set": {"state": "live"}})
    await city.finished(red)
    again = await city.pages(red)
    assert {p.channel: list(p.to) for p in again} == {p.channel: list(p.to) for p in pages}
    assert {p.state for p in again} == {PageState.DONE}
    assert {i for p in again for i in p.to} == ids(made)
