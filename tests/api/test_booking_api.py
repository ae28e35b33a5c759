"""Booking over HTTP, as a citizen's app does it: what goes well, what is refused, and the rush for the last seat."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from datetime import timedelta

import pytest

from server.assemble import Assembly
from server.domain.booking_rules import CutOff
from server.domain.citizens import Kind
from server.domain.real_name import RealName
from server.domain.relations import Scope
from server.domain.resources import Named, Service, Spot
from server.storage.real_names import RealNameStore
from tests.api.booking_town import RULES, BookingTown, resource, slot
from tests.api.client import Answer, Citizens, Client
from tests.domain.numbers import id_number

ANN, BEN, KIM = 2**41 + 1, 2**41 + 2, 2**41 + 3


@pytest.fixture
async def ann(citizens: Citizens) -> str:
    return await citizens.enter(ANN)


@pytest.fixture
async def ben(citizens: Citizens) -> str:
    return await citizens.enter(BEN)


LONG = Service(code="long", name=Named(zh="全面体检"), minutes=90)


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


async def test_of_two_citizens_who_want_the_last_seat_one_books_it_and_the_other_is_told_what_to_do(
    bookable: BookingTown, ann: str, ben: str
):
    await bookable.open()
    wanted = slot(bookable.tomorrow, 9)
    held = await bookable.hold(ann, wanted)
    where = f"/v1/bookings/{held.json['id']}"
    assert (held.status, held.json["state"], held.headers["Location"]) == (201, "held", where)
    assert held.json["server_at"] < held.json["hold_until"]
    full = await bookable.hold(ben, wanted)
    assert (*told(full), full.json["field"]) == (409, "slot_full", "slot")
    assert "请选择其他时段或加入候补" in full.json["title"]
    english = await bookable.api("POST", "/v1/bookings", {"slot": wanted}, token=ben, Accept_Language="en")
    assert "choose another one or join the waiting list" in english.json["title"]
    confirmed = await bookable.verb(ann, held.json["id"], "confirm")
    assert (confirmed.status, confirmed.json["state"], confirmed.json["hold_until"]) == (200, "booked", None)


async def test_of_a_thousand_who_want_the_last_seat_at_once_one_gets_it_and_nothing_breaks(
    bookable: BookingTown, citizens: Citizens
):
    await bookable.open()
    tokens = [await citizens.enter(2**41 + 1000 + n) for n in range(1_000)]
    wanted = slot(bookable.tomorrow, 10)
    answers = await asyncio.gather(*(bookable.hold(token, wanted) for token in tokens))
    assert Counter(map(told, answers)) == {(201, ""): 1, (409, "slot_full"): 999}


async def test_a_double_click_with_one_key_books_once_and_gets_one_answer(bookable: BookingTown, ann: str):
    await bookable.open(resource(places=5))
    form, key = {"slot": slot(bookable.tomorrow, 9)}, secrets.token_hex(8)

    async def click() -> Answer:
        return await bookable.api("POST", "/v1/bookings", form, token=ann, Idempotency_Key=key)

    first = await asyncio.gather(*(click() for _ in range(5)))
    assert {told(answer) for answer in first} <= {(201, ""), (409, "idempotency_in_flight")}
    again = await click()
    assert {answer.json["id"] for answer in [*first, again] if answer.status == 201} == {again.json["id"]}


async def test_a_booking_is_moved_renewed_and_given_back(bookable: BookingTown, ann: str, ben: str):
    await bookable.open()
    nine, ten = slot(bookable.tomorrow, 9), slot(bookable.tomorrow, 10)
    held = await bookable.hold(ann, nine)
    code = held.json["id"]
    assert told(await bookable.verb(ann, code, "move", {"slot": ten})) == (409, "booking_state")
    renewed = await bookable.verb(ann, code, "renew")
    assert renewed.json["hold_until"] > held.json["hold_until"]
    assert renewed.json["renewals_left"] == 0
    assert told(await bookable.verb(ann, code, "renew")) == (409, "renew_limit")
    await bookable.verb(ann, code, "confirm")
    moved = await bookable.verb(ann, code, "move", {"slot": ten})
    assert (moved.json["id"], moved.json["slot"], moved.json["moves_left"]) == (code, ten, 1)
    assert (await bookable.hold(ben, nine)).status == 201
    cancelled = await bookable.verb(ann, code, "cancel")
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    assert told(await bookable.verb(ann, code, "confirm")) == (409, "booking_over")


async def test_a_relative_who_agreed_can_be_booked_for_and_nobody_else(
    bookable: BookingTown, citizens: Citizens, ann: str, ben: str
):
    await bookable.open(resource(places=3))
    wanted = slot(bookable.tomorrow, 9)
    for stranger in (f"{BEN:032x}", "f" * 32, "no id"):
        assert told(await bookable.hold(ann, wanted, **{"for": stranger})) == (403, "relation_missing")
    await bookable.agree(ANN, KIM, Scope.SEE)
    await citizens.enter(KIM)
    assert told(await bookable.hold(ann, wanted, **{"for": f"{KIM:032x}"})) == (403, "relation_missing")
    await bookable.agree(ANN, BEN)
    code = await bookable.book(ann, wanted, **{"for": f"{BEN:032x}"})
    [own] = (await bookable.api("GET", "/v1/bookings", token=ann)).json["bookings"]
    assert (own["id"], own["account"], own["is_own"]) == (code, f"{BEN:032x}", False)
    [theirs] = (await bookable.api("GET", "/v1/bookings", token=ben)).json["bookings"]
    assert (theirs["id"], theirs["is_own"]) == (code, True)
    assert told(await bookable.hold(ben, wanted)) == (409, "already_booked")
    assert (await bookable.hold(ann, wanted)).status == 201, "one's own booking is another person's"


async def test_who_may_not_act_any_more_sees_and_changes_nothing_of_what_was_booked(
    bookable: BookingTown, ann: str, ben: str
):
    await bookable.open()
    await bookable.agree(ANN, BEN)
    code = await bookable.book(ann, slot(bookable.tomorrow, 9), **{"for": f"{BEN:032x}"})
    [relation] = (await bookable.api("GET", "/v1/me/relatives", token=ben)).json["relations"]
    assert (await bookable.api("DELETE", f"/v1/me/relatives/{relation['id']}", token=ben)).status == 204
    assert told(await bookable.api("GET", f"/v1/bookings/{code}", token=ann)) == (404, "booking_unknown")
    for verb, form in (("cancel", b""), ("move", {"slot": slot(bookable.tomorrow, 10)})):
        assert told(await bookable.verb(ann, code, verb, form)) == (404, "booking_unknown")
    assert (await bookable.api("GET", "/v1/bookings", token=ann)).json["bookings"] == []
    assert (await bookable.api("GET", f"/v1/bookings/{code}", token=ben)).json["state"] == "booked"


async def test_seats_for_elders_are_for_verified_people_of_sixty_and_those_who_book_for_them(
    bookable: BookingTown, assembly: Assembly, ann: str
):
    await bookable.open()
    wanted = slot(bookable.tomorrow, 9)
    assert told(await bookable.hold(ann, wanted, quota="elder")) == (403, "elder_only")
    store, now = RealNameStore(assembly.db, assembly.vault, assembly.person_vault), assembly.now()
    old, young = 2**41 + 60, 2**41 + 59
    for citizen, years, order in ((old, 60, "101"), (young, 59, "103")):
        born = (now - timedelta(days=366 * years)).strftime("%Y%m%d")
        name = RealName("王大山", id_number(order, born=born))
        assert await store.open(citizen, f"{citizen:032x}", Kind.PERSON, name, now)
        await bookable.agree(ANN, citizen)
    assert told(await bookable.hold(ann, wanted, quota="elder", **{"for": f"{young:032x}"})) == (403, "elder_only")
    assert (await bookable.hold(ann, wanted, quota="elder", **{"for": f"{old:032x}"})).status == 201


async def test_what_cannot_be_booked_is_refused_each_with_its_own_code(bookable: BookingTown, ann: str):
    strict = RULES.model_copy(update={"window_days": 1, "cancel_until": CutOff(days=30)})
    await bookable.open(
        resource(),
        resource("late", rules=strict),
        resource("far", rules=strict, group="h1-late"),
        resource("other", services=(LONG,)),
    )
    tomorrow, today = bookable.tomorrow, bookable.tomorrow - timedelta(days=1)
    refused = {
        slot(today - timedelta(days=1), 9): (409, "slot_past"),
        slot(today, 0): (409, "slot_past"),
        slot(tomorrow, 9, name="nobody"): (404, "slot_unknown"),
        slot(tomorrow, 9, 7): (404, "slot_unknown"),
        "rubbish": (404, "slot_unknown"),
        slot(tomorrow + timedelta(days=1), 9, name="late"): (409, "window_closed"),
        "": (422, "input_invalid"),
        "x" * 91: (422, "input_invalid"),
    }
    for wanted, answer in refused.items():
        assert told(await bookable.hold(ann, wanted)) == answer, wanted
    good = slot(tomorrow, 9)
    assert told(await bookable.hold(ann, good, service="dentist")) == (422, "service_unknown")
    assert told(await bookable.hold(ann, slot(tomorrow, 9, name="other"), service="long")) == (409, "service_longer")
    assert told(await bookable.hold(ann, good, quota="counter")) == (422, "input_invalid")
    assert told(await bookable.hold(ann, good, holder=7)) == (422, "input_invalid")
    code = await bookable.book(ann, slot(tomorrow, 9, name="late"), service="visit")
    assert told(await bookable.verb(ann, code, "cancel")) == (409, "cut_off")
    assert told(await bookable.verb(ann, code, "move", {"slot": slot(tomorrow, 10, name="late")})) == (409, "cut_off")
    assert told(await bookable.hold(ann, slot(tomorrow, 10, name="far"))) == (409, "group_conflict")
    own = await bookable.book(ann, good)
    assert told(await bookable.verb(ann, own, "move", {"slot": slot(tomorrow, 9, name="other")})) == (
        409,
        "other_service",
    )
    assert told(await bookable.hold(ann, slot(tomorrow, 11, name="other"))) == (201, "")
    assert told(await bookable.hold(ann, slot(tomorrow, 12, name="other"))) == (409, "group_conflict")


async def test_three_cancellations_ban_and_say_until_when(bookable: BookingTown, ann: str):
    await bookable.open(resource(places=5))
    for hour in (9, 10, 11):
        code = await bookable.book(ann, slot(bookable.tomorrow, hour))
        assert (await bookable.verb(ann, code, "cancel")).status == 200
    refused = await bookable.hold(ann, slot(bookable.tomorrow, 12))
    assert told(refused) == (403, "booking_banned")
    assert "前暂停预约；如有异议，请向该单位申诉" in refused.json["title"]


async def test_foreign_bookings_and_holds_that_are_gone_do_not_exist(bookable: BookingTown, ann: str, ben: str):
    await bookable.open()
    code = (await bookable.hold(ann, slot(bookable.tomorrow, 9))).json["id"]
    nobodys = secrets.token_urlsafe(16)
    for verb in ("confirm", "renew"):
        assert {told(await bookable.verb(ben, each, verb)) for each in (code, nobodys)} == {(404, "hold_gone")}
    assert told(await bookable.verb(ben, code, "cancel")) == (404, "booking_unknown")
    await bookable.assembly.db["seats"].update_one(
        {"booking.code": code}, {"$set": {"booking.hold_until": bookable.assembly.now() - timedelta(seconds=1)}}
    )
    assert told(await bookable.verb(ann, code, "confirm")) == (409, "hold_expired")
    assert told(await bookable.api("GET", f"/v1/bookings/{code}", token=ann)) == (404, "booking_unknown")
    assert (await bookable.api("GET", "/v1/bookings", token=ann)).json["bookings"] == []


async def test_the_own_list_comes_in_pages_with_what_lies_ahead_soonest_first(bookable: BookingTown, ann: str):
    names = [f"clinic-{n}" for n in range(5)]
    await bookable.open(*(resource(name, rules=RULES.model_copy(update={"max_open": 9})) for name in names))
    codes = [await bookable.book(ann, slot(bookable.tomorrow, 15 - n, name=name)) for n, name in enumerate(names)]
    await bookable.verb(ann, codes[2], "cancel")
    path, seen = "/v1/bookings?limit=2", list[str]()
    while path:
        page = await bookable.api("GET", path, token=ann)
        seen += [each["id"] for each in page.json["bookings"]]
        path = page.headers["Link"].split(">")[0][1:] if page.json["next"] else ""
    assert seen == [codes[4], codes[3], codes[1], codes[0]]
    past = await bookable.api("GET", "/v1/bookings?when=past", token=ann)
    assert [(each["id"], each["state"]) for each in past.json["bookings"]] == [(codes[2], "cancelled")]
    wrong = await bookable.api("GET", f"/v1/bookings?after={codes[2]}", token=ann)
    assert told(wrong) == (422, "mark_invalid")


async def test_the_search_finds_resources_by_what_they_are_and_the_nearest_first(api: Client, bookable: BookingTown):
    north = Spot(latitude=22.70, longitude=114.05)
    await bookable.open(
        resource("a-north", spot=north),
        resource("b-south"),
        resource("c-far", division="130102", spot=None, services=(Service(code="x-ray", name=Named(zh="拍片")),)),
    )

    async def found(query: str) -> list[str]:
        return [each["id"] for each in (await api("GET", f"/v1/resources?{query}")).json["resources"]]

    assert await found("division=440300") == ["a-north", "b-south"]
    assert await found("service=x-ray") == ["c-far"]
    assert await found("near=22.54,114.05&datum=wgs84") == ["b-south", "a-north"]
    assert await found("near=22.54,114.05&datum=wgs84&limit=1&after=1") == ["a-north"]
    near = await api("GET", "/v1/resources?near=22.69739,114.05509&datum=gcj02&limit=1")
    assert near.json["resources"][0]["id"] == "a-north"
    assert near.json["resources"][0]["distance_m"] < 20
    assert "after=1" in near.headers["Link"]
    for query in ("near=22.54,114.05", "datum=wgs84", "near=north&datum=wgs84", "near=99,200&datum=wgs84", "kind=pub"):
        assert (await api("GET", f"/v1/resources?{query}")).status == 422, query
    assert (await api("GET", "/v1/resources/b-south")).json["rules"]["hold_minutes"] == 10
    assert told(await api("GET", "/v1/resources/nobody")) == (404, "resource_unknown")


async def test_free_seats_are_counted_within_a_second_by_quota_and_unchanged_ones_are_not_sent_again(
    bookable: BookingTown, ann: str
):
    await bookable.open(resource(places=2), resource("closed", is_open=False))
    day = bookable.tomorrow + timedelta(days=1)  # none of its slots is too near, at whatever hour this runs
    path = f"/v1/slots?group=h1-clinic-1&from_day={day}&days=1"
    first = await bookable.api("GET", path)
    by_id = {each["id"]: each for each in first.json["slots"]}
    nine = slot(day, 9)
    assert len(by_id) == 47
    assert (by_id[nine]["free"], by_id[nine]["opens_at"]) == ({"online": 2, "elder": 1}, None)
    assert (await bookable.api("GET", path, If_None_Match=first.headers["Etag"])).status == 304
    await bookable.book(ann, nine)
    await asyncio.sleep(1.0)
    second = await bookable.api("GET", path, If_None_Match=first.headers["Etag"])
    assert {each["id"]: each["free"]["online"] for each in second.json["slots"]}[nine] == 1
    named = await bookable.api(
        "GET", f"/v1/slots?resource=clinic-1&resource=closed&from_day={bookable.tomorrow}&days=9"
    )
    last = named.json["slots"][-1]
    assert last["free"] == {"online": 0, "elder": 0}
    assert last["opens_at"] > named.json["as_of"]
    for query, code in (("from_day=2020-01-01", "day_past"), ("from_day=2999-01-01", "day_far")):
        assert told(await bookable.api("GET", f"/v1/slots?{query}")) == (422, code)
