"""The citizen's side of applications over HTTP: two devices, files, co-applicants, following without a log-in."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from statistics import median

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from PIL import Image

from server.assemble import Assembly
from server.assemble_applications import application_duties
from server.domain.applications import number_of
from server.domain.attachments import MAX_BYTES, MAX_TOTAL_BYTES
from server.domain.officers import Role
from server.services.tracking import DELAYS_S
from tests.api.application_doors import PDF, Counter, counter_of, make_application
from tests.api.client import Answer, Citizens, Client, Officers
from tests.domain.items import MATERIAL, item
from tests.services.application_world import officer

OWNER, SPOUSE, STRANGER = 2**42 + 31, 2**42 + 32, 2**42 + 33
FORM = {"reason": "秘密理由"}
SPOUSE_ACCOUNT = f"{SPOUSE:032x}"
TOGETHER = "shared-home"


@pytest.fixture
async def counter(assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Counter]:
    alone, together = item(materials=[MATERIAL]), item(id=TOGETHER, workflow="household")
    async with counter_of(assembly, officers, citizens, alone, together) as found:
        yield found


async def begun(counter: Counter, token: str, what: str = "elder-allowance") -> str:
    """The path of a new draft."""
    made = await counter.api("POST", "/v1/applications", {"item": what, "form": FORM}, token=token)
    return str(made.headers["Location"])


async def handed_in(counter: Counter, token: str) -> tuple[str, str, str]:
    """The path, number and code of an application."""
    one = await begun(counter, token)
    done = (await counter.api("POST", f"{one}/submit", b"", token=token, If_Match='"v1"')).json
    return one, done["number"], done["code"]


def read(part: str) -> bytes:
    """Base64url without padding (RFC 7515, appendix C)."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_draft_that_was_begun_on_one_device_is_finished_on_another(counter: Counter, citizens: Citizens):
    api, phone, tablet = counter.api, await citizens.enter(OWNER), await citizens.enter(OWNER)
    assert phone != tablet
    one = await begun(counter, phone)
    seen = await api("GET", one, token=tablet)
    assert (seen.headers["Etag"], seen.json["form"]) == ('"v1"', FORM)
    assert (await api("GET", one, token=tablet, If_None_Match='"v1"')).status == 304
    await api("PUT", one, {"form": {"reason": "二"}}, token=tablet, If_Match='"v1"')
    for method, path, body in (
        ("PUT", one, {"form": FORM}), ("POST", f"{one}/submit", b""), ("DELETE", one, None),
    ):  # fmt: skip
        late = await api(method, path, body, token=phone, If_Match='"v1"')
        assert (late.status, late.code) == (412, "application_changed"), method
    assert (await api("GET", one, token=phone)).json["form"] == {"reason": "二"}


async def test_handing_in_twice_with_one_key_gives_one_number_on_whatever_device(counter: Counter, citizens: Citizens):
    api, phone, tablet = counter.api, await citizens.enter(OWNER), await citizens.enter(OWNER)
    one = await begun(counter, phone)
    answers = [
        await api("POST", f"{one}/submit", b"", token=token, If_Match='"v1"', Idempotency_Key="same")
        for token in (phone, phone, tablet)
    ]
    assert [each.status for each in answers] == [200] * 3
    assert len({each.json["number"] for each in answers}) == 1
    shown = (await api("GET", one, token=phone)).json
    assert [line["action"] for line in shown["timeline"]] == ["submit"]
    assert (
        await api("POST", f"{one}/submit", b"", token=phone, If_Match='"v2"', Idempotency_Key="other")
    ).status == 409


async def test_a_disguised_file_and_one_too_many_bytes_are_refused_and_the_limit_is_named(
    counter: Counter, citizens: Citizens
):
    api, mine = counter.api, await citizens.enter(OWNER)
    path = f"{await begun(counter, mine)}/attachments?material=id_card&name=a.pdf"
    disguised = await api("POST", path, PDF, token=mine, Content_Type="image/png", Accept_Language="en")
    assert (disguised.status, disguised.code) == (422, "attachment_disguised")
    assert "application/pdf" in disguised.json["title"]
    program = await api("POST", path, b"MZ\x90\x00" + PDF, token=mine, Content_Type="application/pdf")
    assert (program.status, program.code) == (422, "attachment_kind")
    large = PDF + b"0" * MAX_BYTES
    refused = await api("POST", path, large, token=mine, Content_Type="application/pdf", Accept_Language="en")
    assert (refused.status, refused.code) == (413, "body_too_large")
    assert str(MAX_BYTES) in refused.json["title"]
    assert await counter.assembly.db["attachments"].count_documents({}) == 0


async def test_all_files_of_one_application_have_a_limit_that_is_named(counter: Counter, citizens: Citizens):
    api, mine = counter.api, await citizens.enter(OWNER)
    one = await begun(counter, mine)
    path = f"{one}/attachments?material=id_card"
    await api("POST", path, PDF, token=mine, Content_Type="application/pdf")
    almost = MAX_TOTAL_BYTES - 2 * len(PDF)
    applications = counter.assembly.db["applications"]
    await applications.update_one({}, {"$set": {"brought.0.size_bytes": almost}})
    assert (await api("POST", path, PDF, token=mine, Content_Type="application/pdf")).status == 201
    full = await api("POST", path, PDF + b"\n", token=mine, Content_Type="application/pdf", Accept_Language="en")
    assert (full.status, full.code) == (409, "attachments_full")
    assert str(MAX_TOTAL_BYTES) in full.json["title"]


async def test_a_picture_comes_back_without_where_it_was_taken_and_its_hash_is_told(
    counter: Counter, citizens: Citizens
):
    api, mine = counter.api, await citizens.enter(OWNER)
    exif = Image.Exif()
    exif[0x010F] = "SecretPhone"
    exif.get_ifd(0x8825)[2] = (22.0, 32.0, 0.0)
    out = BytesIO()
    Image.new("RGB", (40, 20), "red").save(out, "JPEG", exif=exif)
    one = await begun(counter, mine)
    path = f"{one}/attachments"
    taken = await api("POST", f"{path}?material=id_card", out.getvalue(), token=mine, Content_Type="image/jpeg")
    [brought] = taken.json["brought"]
    got = (await api("GET", f"{path}/{brought['ref']}", token=mine)).body
    assert hashlib.sha256(got).hexdigest() == brought["evidence"]
    with Image.open(BytesIO(got)) as shown:
        assert dict(shown.getexif()) == {}
    assert b"SecretPhone" not in got


async def test_a_household_confirms_declines_and_is_taken_back_over_http(counter: Counter, citizens: Citizens):
    api, mine, other = counter.api, await citizens.enter(OWNER), await citizens.enter(SPOUSE)
    counter.acting.pairs.add((OWNER, SPOUSE))
    one = await begun(counter, mine, TOGETHER)
    form = {"account": SPOUSE_ACCOUNT.lstrip("0").zfill(32), "role": "household"}
    named = await api("POST", f"{one}/invite", form, token=mine, If_Match='"v1"')
    [invitation] = named.json["agreements"]
    assert (named.status, invitation["answer"], invitation["account"]) == (200, "waiting", SPOUSE_ACCOUNT)
    assert (await api("POST", f"{one}/agree", b"", token=await citizens.enter(STRANGER), If_Match='"v2"')).status == 404
    back = await api("DELETE", f"{one}/invitations/{invitation['id']}", token=mine)
    assert (back.status, back.json["agreements"]) == (200, [])
    assert (await api("POST", f"{one}/agree", b"", token=other, If_Match='"v3"')).status == 404
    await api("POST", f"{one}/invite", form, token=mine, If_Match=back.headers["Etag"])
    assert (await api("POST", f"{one}/decline", b"", token=other)).status == 204
    assert (await api("GET", one, token=other)).status == 404
    seen = await api("GET", one, token=mine)
    assert [each["answer"] for each in seen.json["agreements"]] == ["declined"]
    await api("POST", f"{one}/invite", form, token=mine, If_Match=seen.headers["Etag"])
    unseen = [await api("POST", f"{one}/agree", b"", token=other, **more) for more in ({}, {"If_Match": '"v1"'})]
    assert [(each.status, each.code) for each in unseen] == [(428, "version_missing"), (412, "application_changed")]
    read = await api("GET", one, token=other)
    agreed = await api("POST", f"{one}/agree", b"", token=other, If_Match=read.headers["Etag"])
    assert [each["answer"] for each in agreed.json["agreements"]] == ["agreed"]
    done = await api("POST", f"{one}/submit", b"", token=mine, If_Match=agreed.headers["Etag"])
    assert (done.status, done.json["state"]) == (200, "submitted")
    late = await api("POST", f"{one}/decline", b"", token=other)
    assert (late.status, late.code) == (409, "application_closed")


async def test_a_receipt_and_a_result_are_proven_by_arithmetic_alone_with_the_published_key(
    counter: Counter, citizens: Citizens, officers: Officers
):
    """RFC 7515 and RFC 8037 by hand: nothing but the published key, base64 and Ed25519."""
    api, mine = counter.api, await citizens.enter(OWNER)
    one, number, _ = await handed_in(counter, mine)
    desk = f"/v1/staff{one.removeprefix('/v1')}/steps"
    refusal = {"action": "refuse", "reason": "not_needed"}
    assert (await api("POST", desk, refusal, token=officers.enter(officer(Role.CLERK)))).status == 200
    [key] = (await api("GET", "/v1/papers/keys")).json["keys"]
    public = Ed25519PublicKey.from_public_bytes(read(key["x"]))
    for kind in ("receipt", "result"):
        told = (await api("GET", f"{one}/{kind}", token=mine)).json
        head, body, signature = told["paper"].split(".")
        public.verify(read(signature), f"{head}.{body}".encode())
        assert json.loads(read(head)) == {"alg": "EdDSA", "typ": "huimin-paper+jwt", "kid": key["kid"]}
        content = json.loads(read(body))
        assert (content["kind"], content["sub"]) == (kind, number)
        assert "秘密" not in read(body).decode()
        page = await api("GET", told["address"])
        assert (page.status, number in page.body.decode()) == (200, True)
        with pytest.raises(InvalidSignature):
            public.verify(read(signature), f"{head}.{body[:-2]}AA".encode())


async def tracked(counter: Counter, number: str, code: str) -> Answer:
    """What anybody is told."""
    return await counter.api("POST", "/v1/applications/track", {"number": number, "code": code})


async def test_who_follows_by_number_and_code_learns_nothing_personal(
    counter: Counter, citizens: Citizens, officers: Officers
):
    api, mine = counter.api, await citizens.enter(OWNER)
    one, number, code = await handed_in(counter, mine)
    ask = {"action": "ask", "reason": "material_unclear", "note": "王小明请补交"}
    clerk = officer(Role.CLERK)
    await api("POST", f"/v1/staff{one.removeprefix('/v1')}/steps", ask, token=officers.enter(clerk))
    answer = await tracked(counter, number, code.lower())
    assert answer.status == 200
    assert set(answer.json) == {"number", "name", "state", "state_words", "deadline", "timeline"}
    assert [line["action"] for line in answer.json["timeline"]] == ["submit", "ask"]
    told = answer.body.decode()
    for secret in (FORM["reason"], "王小明", code, one.rpartition("/")[2], f"{OWNER:x}", clerk.id, clerk.name):
        assert secret not in told, secret


async def test_a_wrong_code_and_a_number_that_nobody_has_are_answered_alike_and_as_fast(
    counter: Counter, citizens: Citizens
):
    _, number, _ = await handed_in(counter, await citizens.enter(OWNER))
    nobodys = number_of("440305", "20261124", 76_543_210)
    assert nobodys != number
    took: dict[str, list[float]] = {number: [], nobodys: []}
    bodies = set()
    for _ in range(30):
        for each, seconds in took.items():
            began = time.perf_counter()
            answer = await tracked(counter, each, "WRONGCODE2")
            seconds.append(time.perf_counter() - began)
            shown = {name: value for name, value in answer.json.items() if name != "request_id"}
            names = sorted({*answer.headers} - {"Date"})
            bodies.add((answer.status, json.dumps(shown, sort_keys=True), str(names)))
        await counter.assembly.db["attempts"].delete_many({})
    assert len(bodies) == 1
    assert 1 / 3 < median(took[number]) / median(took[nobodys]) < 3


async def test_who_guesses_waits_wherever_they_ask_and_who_does_not_is_not_held_up(
    counter: Counter, citizens: Citizens
):
    _, number, code = await handed_in(counter, await citizens.enter(OWNER))
    free = DELAYS_S.count(0)
    codes = [(await tracked(counter, number, f"WRONG{n:05d}")).code for n in range(free)]
    assert set(codes) == {"application_unknown"}
    held = await tracked(counter, number, code)  # the right one, too: an answer would tell that it is right
    assert (held.status, held.code) == (429, "tracking_tries")
    assert int(held.headers["Retry-After"]) > 0
    found, _ = await counter.parts.tracking.follow(number, code, "198.51.100.7")
    assert found.number == number


async def test_a_mistyped_number_is_told_apart_from_an_unknown_one(counter: Counter):
    good = number_of("440305", "20261124", 1_234_567)
    assert (await tracked(counter, good[:-1] + str((int(good[-1]) + 1) % 10), "K7M2QX9RTW")).code == "number_mistyped"


async def test_each_public_step_is_in_the_inbox_in_plain_words_and_leads_to_the_application(
    api: Client, assembly: Assembly, citizens: Citizens
):
    mine = await citizens.enter(OWNER)
    made = await make_application(assembly, api, OWNER, mine)
    one = f"/v1/applications/{made['application']}"
    assert (await api("GET", "/v1/me/inbox", token=mine)).json["items"] == []
    done = (await api("POST", f"{one}/submit", b"", token=mine, If_Match='"v1"')).json
    [item_] = (await api("GET", "/v1/me/inbox", token=mine)).json["items"]
    assert item_["template"] == "application.moved"
    assert item_["page"].endswith(made["application"])
    assert item_["texts"]["zh"]["body"] == f"申请已提交（{done['number']}）"
    assert item_["texts"]["en"]["body"] == f"The application was handed in ({done['number']})"
    [waiting] = await assembly.db["outbox"].find({"citizen": OWNER}).to_list()
    assert (waiting["lane"], waiting["state"]) == ("transactional", "waiting")


async def test_a_workers_duties_tell_of_a_forgotten_draft_and_throw_it_away_when_its_time_has_come(
    api: Client, assembly: Assembly, citizens: Citizens
):
    mine = await citizens.enter(OWNER)
    made = await make_application(assembly, api, OWNER, mine)
    applications = assembly.db["applications"]

    async def turn() -> None:
        await applications.update_many({}, {"$set": {"idle_at": assembly.now() - timedelta(seconds=1)}})
        for duty in application_duties(assembly):
            await duty.do()

    await turn()
    [told] = await assembly.db["outbox"].find({"citizen": OWNER}).to_list()
    assert (told["template"], told["lane"]) == ("application.idle", "reminder")
    assert (await api("GET", f"/v1/applications/{made['application']}", token=mine)).status == 200
    await turn()
    assert (await api("GET", f"/v1/applications/{made['application']}", token=mine)).status == 404


async def test_a_deleted_draft_cannot_be_reached_any_more(counter: Counter, citizens: Citizens):
    api, mine = counter.api, await citizens.enter(OWNER)
    one = f"/v1/applications/{(await make_application(counter.assembly, api, OWNER, mine))['application']}"
    file = (
        await api("POST", f"{one}/attachments?material=id_card", PDF, token=mine, Content_Type="application/pdf")
    ).json
    assert (await api("DELETE", one, token=mine, If_Match='"v2"')).status == 204
    for path in (one, f"{one}/attachments/{file['brought'][0]['ref']}"):
        assert (await api("GET", path, token=mine)).status == 404
