"""The waiting list on a real mongod: order, offers, what ends them, and that a death at any write loses nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domain.booking import State
from server.domain.booking_rules import BookingRules
from server.domain.errors import HuiminError
from server.domain.waiting import MOST_ENTRIES, MOST_OFFERS, Stage
from server.storage.mongo import Database
from tests.services.booking_world import DAY, Clock, ask
from tests.services.mortal_stores import KilledError, Life
from tests.services.waiting_world import WaitingTown, slot

EIGHT, NINE, TEN = slot(8), slot(9), slot(10)
RULES = BookingRules(rerelease_max_s=600)


@pytest.fixture
async def town(db: Database) -> WaitingTown:
    """Three times with one seat each; the one at eight is booked by citizen 1, the others by 2 and 3."""
    made = WaitingTown(db, Clock(), EIGHT, NINE, TEN, rules=RULES)
    await made.begin(online=1)
    for citizen, each in enumerate((EIGHT, NINE, TEN), 1):
        await made.book(each, citizen)
    return made


async def cancel(town: WaitingTown, citizen: int) -> None:
    """Give a seat back."""
    (visit,) = await town.counter.history(citizen, DAY)
    await town.counter.cancel(visit.booking.code, citizen)


async def test_a_freed_seat_is_offered_to_who_waits_longest_and_hidden_from_everybody_else(town: WaitingTown):
    first, second = await town.wait(7), await town.wait(8)
    await cancel(town, 1)
    assert await town.list.offer() == 1
    assert (await town.offered(first), await town.offered(second)) == (EIGHT.id, None)
    with pytest.raises(HuiminError, match="slot_full"):
        await town.counter.hold(ask(EIGHT, 9))
    assert [await town.list.offer() for _ in range(3)] == [0, 0, 0]
    assert len(town.post.of(7)) == 1


async def test_what_is_accepted_is_booked_and_the_entry_is_done(town: WaitingTown):
    entry = await town.wait(7)
    await cancel(town, 1)
    await town.list.offer()
    visit = await town.list.accept(entry.id, 7)
    assert visit.state is State.BOOKED
    assert (await town.list.accept(entry.id, 7)).booking.code == visit.booking.code
    assert (await town.standing(entry)).entry.stage is Stage.DONE


@pytest.mark.parametrize("way", ["decline", "leave", "lapse"])
async def test_what_is_not_accepted_goes_to_the_next_before_everybody(town: WaitingTown, way: str):
    first, second = await town.wait(7), await town.wait(8)
    await cancel(town, 1)
    await town.list.offer()
    if way == "lapse":
        town.clock.pass_by(minutes=RULES.offer_minutes)
    elif way == "decline":
        await town.list.decline(first.id, 7)
    else:
        await town.list.leave(first.id, 7)
    assert await town.list.offer() == 1
    assert (await town.offered(first), await town.offered(second)) == (None, EIGHT.id)


async def test_nobody_is_offered_the_same_time_twice_but_another_one(town: WaitingTown):
    entry = await town.wait(7)
    await cancel(town, 1)
    await town.list.offer()
    await town.list.decline(entry.id, 7)
    assert await town.list.offer() == 0
    await cancel(town, 2)
    assert await town.list.offer() == 1
    assert await town.offered(entry) == NINE.id


async def test_when_nobody_fits_everybody_may_take_the_seat_once_it_opens(town: WaitingTown):
    await town.wait(7, resource="cardio-3", days=(DAY + timedelta(days=1),))
    await cancel(town, 1)
    assert await town.list.offer() == 0
    town.clock.pass_by(seconds=RULES.rerelease_max_s)
    assert (await town.counter.hold(ask(EIGHT, 9))).seat.slot == EIGHT.id


async def test_after_so_many_offers_an_entry_is_over_and_its_owner_is_told(db: Database):
    slots = [slot(hour) for hour in range(8, 8 + MOST_OFFERS + 1)]
    town = WaitingTown(db, Clock(), *slots, rules=RULES)
    await town.begin(online=1)
    entry = await town.wait(7)
    for _ in range(MOST_OFFERS):
        assert await town.list.offer() == 1
        await town.list.decline(entry.id, 7)
    town.clock.pass_by(minutes=RULES.offer_minutes)
    assert await town.list.offer() == 0
    assert (await town.standing(entry)).entry.stage is Stage.OVER
    assert len(town.post.of(7)) == MOST_OFFERS + 1


async def test_only_so_many_wishes_of_one_person_wait_even_if_all_come_at_once(town: WaitingTown):
    told = await asyncio.gather(*(town.wait(7, f"w{n}") for n in range(MOST_ENTRIES + 3)), return_exceptions=True)
    assert sorted(each.code for each in told if isinstance(each, HuiminError)) == ["waiting_limit"] * 3
    first = next(each for each in told if not isinstance(each, BaseException))
    await town.list.leave(first.id, 7)
    await town.wait(7, "again")


async def test_the_same_key_is_the_same_entry_and_another_wish_under_it_is_refused(town: WaitingTown):
    assert (await town.wait(7)).id == (await town.wait(7)).id
    with pytest.raises(HuiminError, match="booking_key_reused"):
        await town.wait(7, days=(DAY, DAY + timedelta(days=1)))


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"days": (DAY - timedelta(days=9), DAY)}, "waiting_days"),
        ({"days": (DAY, DAY + timedelta(days=14))}, "waiting_days"),
        ({"days": (DAY, DAY - timedelta(days=1))}, "waiting_days"),
        ({"group": "h1-none"}, "resource_unknown"),
        ({"resource": "nobody"}, "resource_unknown"),
        ({"key": "two words"}, "booking_key"),
    ],
)
async def test_a_wish_that_cannot_come_true_is_refused(town: WaitingTown, wish: dict[str, object], code: str):
    with pytest.raises(HuiminError, match=code):
        await town.wait(7, **wish)  # type: ignore[arg-type]


async def test_who_has_a_booking_in_the_group_that_day_is_passed_over(town: WaitingTown):
    await town.wait(2)
    other = await town.wait(8)
    await cancel(town, 1)
    await town.list.offer()
    assert await town.offered(other) == EIGHT.id


async def test_a_stranger_sees_and_does_nothing(town: WaitingTown):
    entry = await town.wait(7)
    for verb in (town.list.get, town.list.accept, town.list.decline, town.list.leave):
        with pytest.raises(HuiminError, match="waiting_unknown"):
            await verb(entry.id, 8)


async def test_several_processes_offer_each_seat_once_and_keep_the_order(db: Database):
    slots = [slot(8 + n // 2, 30 * (n % 2)) for n in range(8)]
    town = WaitingTown(db, Clock(), *slots, rules=RULES)
    await town.begin(online=2)
    entries = [await town.wait(citizen) for citizen in range(101, 131)]
    lists = [town.another_list() for _ in range(4)]
    made = await asyncio.gather(*(each.offer() for each in lists))
    assert sum(made) == 16
    has = [await town.offered(entry) is not None for entry in entries]
    assert has == [True] * 16 + [False] * 14
    assert all(seat.state is State.HELD for seat in await town.seats())


@pytest.mark.parametrize("writes", range(4))  # the last offer is taken back; the next is made, remembered and told
async def test_whoever_dies_in_the_middle_leaves_an_offer_that_is_told_once(town: WaitingTown, writes: int):
    first, second = await town.wait(7), await town.wait(8)
    await cancel(town, 1)
    await town.list.offer()
    town.clock.pass_by(minutes=RULES.offer_minutes)
    with pytest.raises(KilledError):
        await town.another_list(Life(writes)).offer()
    await town.list.offer()
    assert (await town.offered(first), await town.offered(second)) == (None, EIGHT.id)
    assert len(town.post.of(7)) == len(town.post.of(8)) == 1


async def test_an_offer_that_was_written_but_never_told_and_ran_out_is_not_made_again(town: WaitingTown):
    entry = await town.wait(7)
    await cancel(town, 1)
    with pytest.raises(KilledError):
        await town.another_list(Life(1)).offer()
    town.clock.pass_by(minutes=RULES.offer_minutes)
    assert await town.list.offer() == 0
    assert [offer.slot for offer in (await town.standing(entry)).entry.offers] == [EIGHT.id]


async def test_where_nobody_waits_a_freed_seat_shows_at_a_time_that_nobody_can_foresee(db: Database):
    """The spread of 200 cancelled seats: over all of the ten minutes, evenly, whoever cancels."""
    town = WaitingTown(db, Clock(), EIGHT, rules=RULES)
    await town.begin(online=200)
    for citizen in range(1, 201):
        await town.counter.cancel((await town.book(EIGHT, citizen)).booking.code, citizen)
    waits = sorted((seat.open_at - town.clock()).total_seconds() for seat in await town.seats() if seat.open_at)
    assert len(waits) == 200
    assert waits[0] >= 0
    assert waits[-1] <= 600
    quarters = [sum(low <= wait < low + 150.1 for wait in waits) for low in (0, 150, 300, 450)]
    assert min(quarters) > 25  # of 50 that are expected; fewer by chance once in 100,000 runs
