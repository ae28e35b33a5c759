"""Joining accounts over HTTP: nothing is lost, nothing is taken over, and it happens once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.binding import Person, Town
from tests.domain.numbers import id_number

PATH = "/me/join"
PHONE, OTHER_PHONE, OPENID = "13800000001", "13800000002", "openid-of-ann"
ANN = {"name": "张三", "id_number": id_number("101")}


async def proved(town: Town, person: Person, phone: str = PHONE) -> dict[str, Any]:
    answer = await person("POST", PATH, town.proofs.send(phone, "join"))
    assert answer.status == 201, answer.json
    found = answer.json
    assert isinstance(found, dict)
    return found


async def let_cool(town: Town, join: str) -> None:
    past = {"due_at": datetime.now(UTC) - timedelta(seconds=1)}
    await town.assembly.db["joins"].update_one({"_id": join}, {"$set": past})


async def test_an_account_by_wechat_and_one_by_phone_become_one(town: Town):
    wechat, phone = await town.person(wechat=OPENID), await town.person("张三", "101", sms=PHONE)
    await phone("POST", "/me/relatives", {
        "name": "李秀英", "id_number": id_number("200", born="19550308"), "relation": "parent", "scopes": ["see"]
    })  # fmt: skip

    join = await proved(town, wechat)
    assert join["moves"]["addresses"] == 1
    assert (join["moves"]["places"], join["moves"]["relations"], join["moves"]["account"]) == (1, 1, 1)
    assert join["obstacle"] == "join_proof_needed"
    assert (await phone("GET", "/me/real-name")).json["is_bound"]

    done = await wechat("POST", f"{PATH}/{join['id']}/confirm", {"id_number": ANN["id_number"]})
    assert (done.status, done.json["state"]) == (200, "done")

    assert (await wechat("GET", "/me/real-name")).json["id_number"] == f"440***********{ANN['id_number'][-4:]}"
    [relation] = (await wechat("GET", "/me/relatives")).json["relations"]
    assert (relation["state"], relation["name"]) == ("asked", "李**")
    people = town.assembly.citizens
    assert await people.find_by_address("sms", [PHONE]) == {PHONE: wechat.id}
    assert await people.find_by_address("wechat", [OPENID]) == {OPENID: wechat.id}
    assert (await people.reach("sms", [wechat.id]))[wechat.id].addresses[0].value == PHONE
    assert [(m.id, set(m.channels)) for m in await people.by_id([wechat.id, phone.id])] == [
        (wechat.id, {"wechat", "sms"})
    ]
    gone = await town.assembly.accounts.get(phone.id)
    assert (gone.state, gone.log_ins, gone.is_real_name) == ("joined", (), False)
    assert gone.session_version > 1
    entry_of_log = await town.assembly.db["audit"].find_one({"action": "citizen.joined"})
    assert entry_of_log is not None
    assert entry_of_log["details"] == {"absorbed": phone.public, "means": "phone"}


async def test_both_sides_are_told_before_and_after(town: Town):
    one, other = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    join = await proved(town, one)
    assert await town.told(other) == ["Your accounts are to be joined"]
    assert await town.told(one) == ["Your accounts are to be joined"]
    await one("POST", f"{PATH}/{join['id']}/confirm", {})
    assert (await town.told(one))[-1] == "Your accounts are one"


async def test_to_confirm_again_changes_nothing(town: Town):
    one, _ = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    join = await proved(town, one)
    answers = await asyncio.gather(*(one("POST", f"{PATH}/{join['id']}/confirm", {}) for _ in range(4)))
    again = await one("POST", f"{PATH}/{join['id']}/confirm", {})
    assert {(answer.status, answer.json["state"]) for answer in (*answers, again)} == {(200, "done")}
    assert await town.assembly.db["audit"].count_documents({"action": "citizen.joined"}) == 1
    assert len(await town.assembly.citizens.find_by_address("sms", [PHONE])) == 1


async def test_two_that_join_each_other_at_once_leave_one_account(town: Town):
    one, other = await town.person(sms=OTHER_PHONE), await town.person(sms=PHONE)
    mine, theirs = await proved(town, one), await proved(town, other, OTHER_PHONE)
    await asyncio.gather(
        one("POST", f"{PATH}/{mine['id']}/confirm", {}), other("POST", f"{PATH}/{theirs['id']}/confirm", {})
    )
    states = [(await town.assembly.accounts.get(p.id)).state for p in (one, other)]
    assert sorted(states) == ["active", "joined"]
    owners = await town.assembly.citizens.find_by_address("sms", [PHONE, OTHER_PHONE])
    assert owners == dict.fromkeys((PHONE, OTHER_PHONE), (one, other)[states.index("active")].id)


@pytest.mark.parametrize(
    ("mine", "theirs", "shown", "code"),
    [
        (("张三", "101"), ("李四", "103"), id_number("103"), "names_differ"),
        (("", ""), ("李四", "103"), None, "join_proof_needed"),
        (("", ""), ("李四", "103"), id_number("101"), "join_proof_needed"),
        (("张三", "101"), ("", ""), None, ""),
        (("", ""), ("李四", "103"), id_number("103"), ""),
    ],
)
async def test_a_verified_person_goes_only_where_their_number_is_known(
    town: Town, mine: tuple[str, str], theirs: tuple[str, str], shown: str | None, code: str
):
    one, other = await town.person(*mine, wechat=OPENID), await town.person(*theirs, sms=PHONE)
    join = await proved(town, one)
    answer = await one("POST", f"{PATH}/{join['id']}/confirm", {"id_number": shown})
    assert answer.code == code
    assert (await town.assembly.accounts.get(other.id)).state == ("active" if code else "joined")


async def test_guessing_the_number_ends_after_five_tries(town: Town):
    one, _ = await town.person(wechat=OPENID), await town.person("李四", "103", sms=PHONE)
    join = await proved(town, one)
    guesses = [{"id_number": id_number(f"{n}")} for n in range(110, 115)]
    assert {(await one("POST", f"{PATH}/{join['id']}/confirm", g)).code for g in guesses} == {"join_proof_needed"}
    right = await one("POST", f"{PATH}/{join['id']}/confirm", {"id_number": id_number("103")})
    assert (right.status, right.code) == (429, "join_tries")


async def test_a_number_that_was_handed_on_takes_nothing_over_while_its_former_holder_objects(town: Town):
    thief, victim = await town.person(sms=OTHER_PHONE), await town.person(sms=PHONE, wechat=OPENID)
    join = await proved(town, thief)
    early = await thief("POST", f"{PATH}/{join['id']}/confirm", {})
    assert (early.status, early.code) == (409, "join_cooling")
    assert (await proved(town, thief))["id"] == join["id"]
    [seen] = (await victim("GET", PATH)).json["joins"]
    assert (seen["is_survivor"], seen["moves"]) == (False, {})
    assert (await victim("POST", f"{PATH}/{join['id']}/confirm", {})).status == 404
    assert (await victim("DELETE", f"{PATH}/{join['id']}")).status == 204
    await let_cool(town, join["id"])
    late = await thief("POST", f"{PATH}/{join['id']}/confirm", {})
    assert (late.status, late.code) == (409, "join_closed")
    assert (await town.told(victim))[-1] == "The join was stopped"
    assert (await town.assembly.accounts.get(victim.id)).state == "active"


async def test_one_of_two_numbers_joins_an_account_no_faster_than_its_holder_can_object(town: Town):
    thief, victim = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    assert await town.assembly.citizens.bind_also(victim.id, "sms", OTHER_PHONE)  # as an earlier join leaves it
    join = await proved(town, thief)
    assert (await thief("POST", f"{PATH}/{join['id']}/confirm", {})).code == "join_cooling"


async def test_an_account_that_nobody_entered_for_long_waits_and_then_joins(town: Town):
    one, other = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    long_ago = datetime.now(UTC) - timedelta(days=91)
    await town.assembly.db["accounts"].update_one({"_id": other.id}, {"$set": {"log_ins.0.began_at": long_ago}})
    join = await proved(town, one)
    assert (await one("POST", f"{PATH}/{join['id']}/confirm", {})).code == "join_cooling"
    await let_cool(town, join["id"])
    assert (await one("POST", f"{PATH}/{join['id']}/confirm", {})).json["state"] == "done"


async def test_a_fresh_wechat_log_in_proves_more_than_a_number(town: Town):
    one, other = await town.person(sms=OTHER_PHONE), await town.person(sms=PHONE, wechat=OPENID)
    answer = await one("POST", PATH, town.proofs.log_in(OPENID))
    assert answer.status == 201
    assert (await one("POST", f"{PATH}/{answer.json['id']}/confirm", {})).json["state"] == "done"
    phones = await town.assembly.citizens.find_by_address("sms", [PHONE, OTHER_PHONE])
    assert phones == {PHONE: one.id, OTHER_PHONE: one.id}
    assert (await town.assembly.accounts.get(other.id)).state == "joined"


@pytest.mark.parametrize("state", ["locked", "erased"])
async def test_a_locked_or_erased_account_is_not_joined(town: Town, state: str):
    one, other = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    join = await proved(town, one)
    await town.assembly.accounts.change(other.id, {"state": state})
    answer = await one("POST", f"{PATH}/{join['id']}/confirm", {})
    assert (answer.status, answer.code) == (409, "join_unusable")


async def test_a_proof_is_of_what_the_other_account_still_has(town: Town):
    one, other = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    join = await proved(town, one)
    index = town.assembly.citizens.index("sms", PHONE)
    await town.assembly.citizens.retire("sms", [(other.id, index)], code="gone", now=town.assembly.now())
    assert (await one("POST", f"{PATH}/{join['id']}/confirm", {})).code == "join_closed"


async def test_a_proof_that_is_too_old_joins_nothing(town: Town):
    one, _ = await town.person(wechat=OPENID), await town.person(sms=PHONE)
    join = await proved(town, one)
    past = {"gone_at": datetime.now(UTC) - timedelta(seconds=1)}
    await town.assembly.db["joins"].update_one({"_id": join["id"]}, {"$set": past})
    assert (await one("POST", f"{PATH}/{join['id']}/confirm", {})).code == "join_closed"
    assert (await one("GET", PATH)).json["joins"] == []


async def test_what_proves_nothing_is_refused(town: Town):
    one = await town.person(wechat=OPENID, sms=OTHER_PHONE)
    assert (await one("POST", PATH, town.proofs.send(PHONE, "join"))).code == "join_nobody"
    assert (await one("POST", PATH, town.proofs.send(OTHER_PHONE, "join"))).code == "join_same"
    assert (await one("POST", PATH, town.proofs.send(OTHER_PHONE, "log_in"))).code == "code_wrong"
    half: list[dict[str, Any]] = [
        {},
        {"request": "a"},
        {"code": "1"},
        {"request": "a", "code": "1", "wechat_code": "b"},
    ]
    for body in half:
        answer = await one("POST", PATH, body)
        assert (answer.status, answer.code) == (422, "input_invalid")


async def test_a_stranger_does_not_learn_of_a_join(town: Town):
    one, _, stranger = await town.person(wechat=OPENID), await town.person(sms=PHONE), await town.person()
    join = await proved(town, one)
    path = f"{PATH}/{join['id']}"
    answers = [
        await stranger("GET", path),
        await stranger("DELETE", path),
        await stranger("POST", f"{path}/confirm", {}),
    ]
    assert [(answer.status, answer.code) for answer in answers] == [(404, "join_unknown")] * 3


async def test_relations_to_each_other_end_and_equal_ones_become_one(town: Town):
    mother = {"name": "李秀英", "id_number": id_number("200", born="19550308")}
    wish = mother | {"relation": "parent"}
    other = await town.person("张三", "101", sms=PHONE)
    elder = await town.person()
    await elder("PUT", "/me/real-name", mother)
    first = (await other("POST", "/me/relatives", wish | {"scopes": ["book"]})).json["id"]
    await elder("POST", f"/me/relatives/{first}/agree")
    one = await town.person(wechat=OPENID)
    relations = town.assembly.db["relations"]
    old = await relations.find_one({"_id": first})
    assert old is not None
    await relations.insert_one(old | {"_id": "f" * 32, "actor": one.id, "scopes": ["see"], "until": None})
    await relations.insert_one(old | {"_id": "e" * 32, "actor": one.id, "subject": other.id})
    join = await proved(town, one)
    done = await one("POST", f"{PATH}/{join['id']}/confirm", {"id_number": ANN["id_number"]})
    assert done.status == 200
    [alive] = [d async for d in relations.find({"state": "active"})]
    assert (alive["actor"], alive["subject"], alive["scopes"], alive["until"]) == (
        one.id, elder.id, ["book", "see"], None
    )  # fmt: skip
    assert await relations.count_documents({"$or": [{"actor": other.id}, {"subject": other.id}]}) == 0
