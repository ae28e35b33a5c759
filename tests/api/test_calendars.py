"""Calendars and the news of bookings over HTTP: whose they are, what they say, when they change, and what ends them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from icalendar import Calendar, Event

from handlers.bounds import listen
from server.app import SECRET_PATH, make_app
from server.assemble import Assembly
from server.assemble_calendars import calendars
from server.domain.booking import seats_of
from server.domain.china import china_day
from server.domain.resources import Kind, Named, Resource, Service
from server.domain.schedules import Schedule
from server.routes.calendars import routes as calendar_routes
from server.services.calendars import CalendarHolding
from server.storage.calendars import CalendarStore
from server.storage.mongo import Session, in_transaction
from server.storage.resources import ResourceStore
from tests.api.client import Answer, Citizens, Client, Officers, client_of
from tests.services.booking_world import Clock, Town, ask, slot_at

ANN, BOB = 2**41 + 1, 2**41 + 2
RESOURCE = Resource(
    id="cardio-3", unit="h1", unit_name=Named(zh="市人民医院", en="City Hospital"), group="h1-cardio",
    group_name=Named(zh="心内科", en="Cardiology"), kind=Kind.HOSPITAL, name=Named(zh="李医生", en="Dr Li"),
    division="440305", services=(Service(code="visit", name=Named(zh="普通门诊")),), schedule=Schedule(weekly=()),
)  # fmt: skip


@dataclass
class Clinic:
    """A doctor's hours in three days, and a port that hands out calendars of them."""

    assembly: Assembly
    town: Town
    ask: Client

    async def book(self, citizen: int, n: int = 0, holder: int | None = None) -> str:
        """The code of a booking of the n-th slot."""
        slot = list(self.town.slots.values())[n][0]
        visit = await self.town.counter.hold(ask(slot, citizen, secrets.token_hex(4), holder))
        return (await self.town.counter.confirm(visit.booking.code, holder or citizen)).booking.code

    async def move(self, code: str, n: int) -> None:
        """To the n-th slot."""
        await self.town.counter.move(code, None, list(self.town.slots)[n], "online")

    async def subscribe(self, token: str) -> str:
        """The path of a feed's new address."""
        made = await self.ask("POST", "/v1/me/calendar", b"", token=token)
        assert made.status == 201, made.body
        return str(made.json["path"])


@pytest.fixture
async def clinic(assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Clinic]:
    now = assembly.now()
    slots = [slot_at(hour, day=china_day(now + timedelta(days=3))) for hour in (10, 15)]
    town = Town(assembly.db, Clock(now), *slots)
    for slot in slots:
        await town.store.insert(seats_of(slot, {"online": 3}, now - timedelta(days=1)))
    await ResourceStore(assembly.db).put_all([RESOURCE], now)
    routes = calendar_routes(calendars(assembly, town.counter), "https://huimin.example")
    server, port = listen(make_app(routes, officers.gate(citizens)), 0, "127.0.0.1")
    yield Clinic(assembly, town, client_of(port))
    server.stop()
    await server.close_all_connections()


def events(answer: Answer) -> list[Event]:
    assert answer.status == 200, answer.body
    return Calendar.from_ical(answer.body).events


async def test_a_booking_is_a_file_for_who_has_it_and_unknown_to_anybody_else(clinic: Clinic, citizens: Citizens):
    ann, bob = await citizens.enter(ANN), await citizens.enter(BOB)
    code = await clinic.book(ANN)
    got = await clinic.ask("GET", f"/v1/bookings/{code}.ics", token=ann, Accept_Language="en")
    assert got.headers["Content-Type"] == "text/calendar; charset=utf-8; method=REQUEST"
    assert [event["SUMMARY"] for event in events(got)] == ["Booking: Cardiology Dr Li"]
    theirs = await clinic.ask("GET", f"/v1/bookings/{code}.ics", token=bob)
    nobodys = await clinic.ask("GET", f"/v1/bookings/{'x' * 22}.ics", token=bob)
    assert (theirs.status, theirs.code) == (nobodys.status, nobodys.code) == (404, "booking_unknown")
    assert (await clinic.ask("GET", f"/v1/bookings/{code}.ics")).status == 401


async def test_a_hold_is_no_file_yet(clinic: Clinic, citizens: Citizens):
    ann = await citizens.enter(ANN)
    slot = next(iter(clinic.town.slots.values()))[0]
    hold = await clinic.town.counter.hold(ask(slot, ANN))
    got = await clinic.ask("GET", f"/v1/bookings/{hold.booking.code}.ics", token=ann)
    assert (got.status, got.code) == (409, "booking_state")


async def test_a_moved_and_then_cancelled_booking_stays_one_event_whose_sequence_rises(
    clinic: Clinic, citizens: Citizens
):
    ann = await citizens.enter(ANN)
    code = await clinic.book(ANN)
    path, seen = f"/v1/bookings/{code}.ics", []
    seen.append(events(await clinic.ask("GET", path, token=ann))[0])
    await clinic.move(code, 1)
    seen.append(events(await clinic.ask("GET", path, token=ann))[0])
    await clinic.town.counter.cancel(code, None)
    got = await clinic.ask("GET", path, token=ann)
    seen.append(events(got)[0])
    assert got.headers["Content-Type"].endswith("method=CANCEL")
    assert len({str(event["UID"]) for event in seen}) == 1
    assert [event["SEQUENCE"] for event in seen] == [0, 1, 2]
    assert [f"{event.DTSTART:%H}" for event in seen] == ["10", "15", "15"]
    assert [event["STATUS"] for event in seen] == ["CONFIRMED", "CONFIRMED", "CANCELLED"]


async def test_a_feed_shows_own_and_made_bookings_without_a_log_in_and_nobody_elses(clinic: Clinic, citizens: Citizens):
    ann = await citizens.enter(ANN)
    await clinic.book(ANN)
    child = await clinic.book(BOB, 1, holder=ANN)
    await clinic.book(BOB + 1)
    path = await clinic.subscribe(ann)
    got = await clinic.ask("GET", path)
    assert sorted(str(event["SUMMARY"]) for event in events(got)) == [
        "预约（家人）：心内科 李医生",
        "预约：心内科 李医生",
    ]
    assert got.headers["Content-Type"].endswith("method=PUBLISH")
    await clinic.town.counter.cancel(child, None)
    later = await clinic.ask("GET", path)
    assert sorted(event["STATUS"] for event in events(later)) == ["CANCELLED", "CONFIRMED"]


async def test_who_has_a_calendar_is_answered_304_until_it_changes(clinic: Clinic, citizens: Citizens):
    path = await clinic.subscribe(await citizens.enter(ANN))
    tag = (await clinic.ask("GET", path)).headers["Etag"]
    assert (await clinic.ask("GET", path, If_None_Match=tag)).status == 304
    await clinic.book(ANN)
    changed = await clinic.ask("GET", path, If_None_Match=tag)
    assert (changed.status, changed.headers["Etag"] == tag) == (200, False)
    assert "no-cache" in changed.headers["Cache-Control"]


async def test_a_new_address_ends_the_old_one_and_a_removal_ends_all(clinic: Clinic, citizens: Citizens):
    ann = await citizens.enter(ANN)
    assert (await clinic.ask("GET", "/v1/me/calendar", token=ann)).json == {"made_at": None}
    first, second = await clinic.subscribe(ann), await clinic.subscribe(ann)
    assert [(await clinic.ask("GET", path)).status for path in (first, second)] == [404, 200]
    assert (await clinic.ask("GET", first)).code == "calendar_unknown"
    assert (await clinic.ask("GET", "/v1/me/calendar", token=ann)).json["made_at"]
    ended = [(await clinic.ask("DELETE", "/v1/me/calendar", token=ann)).status for _ in range(2)]
    assert ended == [204, 204]
    assert (await clinic.ask("GET", second)).status == 404


async def test_an_address_is_256_bits_that_stand_neither_in_the_database_nor_in_a_log(
    clinic: Clinic, citizens: Citizens, assembly: Assembly, capsys: pytest.CaptureFixture[str]
):
    ann = await citizens.enter(ANN)
    made = await clinic.ask("POST", "/v1/me/calendar", b"", token=ann)
    path = str(made.json["path"])
    secret = path.removeprefix("/v1/calendars/").removesuffix(".ics")
    assert made.json["url"] == f"https://huimin.example{path}"
    assert len(secret) == 43
    kept = await assembly.db["calendars"].find_one({"_id": ANN})
    assert kept is not None
    assert secret not in str(kept)
    assert (await clinic.ask("GET", path.replace(secret, f"{secret}x"))).status == 404
    told = capsys.readouterr()
    assert secret not in told.out + told.err
    assert secret not in SECRET_PATH.sub(r"\1/***", path)


@pytest.mark.parametrize("path", ["/v1/calendars/.ics", f"/v1/calendars/{'a' * 42}.ics", f"/v1/calendars/{'a' * 43}"])
async def test_what_is_no_address_is_not_found(clinic: Clinic, path: str):
    assert (await clinic.ask("GET", path)).status == 404


async def test_nothing_personal_is_in_a_calendar(clinic: Clinic, citizens: Citizens, assembly: Assembly):
    ann = await citizens.enter(ANN)
    code = await clinic.book(ANN)
    public = (await assembly.accounts.get(ANN)).public
    for body in [
        (await clinic.ask("GET", f"/v1/bookings/{code}.ics", token=ann)).body,
        (await clinic.ask("GET", await clinic.subscribe(ann))).body,
    ]:
        assert not any(word in body.decode() for word in (str(ANN), public, "tel:", "+86"))
        assert {line.split(b":")[-1] for line in body.split(b"\r\n") if b"mailto" in line} <= {
            b"noreply@huimin.invalid", b"citizen@huimin.invalid", b"citizen@",
        }  # fmt: skip


async def test_a_joined_account_keeps_its_subscribers_and_an_erased_one_has_none(assembly: Assembly):
    store = CalendarStore(assembly.db)
    holding = CalendarHolding(store)
    await store.put(ANN, "a" * 43, assembly.now())

    async def join(session: Session) -> None:
        await holding.move(ANN, BOB, session)

    for _ in range(2):
        await in_transaction(assembly.db, join)
    assert (await store.find_citizen("a" * 43), await holding.export(ANN)) == (BOB, [])
    await store.put(ANN, "b" * 43, assembly.now())
    await in_transaction(assembly.db, join)
    assert [await store.find_citizen(c * 43) for c in "ab"] == [BOB, None]
    await holding.erase(BOB)
    assert await store.find_citizen("a" * 43) is None


# The news of a booking, in the inbox.


async def items(api: Client, token: str) -> list[tuple[str, str]]:
    """What the inbox shows: template and Chinese body."""
    answer = await api("GET", "/v1/me/inbox", token=token)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["items"]
    return [(item["template"], item["texts"]["zh"]["body"]) for item in found]


async def test_a_confirmed_booking_is_in_the_inbox_and_a_moved_one_shows_its_new_time(
    api: Client, clinic: Clinic, citizens: Citizens, assembly: Assembly
):
    ann, bob = await citizens.enter(ANN), await citizens.enter(BOB)
    code = await clinic.book(BOB, holder=ANN)
    assert (await assembly.booking_news.follow()).new == 6
    for token in (ann, bob):
        [(template, body)] = await items(api, token)  # reminders are not due yet
        assert template == "booking.confirmed"
        assert "10:00，市人民医院，心内科 李医生" in body
    await clinic.move(code, 1)
    [(template, body)] = await items(api, ann)  # before anybody has followed
    assert (template, "15:00" in body) == ("booking.confirmed", True)
    await assembly.booking_news.follow()
    await assembly.clock.measure()
    [(template, body)] = await items(api, ann)
    assert (template, "已改为" in body, "15:00" in body) == ("booking.moved", True, True)
    await clinic.town.counter.cancel(code, None)
    await assembly.booking_news.follow()
    assert [template for template, _ in await items(api, bob)] == ["booking.cancelled"]
    found = (await api("GET", "/v1/me/inbox", token=bob)).json["items"][0]
    assert (found["about"], found["page"]) == (code, f"pages/booking/booking?id={code}")
