"""Applications over HTTP: the whole way, and what is said when something does not go."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from server.assemble import Assembly
from server.assemble_booking import booking
from server.domain.booking import Ask, State
from server.domain.china import china_day
from server.domain.officers import Role
from tests.api.application_doors import Counter, counter_of, make_application
from tests.api.booking_town import resource, slot
from tests.api.client import Citizens, Officers
from tests.domain.items import MATERIAL, item
from tests.services.application_world import officer

OWNER, STRANGER = 2**42 + 11, 2**42 + 12
FORM = {"reason": "满八十岁"}


@pytest.fixture
async def counter(assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Counter]:
    async with counter_of(assembly, officers, citizens, item(materials=[MATERIAL])) as found:
        yield found


async def test_a_citizen_applies_an_officer_decides_and_anybody_with_the_code_follows(
    counter: Counter, citizens: Citizens, officers: Officers
):
    api, mine = counter.api, await citizens.enter(OWNER)
    clerk, approver = officers.enter(officer(Role.CLERK)), officers.enter(officer(Role.APPROVER, name="b"))
    made = await api("POST", "/v1/applications", {"item": "elder-allowance"}, token=mine)
    assert (made.status, made.headers["Etag"]) == (201, '"v1"')
    one = made.headers["Location"]
    saved = await api("PUT", one, {"form": FORM}, token=mine, If_Match='"v1"')
    assert (saved.status, saved.json["faults"]) == (200, [])
    handed_in = await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v2"', Idempotency_Key="k-1")
    again = await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v2"', Idempotency_Key="k-1")
    assert (handed_in.status, again.json) == (200, handed_in.json)
    [waiting] = (await api("GET", "/v1/staff/applications", token=clerk)).json["applications"]
    assert waiting["number"] == handed_in.json["number"]
    desk = f"/v1/staff/applications/{waiting['id']}"
    assert (await api("POST", f"{desk}/claim", b"", token=clerk)).status == 200
    taken = await api("POST", f"{desk}/steps", {"action": "accept"}, token=clerk)
    assert taken.json["state"] == "accepted"
    await api("POST", f"{desk}/transfer", {"to": ""}, token=clerk)
    decided = await api("POST", f"{desk}/steps", {"action": "approve"}, token=approver)
    assert (decided.status, decided.json["code"]) == (200, "")
    shown = (await api("GET", one, token=mine)).json
    asked = {"number": shown["number"], "code": shown["code"]}
    tracked = (await api("POST", "/v1/applications/track", asked, Accept_Language="en")).json
    assert tracked["deadline"] == shown["deadline"] == decided.json["deadline"]
    assert tracked["timeline"][0]["words"] == "The application was handed in"
    assert {"form", "code", "id"} & tracked.keys() == set()
    assert [a["number"] for a in (await api("GET", "/v1/applications", token=mine)).json["applications"]] == [
        shown["number"]
    ]


async def test_bad_input_is_told_by_field_and_state_in_the_language_of_the_caller(
    counter: Counter, citizens: Citizens, officers: Officers
):
    api, mine, other = counter.api, await citizens.enter(OWNER), await citizens.enter(STRANGER)
    clerk = officers.enter(officer(Role.CLERK))
    unknown = await api("POST", "/v1/applications", {"item": "nothing"}, token=mine)
    assert (unknown.status, unknown.code) == (404, "item_unknown")
    made = await api("POST", "/v1/applications", {"item": "elder-allowance", "form": {"x": 1}}, token=mine)
    one = made.headers["Location"]
    wrong = await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v1"', Accept_Language="en")
    assert (wrong.status, wrong.code) == (422, "form_faulty")
    assert {each["field"] for each in wrong.json["errors"]} == {"form.reason", "form.x"}
    await api("PUT", one, {"form": FORM}, token=mine, If_Match='"v1"')
    stale = await api("PUT", one, {"form": FORM}, token=mine, If_Match='"v1"')
    assert (stale.status, stale.code) == (412, "application_changed")
    assert (await api("PUT", one, {"form": FORM}, token=mine)).status == 428
    assert (await api("GET", one, token=other)).code == "application_unknown"
    await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v2"')
    refused = await api("POST", f"/v1/staff{one.removeprefix('/v1')}/steps", {"action": "deliver"}, token=clerk)
    assert (refused.status, refused.json["allowed"]) == (409, ["accept", "ask", "refuse"])
    assert (await api("GET", "/v1/applications?after=zz", token=mine)).code == "cursor_invalid"
    assert (await api("GET", "/v1/staff/applications", token=mine)).status == 401


async def test_a_file_larger_than_other_bodies_is_taken_from_who_is_known_and_ten_megabytes_are_the_end(
    counter: Counter, citizens: Citizens
):
    api, mine = counter.api, await citizens.enter(OWNER)
    made = await make_application(counter.assembly, api, OWNER, mine)
    path = f"/v1/applications/{made['application']}/attachments"
    out = BytesIO()
    Image.frombytes("RGB", (800, 800), secrets.token_bytes(800 * 800 * 3)).save(out, "PNG")
    large = out.getvalue()
    assert len(large) > 1_500_000
    named = f"{path}?material=id_card&name=a.png"
    taken = await api("POST", named, large, token=mine, Content_Type="image/png")
    assert (taken.status, taken.headers["Etag"]) == (201, '"v2"')
    assert (await api("POST", named, large, Content_Type="image/png")).status == 401
    assert (
        await api("POST", named, b"\x89PNG" + b"x" * 10_485_760, token=mine, Content_Type="image/png")
    ).status == 413
    other = await api("POST", "/v1/applications", large, token=mine, Content_Type="application/json")
    assert other.code == "body_too_large"
    file = f"{path}/{taken.json['brought'][0]['ref']}"
    got = await api("GET", file, token=mine)
    assert got.headers["Content-Type"] == "image/png"
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert (await api("DELETE", file, token=mine)).json["brought"] == []


async def test_a_finished_case_is_rated_and_everybody_reads_the_figures(
    counter: Counter, citizens: Citizens, officers: Officers
):
    api, mine = counter.api, await citizens.enter(OWNER)
    clerk, supervisor = officers.enter(officer(Role.CLERK)), officers.enter(officer(Role.SUPERVISOR, name="s"))
    made = await make_application(counter.assembly, api, OWNER, mine)
    one = f"/v1/applications/{made['application']}"
    await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v1"')
    refusal = {"action": "refuse", "reason": "not_needed"}
    assert (await api("POST", f"/v1/staff{one[3:]}/steps", refusal, token=clerk)).json["state"] == "refused"
    rated = await api("POST", f"{one}/rating", {"stars": 1, "tags": ["rude"]}, token=mine)
    assert (rated.status, rated.json["state"]) == (201, "open")
    [ticket] = (await api("GET", "/v1/staff/ratings", token=supervisor)).json["tickets"]
    step = {"action": "answer", "note": "已致歉"}
    path = f"/v1/staff/ratings/{ticket['id']}/steps"
    assert (await api("POST", path, step, token=clerk)).status == 403
    assert (await api("POST", path, step, token=supervisor)).json["state"] == "answered"
    [figures] = (await api("GET", "/v1/ratings/figures")).json["units"]
    assert (figures["ratings"], figures["mean"], figures["bad"], figures["fixed"]) == (1, 1.0, 1, 1)
    assert (figures["on_time"], figures["on_time_share"]) == (1, 1.0)
    assert (await api("GET", "/v1/ratings/questions")).json["version"] == 1


async def test_who_calls_a_rater_back_gets_numbers_and_the_ticket_itself_names_nobody(
    counter: Counter, citizens: Citizens, officers: Officers
):
    api, mine = counter.api, await citizens.enter(OWNER)
    clerk, supervisor = officers.enter(officer(Role.CLERK)), officers.enter(officer(Role.SUPERVISOR, name="s"))
    both = officers.enter(officer(Role.CLERK, Role.SUPERVISOR))  # the clerk who refused it
    made = await make_application(counter.assembly, api, OWNER, mine)
    one = f"/v1/applications/{made['application']}"
    await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v1"')
    await api("POST", f"/v1/staff{one[3:]}/steps", {"action": "refuse", "reason": "not_needed"}, token=clerk)
    rating = (await api("POST", f"{one}/rating", {"stars": 1}, token=mine)).json["id"]
    await counter.assembly.citizens.bind(OWNER, "sms", "+8613812345678")
    path = f"/v1/staff/ratings/{rating}/contact"
    asked = {"purpose": "核实情况并回访"}
    assert (await api("POST", path, asked, token=clerk)).status == 403
    assert (await api("POST", path, asked, token=both)).status == 404
    assert (await api("POST", path, {}, token=supervisor)).status == 422
    told = await api("POST", path, asked, token=supervisor)
    assert (told.status, told.json) == (200, {"rating": rating, "phones": ["+8613812345678"]})
    listed = (await api("GET", "/v1/staff/ratings", token=supervisor)).json["tickets"]
    assert made["application"] not in str(listed)
    assert "13812345678" not in str(listed)


async def test_an_officer_who_asks_for_papers_twice_reads_who_may_and_a_supervisor_does(
    counter: Counter, citizens: Citizens, officers: Officers
):
    api, mine = counter.api, await citizens.enter(OWNER)
    clerk, supervisor = officers.enter(officer(Role.CLERK)), officers.enter(officer(Role.SUPERVISOR, name="s"))
    made = await make_application(counter.assembly, api, OWNER, mine)
    one = f"/v1/applications/{made['application']}"
    desk = f"/v1/staff{one[3:]}"
    await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v1"')
    ask = {"action": "ask", "reason": "material_unclear", "materials": ["id_card"]}
    first = await api("POST", f"{desk}/steps", ask, token=clerk)
    assert (first.json["state"], first.json["asked"]) == ("supplement", 1)
    seen = await api("GET", one, token=mine)
    assert seen.json["timeline"][-1]["note"].endswith("To bring: ID card")
    await api("POST", f"{one}/supply", b"", token=mine, If_Match=seen.headers["Etag"])
    again = await api("POST", f"{desk}/steps", ask, token=clerk, Accept_Language="en")
    assert (again.status, again.code, again.json["allowed"]) == (409, "asked_already", ["accept", "refuse"])
    assert "supervisor" in again.json["detail"]
    why = {"note": "补正的照片仍不清晰", "materials": ["id_card"]}
    assert (await api("POST", f"{desk}/ask-again", why, token=clerk)).status == 403
    assert (await api("POST", f"{desk}/ask-again", {"note": ""}, token=supervisor)).status == 422
    done = await api("POST", f"{desk}/ask-again", why, token=supervisor)
    assert (done.json["state"], done.json["asked"]) == ("supplement", 2)


async def test_a_phone_that_keeps_a_copy_of_the_list_asks_for_changes(counter: Counter, citizens: Citizens):
    api, mine = counter.api, await citizens.enter(OWNER)
    for _ in range(3):
        made = await api("POST", "/v1/applications", {"item": "elder-allowance"}, token=mine)
    first = await api("GET", "/v1/applications?limit=2", token=mine)
    rest = await api("GET", f"/v1/applications?limit=2&after={first.json['next']}", token=mine)
    assert (len(first.json["applications"]), len(rest.json["applications"])) == (2, 1)
    assert (rest.json["sync"], rest.json["next"]) == (first.json["sync"], None)
    changed = (await api("GET", f"/v1/applications?since={rest.json['sync']}", token=mine)).json["applications"]
    assert made.json["id"] in [each["id"] for each in changed]
    later = int(rest.json["sync"]) + 3_600_000
    assert (await api("GET", f"/v1/applications?since={later}", token=mine)).json["applications"] == []
    assert (await api("GET", "/v1/applications?since=now", token=mine)).code == "cursor_invalid"


async def test_who_withdraws_gives_up_the_seat_that_was_booked_with_it(counter: Counter, citizens: Citizens):
    api, mine = counter.api, await citizens.enter(OWNER)
    desk = booking(counter.assembly)
    await desk.schedules.create(resource("clinic-1"))
    day = china_day(counter.assembly.now()) + timedelta(days=1)
    held = await desk.bookings.hold(Ask(slot(day, 9), "online", OWNER, OWNER, "k"))
    made = await make_application(counter.assembly, api, OWNER, mine)
    one = f"/v1/applications/{made['application']}"
    wanted = {"booking": held.booking.code}
    done = await api("POST", f"{one}/submit-with-seat", wanted, token=mine, If_Match='"v1"')
    assert (done.status, done.json["state"]) == (200, "submitted")
    assert (await desk.bookings.get(held.booking.code, OWNER)).state is State.BOOKED
    assert (await api("POST", f"{one}/withdraw", b"", token=mine)).json["state"] == "withdrawn"
    assert await counter.parts.seats.sweep() == 1
    assert not (await desk.bookings.get(held.booking.code, OWNER)).is_live
    assert (await api("GET", one, token=mine)).json["state"] == "withdrawn"
