"""Citizens log in, stay in and get out, over real HTTP."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pyotp
import pytest

from handlers.bounds import listen
from handlers.gate import Gate
from handlers.routing import PARAMETERS, Route, Who
from server.app import make_app
from server.domain.errors import UnavailableError
from server.services.access_tokens import Claims
from server.services.officers import LogIn
from server.storage.citizens import NewCitizen
from tests.api.citizen_doors import SESSION_KEY, Doors, tokens_of
from tests.api.client import Answer, client_of
from tests.services.office import PASSWORD, newcomer

PHONE = "+8613800000001"
ID_NUMBER = "11010519491231002X"
INSTALLATION = "b1946ac92492d2347c6235b4d2611184"
PUSH = {"token": "device-1:APA91bHun4MxP5egoKMwt2KZFBaFUH", "platform": "android", "label": "Pixel"}


async def audited(door: Doors) -> list[tuple[str, str]]:
    return [(entry.action, entry.result) for entry in await door.assembly.audit.latest("citizen")]


# -- by WeChat


async def test_who_comes_by_wechat_for_the_first_time_becomes_a_citizen_and_is_known_the_next_time(door: Doors):
    first = await door.by_wechat("li", label="iPhone")
    again = await door.by_wechat("li")
    assert (first.status, first.json["is_new"], again.json["is_new"]) == (201, True, False)
    assert first.json["account"] == again.json["account"]
    me = (await door.me(first.json["access_token"])).json
    assert me["means"] == {"phone": None, "other_phones": [], "wechat": 1}
    assert (me["log_in"]["client"], me["log_in"]["label"], me["log_in"]["is_this"]) == ("miniprogram", "iPhone", True)
    assert await audited(door) == [("citizen.log_in", "done")] * 2


async def test_a_citizen_whom_the_city_knows_already_is_found_by_the_openid(door: Doors):
    openid = (await door.wechat.session("known.1")).openid
    await door.assembly.citizens.add([NewCitizen(77, (), {"wechat": (openid,)})])
    answer = await door.by_wechat("known")
    assert answer.json["is_new"] is False
    assert await door.citizen(answer.json["account"]) == 77


async def test_twenty_first_log_ins_at_once_make_one_citizen(door: Doors):
    answers = await asyncio.gather(*(door.by_wechat("wang") for _ in range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["account"] for answer in answers}) == 1
    assert sum(answer.json["is_new"] for answer in answers) == 1


async def test_a_code_of_wechat_is_asked_about_once(door: Doors):
    body = {"code": "li.once"}
    answers = await asyncio.gather(*(door.client("POST", "/v1/session/wechat", body) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201, 401, 401, 401, 401]
    assert {answer.code for answer in answers} == {"", "wechat_code_used"}
    assert door.wechat.asked["li.once"] == 1


async def test_a_code_that_wechat_could_not_be_asked_about_is_good_for_another_try(door: Doors):
    door.wechat.raises.append(UnavailableError("wechat_unavailable", zh="", en=""))
    body = {"code": "li.again"}
    away = await door.client("POST", "/v1/session/wechat", body)
    assert (away.status, away.code) == (503, "wechat_unavailable")
    assert (await door.client("POST", "/v1/session/wechat", body)).status == 201


async def test_the_session_key_is_sealed_short_lived_and_in_no_answer_or_log(
    door: Doors, capfd: pytest.CaptureFixture[str]
):
    entered = await door.by_wechat("li")
    access, refresh = tokens_of(entered)
    answers = [entered, await door.me(access), await door.refresh(refresh)]
    answers.append(await door.client("GET", "/v1/me/log-ins", token=access))
    answers.append(await door.client("POST", "/v1/me/wechat", {"code": "li.more"}, token=access))
    assert all(SESSION_KEY.encode() not in answer.body for answer in answers)
    told = capfd.readouterr()
    assert SESSION_KEY not in told.out + told.err
    citizen = await door.citizen(entered.json["account"])
    stored = [repr(document) async for document in door.assembly.db["wechat_sessions"].find({})]
    assert len(stored) == 1
    assert SESSION_KEY not in stored[0]
    keys = door.parts.log_ins._stores.session_keys  # noqa: SLF001
    assert await keys.find(citizen, door.clock()) == SESSION_KEY
    door.clock.pass_(days=2)
    assert await keys.find(citizen, door.clock()) is None


# -- refresh


async def test_a_refresh_token_gives_new_tokens_of_the_same_log_in(door: Doors):
    access, refresh = tokens_of(await door.by_wechat("li"))
    door.clock.pass_(minutes=20)
    assert (await door.me(access)).code == "token_expired"
    renewed = await door.refresh(refresh)
    assert renewed.json["refresh_token"] != refresh
    assert (await door.me(renewed.json["access_token"])).status == 200


async def test_of_fifty_refreshes_at_once_all_get_the_one_successor(door: Doors):
    _, refresh = tokens_of(await door.by_wechat("li"))
    answers = await asyncio.gather(*(door.refresh(refresh) for _ in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1
    assert await door.assembly.db["log_ins"].count_documents({}) == 1


async def test_a_lost_answer_is_repeated_for_ten_seconds(door: Doors):
    _, refresh = tokens_of(await door.by_wechat("li"))
    first = await door.refresh(refresh)
    door.clock.pass_(seconds=10)
    assert (await door.refresh(refresh)).json["refresh_token"] == first.json["refresh_token"]


async def test_a_used_token_after_the_grace_ends_the_log_in_and_is_told(door: Doors):
    access, refresh = tokens_of(await door.by_wechat("li"))
    renewed = await door.refresh(refresh)
    door.clock.pass_(seconds=11)
    answers = await asyncio.gather(*(door.refresh(refresh) for _ in range(5)))
    assert {(answer.status, answer.code) for answer in answers} == {(401, "refresh_invalid")}
    assert (await door.refresh(renewed.json["refresh_token"])).code == "refresh_invalid"
    for token in (access, renewed.json["access_token"]):
        assert (await door.me(token)).code == "token_invalid"
    assert (await audited(door)).count(("citizen.reuse", "revoked")) == 1
    assert await door.assembly.db["outbox"].count_documents({}) == 1


async def test_a_token_used_long_ago_ends_the_log_in_too(door: Doors):
    _, oldest = tokens_of(await door.by_wechat("li"))
    newest = oldest
    for _ in range(8):
        door.clock.pass_(days=30)
        newest = (await door.refresh(newest)).json["refresh_token"]
    assert (await door.refresh(oldest)).code == "refresh_invalid"
    assert (await door.refresh(newest)).code == "refresh_invalid"


async def test_a_log_in_ends_after_ninety_idle_days_and_after_a_year(door: Doors):
    _, idle = tokens_of(await door.by_wechat("li"))
    _, busy = tokens_of(await door.by_wechat("wang"))
    for _ in range(4):
        door.clock.pass_(days=80)
        busy = (await door.refresh(busy)).json["refresh_token"]
    assert (await door.refresh(idle)).code == "refresh_invalid"
    door.clock.pass_(days=44)
    busy = (await door.refresh(busy)).json["refresh_token"]
    door.clock.pass_(days=1)
    assert (await door.refresh(busy)).code == "refresh_invalid"


async def test_nothing_stored_opens_a_refresh_token(door: Doors):
    _, refresh = tokens_of(await door.by_wechat("li"))
    successor = (await door.refresh(refresh)).json["refresh_token"]
    (document,) = [d async for d in door.assembly.db["log_ins"].find({})]
    assert refresh not in repr(document)
    assert successor not in repr(document)


@pytest.mark.parametrize("token", ["A" * 64, "-" * 64, "é" * 64, "=" * 64])
async def test_what_is_no_refresh_token_is_refused(door: Doors, token: str):
    assert (await door.refresh(token)).code == "refresh_invalid"


# -- who is asking


async def test_tokens_are_good_for_one_thing_only(door: Doors):
    access, refresh = tokens_of(await door.by_wechat("li"))
    assert (await door.me(refresh)).code == "token_invalid"
    assert (await door.refresh(access)).status in (401, 422)
    assert (await door.refresh(access[:64])).code == "refresh_invalid"


async def test_a_log_out_holds_at_once_and_takes_the_push_token_along(door: Doors):
    access, refresh = tokens_of(await door.by_wechat("li"))
    other, _ = tokens_of(await door.by_wechat("li"))
    await door.client("PUT", "/v1/me/devices", PUSH, token=access)
    began = time.monotonic()
    assert (await door.client("DELETE", "/v1/session", token=access)).status == 204
    assert (await door.me(access)).code == "token_invalid"
    assert (await door.refresh(refresh)).code == "refresh_invalid"
    assert time.monotonic() - began < 1
    assert (await door.me(other)).status == 200
    assert await door.assembly.citizens.find_by_address("push", [PUSH["token"]]) == {}


async def test_one_log_in_is_ended_from_another_and_nobody_elses(door: Doors):
    mine, _ = tokens_of(await door.by_wechat("li", label="old"))
    here, _ = tokens_of(await door.by_wechat("li", label="new"))
    foreign, _ = tokens_of(await door.by_wechat("wang"))
    listed = (await door.client("GET", "/v1/me/log-ins", token=here)).json["log_ins"]
    old = next(one["id"] for one in listed if not one["is_this"])
    assert {one["label"] for one in listed} == {"old", "new"}
    refused = await door.client("DELETE", f"/v1/me/log-ins/{old}", token=foreign)
    assert (refused.status, refused.code) == (404, "log_in_unknown")
    assert (await door.client("DELETE", f"/v1/me/log-ins/{old}", token=here)).status == 204
    assert (await door.me(mine)).code == "token_invalid"
    assert (await door.me(here)).status == 200


async def test_log_out_everywhere_ends_all(door: Doors):
    pairs = [tokens_of(await door.by_wechat("li")) for _ in range(3)]
    assert (await door.client("DELETE", "/v1/me/log-ins", token=pairs[0][0])).json == {"ended": 3}
    for access, refresh in pairs:
        assert (await door.me(access)).code == "token_invalid"
        assert (await door.refresh(refresh)).code == "refresh_invalid"


async def test_a_locked_account_is_out_at_once_and_does_not_get_in(door: Doors):
    entered = await door.by_wechat("li")
    access, refresh = tokens_of(entered)
    await door.assembly.accounts.change(await door.citizen(entered.json["account"]), {"state": "locked"})
    assert (await door.me(access)).code == "token_invalid"
    assert (await door.refresh(refresh)).code == "refresh_invalid"
    refused = await door.by_wechat("li")
    assert (refused.status, refused.code) == (403, "account_locked")


async def test_officers_and_citizens_tokens_open_nothing_of_the_other(door: Doors, routes: list[Route]):
    access, _ = tokens_of(await door.by_wechat("li"))
    office = door.assembly.officers
    _, link = await office.create(None, newcomer())
    secret = (await office.activate(link, PASSWORD)).totp_secret
    _, staff = await office.log_in(LogIn("王敏", PASSWORD, pyotp.TOTP(secret).at(door.assembly.now()), "127.0.0.1"))
    assert (await door.me(staff)).code == "token_invalid"
    gate = Gate(door.assembly.officers, None, door.assembly.now, door.parts.log_ins)
    server, port = listen(make_app(routes, gate), 0, "127.0.0.1")
    asked = 0
    for route in routes:
        path = route.path
        for name in route.parameters:
            path = path.replace(f"{{{name}}}", PARAMETERS[name].example)
        for method, operation in route.operations.items():
            foreign = {Who.OFFICER: access, Who.CITIZEN: staff}.get(operation.entry.who)
            if foreign is not None:
                answer = await client_of(port)(method, path, b"{}" if method != "GET" else None, token=foreign)
                assert answer.status == 401, (method, path)
                asked += 1
    server.stop()
    await server.close_all_connections()
    assert asked > 50


async def test_a_token_of_an_earlier_session_version_or_an_unknown_account_is_void(door: Doors):
    entered = await door.by_wechat("li")
    good = Claims(entered.json["account"], 1, entered.json["log_in"])
    assert (await door.me(door.tokens.write(good)[0])).status == 200
    for bad in (
        Claims(good.account, 0, good.log_in), Claims("f" * 32, 1, good.log_in), Claims(good.account, 1, "f" * 32)
    ):  # fmt: skip
        assert (await door.me(door.tokens.write(bad)[0])).code == "token_invalid"


# -- by phone


async def test_who_comes_by_phone_becomes_a_citizen_and_is_known_the_next_time(door: Doors):
    first = await door.by_phone(PHONE, label="Pixel")
    again = await door.by_phone(PHONE)
    assert (first.status, first.json["is_new"], again.json["is_new"]) == (201, True, False)
    assert first.json["account"] == again.json["account"]
    means = (await door.me(first.json["access_token"])).json["means"]
    assert means == {"phone": "+86138****0001", "other_phones": [], "wechat": 0}


async def test_a_wrong_one_time_code_is_refused_with_the_counters_own_word(door: Doors):
    answer = await door.client("POST", "/v1/session/phone", {"request": PHONE, "code": "000000"})
    assert (answer.status, answer.code) == (422, "code_wrong")
    assert await door.assembly.citizens.count() == 0


async def named(door: Doors, **more: Any) -> str:
    """An account with a verified name that logs in with PHONE; its public id."""
    entered = await door.by_phone(PHONE, **more)
    citizen = await door.citizen(entered.json["account"])
    await door.assembly.accounts.change(citizen, {"is_real_name": True})
    door.names.numbers[citizen] = ID_NUMBER
    return str(entered.json["account"])


async def prove(door: Doors, ticket: str, tail: str) -> Answer:
    body = {"ticket": ticket, "id_tail": tail, "device": INSTALLATION}
    return await door.client("POST", "/v1/session/phone/proof", body)


async def test_a_number_alone_does_not_open_a_named_account_on_an_unknown_device(door: Doors):
    account = await named(door)
    needed = await door.by_phone(PHONE)
    assert (needed.status, needed.json["state"]) == (202, "proof_needed")
    assert account not in needed.body.decode()
    entered = await prove(door, needed.json["ticket"], "002x")
    assert (entered.status, entered.json["account"]) == (201, account)
    assert (await prove(door, needed.json["ticket"], "002X")).code == "proof_wrong"
    assert (await door.by_phone(PHONE, device=INSTALLATION)).status == 201


async def test_a_device_that_the_account_knows_needs_no_proof(door: Doors):
    await named(door, device=INSTALLATION)
    assert (await door.by_phone(PHONE, device=INSTALLATION)).status == 201
    assert (await door.by_phone(PHONE, device=INSTALLATION[::-1])).status == 202


async def test_a_ticket_has_three_tries_and_an_account_five_a_day(door: Doors):
    await named(door)
    tickets = [(await door.by_phone(PHONE)).json["ticket"] for _ in range(3)]
    assert [(await prove(door, tickets[0], "1111")).code for _ in range(3)] == ["proof_wrong"] * 3
    assert (await prove(door, tickets[0], "002X")).code == "proof_wrong"
    assert [(await prove(door, tickets[1], "2222")).code for _ in range(2)] == ["proof_wrong"] * 2
    assert (await prove(door, tickets[2], "002X")).code == "proof_delayed"
    door.clock.pass_(days=1, seconds=1)
    fresh = (await door.by_phone(PHONE)).json["ticket"]
    assert (await prove(door, fresh, "002X")).status == 201


async def test_a_ticket_is_good_for_ten_minutes(door: Doors):
    await named(door)
    ticket = (await door.by_phone(PHONE)).json["ticket"]
    door.clock.pass_(minutes=10)
    assert (await prove(door, ticket, "002X")).code == "proof_wrong"


async def test_a_numbers_new_owner_gets_an_account_of_their_own_and_the_old_one_is_told(door: Doors):
    account = await named(door)
    citizen = await door.citizen(account)
    lonely = (await door.by_phone(PHONE)).json["ticket"]
    held = await door.client("POST", "/v1/session/phone/new-holder", {"ticket": lonely})
    assert (held.status, held.code) == (409, "number_held")
    await door.assembly.citizens.bind(citizen, "wechat", (await door.wechat.session("li.1")).openid)
    ticket = {"ticket": (await door.by_phone(PHONE)).json["ticket"]}
    entered = await door.client("POST", "/v1/session/phone/new-holder", ticket)
    assert (entered.status, entered.json["is_new"]) == (201, True)
    assert entered.json["account"] != account
    assert (await door.by_phone(PHONE)).json["account"] == entered.json["account"]
    assert (await door.by_wechat("li")).json["account"] == account
    assert await door.assembly.db["outbox"].count_documents({"citizen": citizen}) == 1
    assert (await door.client("POST", "/v1/session/phone/new-holder", ticket)).code == "proof_wrong"


# -- refusals


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/session/wechat", {"code": ""}),
        ("/v1/session/wechat", {"code": "a.b", "role": "chief"}),
        ("/v1/session/phone", {"request": PHONE}),
        ("/v1/session/phone", {"request": PHONE, "code": "123456", "client": "toaster"}),
        ("/v1/session/phone/proof", {"ticket": "x", "id_tail": "123X"}),
        ("/v1/session/refresh", {"refresh_token": "short"}),
    ],
)
async def test_a_misshapen_form_is_refused(door: Doors, path: str, body: dict[str, Any]):
    answer = await door.client("POST", path, body)
    assert (answer.status, answer.code) == (422, "input_invalid")
