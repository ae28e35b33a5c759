"""An application and its seat: both or neither, wherever the process that hands in is killed."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

import pytest

from server.domain.booking import State
from server.domain.errors import ConflictError, HuiminError, StepRefusedError
from server.services.application_seats import PATIENCE, ApplicationSeats, HandingIn
from server.storage.mongo import Database
from tests.services.application_world import APPROVER, FORM, OTHER, OWNER, Town, caller, race
from tests.services.booking_world import Clock, ask, slot_at
from tests.services.booking_world import Town as Hall

ROOT = Path(__file__).parents[2]
SLOT = slot_at(9)


class Both:
    """A counter for applications and one for seats, on one clock."""

    def __init__(self, db: Database) -> None:
        self.hall = Hall(db, Clock(), SLOT)
        self.town = Town(db)
        self.town.clock.at = self.hall.clock.at
        self.seats = self.another()

    def another(self) -> ApplicationSeats:
        """The counter of another process."""
        town = self.town
        return ApplicationSeats(town.ground, town.steps, town.counter, self.hall.another())

    async def ready(self) -> HandingIn:
        """A draft that could be handed in, and a held seat."""
        draft = (await self.town.draft()).application
        visit = await self.hall.counter.hold(ask(SLOT, OWNER, draft.id))
        return HandingIn(draft.id, draft.version, "k", visit.booking.code)

    def pass_(self, seconds: float) -> None:
        """Time goes by for both."""
        self.hall.clock.pass_by(seconds=seconds)
        self.town.clock.at = self.hall.clock.at

    async def are(self, what: HandingIn) -> tuple[str, bool]:
        """The state of the application, and whether the seat is booked."""
        found = (await self.town.counter.get(caller(), what.application)).application
        seats = await self.hall.seats()
        return found.standing.state, any(seat.state is State.BOOKED for seat in seats)


@pytest.fixture
async def both(db: Database) -> Both:
    made = Both(db)
    await made.hall.open(online=2)
    return made


async def test_both_are_done_at_once_and_the_same_request_again_changes_nothing(both: Both):
    what = await both.ready()
    numbers = {(await both.seats.submit(caller(), what)).application.number for _ in range(2)}
    assert await both.are(what) == ("submitted", True)
    assert len(numbers) == 1
    assert len(await both.town.told()) == 1


async def test_a_hold_that_ran_out_leaves_a_draft_that_can_be_changed_again(both: Both):
    what = await both.ready()
    both.pass_(3_600)
    with pytest.raises(ConflictError, match="hold_expired"):
        await both.seats.submit(caller(), what)
    assert await both.are(what) == ("draft", False)
    draft = (await both.town.counter.get(caller(), what.application)).application
    assert draft.seat is None
    await both.town.counter.save(caller(), draft.id, draft.version, FORM)


async def test_an_application_that_is_not_complete_takes_no_seat(both: Both):
    what = await both.ready()
    await both.town.counter.save(caller(), what.application, what.version, {})
    with pytest.raises(HuiminError, match="form_faulty"):
        await both.seats.submit(caller(), HandingIn(what.application, 2, "k", what.booking))
    assert await both.are(what) == ("draft", False)


async def test_somebody_elses_seat_is_neither_taken_nor_freed(both: Both):
    what = await both.ready()
    theirs = await both.hall.counter.hold(ask(SLOT, OTHER, "x"))
    with pytest.raises(HuiminError, match="seat_unknown"):
        await both.seats.submit(caller(), HandingIn(what.application, what.version, "k", theirs.booking.code))
    assert (await both.hall.counter.get(theirs.booking.code, OTHER)).is_live


async def test_between_the_steps_nothing_else_can_be_done_to_it(both: Both, db: Database):
    what = await both.ready()
    fields = {"code": what.booking, "holder": OWNER, "who": "x", "key": "k", "stage": "wanted", "until": None}
    await db["applications"].update_one({"_id": what.application}, {"$set": {"seat": fields}})
    for deed in (
        both.town.counter.save(caller(), what.application, 1, FORM),
        both.town.counter.drop(caller(), what.application, 1),
        both.town.counter.submit(caller(), what.application, 1, "other"),
    ):
        with pytest.raises(StepRefusedError, match="application_closed"):
            await deed


async def test_many_who_finish_at_once_come_to_one_end(both: Both):
    what = await both.ready()
    await race(*(both.another().submit(caller(), what) for _ in range(6)))
    assert await both.are(what) == ("submitted", True)
    assert len((await both.town.counter.get(caller(), what.application)).application.timeline) == 1


@pytest.mark.parametrize("is_expired", [False, True])
async def test_killed_at_any_step_it_is_both_or_neither(both: Both, db: Database, mongo_url: str, *, is_expired: bool):
    """With a good hold: both in the end, unless it died before it began; with a lapsed one: neither."""
    seen: set[tuple[str, bool]] = set()
    for touch in (3, 4, 5) if is_expired else range(2, 9):
        for name in ("applications", "outbox"):
            await db[name].delete_many({})
        await db["seats"].delete_many({})
        await both.hall.open(online=2)
        what = await both.ready()
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.services.killed_application", mongo_url, what.application,
            str(what.version), what.booking, str(touch), cwd=ROOT, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        code = await asyncio.wait_for(killed.wait(), 20)
        # The hold lives for ten minutes: what is lapsed by then finds the seat gone.
        both.pass_(PATIENCE.total_seconds() + 1 if not is_expired else 3_600)
        await both.another().sweep()
        assert await both.another().sweep() == 0
        end = await both.are(what)
        assert end in {("draft", False), ("submitted", True)}, touch
        assert len(await both.town.told()) == (1 if end[1] else 0)
        seen.add(end)
        if code == 0:
            break
    assert ("submitted", True) in seen
    assert ("draft", False) in seen


@pytest.mark.parametrize("deed", ["withdraw", "refuse"])
async def test_what_comes_to_nothing_gives_its_seat_back(both: Both, deed: str):
    what = await both.ready()
    await both.seats.submit(caller(), what)
    if deed == "withdraw":
        await both.town.counter.withdraw(caller(), what.application, "w")
    else:
        await both.town.decide(what.application, "refuse", reason="not_needed")
    assert [await both.another().sweep(), await both.another().sweep()] == [1, 0]
    state, is_booked = await both.are(what)
    assert (state in ("withdrawn", "refused"), is_booked) == (True, False)
    assert (await both.town.counter.get(caller(), what.application)).application.seat is None


async def test_what_is_granted_keeps_its_seat(both: Both):
    what = await both.ready()
    await both.seats.submit(caller(), what)
    await both.town.decide(what.application, "accept")
    await both.town.decide(what.application, "approve", APPROVER)
    await both.town.decide(what.application, "complete")
    assert await both.another().sweep() == 0
    assert await both.are(what) == ("completed", True)


async def test_killed_anywhere_a_withdrawn_application_keeps_no_seat_and_another_keeps_its(
    both: Both, mongo_url: str, tmp_path: Path
):
    ends = set()
    for touch in itertools.count(1):
        what = await both.ready()
        await both.seats.submit(caller(), what)
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.services.killed_officer", mongo_url, str(tmp_path), what.application,
            "withdraw", str(touch), cwd=ROOT, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        code = await asyncio.wait_for(killed.wait(), 20)
        both.pass_(1)
        await both.another().sweep()
        assert await both.another().sweep() == 0
        end = await both.are(what)
        assert end in {("submitted", True), ("withdrawn", False)}, touch
        ends.add(end)
        if code == 0:
            break
        if end[1]:  # the next round wants a seat on this day too
            await both.town.counter.withdraw(caller(), what.application, "w")
            await both.another().sweep()
        both.pass_(3_600)  # a freed seat is offered again after a while
    assert ends == {("submitted", True), ("withdrawn", False)}
