"""Receipts and results: anybody verifies them, nobody forges them, and what has changed is told."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator

import jwt
import pytest

from server.assemble import Assembly
from server.domain.officers import Role
from tests.api.application_doors import Counter, counter_of
from tests.api.client import Citizens, Officers
from tests.domain.items import item
from tests.services.application_world import officer

OWNER = 2**42 + 21
FORM = {"reason": "秘密理由"}


@pytest.fixture
async def counter(assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Counter]:
    async with counter_of(assembly, officers, citizens, item(workflow="instant")) as found:
        yield found


async def handed_in(counter: Counter, mine: str) -> str:
    made = await counter.api("POST", "/v1/applications", {"item": "elder-allowance", "form": FORM}, token=mine)
    one = str(made.headers["Location"])
    assert (await counter.api("GET", f"{one}/receipt", token=mine)).code == "paper_early"
    await counter.api("POST", f"{one}/submit", b"", token=mine, If_Match='"v1"')
    return one


async def test_a_receipt_is_verified_by_any_jose_library_and_by_the_page_of_its_qr_code(
    counter: Counter, citizens: Citizens
):
    api, mine = counter.api, await citizens.enter(OWNER)
    one = await handed_in(counter, mine)
    told = (await api("GET", f"{one}/receipt", token=mine)).json
    keys = (await api("GET", "/v1/papers/keys")).json
    key = jwt.PyJWK(keys["keys"][0])
    content = jwt.decode(told["paper"], key, algorithms=["EdDSA"], options={"verify_iat": False})
    assert content["sub"] == (await api("GET", one, token=mine)).json["number"]
    assert "秘密" not in json.dumps(content, ensure_ascii=False)
    page = await api("GET", told["address"])
    assert (page.status, "凭证真实" in page.body.decode()) == (200, True)
    code = await api("GET", f"{one}/receipt.svg", token=mine)
    assert (code.headers["Content-Type"], code.body[:5]) == ("image/svg+xml", b"<?xml")
    assert (await api("GET", f"{one}/receipt", token=mine)).json == told


async def test_a_paper_that_was_altered_or_signed_by_another_is_refused(counter: Counter, citizens: Citizens):
    api, mine = counter.api, await citizens.enter(OWNER)
    one = await handed_in(counter, mine)
    paper = (await api("GET", f"{one}/receipt", token=mine)).json["paper"]
    head, body, tail = paper.split(".")
    content = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4))) | {"item": "other"}
    forged = urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    unsigned = jwt.encode(content, "", algorithm="none")
    for bad in (f"{head}.{forged}.{tail}", f"{head}.{body}.{tail[:-4]}AAAA", unsigned, "x" * 40):
        assert (await api("POST", "/v1/papers/verify", {"paper": bad})).code == "paper_invalid"


async def test_a_result_says_what_was_decided(counter: Counter, citizens: Citizens, officers: Officers):
    api, mine = counter.api, await citizens.enter(OWNER)
    clerk = officers.enter(officer(Role.CLERK))
    one = await handed_in(counter, mine)
    assert (await api("GET", f"{one}/result", token=mine)).code == "paper_early"
    await api("POST", f"/v1/staff{one.removeprefix('/v1')}/steps", {"action": "complete"}, token=clerk)
    paper = (await api("GET", f"{one}/result", token=mine)).json["paper"]
    found = (await api("POST", "/v1/papers/verify", {"paper": paper})).json
    assert (found["kind"], found["content"]["is_granted"], found["is_current"]) == ("result", True, True)
    await counter.assembly.db["applications"].update_many({}, {"$set": {"state": "rejected"}})
    assert not (await api("POST", "/v1/papers/verify", {"paper": paper})).json["is_current"]
