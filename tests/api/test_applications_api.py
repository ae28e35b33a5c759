"""Applications over HTTP: the whole way, and what is said when something does not go."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server.assemble import Assembly
from server.domain.officers import Role
from tests.api.application_doors import Counter, counter_of
from tests.api.client import Citizens, Officers
from tests.domain.items import item
from tests.services.application_world import officer

OWNER, STRANGER = 2**42 + 11, 2**42 + 12
FORM = {"reason": "满八十岁"}


@pytest.fixture
async def counter(assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Counter]:
    async with counter_of(assembly, officers, citizens, item()) as found:
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
