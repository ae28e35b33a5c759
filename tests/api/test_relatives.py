"""Acting for relatives over HTTP: nobody acts without a consent, either side ends it at once, nobody probes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server import assemble_binding
from server.domain.errors import ForbiddenError
from server.domain.relations import ASKED_FOR, Scope
from server.services.relations import ASKS_A_DAY, Relations
from tests.api.binding import Person, Town
from tests.domain.numbers import id_number

BASE = "/me/relatives"
MOTHER = {"name": "李秀英", "id_number": id_number("200", born="19550308")}
WISH: dict[str, Any] = MOTHER | {"relation": "parent", "scopes": ["book", "see"]}
NOBODY = "0" * 32


@pytest.fixture
def relations(town: Town) -> Relations:
    return assemble_binding.binding(town.assembly, town.proofs, town.proofs).relations


async def mother_of(town: Town, **addresses: str) -> Person:
    person = await town.person(**addresses)
    assert (await person("PUT", "/me/real-name", MOTHER)).status == 200
    return person


async def may(relations: Relations, actor: Person, subject: Person | str, scope: Scope = Scope.BOOK) -> bool:
    public = subject if isinstance(subject, str) else subject.public
    try:
        found = await relations.subject_of(actor.id, public, scope)
    except ForbiddenError:
        return False
    assert isinstance(subject, str) or found == subject.id
    return True


async def agreed(town: Town) -> tuple[Person, Person, str]:
    ann, mother = await town.person("张三", "101"), await mother_of(town)
    relation = (await ann("POST", BASE, WISH)).json["id"]
    assert (await mother("POST", f"{BASE}/{relation}/agree")).status == 200
    return ann, mother, relation


async def test_one_may_oneself_and_for_nobody_else(town: Town, relations: Relations):
    ann, mother = await town.person("张三", "101"), await mother_of(town)
    assert await relations.subject_of(ann.id, None, Scope.BOOK) == ann.id
    assert await may(relations, ann, ann)
    assert not await may(relations, ann, mother)
    for public in (NOBODY, mother.public):
        with pytest.raises(ForbiddenError) as caught:
            await relations.subject_of(ann.id, public, Scope.SEE)
        assert caught.value.code == "relation_missing"


async def test_a_relative_agrees_in_their_own_account(town: Town, relations: Relations):
    ann, mother = await town.person("张三", "101"), await mother_of(town)
    asked = await ann("POST", BASE, WISH)
    assert (asked.status, asked.json["state"], asked.json["name"], asked.json["account"]) == (
        201,
        "asked",
        "李**",
        None,
    )
    assert not await may(relations, ann, mother)
    [waiting] = (await mother("GET", f"{BASE}/requests")).json["relations"]
    assert (waiting["name"], waiting["acts"], waiting["scopes"]) == ("张三", "for_me", ["book", "see"])
    done = await mother("POST", f"{BASE}/{waiting['id']}/agree")
    assert (done.status, done.json["state"], done.json["name"]) == (200, "active", "张*")
    assert await may(relations, ann, mother)
    assert not await may(relations, ann, mother, Scope.APPLY)
    assert not await may(relations, mother, ann)
    [mine] = (await ann("GET", BASE)).json["relations"]
    assert (mine["account"], mine["state"], mine["acts"]) == (mother.public, "active", "for_another")
    [hers] = (await mother("GET", BASE)).json["relations"]
    assert (hers["account"], hers["acts"]) == (None, "for_me")
    assert await town.told(mother) == ["Somebody asks to act for you", "You may act"]
    assert await town.told(ann) == ["You may act"]


@pytest.mark.parametrize("side", ["actor", "subject"])
async def test_either_side_ends_it_at_once_and_the_other_is_told(town: Town, relations: Relations, side: str):
    ann, mother, relation = await agreed(town)
    one, other = (ann, mother) if side == "actor" else (mother, ann)
    assert (await one("DELETE", f"{BASE}/{relation}")).status == 204
    assert not await may(relations, ann, mother)
    assert (await town.told(other))[-1] == "A relation has ended"
    assert (await one("DELETE", f"{BASE}/{relation}")).status == 204
    assert (await mother("POST", f"{BASE}/{relation}/agree")).status == 404


async def test_it_runs_out_by_itself(town: Town, relations: Relations):
    ann, mother, relation = await agreed(town)
    past = {"until": datetime.now(UTC) - timedelta(seconds=1)}
    await town.assembly.db["relations"].update_one({"_id": relation}, {"$set": past})
    assert not await may(relations, ann, mother)
    assert [r["state"] for r in (await ann("GET", BASE)).json["relations"]] == ["ended"]


async def test_a_refusal_is_told_and_final(town: Town, relations: Relations):
    ann, mother = await town.person("张三", "101"), await mother_of(town)
    relation = (await ann("POST", BASE, WISH)).json["id"]
    assert (await mother("POST", f"{BASE}/{relation}/refuse")).json["state"] == "refused"
    assert (await mother("POST", f"{BASE}/{relation}/agree")).status == 404
    assert await town.told(ann) == ["Your request was refused"]
    assert not await may(relations, ann, mother)


async def test_whoever_asks_does_not_learn_whether_the_other_has_an_account(town: Town):
    ann, _ = await town.person("张三", "101"), await mother_of(town)
    known = await ann("POST", BASE, WISH)
    unknown = await ann("POST", BASE, WISH | {"id_number": id_number("201", born="19550308")})
    misnamed = await ann("POST", BASE, WISH | {"name": "王秀英", "id_number": id_number("202", born="19550308")})
    changing = {"id", "asked_at", "until", "name"}
    told = [{k: v for k, v in answer.json.items() if k not in changing} for answer in (known, unknown, misnamed)]
    assert told[0] == told[1] == told[2]


async def test_a_request_under_another_name_is_not_shown(town: Town):
    ann, mother = await town.person("张三", "101"), await mother_of(town)
    await ann("POST", BASE, WISH | {"name": "王秀英"})
    assert (await mother("GET", f"{BASE}/requests")).json["relations"] == []
    assert await town.told(mother) == []


async def test_a_request_waits_for_somebody_who_comes_later_but_not_for_ever(town: Town):
    ann = await town.person("张三", "101")
    relation = (await ann("POST", BASE, WISH)).json["id"]
    mother = await mother_of(town)
    assert len((await mother("GET", f"{BASE}/requests")).json["relations"]) == 1
    old = {"asked_at": datetime.now(UTC) - ASKED_FOR}
    await town.assembly.db["relations"].update_one({"_id": relation}, {"$set": old})
    assert (await mother("GET", f"{BASE}/requests")).json["relations"] == []
    assert (await mother("POST", f"{BASE}/{relation}/agree")).status == 404
    assert (await ann("POST", BASE, WISH)).status == 201


async def test_nobody_answers_for_somebody_else(town: Town, relations: Relations):
    ann, mother, stranger = await town.person("张三", "101"), await mother_of(town), await town.person("王五", "105")
    relation = (await ann("POST", BASE, WISH)).json["id"]
    for person in (ann, stranger):
        for verb in ("agree", "refuse"):
            answer = await person("POST", f"{BASE}/{relation}/{verb}")
            assert (answer.status, answer.code) == (404, "relation_unknown")
    assert (await stranger("DELETE", f"{BASE}/{relation}")).status == 404
    assert (await stranger("POST", f"{BASE}/{relation}/code", town.proofs.send("13800000001", "consent"))).status == 404
    assert (await mother("POST", f"/me/organisations/{relation}/agree")).status == 404
    assert not await may(relations, stranger, mother)


async def test_a_relative_agrees_by_a_code_on_their_own_telephone(town: Town, relations: Relations):
    ann, mother = await town.person("张三", "101", sms="13800000001"), await mother_of(town, sms="13800000002")
    relation = (await ann("POST", BASE, WISH)).json["id"]
    for phone in ("13800000001", "13800000003"):
        answer = await ann("POST", f"{BASE}/{relation}/code", town.proofs.send(phone, "consent"))
        assert (answer.status, answer.code) == (403, "consent_foreign")
    other_purpose = await ann("POST", f"{BASE}/{relation}/code", town.proofs.send("13800000002", "join"))
    assert other_purpose.code == "code_wrong"
    assert not await may(relations, ann, mother)
    done = await ann("POST", f"{BASE}/{relation}/code", town.proofs.send("13800000002", "consent"))
    assert (done.status, done.json["state"], done.json["account"]) == (200, "active", mother.public)
    assert await may(relations, ann, mother)
    again = await ann("POST", f"{BASE}/{relation}/code", town.proofs.send("13800000002", "consent"))
    assert (again.status, again.code) == (409, "relation_closed")


CHILD = {"name": "张小明", "relation": "child", "scopes": ["book", "apply", "see"]}


async def test_a_guardian_may_a_minor_child_by_the_register(town: Town, relations: Relations):
    ann = await town.person("张三", "101")
    number = id_number("300", born="20150601")
    answer = await ann("POST", BASE, CHILD | {"id_number": number, "days": 3 * 365})
    assert (answer.status, answer.json["state"]) == (201, "active")
    child = answer.json["account"]
    assert await may(relations, ann, child, Scope.APPLY)
    ben = await town.person("李四", "103")
    second = await ben("POST", BASE, CHILD | {"id_number": number})
    assert (second.json["state"], second.json["account"]) == ("active", child)
    found = await town.assembly.accounts.find_public(child)
    assert found is not None
    assert (found.is_real_name, found.log_ins) == (True, ())


async def test_a_childs_coming_of_age_ends_it(town: Town):
    ann = await town.person("张三", "101")
    born = town.assembly.now().date().replace(day=1) - timedelta(days=17 * 365 + 200)
    answer = await ann("POST", BASE, CHILD | {"id_number": id_number("300", born=f"{born:%Y%m%d}"), "days": 1_000})
    until = datetime.fromisoformat(answer.json["until"]).astimezone(UTC)
    assert until == datetime(born.year + 18, born.month, born.day, tzinfo=UTC) - timedelta(hours=8)


async def test_a_stranger_to_the_child_and_an_adult_child_have_to_wait_for_a_consent(town: Town):
    ann = await town.person("张三", "101", born="20050101")
    for number in (id_number("300", born="20150601"), id_number("301", born="20060101")):
        answer = await ann("POST", BASE, CHILD | {"id_number": number})
        assert (answer.status, answer.json["state"]) == (201, "asked")
    assert await town.assembly.db["accounts"].count_documents({"is_dependant": True}) == 0


async def test_a_minor_with_an_own_account_is_asked(town: Town):
    ann, child = await town.person("张三", "101"), await town.person("张小明", "300", born="20100601")
    answer = await ann("POST", BASE, CHILD | {"id_number": id_number("300", born="20100601")})
    assert answer.json["state"] == "asked"
    assert (await child("POST", f"{BASE}/{answer.json['id']}/agree")).json["state"] == "active"


async def test_an_authority_that_is_away_leaves_no_half_of_a_child(town: Town):
    ann = await town.person("张三", "101")
    answer = await ann("POST", BASE, CHILD | {"id_number": id_number("503", born="20150601")})
    assert (answer.status, answer.code) == (503, "verifier_away")
    assert (await ann("GET", BASE)).json["relations"] == []
    assert await town.assembly.db["accounts"].count_documents({}) == 1


async def test_two_guardians_at_once_make_one_child(town: Town):
    ann, ben = await town.person("张三", "101"), await town.person("李四", "103")
    wish = CHILD | {"id_number": id_number("300", born="20150601")}
    answers = await asyncio.gather(ann("POST", BASE, wish), ben("POST", BASE, wish))
    assert [answer.json["state"] for answer in answers] == ["active", "active"]
    assert len({answer.json["account"] for answer in answers}) == 1


async def test_a_newer_consent_replaces_the_older(town: Town, relations: Relations):
    ann, mother, _ = await agreed(town)
    more = (await ann("POST", BASE, WISH | {"scopes": ["apply"]})).json["id"]
    await mother("POST", f"{BASE}/{more}/agree")
    assert await may(relations, ann, mother, Scope.APPLY)
    assert not await may(relations, ann, mother, Scope.BOOK)
    assert sorted(r["state"] for r in (await ann("GET", BASE)).json["relations"]) == ["active", "ended"]


async def test_asking_has_its_bounds(town: Town):
    unnamed, ann = await town.person(), await town.person("张三", "101")
    assert (await unnamed("POST", BASE, WISH)).code == "real_name_needed"
    assert (await ann("POST", BASE, WISH | {"id_number": id_number("101")})).code == "relation_self"
    assert (await ann("POST", BASE, WISH)).status == 201
    assert (await ann("POST", BASE, WISH)).code == "relation_open"
    for bad in ({"scopes": []}, {"scopes": ["all"]}, {"relation": "representative"}, {"days": 0}, {"actor": 1}):
        assert (await ann("POST", BASE, WISH | bad)).status == 422
    codes = [
        (await ann("POST", BASE, WISH | {"id_number": id_number(f"{n}", born="19550308")})).code
        for n in range(210, 210 + ASKS_A_DAY)
    ]
    assert codes[-1] == "relations_tries"
    assert codes[0] == ""


async def test_a_locked_subject_is_acted_for_by_nobody(town: Town, relations: Relations):
    ann, mother, _ = await agreed(town)
    await town.assembly.accounts.change(mother.id, {"state": "locked"})
    assert not await may(relations, ann, mother)
