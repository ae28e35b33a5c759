"""Personal notices on their way: from the outbox over filler and sender to the providers' journal, and their sums."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.sandbox.faults import ProviderFaults
from push.judge import judge
from push.totals import Totals
from server import assemble
from server.domain.broadcasts import State
from server.domain.china import CHINA
from server.domain.errors import InvalidInputError
from server.domain.notices import Notice as Told
from server.domain.outbox import day_of
from server.domain.pages import Page, effective
from server.domain.ranks import status
from server.domain.wording import Words
from server.services.notices import TEMPLATE
from server.storage.notices import NoticeStore
from tests.push.city import Notice, accepted, owners_of, pages_of
from tests.push.conftest import City, ids, until

TITLE = Words("您的证件已办好", "Your card is ready")
BODY = Words("请到南山区政务服务中心领取", "Collect it at Nanshan")


def only(*channels: str):
    """Makes people who have only these channels."""
    return lambda _, c: replace(c, addresses={ch: v for ch, v in c.addresses.items() if ch in channels})


def quiet_now(city: City) -> tuple[int, int]:
    local = city.now().astimezone(CHINA)
    minute = local.hour * 60 + local.minute
    return (minute - 60) % 1440, (minute + 60) % 1440


def today(city: City) -> str:
    return f"{TEMPLATE}-{day_of(city.now())}"


def journal(city: City) -> Counter[Notice]:
    """All accepts of this test by (channel, citizen)."""
    return accepted(list(city.sandbox.journal())[city.began :], owners_of(city.citizens))


async def pages(city: City) -> list[Page]:
    return await pages_of(city.assembly, today(city))


async def tell(city: City, *people: int) -> None:
    """Tell each of them one thing, as `<id>.<nth>`."""
    for nth, person in enumerate(people):
        assert await city.assembly.notices.tell(person, TITLE, BODY, key=f"{person}.{nth}")


async def ended(city: City, count: int) -> Counter[tuple[str, str]]:
    """Wait until so many notices stand at a status that is final; (channel, status or why) -> people."""
    found: Counter[tuple[str, str]] = Counter()

    async def are_final() -> bool:
        found.clear()
        for page in await pages(city):
            for i, rank in enumerate(effective(page)):
                found[page.channel, page.why.get(i, status(rank))] += 1
        unfinished = sum(found[ch, s] for ch, s in found if s in ("planned", "sending", "retry"))
        return found.total() - unfinished >= count

    await until(are_final)
    return found


async def test_a_notice_is_with_the_provider_within_two_seconds_of_its_put(city: City):
    [person] = await city.people(1)
    city.start()
    await asyncio.sleep(0.5)
    await tell(city, person.id)
    await asyncio.sleep(2.0)
    assert journal(city) == {("wechat", person.id): 1}


async def test_a_notice_that_is_told_again_under_its_key_is_sent_once(city: City):
    [person] = await city.people(1)
    city.start()
    told = [await city.assembly.notices.tell(person.id, TITLE, BODY, key="n") for _ in range(2)]
    await ended(city, 1)
    told.append(await city.assembly.notices.tell(person.id, TITLE, BODY, key="n"))
    await asyncio.sleep(0.8)
    assert told == [True, False, False]
    assert journal(city) == {("wechat", person.id): 1}


async def test_everybody_gets_the_words_about_the_own_thing(city: City):
    people = await city.people(30, only("push"))
    await tell(city, *ids(people))
    city.start()
    await ended(city, 30)
    owners = owners_of(people)
    entries = list(city.sandbox.journal())[city.began :]
    got = {(owners["push", e.address], e.ours.removeprefix(f"{TEMPLATE}/").split(".")[0]) for e in entries}
    assert got == {(person, str(person)) for person in ids(people)}
    assert len(entries) == 30


async def test_whom_one_channel_refuses_gets_the_same_thing_by_the_next(city: City):
    people = await city.people(4, only("wechat", "push"))
    await city.faults(wechat=ProviderFaults(grant_gone=1.0))
    await tell(city, *ids(people))
    city.start()
    await ended(city, 8)
    assert journal(city) == {("push", i): 1 for i in ids(people)}
    things = {
        (page.channel, person, about)
        for page in await pages(city)
        for person, about in zip(page.to, page.about, strict=True)
    }
    assert len(things) == 8
    assert all(about.startswith(f"{person}.") for _, person, about in things)
    assert judge(await pages(city), journal(city)).is_equal


async def test_words_that_a_provider_does_not_take_hold_nobody_else_up(city: City):
    people = await city.people(5, only("wechat", "push"))
    await tell(city, *ids(people))
    broken = people[2].id
    told = await city.assembly.db["notices"].find_one_and_delete({"citizen": broken})
    assert told is not None
    silent = Told(Words("", ""), BODY, "", city.now())
    store = NoticeStore(city.assembly.db, city.assembly.person_vault)
    await store.put(told["_id"], broken, silent, told["gone_at"])
    city.start()
    await ended(city, 6)
    assert journal(city) == {("push" if i == broken else "wechat", i): 1 for i in ids(people)}
    assert not await city.assembly.pages.is_any_dead(today(city))


async def test_a_notice_without_words_is_refused(city: City):
    [person] = await city.people(1)
    with pytest.raises(InvalidInputError) as refused:
        await city.assembly.notices.tell(person.id, TITLE, Words(" \n", "x"), key="n")
    assert (refused.value.code, refused.value.field) == ("notice_empty", "body")
    assert await city.assembly.db["outbox"].count_documents({}) == 0


async def test_two_things_of_one_day_reach_the_same_person_and_each_receipt_finds_its_notice(city: City):
    people = await city.people(3, only("sms"))
    await tell(city, *ids(people), *ids(people))
    city.start()
    await ended(city, 6)
    await city.receipts()

    async def all_delivered() -> bool:
        progress = await city.assembly.broadcasts.progress(today(city))
        return progress.statuses("sms") == {"delivered": 6}

    await until(all_delivered)
    assert journal(city) == {("sms", i): 2 for i in ids(people)}
    assert judge(await pages(city), journal(city)).is_equal
    since = city.now() - timedelta(hours=1)
    assert len(await city.assembly.broadcasts.of_citizen(people[0].id, since)) == 2


async def test_what_is_withdrawn_before_it_was_paged_is_nowhere_and_what_is_withdrawn_later_is_moot(city: City):
    early, late, kept = await city.people(3)
    await tell(city, early.id, late.id, kept.id)
    notices = city.assembly.notices
    await notices.withdraw(f"{early.id}.0")
    async with AsyncExitStack() as stack:
        parts = assemble.engine(city.assembly, stack)
        await assemble.filler(city.assembly, parts).fill(notices.standing[0].lane)
    await notices.withdraw(f"{late.id}.1")
    city.start()
    assert await ended(city, 2) == {("wechat", "moot"): 1, ("wechat", "accepted"): 1}
    assert journal(city) == {("wechat", kept.id): 1}


async def test_quiet_hours_and_opt_outs_hold_for_personal_notices(city: City):
    quiet = quiet_now(city)
    asleep, out, awake = await city.people(
        3, lambda i, c: replace(c, quiet=quiet if i == 0 else None, off=("notice",) if i == 1 else ())
    )
    await tell(city, asleep.id, out.id, awake.id)
    city.start()
    found = await ended(city, 3)
    assert found == {
        ("wechat", "moved"): 1, ("wechat", "planned"): 1, ("wechat", "opted_out"): 1, ("wechat", "accepted"): 1,
    }  # fmt: skip
    assert journal(city) == {("wechat", awake.id): 1}
    [later] = [page for page in await pages(city) if "~" in page.id]
    assert (list(later.to), list(later.about)) == ([asleep.id], [f"{asleep.id}.0"])
    await city.assembly.db["pages"].update_one({"_id": later.id}, {"$set": {"not_before": city.now()}})
    await city.assembly.db["addresses"].update_many({}, {"$unset": {"quiet": ""}})  # it is morning
    await until(lambda: _is_sent(city, asleep.id))


async def _is_sent(city: City, person: int) -> bool:
    return journal(city)["wechat", person] == 1


async def test_a_standing_broadcast_is_finished_when_its_day_and_the_last_notice_of_it_are_over(city: City):
    [person] = await city.people(1)
    await tell(city, person.id)
    city.start()
    await ended(city, 1)
    await city.receipts()
    await city.drain()
    store = city.assembly.broadcast_store
    broadcast = await store.get(today(city))
    async with AsyncExitStack() as stack:
        parts = assemble.engine(city.assembly, stack)
        district = assemble.district_of(city.assembly.divisions)
        for days, is_over in ((2, False), (4, True)):
            now = city.now() + timedelta(days=days)
            totals = Totals(replace(parts, now=lambda now=now: now), district)
            await city.assembly.db["pages"].update_many({}, {"$set": {"state": "done"}})
            assert await totals.finish(broadcast) is is_over
    progress = await city.assembly.broadcasts.progress(broadcast.id)
    assert progress.state is State.FINISHED
    assert progress.statuses("wechat") == {"delivered": 1}
    assert progress.ranges_planned == progress.ranges
