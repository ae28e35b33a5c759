"""Intake over HTTP: a key of one's own, all findings in the answer, and an officer's decision."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handlers.bounds import listen
from handlers.routing import Route
from server import assemble, assemble_manners, assemble_public
from server.app import make_app
from server.domain.alerts.cap import to_cap
from server.domain.alerts.model import Alert, cap_time
from server.domain.china import CHINA
from server.domain.partners import Partner
from tests.api.client import Client, Officers, client_of
from tests.api.conftest import LIMITS
from tests.services.desk import AUTHOR, RELEASER, typhoon

SENDER = "bureau@sz.example"
XML = "application/cap+xml"


@pytest.fixture
async def open_api(
    assembly: assemble.Assembly, routes: list[Route], officers: Officers, readers: assemble_public.PublicParts
) -> AsyncIterator[Client]:
    """The public port with both doors, for officers and for partners."""
    gate = replace(officers.gate(), partners=readers.partners)
    manners = assemble_manners.manners(assembly)
    server, port = listen(make_app(routes, gate, manners=manners), 0, "127.0.0.1", LIMITS)
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def key(readers: assemble_public.PublicParts) -> str:
    """Of a partner that may hand in messages of SENDER."""
    partner = Partner(id="bureau", name="市气象局", senders=(SENDER,), division="440300", created_at=datetime.now(UTC))
    return (await readers.partners.add(partner)).key


def message(name: str = "B1") -> Alert:
    now = datetime.now(UTC)
    end = cap_time(now + timedelta(hours=6), CHINA)
    infos = tuple(
        info.model_copy(update={"expires": end, "headline": info.event, "instruction": "x"}) for info in typhoon().infos
    )
    head = {"identifier": name, "sender": SENDER, "sent": cap_time(now, CHINA), "infos": infos}
    return typhoon().model_copy(update=head)


async def test_a_message_is_taken_proposed_and_adopted(open_api: Client, key: str, officers: Officers) -> None:
    sent = to_cap(message())
    answer = await open_api("POST", "/v1/intake", sent, token=key, Content_Type=XML)
    assert (answer.status, answer.json["state"]) == (202, "proposed")
    again = await open_api("POST", "/v1/intake", sent, token=key, Content_Type=XML)
    assert (again.status, again.json) == (202, answer.json)
    token, name = officers.enter(AUTHOR), answer.json["id"]
    page = await open_api("GET", "/v1/staff/intake?state=proposed", token=token)
    assert [each["id"] for each in page.json["proposals"]] == [name]
    whole = (await open_api("GET", f"/v1/staff/intake/{name}", token=token)).json
    assert (whole["xml"], whole["partner"]) == (sent.decode(), "bureau")
    draft = await open_api("POST", f"/v1/staff/intake/{name}/adopt", token=token)
    assert (draft.status, draft.json["state"]) == (201, "draft")
    twice = await open_api("POST", f"/v1/staff/intake/{name}/adopt", token=token)
    assert (twice.status, twice.code) == (409, "intake_decided")
    assert (await open_api("GET", "/v1/alerts")).json["alerts"] == []


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    open_api: Client, key: str, officers: Officers
) -> None:
    named = {"Idempotency_Key": "morning-1"}
    sent = [await open_api("POST", "/v1/intake", to_cap(message()), token=key, Content_Type=XML, **named) for _ in "ab"]
    assert sent[0].body == sent[1].body
    assert [answer.headers.get("Idempotency-Replayed") for answer in sent] == [None, "true"]
    adopt, token = f"/v1/staff/intake/{sent[0].json['id']}/adopt", officers.enter(AUTHOR)
    drafts = [await open_api("POST", adopt, token=token, **named) for _ in "ab"]
    assert [draft.status for draft in drafts] == [201, 201]
    assert drafts[0].headers["Location"] == drafts[1].headers["Location"]


async def test_who_has_no_key_or_the_wrong_door_does_not_enter(open_api: Client, key: str, officers: Officers) -> None:
    sent = to_cap(message())
    for token in ("", "hmk_wrong", officers.enter(AUTHOR)):
        assert (await open_api("POST", "/v1/intake", sent, token=token, Content_Type=XML)).status == 401
    assert (await open_api("GET", "/v1/staff/intake", token=key)).status == 401
    assert (await open_api("GET", "/v1/staff/intake")).status == 401
    releaser = officers.enter(RELEASER)
    name = (await open_api("POST", "/v1/intake", sent, token=key, Content_Type=XML)).json["id"]
    assert (await open_api("GET", "/v1/staff/intake", token=releaser)).status == 200
    assert (await open_api("POST", f"/v1/staff/intake/{name}/adopt", token=releaser)).status == 403


async def test_bad_bodies_are_problems_that_name_every_finding(open_api: Client, key: str) -> None:
    for body, status in ((b"", 422), (b"<x/>", 422), (b"{}", 422), (b"<!DOCTYPE a [<!ENTITY b 'c'>]><alert/>", 422),
                         (b"<a>" * 400_000, 413)):  # fmt: skip
        answer = await open_api("POST", "/v1/intake", body, token=key, Content_Type=XML)
        assert (answer.status, bool(answer.code)) == (status, True), body[:20]
    assert (await open_api("POST", "/v1/intake", b"x", token=key, Content_Type="text/plain")).status == 415
    wrong = message().model_copy(update={"sender": "stranger@x.example"})
    answer = await open_api("POST", "/v1/intake", to_cap(wrong), token=key, Content_Type="text/xml; charset=utf-8")
    assert (answer.status, answer.json["state"]) == (202, "quarantined")
    assert "CAP-005" in {found["code"] for found in answer.json["findings"]}


async def test_an_officer_says_no_with_a_reason(open_api: Client, key: str, officers: Officers) -> None:
    name = (await open_api("POST", "/v1/intake", to_cap(message()), token=key, Content_Type=XML)).json["id"]
    token = officers.enter(AUTHOR)
    bare = await open_api("POST", f"/v1/staff/intake/{name}/dismiss", {"reason": ""}, token=token)
    assert bare.status == 422
    done = await open_api("POST", f"/v1/staff/intake/{name}/dismiss", {"reason": "重复"}, token=token)
    assert (done.status, done.json["state"]) == (200, "dismissed")
    unknown = await open_api("GET", f"/v1/staff/intake/{'0' * 24}", token=token)
    assert (unknown.status, unknown.code) == (404, "proposal_unknown")
