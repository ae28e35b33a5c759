"""What becomes of a seat when two accounts are joined, and when a person is erased. Pure.

Joined: everything is the other account's. A person has one seat a day in a group, so where both accounts have one, the
one that was joined in gives way: a hold without a trace, a booking as the office's doing, without a strike.
Erased: what lies ahead is given back; of what is past the count stays, under a number that is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from server.domain.booking import Booking, Outcome, Seat, State, ended, freed, kept

ENDED = (State.SERVED, State.MISSED)


def handed_over(seat: Seat, source: int, target: int, own: Sequence[Seat], at: datetime) -> Seat:
    """The seat after `source` became `target`, one version on. `own`: all seats that the target has."""

    def renamed(booking: Booking) -> Booking:
        # A key is its holder's own word: the same word of two holders meant two things.
        is_held = booking.holder == source
        return replace(
            booking,
            citizen=target if booking.citizen == source else booking.citizen,
            holder=target if is_held else booking.holder,
            key=booking.code if is_held else booking.key,
        )

    past = tuple(renamed(booking) for booking in seat.past)
    transit = seat.transit
    if transit and transit.booking:
        transit = replace(transit, booking=renamed(transit.booking))
    booking = seat.booking and renamed(seat.booking)
    after = replace(seat, past=past, transit=transit, booking=booking, version=seat.version + 1)
    if booking is None or not _is_in_the_way(after, booking, own):
        return after
    if seat.state is State.HELD:
        return replace(freed(after, at), version=after.version)
    return replace(freed(kept(after, ended(booking, at, Outcome.WITHDRAWN)), at), version=after.version)


def forgotten(seat: Seat, citizen: int, nobody: Callable[[], int], at: datetime) -> Seat:
    """The seat without this person, one version on; it may not be on its way to another. `nobody`: a fresh number."""
    number = nobody()

    def without(booking: Booking) -> Booking:
        if booking.citizen == citizen:
            holder = number if booking.holder == citizen else booking.holder
            return replace(booking, citizen=number, holder=holder, key=booking.code, reason="")
        return replace(booking, holder=booking.citizen, key=booking.code) if booking.holder == citizen else booking

    seat = replace(seat, past=tuple(without(booking) for booking in seat.past), version=seat.version + 1)
    booking = seat.booking
    if booking is None or citizen not in (booking.citizen, booking.holder):
        return seat
    if seat.state is State.HELD:
        return replace(freed(seat, at), version=seat.version)
    if booking.citizen == citizen and seat.state not in ENDED:
        over = without(ended(booking, at, Outcome.WITHDRAWN))
        return replace(freed(kept(seat, over), at), version=seat.version)
    return replace(seat, booking=without(booking))


def _is_in_the_way(seat: Seat, booking: Booking, own: Sequence[Seat]) -> bool:
    """Whether the target has a seat already where only one may be."""
    return any(
        each.group == seat.group
        and (
            (each.day == seat.day and each.booking.citizen == booking.citizen)
            or (each.state is seat.state is State.HELD and each.booking.holder == booking.holder)
        )
        for each in own
        if each.booking
    )
