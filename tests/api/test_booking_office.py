"""The counter over HTTP: the queue, tickets, booking for somebody, strikes, closures, and what planners change."""

from __future__ import annotations

import asyncio
import json
import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest

from server.assemble import Assembly
from server.domain.booking import State
from server.domain.booking_rules import Penalty
from server.domain.citizens import Kind
from server.domain.officers import Officer, Role, Unit
from server.domain.real_name import RealName
from server.domain.resources import Resource
from server.domain.schedules import Exceptional
from server.services.booking_tickets import Tickets
from server.storage.citizens import NewCitizen, Place
from server.storage.real_names import RealNameStore
from tests.api.booking_town import RULES, BookingTown, resource, slot
from tests.api.client import Answer, Citizens, Officers
from tests.domain.numbers import id_number

ANN, BEN, KIM = 2**41 + 1, 2**41 + 2, 2**41 + 3
UNIT = Unit(code="44030542100000", name="市人民医院", sender="h1@sz.example", division="440300")
TODAY, ONE = "/v1/staff/resources/clinic-1/day", "/v1/staff/resources/clinic-1"
STRIKE = (Penalty(strike=State.MISSED, strikes=1, period_days=90, ban_days=90),)
REASON = {"reason": "系统故障，已核实"}


def officer(*roles: Role, division: str = "440305", institutions: tuple[str, ...] = ("h1",)) -> Officer:
    return Officer(
        id="of-7", person="p7", name="周敏", roles=frozenset(roles), unit=UNIT, division=division, events=(),
        institutions=institutions,
    )  # fmt: skip


@pytest.fixture
def clerk(officers: Officers) -> str:
    return officers.enter(officer(Role.CLERK))


@pytest.fixture
def planner(officers: Officers) -> str:
    return officers.enter(officer(Role.PLANNER))


@pytest.fixture
async def ann(citizens: Citizens) -> str:
    return await citizens.enter(ANN)


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def body(resource: Resource) -> dict[str, Any]:
    return dict(json.loads(resource.model_dump_json()))


async def name(assembly: Assembly, citizen: int, text: str, order: str = "101") -> str:
    """Verify a name; the number."""
    store = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    await assembly.accounts.open(citizen, f"{citizen:032x}", kind=Kind.PERSON, now=assembly.now())
    real = RealName(text, id_number(order))
    assert await store.bind(citizen, await store.seal(citizen, real, assembly.now()))
    return real.number


async def log_of(assembly: Assembly, stream: str) -> list[tuple[str, str, Any]]:
    """Who did what to what, oldest first."""
    entries = await assembly.audit.latest(stream)
    return [(e.actor, e.object, dict(e.details)) for e in reversed(entries)]


async def test_a_ticket_is_scanned_and_its_holder_called_and_served(
    bookable: BookingTown, assembly: Assembly, ann: str, clerk: str
):
    await bookable.open()
    await name(assembly, ANN, "张三丰")
    code = await bookable.come(ANN)
    ticket = await bookable.api("GET", f"/v1/bookings/{code}/ticket", token=ann)
    assert ticket.json["server_at"] < ticket.json["renew_at"] < ticket.json["until"]
    scan = {"ticket": ticket.json["ticket"]}
    checked = await bookable.api("POST", "/v1/staff/bookings/check-in", scan, token=clerk)
    assert (checked.status, checked.json["id"], checked.json["name"]) == (200, code, "张**")
    again = await bookable.api("POST", "/v1/staff/bookings/check-in", scan, token=clerk)
    assert again.json["state"] == "checked_in", "a second scan changes nothing"
    called = await bookable.api("POST", f"{ONE}/call-next", b"", token=clerk)
    assert (called.json["called"]["id"], called.json["called"]["state"]) == (code, "called")
    assert (await bookable.api("POST", f"{ONE}/call-next", b"", token=clerk)).json == {"called": None}
    served = await bookable.api("POST", f"/v1/staff/bookings/{code}/serve", b"", token=clerk)
    assert served.json["state"] == "served"
    assert told(await bookable.api("GET", f"/v1/bookings/{code}/ticket", token=ann)) == (409, "booking_state")


async def test_a_ticket_that_is_forged_too_old_or_of_another_unit_is_refused(
    bookable: BookingTown, assembly: Assembly, clerk: str
):
    await bookable.open(resource(), resource("other", unit="h2"))
    code, foreign = await bookable.come(ANN), await bookable.come(BEN, "other")
    tickets = bookable.services.booking.tickets
    good = tickets.make(code).text

    async def scan(ticket: str) -> tuple[int, str]:
        return told(await bookable.api("POST", "/v1/staff/bookings/check-in", {"ticket": ticket}, token=clerk))

    head, until, seal = good.rsplit(".", 2)
    longer = f"{head}.{until[:-1]}{'z' if until[-1] != 'z' else 'y'}.{seal}"
    others = f"H1.{foreign}.{until}.{seal}"
    for forged in ("", "hello", good[:-1], good + "x", longer, others, good.replace("H1", "H2"), good.upper()):
        assert await scan(forged) == (422, "ticket_invalid"), forged
    assert await scan(tickets.make(foreign).text) == (403, "outside_unit")
    yesterday = Tickets(lambda text: assembly.vault.index(text, field="bookings.ticket"), lambda: long_ago(assembly))
    assert await scan(yesterday.make(code).text) == (409, "ticket_over")
    assert await scan(tickets.make(secrets.token_urlsafe(16)).text) == (404, "booking_unknown")
    assert await scan(good) == (200, "")


async def test_who_scans_the_code_that_hangs_there_checks_in_and_only_there(
    bookable: BookingTown, ann: str, clerk: str
):
    await bookable.open(resource(), resource("other"))
    code = await bookable.come(ANN)
    poster = (await bookable.api("GET", f"{ONE}/poster", token=clerk)).json["ticket"]
    others = (await bookable.api("GET", "/v1/staff/resources/other/poster", token=clerk)).json["ticket"]
    own = (await bookable.api("GET", f"/v1/bookings/{code}/ticket", token=ann)).json["ticket"]
    assert told(await bookable.verb(ann, code, "check-in", {"ticket": others})) == (409, "ticket_elsewhere")
    for forged in (own, f"{poster[:-1]}_", ""):
        assert told(await bookable.verb(ann, code, "check-in", {"ticket": forged})) == (422, "ticket_invalid")
    there = await bookable.verb(ann, code, "check-in", {"ticket": poster})
    assert (there.status, there.json["state"]) == (200, "checked_in")
    scanned = await bookable.api("POST", "/v1/staff/bookings/check-in", {"ticket": poster}, token=clerk)
    assert told(scanned) == (422, "ticket_invalid")


def long_ago(assembly: Assembly) -> datetime:
    return assembly.now() - timedelta(minutes=2)


async def test_the_days_list_shows_masked_names_and_is_told_live(bookable: BookingTown, assembly: Assembly, clerk: str):
    await bookable.open()
    await name(assembly, ANN, "欧阳小明")
    code = await bookable.come(ANN)
    day = (await bookable.api("GET", TODAY, token=clerk)).json
    assert [(each["id"], each["name"], each["state"]) for each in day["bookings"]] == [(code, "欧***", "booked")]
    assert day["counts"]["booked"] == 1
    other = await bookable.api("GET", f"{TODAY}?date=2030-01-01", token=clerk)
    assert (other.json["day"], other.json["bookings"]) == ("2030-01-01", [])
    reader, writer = await asyncio.open_connection("127.0.0.1", bookable.api.port)
    writer.write(f"GET {TODAY}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {clerk}\r\n\r\n".encode())
    first = await asyncio.wait_for(reader.readuntil(b'"booked","slot"'), 5)
    assert b"event: day\ndata: " in first
    await bookable.api("POST", f"/v1/staff/bookings/{code}/check-in", b"", token=clerk)
    second = await asyncio.wait_for(reader.readuntil(b'"checked_in","slot"'), 5)
    assert code.encode() in second
    writer.close()


async def test_who_does_not_come_is_missed_after_the_grace_and_can_be_excused(
    bookable: BookingTown, assembly: Assembly, ann: str, clerk: str
):
    await bookable.open(
        resource(), resource("strict", rules=RULES.model_copy(update={"grace_minutes": 0, "penalties": STRIKE}))
    )
    patient, absent = await bookable.come(BEN), await bookable.come(ANN, "strict")
    marked = await bookable.services.booking.absent.miss()
    assert [visit.booking.code for visit in marked] == [absent]
    assert await bookable.services.booking.absent.miss() == []
    wanted = slot(bookable.tomorrow, 9, name="strict")
    assert told(await bookable.hold(ann, wanted)) == (403, "booking_banned")
    banned = await bookable.api("POST", "/v1/staff/resources/strict/ban", {"booking": absent}, token=clerk)
    assert (banned.json["is_banned"], banned.json["strike"], banned.json["bookings"]) == (True, "missed", [absent])
    path = f"/v1/staff/bookings/{absent}/excuse"
    assert told(await bookable.api("POST", path, {"reason": ""}, token=clerk)) == (422, "input_invalid")
    assert (await bookable.api("POST", path, REASON, token=clerk)).status == 204
    assert told(await bookable.hold(ann, wanted)) == (201, "")
    assert (await bookable.api("GET", f"/v1/bookings/{absent}", token=ann)).json["reason"] == REASON["reason"]
    entry = ("of-7", f"booking/{absent}", {"step": "excuse", **REASON})
    assert (await log_of(assembly, "booking"))[-1] == entry
    assert (await bookable.api("POST", f"/v1/staff/bookings/{patient}/miss", b"", token=clerk)).status == 409


async def test_a_ban_is_lifted_with_a_reason_and_the_look_is_in_the_citizens_own_list(
    bookable: BookingTown, assembly: Assembly, ann: str, clerk: str
):
    strict = RULES.model_copy(update={"grace_minutes": 0, "penalties": STRIKE})
    await bookable.open(resource(rules=strict))
    number = await name(assembly, ANN, "张三丰")
    code = await bookable.come(ANN)
    await bookable.services.booking.absent.miss()
    lifted = await bookable.api("POST", f"{ONE}/ban/lift", {"id_number": number, **REASON}, token=clerk)
    assert (lifted.json["is_banned"], lifted.json["bookings"]) == (True, [code])
    after = await bookable.api("POST", f"{ONE}/ban", {"id_number": number}, token=clerk)
    assert after.json["is_banned"] is False
    assert (await log_of(assembly, "booking"))[-1] == ("of-7", f"booking/{code}", {"step": "lift", **REASON})
    uses = (await bookable.api("GET", "/v1/me/uses", token=ann, Accept_Language="en")).json["uses"]
    assert {(use["unit"], use["office"], use["about"]) for use in uses} == {(UNIT.name, "counter", "clinic-1")}


async def test_a_clerk_books_for_somebody_at_the_counter_and_ends_it_without_a_strike(
    bookable: BookingTown, assembly: Assembly, ann: str, clerk: str
):
    await bookable.open()
    number = await name(assembly, KIM, "金小妹")
    await assembly.citizens.add(
        [NewCitizen(ANN, [Place("440305", ("440000", "440300", "440305"), None)], {"sms": ["+8613800138000"]})]
    )
    nine, ten = slot(bookable.tomorrow, 9), slot(bookable.tomorrow, 10)

    async def book(**form: str) -> Answer:
        return await bookable.api("POST", f"{ONE}/bookings", form, token=clerk)

    made = await book(phone="138 0013 8000", slot=nine)
    assert (made.status, made.json["state"], made.json["quota"]) == (201, "booked", "counter")
    [own] = (await bookable.api("GET", "/v1/bookings", token=ann)).json["bookings"]
    assert own["id"] == made.json["id"]
    assert told(await book(id_number=number, slot=nine)) == (409, "slot_full")
    assert (await book(id_number=number, slot=ten)).json["name"] == "金**"
    assert told(await book(phone="13900139000", slot=ten)) == (404, "citizen_unknown")
    assert told(await book(phone="12345", slot=ten)) == (422, "phone_invalid")
    assert told(await book(slot=ten)) == (422, "person_ambiguous")
    assert told(await book(phone="13800138000", id_number=number, slot=ten)) == (422, "person_ambiguous")
    assert told(await book(phone="13800138000", slot=slot(bookable.tomorrow, 9, name="x-1"))) == (404, "slot_unknown")
    assert told(await book(phone="13800138000", slot=ten, service="x-ray")) == (422, "service_unknown")
    cancel = await bookable.api("POST", f"/v1/staff/bookings/{own['id']}/cancel", REASON, token=clerk)
    assert cancel.status == 204
    seen = await bookable.api("GET", f"/v1/bookings/{own['id']}", token=ann)
    assert seen.json["state"] == "withdrawn"


async def test_a_day_is_closed_and_opened_again(bookable: BookingTown, ann: str, clerk: str):
    await bookable.open(resource(places=2))
    code = await bookable.book(ann, slot(bookable.tomorrow, 9))
    one = {"slot": slot(bookable.tomorrow, 10), "reason": "医生临时停诊"}
    closed = await bookable.api("POST", f"{ONE}/close", one, token=clerk)
    assert closed.json == {"seats": 4, "bookings": 0}
    stop = {"date": str(bookable.tomorrow), "reason": "医生临时停诊"}
    for _ in range(2):
        closed = await bookable.api("POST", f"{ONE}/close", stop, token=clerk)
        assert (closed.status, closed.json["bookings"]) == (200, 1)
    seen = (await bookable.api("GET", f"/v1/bookings/{code}", token=ann)).json
    assert (seen["state"], seen["reason"]) == ("closed", "医生临时停诊")
    assert told(await bookable.hold(ann, slot(bookable.tomorrow, 11))) == (409, "slot_full")
    opened = await bookable.api("POST", f"{ONE}/reopen", stop, token=clerk)
    assert opened.json["seats"] == closed.json["seats"] == 47 * 4
    assert (await bookable.hold(ann, slot(bookable.tomorrow, 11))).status == 201
    wrong: list[tuple[dict[str, str], tuple[int, str]]] = [
        ({"slot": slot(bookable.tomorrow, 9, name="x-1"), "reason": "停诊"}, (404, "slot_unknown")),
        ({"date": "2020-01-01", "reason": "停诊"}, (422, "day_past")),
        ({**one, **stop}, (422, "input_invalid")),
        ({"date": str(bookable.tomorrow)}, (422, "input_invalid")),
    ]
    for form, answer in wrong:
        assert told(await bookable.api("POST", f"{ONE}/close", form, token=clerk)) == answer, form


async def test_a_planner_sees_what_a_change_breaks_before_it_is_made(
    bookable: BookingTown, assembly: Assembly, ann: str, planner: str
):
    created = await bookable.api("POST", "/v1/staff/resources", {"resource": body(resource())}, token=planner)
    assert (created.status, created.headers["Etag"], created.json["version"]) == (201, '"v1"', 1)
    exists = await bookable.api("POST", "/v1/staff/resources", {"resource": body(resource())}, token=planner)
    assert told(exists) == (409, "resource_exists")
    code = await bookable.book(ann, slot(bookable.tomorrow, 9))
    holiday = Exceptional(on=bookable.tomorrow, reason="外出学习")
    changed = resource()
    changed = changed.model_copy(update={"schedule": changed.schedule.model_copy(update={"exceptions": (holiday,)})})
    form = {"resource": body(changed)}
    preview = await bookable.api("POST", f"{ONE}/preview", form, token=planner)
    seat = {"slot": slot(bookable.tomorrow, 9), "number": 1, "state": "booked"}
    assert preview.json == {"broken": 1, "bookings": [seat]}

    async def put(accepted: int, version: str = '"v1"') -> Answer:
        sent = {**form, "accepted": accepted, **REASON}
        return await bookable.api("PUT", ONE, sent, token=planner, If_Match=version)

    assert told(await put(0)) == (409, "bookings_break")
    assert told(await put(1, '"v7"')) == (409, "version_stale")
    assert told(await put(1, "")) == (428, "version_missing")
    assert (await bookable.api("GET", f"/v1/bookings/{code}", token=ann)).json["state"] == "booked"
    done = await put(1)
    assert (done.status, done.headers["Etag"]) == (200, '"v2"')
    seen = (await bookable.api("GET", f"/v1/bookings/{code}", token=ann)).json
    assert (seen["state"], seen["reason"]) == ("closed", REASON["reason"])
    listed = await bookable.api("GET", "/v1/staff/resources", token=planner)
    assert [(each["resource"]["id"], each["version"]) for each in listed.json["resources"]] == [("clinic-1", 2)]
    steps = [(what, details["step"]) for _, what, details in await log_of(assembly, "resource")]
    assert steps[-2:] == [("resource/clinic-1", "create"), ("resource/clinic-1", "change")]
    elsewhere = {"resource": body(resource("other"))}
    assert told(await bookable.api("POST", f"{ONE}/preview", elsewhere, token=planner)) == (422, "resource_other")


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (officer(Role.CLERK, institutions=("h2",)), "outside_unit"),
        (officer(Role.CLERK, institutions=()), "outside_unit"),
        (officer(Role.CLERK, division="440304"), "outside_division"),
        (officer(Role.CHIEF), "role_missing"),
    ],
)
async def test_nobody_serves_or_decides_outside_of_the_own_unit_and_division(
    bookable: BookingTown, officers: Officers, ann: str, who: Officer, code: str
):
    await bookable.open()
    token = officers.enter(who)
    booking = await bookable.book(ann, slot(bookable.tomorrow, 9))
    asked = [
        ("GET", TODAY, None),
        ("GET", f"{TODAY}/events", None),
        ("GET", f"{ONE}/poster", None),
        ("POST", f"{ONE}/call-next", b""),
        ("POST", f"{ONE}/bookings", {"booking": booking, "slot": slot(bookable.tomorrow, 10)}),
        ("POST", f"{ONE}/ban", {"booking": booking}),
        ("POST", f"{ONE}/ban/lift", {"booking": booking, **REASON}),
        ("POST", f"{ONE}/close", REASON),
        ("POST", f"{ONE}/reopen", REASON),
        *(("POST", f"/v1/staff/bookings/{booking}/{verb}", b"") for verb in ("check-in", "serve", "requeue", "miss")),
        *(("POST", f"/v1/staff/bookings/{booking}/{verb}", REASON) for verb in ("cancel", "excuse")),
    ]
    answers = {path: told(await bookable.api(method, path, form, token=token)) for method, path, form in asked}
    assert set(answers.values()) == {(403, code)}, answers
    assert (await bookable.api("GET", f"/v1/bookings/{booking}", token=ann)).json["state"] == "booked"


async def test_a_clerk_does_not_change_resources_and_a_planner_does_not_serve(
    bookable: BookingTown, clerk: str, planner: str
):
    await bookable.open()
    form = {"resource": body(resource("new"))}
    assert told(await bookable.api("POST", "/v1/staff/resources", form, token=clerk)) == (403, "role_missing")
    assert told(await bookable.api("POST", f"{ONE}/call-next", b"", token=planner)) == (403, "role_missing")
    foreign = {"resource": body(resource("new", unit="h2"))}
    assert told(await bookable.api("POST", "/v1/staff/resources", foreign, token=planner)) == (403, "outside_unit")
    taken = {"resource": body(resource(unit="h2"))}
    assert told(await bookable.api("POST", f"{ONE}/preview", taken, token=planner)) == (403, "outside_unit")
