"""The waiting list and visits of several seats over HTTP, as a citizen's app and an office use them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.domain.booking_news import News
from server.domain.booking_rules import BookingRules, CutOff
from server.domain.resources import Named, Service
from tests.api.booking_town import RULES, BookingTown, resource, slot
from tests.api.client import Citizens

ANN, BEN, KIM = 2**41 + 1, 2**41 + 2, 2**41 + 3
HIDDEN = RULES.model_copy(update={"rerelease_max_s": 86_400})  # what is freed stays hidden for the whole test
LONG = Service(code="long", name=Named(zh="复杂业务"), minutes=60)


@pytest.fixture
async def ann(citizens: Citizens) -> str:
    return await citizens.enter(ANN)


@pytest.fixture
async def ben(citizens: Citizens) -> str:
    return await citizens.enter(BEN)


@pytest.fixture
async def kim(citizens: Citizens) -> str:
    return await citizens.enter(KIM)


async def wait(town: BookingTown, token: str, **more: Any) -> dict[str, Any]:
    """Wait for the clinic tomorrow."""
    day = town.tomorrow.isoformat()
    form = {"group": "h1-clinic-1", "resource": "clinic-1", "first_day": day, "last_day": day} | more
    answer = await town.api("POST", "/v1/waiting", form, token=token)
    assert answer.status == 201, answer.body
    assert answer.headers["Location"] == f"/v1/waiting/{answer.json['id']}"
    made: dict[str, Any] = answer.json
    return made


async def entry(town: BookingTown, token: str, id_: str) -> dict[str, Any]:
    """As it stands."""
    found: dict[str, Any] = (await town.api("GET", f"/v1/waiting/{id_}", token=token)).json
    return found


async def test_what_is_offered_can_be_accepted_or_declined_and_the_waiting_left(
    bookable: BookingTown, ben: str, kim: str
):
    await bookable.open(resource(rules=HIDDEN))
    first, second = await wait(bookable, ben), await wait(bookable, kim)
    assert (first["state"], first["before"], second["before"]) == ("waiting", 0, 1)
    await bookable.services.booking.waiting.waiting.offer()
    offered = await entry(bookable, ben, first["id"])
    assert (offered["state"], offered["offer"]["state"]) == ("offered", "held")
    assert offered["offer"]["hold_until"] > offered["server_at"]
    accepted = await bookable.api("POST", f"/v1/waiting/{first['id']}/accept", token=ben)
    assert (accepted.status, accepted.json["state"]) == (200, "booked")
    assert (await entry(bookable, ben, first["id"]))["state"] == "done"
    declined = await bookable.api("POST", f"/v1/waiting/{second['id']}/decline", token=kim)
    assert (declined.status, declined.json["state"], declined.json["offer"]) == (200, "waiting", None)
    again = await bookable.api("POST", f"/v1/waiting/{second['id']}/decline", token=kim)
    assert (again.status, again.code) == (409, "offer_over")
    listed = await bookable.api("GET", "/v1/waiting", token=kim)
    assert [each["id"] for each in listed.json["entries"]] == [second["id"]]
    assert (await bookable.api("DELETE", f"/v1/waiting/{second['id']}", token=kim)).status == 204
    assert (await entry(bookable, kim, second["id"]))["state"] == "withdrawn"


async def test_an_offer_is_told_once_and_only_while_it_stands(bookable: BookingTown, ben: str):
    await bookable.open(resource(rules=HIDDEN))
    made = await wait(bookable, ben)
    for _ in range(2):
        await bookable.services.booking.waiting.waiting.offer()
    code = (await entry(bookable, ben, made["id"]))["offer"]["id"]
    news, outbox = bookable.assembly.waiting_news, bookable.assembly.db["outbox"]
    assert await outbox.count_documents({"about": code, "citizen": BEN}) == 1
    texts = (await news.render(News.OFFERED, [code]))[code]
    assert "李医生" in str(texts["push"]["zh"])
    assert "李医生" not in str(texts["sms"])
    await bookable.api("POST", f"/v1/waiting/{made['id']}/decline", token=ben)
    assert await news.render(News.OFFERED, [code]) == {}


async def test_one_key_is_one_entry_and_bad_wishes_are_explained(bookable: BookingTown, ann: str):
    await bookable.open()
    day = bookable.tomorrow.isoformat()
    form = {"group": "h1-clinic-1", "first_day": day, "last_day": day}
    two = [await bookable.api("POST", "/v1/waiting", form, token=ann, Idempotency_Key="k1") for _ in range(2)]
    assert two[0].json["id"] == two[1].json["id"]
    late = form | {"last_day": (bookable.tomorrow + timedelta(days=30)).isoformat()}
    answer = await bookable.api("POST", "/v1/waiting", late, token=ann)
    assert (answer.status, answer.code, answer.json["field"]) == (422, "waiting_days", "last_day")
    stranger = await bookable.api("POST", "/v1/waiting", form | {"for": "0" * 32}, token=ann)
    assert stranger.status in (403, 404)


async def test_a_visit_of_two_steps_is_held_confirmed_moved_and_cancelled_as_one(bookable: BookingTown, ann: str):
    rules = BookingRules(rerelease_max_s=0, release_time=RULES.release_time, cancel_until=CutOff(minutes=60))
    await bookable.open(resource("lab-1"), resource(rules=rules, services=(LONG,)))
    day = bookable.tomorrow
    steps = [{"slot": slot(day, 8, name="lab-1"), "service": "visit"}, {"slot": slot(day, 9), "service": "long"}]
    held = await bookable.api("POST", "/v1/visits", {"steps": steps}, token=ann)
    assert (held.status, held.json["state"], len(held.json["parts"])) == (201, "held", 3), held.body
    assert [part["service"] for part in held.json["parts"]] == ["visit", "long", "long"]
    where = f"/v1/visits/{held.json['id']}"
    assert held.headers["Location"] == where
    alone = await bookable.verb(ann, held.json["parts"][1]["id"], "confirm")
    assert (alone.status, alone.code) == (409, "part_of_visit")
    confirmed = await bookable.api("POST", f"{where}/confirm", token=ann)
    assert (confirmed.status, confirmed.json["state"], confirmed.json["hold_until"]) == (200, "booked", None)
    later = [{"slot": slot(day, 10, name="lab-1")}, {"slot": slot(day, 11), "service": "long"}]
    moved = await bookable.api("POST", f"{where}/move", {"steps": later}, token=ann)
    assert [part["slot"][-4:] for part in moved.json["parts"]] == ["1000", "1100", "1130"], moved.body
    assert [visit["id"] for visit in (await bookable.api("GET", "/v1/visits", token=ann)).json["visits"]] == [
        held.json["id"]
    ]
    cancelled = await bookable.api("POST", f"{where}/cancel", token=ann)
    assert (cancelled.json["state"], {part["state"] for part in cancelled.json["parts"]}) == ("ended", {"cancelled"})


async def test_a_visit_is_all_or_nothing(bookable: BookingTown, ann: str, ben: str):
    await bookable.open(resource("lab-1"), resource())
    day = bookable.tomorrow
    await bookable.book(ben, slot(day, 9))
    steps = [{"slot": slot(day, 8, name="lab-1")}, {"slot": slot(day, 9)}]
    full = await bookable.api("POST", "/v1/visits", {"steps": steps}, token=ann)
    assert (full.status, full.code) == (409, "slot_full")
    assert (await bookable.hold(ann, slot(day, 8, name="lab-1"))).status == 201


async def test_closing_a_part_of_a_visit_ends_it_and_puts_its_person_first(bookable: BookingTown, ann: str):
    await bookable.open(resource("lab-1"), resource())
    day = bookable.tomorrow
    steps = [{"slot": slot(day, 8, name="lab-1")}, {"slot": slot(day, 9)}]
    held = await bookable.api("POST", "/v1/visits", {"steps": steps}, token=ann)
    await bookable.api("POST", f"/v1/visits/{held.json['id']}/confirm", token=ann)
    await bookable.services.booking.waiting.closures.close_slot(slot(day, 9), "停诊")
    visit = (await bookable.api("GET", f"/v1/visits/{held.json['id']}", token=ann)).json
    assert (visit["state"], [part["state"] for part in visit["parts"]]) == ("ended", ["withdrawn", "closed"])
    (entry,) = (await bookable.api("GET", "/v1/waiting", token=ann)).json["entries"]
    assert (entry["is_replacement"], entry["group"]) == (True, "h1-clinic-1")
