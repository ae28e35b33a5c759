"""The engine against the sandbox's journal: who gets what, by which channel, and who does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.sandbox.faults import ProviderFaults, ReceiptFaults
from server.domain.broadcasts import CHANNELS, UNREACHABLE, Audience, Lane, State
from server.domain.china import CHINA
from server.domain.pages import PageState, effective
from server.domain.ranks import status
from tests.push.city import warning
from tests.push.conftest import City, ids, until

NEVER = ReceiptFaults(lost=1.0)


def only(*channels: str):
    """Makes people who have only these channels."""
    return lambda _, c: replace(c, addresses={ch: v for ch, v in c.addresses.items() if ch in channels})


async def test_a_red_warning_reaches_everybody_on_every_channel_once_and_the_sums_say_so(city: City):
    await city.people(40)
    lonely = await city.people(3, only())
    city.start()
    red = await city.release("red-all", Lane.RED)
    await city.finished(red)
    assert city.journal(red) == {(ch, c.id): 1 for c in city.citizens[:40] for ch in CHANNELS}
    assert (await city.finding(red)).is_equal
    progress = await city.assembly.broadcasts.progress(red.id)
    assert {ch: progress.audience(ch) for ch in CHANNELS} == dict.fromkeys(CHANNELS, 40)
    assert progress.audience(UNREACHABLE) == len(lonely)


async def test_the_receipts_of_a_red_warning_are_written_down_and_the_sums_follow(city: City):
    await city.people(20)
    await city.faults(sms_aliyun=ProviderFaults(receipts=ReceiptFaults(undelivered=0.5)))
    city.start()
    red = await city.release("red-receipts", Lane.RED)
    await city.finished(red)
    await city.receipts()
    finding = await city.finding(red)
    assert finding.is_equal
    assert finding.statuses["wechat", "delivered"] == 20
    assert finding.statuses["sms", "delivered"] + finding.statuses["sms", "undelivered"] == 20
    assert 0 < finding.statuses["sms", "undelivered"] < 20

    async def sums_follow() -> bool:
        progress = await city.assembly.broadcasts.progress(red.id)
        return all(progress.statuses(ch)[s] == n for (ch, s), n in finding.statuses.items())

    await until(sums_follow)


async def test_the_ladder_sends_on_one_channel_and_whoever_is_reached_there_gets_nothing_more(city: City):
    await city.people(15)
    city.start()
    yellow = await city.release("ladder-reached", Lane.YELLOW, wait_s=2.0)
    await city.sent(yellow, 15)
    await city.receipts()
    await city.finished(yellow)
    assert city.journal(yellow) == {("wechat", i): 1 for i in ids(city.citizens)}


async def test_on_the_ladder_the_refused_go_on_at_once_and_the_unreached_after_the_wait(city: City):
    await city.people(30)
    await city.faults(wechat=ProviderFaults(grant_gone=0.5, receipts=NEVER))
    city.start()
    began = asyncio.get_running_loop().time()
    yellow = await city.release("ladder-falls", Lane.YELLOW, wait_s=3.0, order=("wechat", "push"))
    await city.sent(yellow, 30)  # every one is refused or accepted by WeChat, and the refused are on push
    assert asyncio.get_running_loop().time() - began < 2.5
    refused = {i for ch, i in city.journal(yellow) if ch == "push"}
    assert 0 < len(refused) < 30
    await city.finished(yellow)
    assert asyncio.get_running_loop().time() - began >= 3.0
    journal = city.journal(yellow)
    assert {i for ch, i in journal if ch == "push"} == ids(city.citizens)
    assert {i for ch, i in journal if ch == "wechat"} == ids(city.citizens) - refused
    assert (await city.finding(yellow)).is_equal


async def test_the_ladder_begins_at_the_first_channel_that_a_person_has(city: City):
    by_phone = await city.people(4, only("sms"))
    by_app = await city.people(4, only("push"))
    city.start()
    blue = await city.release("ladder-first", Lane.BLUE, wait_s=0.2)
    await city.sent(blue, 8)
    assert {i for ch, i in city.journal(blue) if ch == "sms"} == ids(by_phone)
    assert {i for ch, i in city.journal(blue) if ch == "push"} == ids(by_app)


def quiet_now(city: City) -> tuple[int, int]:
    local = city.now().astimezone(CHINA)
    minute = local.hour * 60 + local.minute
    return (minute - 60) % 1440, (minute + 60) % 1440


async def test_quiet_hours_move_a_yellow_notice_to_later_and_a_red_one_rings(city: City):
    quiet = quiet_now(city)
    asleep = await city.people(6, lambda i, c: replace(c, quiet=quiet if i < 3 else None))
    city.start()
    yellow = await city.release("quiet-yellow", Lane.YELLOW, wait_s=1.0)
    red = await city.release("quiet-red", Lane.RED)
    await city.finished(red)
    assert {i for _, i in city.journal(red)} == ids(asleep)
    await city.sent(yellow, 3)
    waiting = [p for p in await city.pages(yellow) if "~" in p.id]
    assert [set(p.to) for p in waiting] == [ids(asleep[:3])]
    assert timedelta(minutes=58) < waiting[0].not_before - city.now() < timedelta(minutes=61)
    assert await city.standing(yellow, asleep[0]) == {"wechat": ["moved", "planned"]}
    await city.assembly.db["pages"].update_one({"_id": waiting[0].id}, {"$set": {"not_before": city.now()}})
    await city.assembly.db["addresses"].update_many({}, {"$unset": {"quiet": ""}})  # it is morning
    await city.sent(yellow, 6)
    assert {i for _, i in city.journal(yellow)} == ids(asleep)


async def test_two_turns_of_a_page_may_move_people_to_the_same_morning(city: City):
    quiet = quiet_now(city)
    [first, second] = await city.people(2, lambda i, c: replace(c, quiet=quiet if i == 0 else None))
    await city.faults(wechat=ProviderFaults(busy=1.0))  # the second is awake but has to be tried again
    city.start()
    yellow = await city.release("quiet-twice", Lane.YELLOW)

    async def was_tried() -> bool:
        return any(page.sent for page in await city.pages(yellow))

    await until(was_tried)
    await city.assembly.db["addresses"].update_one({"_id": second.id}, {"$set": {"quiet": list(quiet)}})

    async def both_moved() -> bool:
        return {i for p in await city.pages(yellow) if "~" in p.id for i in p.to} == ids([first, second])

    await until(both_moved)


async def test_who_opted_out_is_suppressed_in_yellow_and_warned_in_red(city: City):
    out = await city.people(6, lambda i, c: replace(c, off=("alert:yellow",) if i < 3 else ()))
    city.start()
    yellow = await city.release("off-yellow", Lane.YELLOW, wait_s=0.2)
    red = await city.release("off-red", Lane.RED)
    await city.finished(yellow, red)
    assert {i for _, i in city.journal(yellow)} == ids(out[3:])
    assert {i for _, i in city.journal(red)} == ids(out)
    assert await city.standing(yellow, out[0]) == {"wechat": ["opted_out"]}


async def test_dead_addresses_are_retired_and_not_planned_again(city: City):
    await city.people(40)
    await city.faults(fcm=ProviderFaults(dead=0.3))
    city.start()
    first = await city.release("dead-first", Lane.RED)
    await city.finished(first)
    finding = await city.finding(first)
    dead = finding.statuses["push", "refused"]
    assert finding.is_equal
    assert 0 < dead < 40

    async def retired() -> bool:
        people = await city.assembly.citizens.by_id(sorted(ids(city.citizens)))
        return sum("push" not in person.channels for person in people) == dead

    await until(retired)
    again = await city.release("dead-again", Lane.RED)
    await city.finished(again)
    assert (await city.finding(again)).statuses["push", "accepted"] == 40 - dead
    assert (await city.assembly.broadcasts.progress(again.id)).audience("push") == 40 - dead


async def test_a_wrong_template_makes_a_dead_letter_that_a_human_can_send_after_the_repair(city: City):
    await city.people(5, only("wechat"))
    city.start()
    whole = warning("config", Lane.RED, city.now()).texts
    wrong = {lang: text | {"template_id": "WX_NOBODY"} for lang, text in whole["wechat"].items()}
    red = await city.release("config", Lane.RED, texts={**whole, "wechat": wrong})

    async def is_dead() -> bool:
        return bool(await city.assembly.pages.dead())

    await until(is_dead)
    [letter] = await city.assembly.pages.dead()
    assert letter.reason.startswith("40037")
    assert city.journal(red).total() == 0
    states = await city.assembly.broadcast_store.states([red.id])
    assert states == {red.id: State.LIVE}
    assert await city.assembly.broadcasts.revive([letter.id]) == 1
    await until(is_dead)  # nothing was repaired yet
    repaired = red.model_copy(update={"texts": whole})
    await city.assembly.db["broadcasts"].update_one({"_id": red.id}, {"$set": {"texts.wechat": whole["wechat"]}})
    await city.drain()
    city.start()  # texts are read once per process
    [letter] = await city.assembly.pages.dead()
    assert await city.assembly.broadcasts.revive([letter.id]) == 1
    await city.finished(red)
    assert {i for _, i in city.journal(repaired)} == ids(city.citizens)


async def test_late_pages_expire_and_are_not_sent(city: City):
    await city.people(4)
    red = await city.release("late", Lane.RED, expires_at=city.now() + timedelta(seconds=0.05))
    await asyncio.sleep(0.1)
    city.start()
    await city.finished(red)
    assert city.journal(red).total() == 0
    assert (await city.finding(red)).statuses == {(ch, "expired"): 4 for ch in CHANNELS}


async def test_a_page_stops_in_the_middle_when_its_broadcast_expires(city: City):
    await city.people(60, only("wechat"))
    city.start(rate_per_s=10)
    red = await city.release("expires", Lane.RED, expires_at=city.now() + timedelta(seconds=1.5))
    await city.finished(red)
    finding = await city.finding(red)
    assert finding.is_equal
    assert finding.statuses["wechat", "expired"] > 20
    assert max(e.at for e in city.entries(red)) < red.expires_at + timedelta(seconds=0.7)


async def test_an_exercise_reaches_its_test_list_only(city: City):
    made = await city.people(10)
    some = made[2:5]
    city.start()
    drill = await city.release(
        "drill", Lane.RED, audience=Audience(citizens=tuple(sorted(ids(some)))), is_exercise=True
    )
    await city.finished(drill)
    assert {i for _, i in city.journal(drill)} == ids(some)


async def test_one_citizen_can_be_looked_up(city: City):
    [someone, _] = await city.people(2)
    city.start()
    red = await city.release("lookup", Lane.RED)
    await city.finished(red)
    found = await city.assembly.broadcasts.of_citizen(someone.id, city.now() - timedelta(hours=1))
    assert {(one["channel"], one["broadcast"]) for one in found} == {(ch, red.id) for ch in CHANNELS}
    assert all(one["handed_over"][0]["attempt"] == 1 for one in found)


@pytest.mark.parametrize("lane", [Lane.RED, Lane.YELLOW])
async def test_a_page_whose_content_breaks_is_dead_after_five_tries_and_harms_nobody_else(city: City, lane: Lane):
    await city.people(3, only("wechat"))
    city.start()
    texts = warning("any", lane, city.now()).texts
    poison = {lang: {"data": {}} for lang in texts["wechat"]}  # no template id: building the message raises
    bad = await city.release(f"poison-{lane.value}", lane, texts={**texts, "wechat": poison})
    good = await city.release(f"healthy-{lane.value}", Lane.RED)
    await city.finished(good)

    async def is_dead() -> bool:
        await city.assembly.db["pages"].update_many(  # let the leases of the failed tries lapse at once
            {"broadcast": bad.id, "tries": {"$gt": 0}, "state": "open", "lease.at": {"$exists": True}},
            [{"$set": {"lease.at": {"$subtract": ["$lease.at", 20_000]}}}],
        )
        hints = await city.assembly.pages.find_lapsed([lane])
        await city.assembly.queue.push("wechat", lane, [h[0] for h in hints])
        return bool(await city.assembly.pages.dead())

    await until(is_dead)
    [letter] = await city.assembly.pages.dead()
    assert letter.tries == 5
    assert letter.reason.startswith("KeyError")
    assert {p.state for p in await city.pages(bad)} == {PageState.DEAD}
    assert {status(rank) for p in await city.pages(bad) for rank in effective(p)} == {"planned"}
    assert city.journal(good).total() == 3
