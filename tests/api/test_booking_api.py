"""Booking over HTTP, as a citizen's app does it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

from tests.api.booking_town import BookingTown, resource, slot
from tests.api.client import Citizens, Client

ANN, BEN, KIM = 2**41 + 1, 2**41 + 2, 2**41 + 3


async def test_of_two_citizens_who_want_the_last_seat_one_books_it_and_the_other_is_told_what_to_do(
    bookable: BookingTown, citizens: Citizens
):
    await bookable.open()
    ann, ben = await citizens.enter(ANN), await citizens.enter(BEN)
    wanted = slot(bookable.tomorrow, 9)
    held = await bookable.hold(ann, wanted)
    assert (held.status, held.json["state"], held.headers["Location"]) == (
        201,
        "held",
        f"/v1/bookings/{held.json['id']}",
    )
    assert held.json["server_at"] < held.json["hold_until"]
    full = await bookable.hold(ben, wanted)
    assert (full.status, full.code, full.json["field"]) == (409, "slot_full", "slot")
    assert "候补" in full.json["title"] and "其他时段" in full.json["title"]
    english = await bookable.api("POST", "/v1/bookings", {"slot": wanted}, token=ben, Accept_Language="en")
    assert "waiting list" in english.json["title"]
    confirmed = await bookable.verb(ann, held.json["id"], "confirm")
    assert (confirmed.status, confirmed.json["state"], confirmed.json["hold_until"]) == (200, "booked", None)
