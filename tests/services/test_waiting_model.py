"""Any course of waiting, as hypothesis invents it: the order holds, no seat is lost, none is offered twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from server.domain.booking import Seat, State
from server.domain.booking_rules import BookingRules
from server.domain.errors import HuiminError
from server.domain.waiting import MOST_OFFERS, Entry
from server.storage import mongo
from tests.services.booking_world import DAY, Clock
from tests.services.waiting_world import WaitingTown, slot

SLOTS = [slot(8), slot(9), slot(8, day=DAY + timedelta(days=1))]
DAYS = [each.day for each in SLOTS]
RULES = BookingRules(rerelease_max_s=3600, penalties=(), max_open=9, offer_minutes=10)
people = st.integers(1, 9)


class Town:
    """What the model remembers: who waits, by order, and which slots each was offered."""

    def __init__(self) -> None:
        self.waiting: list[Entry] = []
        self.had: dict[str, set[str]] = {}


class Course(RuleBasedStateMachine):
    """The list beside what it should do."""

    def __init__(self, runner: asyncio.Runner, db: mongo.Database) -> None:
        super().__init__()
        self.runner = runner
        self.town = WaitingTown(db, Clock(), *SLOTS, rules=RULES)
        self.model = Town()
        for name in ("seats", "waiting"):
            self.run(db[name].delete_many({}))

    def run(self, verb: Coroutine[Any, Any, Any]) -> Any:
        """Its answer; None if it was refused."""
        try:
            return self.runner.run(verb)
        except HuiminError:
            return None

    def seats(self) -> list[Seat]:
        """All of them."""
        found: list[Seat] = self.run(self.town.seats())
        return found

    def live(self) -> dict[str, Seat]:
        """Live offers by the key they are held under."""
        at = self.town.clock()
        return {
            s.booking.key: s for s in self.seats()
            if s.booking and s.state is State.HELD and not s.booking.is_lapsed(at)
        }  # fmt: skip

    @initialize()
    def begin(self) -> None:
        """All is booked."""
        self.run(self.town.begin(online=1))
        for n, each in enumerate(SLOTS):
            self.run(self.town.book(each, 100 + n))
        self.wait([1, 2, 3])

    @rule(citizens=st.lists(people, min_size=1, max_size=3, unique=True))
    def wait(self, citizens: list[int]) -> None:
        """Some more, for both days."""
        for citizen in citizens:
            if any(entry.citizen == citizen for entry in self.model.waiting):
                continue
            key = f"w{self.town.clock().timestamp()}"
            entry = self.run(self.town.wait(citizen, key, days=(DAYS[0], DAYS[-1])))
            self.model.waiting.append(entry)
            self.model.had[entry.id] = set()

    @rule(places=st.sets(st.sampled_from([each.id for each in SLOTS]), min_size=1))
    def cancel(self, places: set[str]) -> None:
        """Whoever has booked one of these gives it back."""
        for seat in self.seats():
            if seat.slot in places and seat.booking and seat.state is State.BOOKED:
                self.run(self.town.counter.cancel(seat.booking.code, seat.booking.citizen))
        self.offer()

    @rule(n=st.integers(0, 2), verb=st.sampled_from(["accept", "decline", "leave"]))
    def answer(self, n: int, verb: str) -> None:
        """Somebody answers."""
        if n < len(self.model.waiting):
            entry = self.model.waiting[n]
            has = entry.hold_key in self.live()
            done = self.run(getattr(self.town.list, verb)(entry.id, entry.citizen))
            assert verb == "leave" or (done is not None) == has
            if verb == "leave" or (verb == "accept" and has):
                self.model.waiting.remove(entry)
            self.offer()

    @rule(minutes=st.sampled_from([3, 11]))
    def pass_by(self, minutes: int) -> None:
        """Offers end."""
        self.town.clock.pass_by(minutes=minutes)
        self.offer()

    def offer(self) -> None:
        """The duty runs once, and nothing that fits is left for it."""
        before = self.live()
        self.run(self.town.list.offer())
        after = self.live()
        new = {key: seat for key, seat in after.items() if key not in before}
        seats = self.seats()
        booked = {(s.booking.citizen, s.day) for s in seats if s.booking and s.state is State.BOOKED}
        at = self.town.clock()
        free = {s.slot: s for s in seats if s.state is State.FREE or (s.booking and s.booking.is_lapsed(at))}
        for n, entry in enumerate(list(self.model.waiting)):
            had = self.model.had[entry.id]
            if entry.hold_key in before or len(had) >= MOST_OFFERS:
                continue
            fits = {s.id for s in SLOTS if s.id not in had and (entry.citizen, s.day) not in booked}
            if entry.hold_key in new:
                assert new[entry.hold_key].slot in fits
                had.add(new[entry.hold_key].slot)
                continue
            later = {each.hold_key for each in self.model.waiting[n + 1 :]}
            assert not fits & free.keys()  # nothing is kept from one who waits
            assert not any(key in later and seat.slot in fits for key, seat in new.items())  # nor given to a later one
        self.model.waiting = [
            entry for entry in self.model.waiting
            if len(self.model.had[entry.id]) < MOST_OFFERS or entry.hold_key in after
        ]  # fmt: skip

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """After every step."""
        seats = self.seats()
        assert len(seats) in (0, len(SLOTS))
        assert all(seat.state in (State.FREE, State.HELD, State.BOOKED) for seat in seats)
        assert all((seat.open_at is None) == (seat.state is State.BOOKED) for seat in seats)
        keys = Counter(seat.booking.key for seat in seats if seat.booking)
        assert not [key for key, count in keys.items() if key.startswith("waiting ") and count > 1]


def test_any_course_of_waiting_keeps_the_order_and_every_seat(mongo_url: str):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        client = mongo.client(mongo_url)
        db = mongo.database(client, "huimin_test_waiting_model")
        try:
            runner.run(mongo.prepare(db))
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                lambda: Course(runner, db),
                settings=settings(
                    max_examples=15,
                    stateful_step_count=20,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(client.close())
