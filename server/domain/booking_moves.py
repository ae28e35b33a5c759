"""Moving a booking from one seat to another, as steps that each write one seat and that anybody can finish.

A transaction would do it in one, but a process that is killed inside a transaction locks both seats for a minute, and
with them every batch that wants one of them. So:

1. the new seat is kept: free -> awaited. If the mover dies now, the seat is free again after a while.
2. the old seat lets go: booked -> left, with the booking in `transit`. This one write decides: whoever cancels, closes
   or moves the same booking writes the same seat, so one of them wins. From here on the move goes forward, done by
   whoever looks for the booking.
3. the new seat takes it: awaited -> booked. 4. The old one is free.

If the new seat cannot take it after all (it was closed meanwhile, or the citizen got another booking there), it is
marked as refused and the booking goes back to the old seat. A settler decides by the new seat alone: it awaits this
move, or it has refused it, or it knows nothing of it any more, and then the booking has arrived.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from server.domain.booking import Outcome, Seat, State, Transit, Visit, ended, freed, kept, stepped


def awaited(target: Seat, visit: Visit, until: datetime) -> Seat:
    """1: kept for a booking that is about to leave its seat."""
    transit = Transit(visit.booking.code, visit.seat.id, until)
    return replace(target, state=State.AWAITED, open_at=None, version=target.version + 1, booking=None, transit=transit)


def left(visit: Visit, target: Seat, until: datetime) -> Seat:
    """2: the booking is on its way, one move and one calendar sequence on."""
    booking = replace(visit.booking, moves=visit.booking.moves + 1, sequence=visit.booking.sequence + 1)
    transit = Transit(booking.code, target.id, until, booking)
    seat = visit.seat
    return replace(seat, state=State.LEFT, open_at=None, version=seat.version + 1, booking=None, transit=transit)


def is_for(target: Seat, origin: Seat) -> bool:
    """Whether the new seat (still) awaits what left the old one."""
    there, here = target.transit, origin.transit
    return (
        target.state is State.AWAITED
        and origin.state is State.LEFT
        and there is not None
        and here is not None
        and (there.code, there.other, here.other) == (here.code, origin.id, target.id)
    )


def arrived(target: Seat, origin: Seat) -> Seat:
    """3: the new seat is booked."""
    assert origin.transit is not None
    assert origin.transit.booking is not None
    return replace(stepped(target, State.BOOKED, origin.transit.booking), transit=None)


def refused(target: Seat) -> Seat:
    """Instead of 3: it will not take the booking; the mark stays until the old seat has it back."""
    assert target.transit is not None
    return replace(target, version=target.version + 1, transit=replace(target.transit, is_refused=True))


def restored(origin: Seat) -> Seat:
    """After a refusal: the booking is where it was; the calendar entry says so with one more sequence."""
    assert origin.transit is not None
    assert origin.transit.booking is not None
    booking = origin.transit.booking
    back = replace(booking, moves=booking.moves - 1, sequence=booking.sequence + 1)
    return replace(stepped(origin, State.BOOKED, back), transit=None)


def withdrawn(origin: Seat, at: datetime) -> Seat:
    """After a refusal, if the citizen has another booking in the old one's place too: that one stays."""
    assert origin.transit is not None
    assert origin.transit.booking is not None
    return freed(kept(origin, ended(origin.transit.booking, at, Outcome.WITHDRAWN)), at)


def touched(seat: Seat) -> Seat:
    """Nothing but a version on: whoever still wants to write the one before will fail."""
    return replace(seat, version=seat.version + 1)
