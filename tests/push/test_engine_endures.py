"""What goes wrong in one place harms nobody elsewhere, and everything comes to an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from push.worker import Worker
from server import assemble
from server.domain.broadcasts import Audience, Broadcast, Lane, State
from server.storage.broadcasts import Range
from server.storage.citizens import Citizens
from tests.push.conftest import City
from tests.push.test_engine import only
from tests.storage.ledger import age


def without_push(city: City) -> Worker:
    """A worker of a city that has no push account."""
    settings = city.assembly.settings.model_copy(update={"fcm": None})
    return assemble.worker(replace(city.assembly, settings=settings), city.stack)


async def test_documents_that_nobody_can_read_stop_no_worker_and_no_other_broadcast(city: City):
    await city.people(5)
    bad = await city.release("from-the-future", Lane.YELLOW, audience=Audience(citizens=(1,)))
    await city.assembly.db["broadcasts"].update_one({"_id": bad.id}, {"$set": {"lane": "purple"}})
    page = {"_id": "x/sms/00000/00000", "broadcast": "x", "channel": "sms", "number": 0, "lane": "red", "state": "open"}
    await city.assembly.db["pages"].insert_one(page | {"not_before": city.now() - timedelta(hours=1)})
    await city.assembly.queue.push("sms", Lane.RED, [page["_id"]])
    await city.assembly.queue.mark_stale(["x/00000"])
    city.start()
    good = await city.release("good", Lane.RED)
    await city.finished(good)
    assert not city.workers[0].done()
    assert (await city.finding(good)).is_equal


async def test_pages_of_a_channel_without_an_account_end_and_the_ladder_goes_on(city: City):
    [person] = await city.people(1, only("push", "sms"))
    city.start(without_push(city))
    red = await city.release("no-account", Lane.RED)
    yellow = await city.release("no-rung", Lane.YELLOW, wait_s=0.2)
    await city.finished(red, yellow)
    assert (await city.standing(red, person))["push"] == ["no_account"]
    assert city.journal(yellow) == {("sms", person.id): 1}


async def test_a_paused_broadcast_ends_when_its_time_is_over_and_sends_nothing(city: City):
    await city.people(5)
    now = city.now()
    paused = await city.release("paused", Lane.RED, now=now, expires_at=now + timedelta(seconds=1.5))
    await city.assembly.broadcasts.pause(paused.id)
    city.start()
    await city.finished(paused)
    assert not city.journal(paused)
    assert {one["status"] for one in await city.assembly.broadcasts.of_citizen(city.citizens[0].id, now)} <= {"expired"}


async def test_a_person_whose_division_is_not_in_the_table_is_warned_and_counted_above_it(city: City):
    lost, *_ = await city.people(3, only("sms"))
    unknown = "440305999999"
    query = {"_id": lost.id}
    await city.assembly.db["citizens"].update_one(query, {"$set": {"places.0.division": unknown}})
    city.start()
    red = await city.release("unknown-division", Lane.RED)
    await city.finished(red)
    assert city.journal(red) == {("sms", c.id): 1 for c in city.citizens}
    [page] = await city.pages(red)
    assert page.divisions[page.to.index(lost.id)] == city.assembly.divisions.index_of("440305")


async def test_an_all_clear_goes_by_another_channel_if_the_one_that_reached_is_gone(city: City):
    [person] = await city.people(1, only("sms"))
    city.start()
    red = await city.release("danger", Lane.RED)
    await city.finished(red)
    people: Citizens = city.assembly.citizens
    [phone] = person.addresses["sms"]
    await people.retire("sms", [(person.id, people.index("sms", phone))], code="gone", now=city.now())
    assert await people.bind(person.id, "wechat", "o" + "x" * 27)
    clear = await city.release("all-clear", Lane.RED, replaces=(red.id,), is_all_clear=True)
    await city.finished(clear)
    assert set(await city.standing(clear, person)) == {"wechat"}


async def test_an_all_clear_lists_whom_no_channel_reaches_any_more(city: City):
    [person] = await city.people(1, only("sms"))
    city.start()
    red = await city.release("danger-2", Lane.RED)
    await city.finished(red)
    people = city.assembly.citizens
    [phone] = person.addresses["sms"]
    await people.retire("sms", [(person.id, people.index("sms", phone))], code="gone", now=city.now())
    clear = await city.release("all-clear-2", Lane.RED, replaces=(red.id,), is_all_clear=True)
    await city.finished(clear)
    assert await city.standing(clear, person) == {"unreachable": ["refused"]}


async def test_no_page_is_due_later_than_its_end(city: City):
    await city.people(3, only("sms"))
    worker = without_push(city)
    for account in worker._parts.accounts["sms"]:  # noqa: SLF001 - as a quota that is back at midnight does
        worker._parts.pace.close(account, 36_000, "quota")  # noqa: SLF001
    city.start(worker)
    red = await city.release("quota", Lane.RED, expires_at=city.now() + timedelta(seconds=2))
    await city.finished(red)
    assert not city.journal(red)
    states = await city.assembly.broadcast_store.states([red.id])
    assert states == {red.id: State.FINISHED}


async def test_without_redis_the_highest_lane_is_planned_first_and_a_paused_run_is_in_nobodys_way(city: City):
    await city.people(3, only("sms"))
    paused = await city.release("paused-blue", Lane.BLUE)
    await city.assembly.broadcasts.pause(paused.id)
    waiting = await city.release("waiting-yellow", Lane.YELLOW)
    worker = city.worker()
    lanes = tuple(Lane)
    assert await worker._next_range(lanes) == [f"{waiting.id}/00000"]  # noqa: SLF001
    await worker._plan_one(f"{paused.id}/00000")  # noqa: SLF001
    assert await worker._next_range([Lane.BLUE]) == []  # noqa: SLF001
    assert not await city.pages(paused)


async def test_two_planners_of_one_process_do_not_share_a_range(city: City):
    red = await city.release("two-planners", Lane.RED)
    store, id_ = city.assembly.broadcast_store, f"{red.id}/00000"
    worker = city.worker()
    owners: list[str] = []

    async def stopped(claimed: Range, _broadcast: Broadcast) -> bool:
        """Planning that is slower than the lease."""
        owners.append(claimed.owner)
        await age(city.assembly.db, 20)
        return False

    worker._planner.plan = stopped  # type: ignore[method-assign]  # noqa: SLF001
    for _ in range(2):
        await worker._plan_one(id_)  # noqa: SLF001
    assert len(set(owners)) == 2
    assert not await store.renew_range(id_, owners[0])
