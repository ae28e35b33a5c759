"""The part of `assemble` that serves people's own calendars."""

from __future__ import annotations

import secrets
from functools import partial

from server.assemble import Assembly
from server.services.booking import Bookings
from server.services.calendars import Calendars
from server.storage.calendars import CalendarStore
from server.storage.resources import ResourceStore


def calendars(assembly: Assembly, bookings: Bookings) -> Calendars:
    """The calendars of one API process; `bookings` is its counter."""
    db = assembly.db
    new_secret = partial(secrets.token_urlsafe, 32)
    return Calendars(CalendarStore(db), bookings, ResourceStore(db), assembly.now, new_secret)
