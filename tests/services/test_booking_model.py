"""Any course of bookings, as hypothesis invents it, ends where a dict says it should: seat by seat and code by code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import uvloop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from server.domain.booking import Slot, Visit
from server.domain.booking_rules import BookingRules
from server.domain.errors import HuiminError
from server.storage import mongo
from tests.services.booking_world import DAY, Clock, Town, ask, slot_at

SLOTS = [slot_at(8), slot_at(9), slot_at(8, day=DAY + timedelta(days=1))]
SEATS = 2
RULES = BookingRules(rerelease_max_s=0, penalties=(), moves=1, max_open=2)
HOLD = timedelta(minutes=10)
people = st.integers(1, 4)
slots = st.sampled_from(SLOTS)


@dataclass
class Claim:
    """What the dict knows of a booking."""

    citizen: int
    holder: int
    key: str
    slot: Slot
    until: datetime
    state: str = "held"
    renewals: int = 0
    moves: int = 0

    def is_live(self, at: datetime) -> bool:
        """Whether it takes a seat."""
        return self.state == "booked" or (self.state == "held" and at < self.until)

    def collides(self, citizen: int, slot: Slot) -> bool:
        """Whether it is that person's seat on that day."""
        return self.citizen == citizen and self.slot.day == slot.day


class Counter(RuleBasedStateMachine):
    """The counter beside the dict. `world` is (runner, database): kept from one course to the next."""

    codes: Bundle[str] = Bundle("codes")

    def __init__(self, runner: asyncio.Runner, db: mongo.Database) -> None:
        super().__init__()
        self.runner = runner
        self.clock = Clock()
        self.town = Town(db, self.clock, *SLOTS, rules=RULES)
        self.claims: dict[str, Claim] = {}
        self.closed: set[str] = set()
        self.run(db["seats"].delete_many({}))
        self.run(self.town.open(online=SEATS))

    def run(self, verb: Coroutine[Any, Any, Any]) -> Any:
        """Its answer, or the code of its refusal."""
        try:
            return self.runner.run(verb)
        except HuiminError as error:
            return error.code

    def live(self) -> dict[str, Claim]:
        """Claims that take a seat now."""
        return {code: claim for code, claim in self.claims.items() if claim.is_live(self.clock.at)}

    def is_full(self, slot: Slot) -> bool:
        """Whether nobody else gets in."""
        return slot.id in self.closed or sum(c.slot == slot for c in self.live().values()) >= SEATS

    @rule(target=codes, citizen=people, holder=people, slot=slots, key=st.sampled_from("abcdef"))
    def hold(self, citizen: int, holder: int, slot: Slot, key: str) -> Any:
        """A wish, for oneself or the family."""
        told = self.run(self.town.counter.hold(ask(slot, citizen, key, holder)))
        live = self.live()
        known = {
            code: c
            for code, c in self.claims.items()
            if (c.holder, c.key) == (holder, key) and (code in live or c.state in ("cancelled", "closed"))
        }
        same = [c.slot for c in live.values() if c.collides(citizen, slot)]
        if known:
            ((code, claim),) = known.items()
            is_same = claim.citizen == citizen and (claim.slot == slot or claim.moves)
            expected = code if is_same else "booking_key_reused"
        elif same:
            expected = "already_booked" if slot in same else "group_conflict"
        elif any(c.state == "held" and c.holder == holder for c in live.values()):
            expected = "hold_limit"
        elif sum(c.citizen == citizen for c in live.values()) >= RULES.max_open:
            expected = "open_limit"
        elif self.is_full(slot):
            expected = "slot_full"
        else:
            assert isinstance(told, Visit), told
            code = told.booking.code
            assert code not in self.claims
            self.claims[code] = Claim(citizen, holder, key, slot, self.clock.at + HOLD)
            return code
        assert (told.booking.code if isinstance(told, Visit) else told) == expected
        return multiple()

    @rule(code=codes, is_own=st.booleans())
    def confirm(self, code: str, *, is_own: bool) -> None:
        """By whom it is for, or by a stranger."""
        claim = self.claims[code]
        told = self.run(self.town.counter.confirm(code, claim.citizen if is_own else 99))
        if is_own and claim.is_live(self.clock.at):
            claim.state = "booked"
            assert told.state == "booked"
        elif is_own:
            assert told == ("hold_expired" if claim.state in ("held", "gone") else "booking_over")
        else:
            assert told in ("booking_unknown", "hold_expired")

    @rule(code=codes)
    def renew(self, code: str) -> None:
        """More time."""
        claim = self.claims[code]
        told = self.run(self.town.counter.renew(code, claim.holder))
        if claim.state == "held" and claim.is_live(self.clock.at) and not claim.renewals:
            claim.renewals, claim.until = 1, self.clock.at + HOLD
            assert told.booking.hold_until == claim.until
        else:
            assert told in ("renew_limit", "booking_state", "hold_expired", "booking_over")

    @rule(code=codes)
    def cancel(self, code: str) -> None:
        """Given up or cancelled."""
        claim = self.claims[code]
        told = self.run(self.town.counter.cancel(code, claim.citizen))
        if claim.state == "booked":
            claim.state = "cancelled"
        elif claim.state == "held" and claim.is_live(self.clock.at):
            claim.state = "gone"
        if claim.state in ("cancelled", "closed"):
            assert told.state == claim.state
        else:
            claim.state = "gone"
            assert told == "booking_unknown" or told.state == "given_up"

    @rule(code=codes, slot=slots)
    def move(self, code: str, slot: Slot) -> None:
        """To another slot of the group."""
        claim = self.claims[code]
        told = self.run(self.town.counter.move(code, claim.holder, slot.id, "online"))
        others = [c for other, c in self.live().items() if other != code]
        if claim.state != "booked":
            assert isinstance(told, str) or (told.seat.slot == slot.id and claim.state == "held")
        elif claim.slot == slot:
            assert told.booking.code == code
        elif claim.moves >= RULES.moves:
            assert told == "move_limit"
        elif any(c.collides(claim.citizen, slot) for c in others):
            assert told in ("already_booked", "group_conflict")
        elif self.is_full(slot):
            assert told == "slot_full"
        else:
            claim.slot, claim.moves = slot, claim.moves + 1
            assert told.seat.slot == slot.id

    @rule(minutes=st.sampled_from([1, 6, 11]))
    def pass_by(self, minutes: int) -> None:
        """Time goes by; holds end."""
        self.clock.pass_by(minutes=minutes)

    @rule(slot=slots)
    def close(self, slot: Slot) -> None:
        """停诊."""
        told = self.run(self.town.counter.close(slot.id, "停诊"))
        self.closed.add(slot.id)
        for claim in self.claims.values():
            if claim.slot == slot and claim.state in ("held", "booked"):
                claim.state = "closed" if claim.state == "booked" else "gone"
        ended = {code for code, claim in self.claims.items() if claim.slot == slot and claim.state == "closed"}
        assert {visit.booking.code for visit in told} == ended

    @rule(slot=slots)
    def reopen(self, slot: Slot) -> None:
        """It can be booked again."""
        self.run(self.town.counter.reopen(slot.id))
        self.closed.discard(slot.id)

    @invariant()
    def the_seats_are_what_the_dict_says(self) -> None:
        """After every step."""
        seats = self.run(self.town.seats())
        assert len(seats) == SEATS * len(SLOTS)
        live = {
            s.booking.code: (s.slot, s.state.value, s.booking.citizen)
            for s in seats
            if s.booking and not s.booking.is_lapsed(self.clock.at)
        }
        assert live == {code: (c.slot.id, c.state, c.citizen) for code, c in self.live().items()}
        assert all((s.slot in self.closed) == (s.state == "closed") for s in seats)


def test_any_course_of_bookings_ends_where_a_dict_says(mongo_url: str):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        client = mongo.client(mongo_url)
        db = mongo.database(client, "huimin_test_booking_model")
        try:
            runner.run(mongo.prepare(db))
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                lambda: Counter(runner, db),
                settings=settings(
                    max_examples=20,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(client.close())
