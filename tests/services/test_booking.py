"""The booking counter on a real mongod: what each verb does and refuses, and that a second click changes nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.domain.booking import Outcome, Slot, State
from server.domain.booking_rules import BookingRules
from server.domain.errors import HuiminError
from server.storage.mongo import Database
from tests.services.booking_world import DAY, NOW, Clock, Town, ask, slot_at

EIGHT, NINE = slot_at(8), slot_at(9)
OTHER_DAY = slot_at(8, day=DAY + timedelta(days=1))
ELSEWHERE = slot_at(8, group="h1/eyes", resource="eyes-1")


@pytest.fixture
async def town(db: Database) -> Town:
    made = Town(db, Clock(), EIGHT, NINE, OTHER_DAY, ELSEWHERE)
    await made.open(online=2)
    return made


async def code_of(refused: object) -> str:
    with pytest.raises(HuiminError) as caught:
        await refused  # type: ignore[misc]
    return caught.value.code


async def booked(town: Town, citizen: int, slot: Slot = EIGHT, key: str = "k") -> str:
    visit = await town.counter.hold(ask(slot, citizen, key))
    return (await town.counter.confirm(visit.booking.code, citizen)).booking.code


async def test_a_hold_is_confirmed_and_kept(town: Town):
    held = await town.counter.hold(ask(EIGHT, 7))
    assert held.state is State.HELD
    assert held.booking.hold_until == NOW + timedelta(minutes=10)
    visit = await town.counter.confirm(held.booking.code, 7)
    assert visit.state is State.BOOKED
    assert await town.counter.get(held.booking.code, 7) == visit
    assert await town.counter.history(7, DAY - timedelta(days=9)) == [visit]


async def test_the_first_hold_gets_the_lowest_number(town: Town):
    assert [(await town.counter.hold(ask(EIGHT, n))).seat.rank for n in (5, 6)] == [1, 2]


async def test_every_click_with_one_key_gets_the_same_seat_whatever_became_of_it(town: Town):
    clicks = await asyncio.gather(*(town.counter.hold(ask(EIGHT, 7, "double")) for _ in range(50)))
    clicks += await asyncio.gather(*(town.another(n).hold(ask(EIGHT, 7, "double")) for n in range(8)))
    code = clicks[0].booking.code
    assert {v.booking.code for v in clicks} == {code}
    confirms = await asyncio.gather(*(town.another(n % 3).confirm(code, 7) for n in range(9)))
    assert {(v.booking.code, v.state, v.seat.version) for v in confirms} == {(code, State.BOOKED, 2)}
    cancels = await asyncio.gather(*(town.another(n % 3).cancel(code, 7) for n in range(9)))
    assert {(v.booking.code, v.state) for v in cancels} == {(code, Outcome.CANCELLED)}
    again = await town.counter.hold(ask(EIGHT, 7, "double"))
    assert (again.booking.code, again.state) == (code, Outcome.CANCELLED)
    assert await code_of(town.counter.confirm(code, 7)) == "booking_over"


async def test_a_key_stands_for_one_request(town: Town):
    await town.counter.hold(ask(EIGHT, 7))
    assert await code_of(town.counter.hold(ask(ELSEWHERE, 7))) == "booking_key_reused"
    assert await code_of(town.counter.hold(ask(EIGHT, 7, "a key"))) == "booking_key"


async def test_one_booking_per_person_group_and_day(town: Town):
    await booked(town, 7)
    assert await code_of(town.counter.hold(ask(EIGHT, 7, "2"))) == "already_booked"
    assert await code_of(town.counter.hold(ask(NINE, 7, "2"))) == "group_conflict"
    assert (await town.counter.hold(ask(OTHER_DAY, 7, "2"))).state is State.HELD
    assert (await town.counter.hold(ask(ELSEWHERE, 7, "3"))).state is State.HELD


async def test_the_same_wish_from_many_processes_gets_one_seat(town: Town):
    told = await asyncio.gather(
        *(town.another(n).hold(ask((EIGHT, NINE)[n % 2], 7, f"key-{n}")) for n in range(12)), return_exceptions=True
    )
    won = [each for each in told if not isinstance(each, HuiminError)]
    assert len(won) == 1
    lost = {each.code for each in told if isinstance(each, HuiminError)}
    assert lost <= {"already_booked", "group_conflict"}
    assert sum(seat.booking is not None for seat in await town.seats()) == 1


async def test_one_live_hold_per_holder_and_group_also_for_the_family(town: Town):
    await town.counter.hold(ask(EIGHT, 7))
    assert await code_of(town.counter.hold(ask(NINE, 8, "2", holder=7))) == "hold_limit"
    await town.counter.confirm((await town.counter.hold(ask(EIGHT, 7))).booking.code, 7)
    child = await town.counter.hold(ask(NINE, 8, "2", holder=7))
    assert (await town.counter.get(child.booking.code, 8)).booking.holder == 7
    assert await code_of(town.counter.get(child.booking.code, 9)) == "booking_unknown"


async def test_a_foreign_hold_cannot_be_touched(town: Town):
    code = (await town.counter.hold(ask(EIGHT, 7))).booking.code
    for verb in (town.counter.confirm, town.counter.renew, town.counter.cancel):
        assert await code_of(verb(code, 8)) == "booking_unknown"
    assert (await town.counter.confirm(code, 7)).state is State.BOOKED


async def test_a_hold_ends_and_somebody_else_gets_the_seat(town: Town):
    codes = [(await town.counter.hold(ask(EIGHT, n))).booking.code for n in (1, 2)]
    assert await code_of(town.counter.hold(ask(EIGHT, 3))) == "slot_full"
    town.clock.pass_by(minutes=10)
    assert await code_of(town.counter.confirm(codes[0], 1)) == "hold_expired"
    assert (await town.counter.hold(ask(EIGHT, 3))).state is State.HELD
    assert (await town.counter.hold(ask(EIGHT, 4))).state is State.HELD
    assert await code_of(town.counter.confirm(codes[0], 1)) == "hold_expired"
    assert await code_of(town.counter.renew(codes[1], 2)) == "hold_expired"


async def test_ones_own_hold_that_ran_out_is_not_in_the_way(town: Town):
    await town.counter.hold(ask(EIGHT, 7))
    town.clock.pass_by(minutes=11)
    assert (await town.counter.hold(ask(NINE, 7, "2"))).seat.slot == NINE.id
    town.clock.pass_by(minutes=11)
    assert (await town.counter.hold(ask(EIGHT, 7))).state is State.HELD  # the first key, whose hold was nothing


async def test_a_hold_is_renewed_once(town: Town):
    code = (await town.counter.hold(ask(EIGHT, 7))).booking.code
    town.clock.pass_by(minutes=9)
    assert (await town.counter.renew(code, 7)).booking.hold_until == NOW + timedelta(minutes=19)
    assert await code_of(town.counter.renew(code, 7)) == "renew_limit"


async def test_what_cannot_be_booked_is_refused_with_its_own_code(town: Town):
    assert await code_of(town.counter.hold(ask(slot_at(23), 7))) == "slot_unknown"
    assert await code_of(town.counter.hold(ask(EIGHT, 7, quota="phone"))) == "slot_full"
    town.clock.at = NOW - timedelta(days=6)
    assert await code_of(town.counter.hold(ask(EIGHT, 7))) == "window_closed"
    town.clock.at = EIGHT.begins_at - timedelta(minutes=30)
    assert await code_of(town.counter.hold(ask(EIGHT, 7))) == "slot_past"


async def test_no_cancelling_or_moving_after_the_cut_off_but_for_the_office(town: Town):
    code = await booked(town, 7)
    town.clock.at = EIGHT.begins_at - timedelta(hours=16)  # 16:00 the day before
    assert await code_of(town.counter.cancel(code, 7)) == "cut_off"
    assert await code_of(town.counter.move(code, 7, NINE.id, "online")) == "cut_off"
    assert (await town.counter.move(code, None, NINE.id, "online")).seat.slot == NINE.id
    assert (await town.counter.cancel(code, None)).state is Outcome.WITHDRAWN


async def test_a_given_up_seat_comes_back_at_a_random_time(db: Database):
    town = Town(db, Clock(), EIGHT, rules=BookingRules(rerelease_max_s=3600))
    await town.open(online=1)
    code = await booked(town, 7)
    open_at = (await town.counter.cancel(code, 7)).seat.open_at
    assert open_at is not None
    assert NOW < open_at <= NOW + timedelta(hours=1)
    assert await code_of(town.counter.hold(ask(EIGHT, 8))) == "slot_full"
    town.clock.at = open_at
    held = await town.counter.hold(ask(EIGHT, 8))
    assert held.seat.open_at
    assert held.seat.open_at > held.booking.hold_until  # nor can the end of a hold be used


async def test_a_booking_moves_with_its_code_and_keeps_its_seat_if_it_cannot(town: Town):
    code = await booked(town, 7)
    moved = await town.counter.move(code, 7, NINE.id, "online")
    assert (moved.booking.code, moved.booking.sequence, moved.seat.slot) == (code, 1, NINE.id)
    assert await town.counter.move(code, 7, NINE.id, "online") == moved
    assert await code_of(town.counter.move(code, 7, ELSEWHERE.id, "online")) == "other_service"
    for n in (1, 2):
        await booked(town, n)
    assert await code_of(town.counter.move(code, 7, EIGHT.id, "online")) == "slot_full"
    assert await town.counter.get(code, 7) == moved
    await town.counter.move(code, 7, OTHER_DAY.id, "online")
    assert await code_of(town.counter.move(code, 7, NINE.id, "online")) == "move_limit"
    assert sum(seat.booking is not None for seat in await town.seats()) == 3


async def test_ones_own_hold_that_ran_out_does_not_stop_a_move(town: Town):
    await town.counter.hold(ask(OTHER_DAY, 7, "first"))
    town.clock.pass_by(minutes=11)
    code = await booked(town, 7)
    assert (await town.counter.move(code, 7, OTHER_DAY.id, "online")).seat.slot == OTHER_DAY.id


async def test_the_day_of_a_visit(town: Town):
    first, second = await booked(town, 1), await booked(town, 2)
    assert await code_of(town.counter.check_in(first)) == "check_in_early"
    town.clock.at = EIGHT.begins_at - timedelta(minutes=20)
    await town.counter.check_in(second)
    town.clock.at = EIGHT.begins_at + timedelta(minutes=5)
    assert (await town.counter.check_in(first)).booking.queue_at == town.clock.at
    assert await town.counter.check_in(first) == await town.counter.get(first, None)
    calls = await asyncio.gather(*(town.another(n).call_next("cardio-3", DAY) for n in range(3)))
    assert [v.booking.code for v in calls if v].count(first) == 1
    assert [v.booking.code for v in calls if v].count(second) == 1
    assert await code_of(town.counter.cancel(first, 1)) == "booking_state"
    assert (await town.counter.serve(second)).state is State.SERVED
    assert (await town.counter.miss(first)).state is State.MISSED
    assert (await town.counter.requeue(first)).state is State.CHECKED_IN
    again = await town.counter.call_next("cardio-3", DAY)
    assert again
    assert again.booking.code == first


async def test_who_does_not_come_is_marked_once_the_grace_is_over(town: Town):
    code = await booked(town, 7)
    town.clock.at = EIGHT.begins_at + timedelta(minutes=30)
    assert await town.counter.miss_absent(EIGHT.id) == []
    town.clock.pass_by(seconds=1)
    assert await code_of(town.counter.check_in(code)) == "check_in_late"
    assert [v.booking.code for v in await town.counter.miss_absent(EIGHT.id)] == [code]
    assert await town.counter.miss_absent(EIGHT.id) == []


async def test_three_strikes_ban_and_an_officer_lifts_it(db: Database):
    days = [slot_at(8, day=DAY + timedelta(days=n)) for n in range(4)]
    rules = BookingRules(rerelease_max_s=0, window_days=30)
    town = Town(db, Clock(), *days, rules=rules)
    await town.open(online=1)
    for n, slot in enumerate(days[:3]):
        await town.counter.cancel(await booked(town, 7, slot, f"k{n}"), 7)
    assert await code_of(town.counter.hold(ask(days[3], 7, "k3"))) == "booking_banned"
    ban = await town.counter.ban(7, "h1", rules)
    assert ban
    assert ban.until == NOW + timedelta(days=30)
    await town.counter.lift(ban, "officer-1", "医院系统故障")
    assert await town.counter.ban(7, "h1", rules) is None
    assert (await town.counter.hold(ask(days[3], 7, "k3"))).state is State.HELD


async def test_a_closed_slot_takes_nobody_and_tells_whom_to_replace(town: Town):
    code = await booked(town, 7)
    held = await town.counter.hold(ask(EIGHT, 8))
    assert [v.booking.code for v in await town.counter.close(EIGHT.id, "医生停诊")] == [code]
    assert [v.booking.code for v in await town.counter.close(EIGHT.id, "医生停诊")] == [code]
    assert await code_of(town.counter.confirm(held.booking.code, 8)) == "hold_expired"
    assert await code_of(town.counter.hold(ask(EIGHT, 9))) == "slot_full"
    visit = await town.counter.get(code, 7)
    assert (visit.state, visit.booking.reason, visit.booking.sequence) == (Outcome.CLOSED, "医生停诊", 1)
    assert (await town.counter.hold(ask(NINE, 7, "replacement"))).state is State.HELD
    assert await town.counter.reopen(EIGHT.id) == 2
    assert (await town.counter.hold(ask(EIGHT, 9))).state is State.HELD


async def test_a_booking_for_the_family_counts_once_towards_the_limit(db: Database):
    town = Town(db, Clock(), EIGHT, OTHER_DAY, rules=BookingRules(rerelease_max_s=0, max_open=2))
    await town.open(online=1)
    first = await town.counter.hold(ask(EIGHT, 8, "1", holder=7))
    await town.counter.confirm(first.booking.code, 7)
    second = await town.counter.hold(ask(OTHER_DAY, 8, "2", holder=7))
    await town.counter.confirm(second.booking.code, 8)
    town.slots[ELSEWHERE.id] = (ELSEWHERE, BookingRules(max_open=2))
    assert await code_of(town.counter.hold(ask(ELSEWHERE, 8, "3", holder=7))) == "open_limit"
