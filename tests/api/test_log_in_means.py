"""What a citizen logs in with and is reached by: phone, WeChat, devices; and what becomes of it all, over real HTTP."""

from __future__ import annotations

from server.assemble_log_in import log_in_holdings
from tests.api.citizen_doors import Doors, tokens_of

PHONE = "+8613800000001"
PUSH = {"token": "device-1:APA91bHun4MxP5egoKMwt2KZFBaFUH", "platform": "android", "label": "Pixel"}


# -- what one logs in with


async def test_a_phone_is_bound_replaced_and_never_shared(door: Doors):
    mine, _ = tokens_of(await door.by_wechat("li"))
    other, _ = tokens_of(await door.by_wechat("wang"))
    bound = await door.client("POST", "/v1/me/phone", {"request": PHONE, "code": "123456"}, token=mine)
    assert bound.json == {"phone": "+86138****0001", "other_phones": [], "wechat": 1}
    taken = await door.client("POST", "/v1/me/phone", {"request": PHONE, "code": "123456"}, token=other)
    assert (taken.status, taken.code) == (409, "address_taken")
    assert "合并" in taken.json["title"]
    moved = await door.client("POST", "/v1/me/phone/wechat", {"code": "13900000002.x"}, token=mine)
    assert moved.json["phone"] == "+86139****0002"
    freed = await door.client("POST", "/v1/me/phone", {"request": PHONE, "code": "123456"}, token=other)
    assert freed.status == 200
    assert await door.assembly.db["outbox"].count_documents({}) == 3


async def test_a_phone_can_be_taken_off_unless_it_is_the_last_means(door: Doors):
    entered = await door.by_phone(PHONE)
    token, citizen = entered.json["access_token"], await door.citizen(entered.json["account"])
    last = await door.client("DELETE", "/v1/me/phone", token=token)
    assert (last.status, last.code) == (409, "last_means")
    assert (await door.client("POST", "/v1/me/wechat", {"code": "zhao.1"}, token=token)).json["wechat"] == 1
    assert (await door.assembly.citizens.by_id([citizen]))[0].channels == ["sms", "wechat"]
    assert (await door.client("DELETE", "/v1/me/phone", token=token)).status == 204
    assert (await door.me(token)).json["means"] == {"phone": None, "other_phones": [], "wechat": 1}
    assert (await door.assembly.citizens.by_id([citizen]))[0].channels == ["wechat"]
    assert (await door.by_wechat("zhao")).json["account"] == entered.json["account"]
    assert (await door.by_phone(PHONE)).json["account"] != entered.json["account"]


async def test_an_openid_of_another_account_is_not_bound(door: Doors):
    await door.by_wechat("li")
    token, _ = tokens_of(await door.by_phone(PHONE))
    taken = await door.client("POST", "/v1/me/wechat", {"code": "li.2"}, token=token)
    assert (taken.status, taken.code) == (409, "address_taken")
    for who in ("a", "b", "c"):
        assert (await door.client("POST", "/v1/me/wechat", {"code": f"{who}.1"}, token=token)).status == 200
    full = await door.client("POST", "/v1/me/wechat", {"code": "d.1"}, token=token)
    assert (full.status, full.code) == (409, "means_full")


async def test_a_means_is_not_changed_by_a_token_of_an_old_log_in(door: Doors):
    entered = (await door.by_wechat("li")).json
    door.clock.pass_(minutes=16)
    token, _ = tokens_of(await door.refresh(entered["refresh_token"]))
    for method, path, body in (
        ("POST", "/v1/me/phone", {"request": PHONE, "code": "123456"}),
        ("POST", "/v1/me/phone/wechat", {"code": "13900000002.x"}),
        ("DELETE", "/v1/me/phone", None),
        ("POST", "/v1/me/wechat", {"code": "thief.1"}),
    ):
        assert (await door.client(method, path, body, token=token)).code == "log_in_stale"
    assert (await door.me(token)).json["means"] == {"phone": None, "other_phones": [], "wechat": 1}


async def test_every_number_that_opens_the_account_is_shown(door: Doors):
    entered = (await door.by_phone(PHONE)).json
    citizen = await door.citizen(entered["account"])
    assert await door.assembly.citizens.bind_also(citizen, "sms", "+8613900000002")  # as a join leaves it
    means = (await door.me(entered["access_token"])).json["means"]
    assert sorted([means["phone"], *means["other_phones"]]) == ["+86138****0001", "+86139****0002"]


async def test_taking_the_phone_off_twice_is_told_once(door: Doors):
    token, _ = tokens_of(await door.by_wechat("li"))
    await door.client("POST", "/v1/me/phone", {"request": PHONE, "code": "123456"}, token=token)
    for _ in range(2):
        assert (await door.client("DELETE", "/v1/me/phone", token=token)).status == 204
    assert await door.assembly.db["outbox"].count_documents({}) == 2


async def retire(door: Doors, account: str, channel: str, value: str) -> None:
    """A provider has said that it delivers nothing there."""
    people, citizen = door.assembly.citizens, await door.citizen(account)
    await people.retire(channel, [(citizen, people.index(channel, value))], code="MBBLACK", now=door.clock())


async def test_an_address_that_takes_no_notices_still_opens_its_account(door: Doors):
    by_phone, by_wechat = (await door.by_phone(PHONE)).json, (await door.by_wechat("li")).json
    await retire(door, by_phone["account"], "sms", PHONE)
    await retire(door, by_wechat["account"], "wechat", f"o-{'li':0>26}")
    door.clock.pass_(days=29)
    for before, again in ((by_phone, await door.by_phone(PHONE)), (by_wechat, await door.by_wechat("li"))):
        assert (again.json["account"], again.json["is_new"]) == (before["account"], False)
    held = (await door.me(again.json["access_token"])).json["means"]
    assert held == {"phone": None, "other_phones": [], "wechat": 1}


async def test_a_dead_number_opens_nothing_after_a_month_nor_once_it_was_replaced(door: Doors):
    before = (await door.by_phone(PHONE)).json
    await retire(door, before["account"], "sms", PHONE)
    newer = {"request": "+8613800000002", "code": "123456"}
    assert (await door.client("POST", "/v1/me/phone", newer, token=before["access_token"])).status == 200
    assert (await door.by_phone(PHONE)).json["account"] != before["account"]
    await retire(door, before["account"], "sms", "+8613800000002")
    door.clock.pass_(days=31)
    assert (await door.by_phone("+8613800000002")).json["is_new"]


# -- devices


async def test_a_device_is_registered_replaced_and_removed(door: Doors):
    entered = await door.by_wechat("li")
    token, citizen = entered.json["access_token"], await door.citizen(entered.json["account"])
    first = await door.client("PUT", "/v1/me/devices", PUSH, token=token)
    newer = PUSH | {"token": "device-2:APA91bHun4MxP5egoKMwt2KZFBaFUH"}
    second = await door.client("PUT", "/v1/me/devices", newer, token=token)
    assert first.json["id"] == second.json["id"]
    reach = await door.assembly.citizens.reach("push", [citizen])
    assert [address.value for address in reach[citizen].addresses] == [newer["token"]]
    one = f"/v1/me/devices/{first.json['id']}"
    assert (await door.client("GET", one, token=token)).json["label"] == "Pixel"
    assert len((await door.client("GET", "/v1/me/devices", token=token)).json["devices"]) == 1
    foreign, _ = tokens_of(await door.by_wechat("wang"))
    for method in ("GET", "DELETE"):
        refused = await door.client(method, one, token=foreign)
        assert (refused.status, refused.code) == (404, "device_unknown")
    assert (await door.client("DELETE", one, token=token)).status == 204
    assert (await door.client("GET", one, token=token)).status == 404
    assert await door.assembly.citizens.reach("push", [citizen]) == {}


async def test_a_token_is_with_whoever_registered_it_last(door: Doors):
    before = await door.by_wechat("li")
    after = await door.by_wechat("wang")
    for entered in (before, after):
        answer = await door.client("PUT", "/v1/me/devices", PUSH, token=entered.json["access_token"])
        assert answer.status == 200
    found = await door.assembly.citizens.find_by_address("push", [PUSH["token"]])
    assert found == {PUSH["token"]: await door.citizen(after.json["account"])}
    assert (await door.client("GET", "/v1/me/devices", token=before.json["access_token"])).json == {"devices": []}
    assert (await door.assembly.citizens.by_id([await door.citizen(before.json["account"])]))[0].channels == ["wechat"]


async def test_a_log_in_that_gave_way_to_newer_ones_takes_its_push_token_along(door: Doors):
    oldest, _ = tokens_of(await door.by_wechat("li"))
    await door.client("PUT", "/v1/me/devices", PUSH, token=oldest)
    for _ in range(20):
        door.clock.pass_(seconds=1)
        newest, _ = tokens_of(await door.by_wechat("li"))
    await door.client("PUT", "/v1/me/devices", PUSH | {"token": "x" * 40}, token=newest)
    assert await door.assembly.citizens.find_by_address("push", [PUSH["token"]]) == {}
    assert (await door.me(oldest)).code == "token_invalid"


# -- as a holding


async def test_log_ins_and_devices_are_handed_out_and_erased(door: Doors):
    entered = await door.by_wechat("li", label="iPhone")
    access, refresh = tokens_of(entered)
    await door.client("PUT", "/v1/me/devices", PUSH, token=access)
    citizen = await door.citizen(entered.json["account"])
    rows = [row for holding in log_in_holdings(door.assembly) for row in await holding.export(citizen)]
    assert [row["label"] for row in rows] == ["Pixel", "iPhone"]
    assert PUSH["token"] not in repr(rows)
    for _ in range(2):
        for holding in log_in_holdings(door.assembly):
            await holding.erase(citizen)
            assert await holding.export(citizen) == []
    assert (await door.me(access)).code == "token_invalid"
    assert (await door.refresh(refresh)).code == "refresh_invalid"
    for name in ("log_ins", "wechat_sessions", "proofs", "devices"):
        assert await door.assembly.db[name].count_documents({}) == 0


async def test_a_joined_accounts_devices_stay_and_its_log_ins_end(door: Doors):
    source, target = await door.by_wechat("li"), await door.by_wechat("wang")
    await door.client("PUT", "/v1/me/devices", PUSH, token=source.json["access_token"])
    ids = [await door.citizen(each.json["account"]) for each in (source, target)]
    async with door.assembly.db.client.start_session() as session:
        for holding in log_in_holdings(door.assembly):
            await holding.move(ids[0], ids[1], session)
    assert (await door.me(source.json["access_token"])).code == "token_invalid"
    (device,) = (await door.client("GET", "/v1/me/devices", token=target.json["access_token"])).json["devices"]
    assert device["label"] == "Pixel"
