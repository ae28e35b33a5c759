"""Visits of several seats on a real mongod: all or nothing, whoever is in the way and wherever a process dies."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from functools import partial
from random import Random

import pytest

from server.domain.booking import Outcome, Seat, State
from server.domain.booking_rules import BookingRules
from server.domain.chains import MOST_STEPS, Stage, Step
from server.domain.errors import HuiminError
from server.services.booking_holds import Means
from server.services.chains import Chains, Whole, Wish
from server.storage.chains import ChainStore
from server.storage.mongo import Database
from tests.services.booking_world import DAY, Clock, Town, ask, slot_at
from tests.services.mortal_stores import KilledError, Life, MortalChains, MortalSeats

LAB = [slot_at(8, m, resource="lab-1", group="h1-lab") for m in (0, 30)]
DOCTOR = [slot_at(h, m, resource="cardio-3", group="h1-cardio") for h in (9, 10) for m in (0, 30)]
LATER = [slot_at(8, resource="lab-1", group="h1-lab", day=DAY + timedelta(days=1))]
VISIT = (Step(LAB[0].id), Step(DOCTOR[0].id, 60))  # blood first, then an hour with the doctor: three seats
OTHER = (Step(LAB[1].id), Step(DOCTOR[2].id, 60))
RULES = BookingRules(rerelease_max_s=0, moves=2)


class ChainTown(Town):
    """The town with its visits."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, Clock(), *LAB, *DOCTOR, *LATER, rules=RULES)
        self.db = db
        self.chains = self.another_office()

    def another_office(self, life: Life | None = None) -> Chains:
        """Of another process, which may be about to die."""
        means = Means(self.clock, Random(1), partial(secrets.token_urlsafe, 16))  # noqa: S311 - no secret
        stores = (MortalChains(self.db, life), MortalSeats(self.db, life)) if life else None
        return Chains(stores or (ChainStore(self.db), self.store), self, means)

    async def book(self, citizen: int = 7, key: str = "k") -> Whole:
        """Held and confirmed."""
        held = await self.chains.hold(wish(citizen, key))
        return await self.chains.confirm(held.chain.code, citizen)

    async def settle(self) -> None:
        """What a dead process left is finished once it is thought dead, and then nothing is left to do."""
        for _ in range(3):
            self.clock.pass_by(minutes=5)
            await self.chains.finish()
            await self.counter.finish_moves()
        assert await self.chains.finish() == 0
        assert await self.counter.finish_moves() == 0

    async def taken(self) -> dict[str, State]:
        """Slots that somebody has, holds that ran out left aside."""
        return {s.slot: s.state for s in await self.seats() if s.state is not State.FREE and not self.is_lapsed(s)}

    def is_lapsed(self, seat: Seat) -> bool:
        """Whether it is a hold that ran out."""
        return seat.booking is not None and seat.booking.is_lapsed(self.clock())


def wish(citizen: int = 7, key: str = "k", steps: tuple[Step, ...] = VISIT) -> Wish:
    return Wish(citizen, citizen, key, "online", steps)


def states(*slots: str) -> dict[str, State]:
    return dict.fromkeys(slots, State.BOOKED)


AT_FIRST = states(LAB[0].id, DOCTOR[0].id, DOCTOR[1].id)
AFTERWARDS = states(LAB[1].id, DOCTOR[2].id, DOCTOR[3].id)


@pytest.fixture
async def town(db: Database) -> ChainTown:
    made = ChainTown(db)
    await made.open(online=1)
    return made


async def test_a_visit_takes_a_seat_for_each_step_and_several_in_a_row_for_a_long_one(town: ChainTown):
    whole = await town.book()
    assert whole.chain.stage is Stage.BOOKED
    assert await town.taken() == AT_FIRST
    assert [visit.booking.part for visit in whole.visits] == [0, 0, 1]
    assert (await town.chains.hold(wish())).chain.code == whole.chain.code
    (listed,) = await town.chains.history(7, town.clock())
    assert listed.visits == whole.visits


async def test_if_one_seat_is_gone_all_is_given_back_and_the_key_may_be_used_again(town: ChainTown):
    held = await town.counter.hold(ask(DOCTOR[1], 9))
    with pytest.raises(HuiminError, match="slot_full"):
        await town.chains.hold(wish())
    assert await town.taken() == {DOCTOR[1].id: State.HELD}
    await town.counter.cancel(held.booking.code, 9)
    assert (await town.chains.hold(wish())).chain.stage is Stage.HELD


async def test_a_hold_that_ran_out_leaves_nothing(town: ChainTown):
    held = await town.chains.hold(wish())
    town.clock.pass_by(minutes=RULES.hold_minutes)
    with pytest.raises(HuiminError, match="hold_expired"):
        await town.chains.confirm(held.chain.code, 7)
    assert await town.taken() == {}
    with pytest.raises(HuiminError, match="booking_unknown"):
        await town.chains.get(held.chain.code, 7)
    assert (await town.chains.hold(wish())).chain.code != held.chain.code


async def test_cancelling_frees_all_and_is_one_strike(town: ChainTown):
    for n in range(2):
        whole = await town.book(key=f"k{n}")
        assert (await town.chains.cancel(whole.chain.code, 7)).chain.outcome is Outcome.CANCELLED
        assert (await town.chains.cancel(whole.chain.code, 7)).chain.stage is Stage.ENDED
    assert await town.taken() == {}
    assert await town.counter.ban(7, "h1", RULES) is None  # six cancelled seats are two strikes of three
    await town.chains.cancel((await town.book(key="k2")).chain.code, 7)
    ban = await town.counter.ban(7, "h1", RULES)
    assert ban
    await town.counter.lift(ban, "officer", "mistake")
    assert await town.counter.ban(7, "h1", RULES) is None


async def test_what_the_office_cancels_is_no_strike(town: ChainTown):
    for n in range(3):
        await town.chains.cancel((await town.book(key=f"k{n}")).chain.code, None)
    assert await town.counter.ban(7, "h1", RULES) is None


async def test_moving_takes_all_seats_to_the_new_times(town: ChainTown):
    whole = await town.book()
    moved = await town.chains.move(whole.chain.code, 7, OTHER)
    assert await town.taken() == AFTERWARDS
    assert [visit.booking.code for visit in moved.visits] == whole.chain.codes
    assert [visit.booking.sequence for visit in moved.visits] == [1, 1, 1]
    back = await town.chains.move(whole.chain.code, 7, VISIT)
    assert back.chain.moves == 2
    with pytest.raises(HuiminError, match="move_limit"):
        await town.chains.move(whole.chain.code, 7, OTHER)


async def test_if_one_of_the_new_times_is_full_all_stays_where_it_is(town: ChainTown):
    whole = await town.book()
    await town.counter.hold(ask(DOCTOR[3], 9))
    with pytest.raises(HuiminError, match="slot_full"):
        await town.chains.move(whole.chain.code, 7, OTHER)
    assert await town.taken() == AT_FIRST | {DOCTOR[3].id: State.HELD}
    assert (await town.chains.get(whole.chain.code, 7)).chain.stage is Stage.BOOKED


async def test_one_seat_of_a_visit_is_not_confirmed_moved_or_cancelled_alone(town: ChainTown):
    held = await town.chains.hold(wish())
    code = held.visits[0].booking.code
    for verb in (town.counter.confirm(code, 7), town.counter.renew(code, 7), town.counter.cancel(code, 7)):
        with pytest.raises(HuiminError, match="part_of_visit"):
            await verb
    await town.chains.confirm(held.chain.code, 7)
    with pytest.raises(HuiminError, match="part_of_visit"):
        await town.counter.move(code, 7, LAB[1].id, "online")


async def test_an_ordinary_booking_and_a_visit_do_not_share_a_group_and_day(town: ChainTown):
    await town.book()
    with pytest.raises(HuiminError, match="group_conflict"):
        await town.counter.hold(ask(DOCTOR[3], 7, "other"))
    held = await town.counter.hold(ask(DOCTOR[3], 8, "other"))
    with pytest.raises(HuiminError, match=r"group_conflict|hold_limit"):
        await town.chains.hold(wish(8))
    assert held.seat.slot == DOCTOR[3].id


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ((), "visit_size"),
        ((Step(LAB[0].id),) * (MOST_STEPS + 1), "visit_size"),
        ((Step(DOCTOR[0].id), Step(LAB[0].id)), "visit_order"),
        ((Step(LAB[0].id), Step(LAB[0].id)), "visit_order"),
        ((Step(DOCTOR[3].id, 60),), "slots_missing"),
        ((Step("2026-11-30/nobody/0800"),), "slots_missing"),
        ((Step("nonsense"),), "slot_unknown"),
    ],
)
async def test_a_visit_that_cannot_be_is_refused(town: ChainTown, steps: tuple[Step, ...], code: str):
    with pytest.raises(HuiminError, match=code):
        await town.chains.hold(wish(steps=steps))


async def test_of_many_who_want_the_same_visit_at_once_one_gets_all_of_it(town: ChainTown):
    offices = [town.another_office() for _ in range(3)]
    told = await asyncio.gather(*(offices[n % 3].hold(wish(n)) for n in range(1, 31)), return_exceptions=True)
    won = [each for each in told if isinstance(each, Whole)]
    assert {each.code for each in told if isinstance(each, HuiminError)} == {"slot_full"}
    assert len(won) <= 1  # two may block each other; then both are told, and the seats are free
    assert len(await town.taken()) == 3 * len(won)


async def test_confirming_against_cancelling_ends_in_one_of_them(town: ChainTown):
    held = await town.chains.hold(wish())
    code, offices = held.chain.code, [town.another_office() for _ in range(2)]
    await asyncio.gather(offices[0].confirm(code, 7), offices[1].cancel(code, 7), return_exceptions=True)
    await town.settle()
    assert await town.taken() in ({}, AT_FIRST)


async def test_of_two_double_clicks_there_is_one_visit(town: ChainTown):
    told = await asyncio.gather(*(town.another_office().hold(wish()) for _ in range(4)))
    assert len({whole.chain.code for whole in told}) == 1
    assert len(await town.taken()) == 3


@pytest.mark.parametrize("writes", range(5))
async def test_a_death_while_taking_leaves_nothing_or_is_finished_by_a_repeated_request(town: ChainTown, writes: int):
    with pytest.raises(KilledError):
        await town.another_office(Life(writes)).hold(wish())
    if writes % 2:
        assert len((await town.chains.hold(wish())).visits) == 3
    await town.settle()
    assert await town.taken() == {}
    assert await town.db["chains"].count_documents({}) == 0


@pytest.mark.parametrize("writes", range(5))
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_death_while_confirming_ends_in_all_or_nothing(town: ChainTown, writes: int, *, is_late: bool):
    held = await town.chains.hold(wish())
    with pytest.raises(KilledError):
        await town.another_office(Life(writes)).confirm(held.chain.code, 7)
    if is_late:
        await town.settle()
        assert await town.taken() in ({}, AT_FIRST)
    else:
        assert (await town.chains.confirm(held.chain.code, 7)).chain.stage is Stage.BOOKED
        await town.settle()
        assert await town.taken() == AT_FIRST


@pytest.mark.parametrize("writes", range(5))
async def test_a_death_while_cancelling_ends_in_all_or_nothing(town: ChainTown, writes: int):
    whole = await town.book()
    with pytest.raises(KilledError):
        await town.another_office(Life(writes)).cancel(whole.chain.code, 7)
    await town.settle()
    is_decided = writes > 0
    assert await town.taken() == ({} if is_decided else AT_FIRST)
    past = [booking for seat in await town.seats() for booking in seat.past]
    assert len(past) == 3 * is_decided


@pytest.mark.parametrize("writes", range(15))
async def test_a_death_while_moving_ends_at_the_old_times_or_at_the_new(town: ChainTown, writes: int):
    whole = await town.book()
    with pytest.raises(KilledError):
        await town.another_office(Life(writes)).move(whole.chain.code, 7, OTHER)
    town.clock.pass_by(seconds=31)
    await town.chains.finish()
    await town.counter.finish_moves()
    has_left = writes > 4  # one record, three seats kept, and the record that decides
    assert await town.taken() == (AFTERWARDS if has_left else AT_FIRST)
    await town.settle()
    assert (await town.chains.get(whole.chain.code, 7)).chain.stage is Stage.BOOKED


async def test_if_a_part_is_closed_the_rest_ends_without_a_strike(town: ChainTown):
    whole = await town.book()
    await town.counter.close(DOCTOR[0].id, "停诊")
    await town.chains.end_closed(whole.chain.code)
    await town.chains.end_closed(whole.chain.code)
    assert await town.taken() == {DOCTOR[0].id: State.CLOSED}
    outcomes = sorted(booking.outcome or "" for seat in await town.seats() for booking in seat.past)
    assert outcomes == [Outcome.CLOSED, Outcome.WITHDRAWN, Outcome.WITHDRAWN]
