"""Organisations over HTTP: who represents them, who acts for them, who decides that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from server import assemble_binding
from server.domain.errors import ForbiddenError
from server.domain.relations import Scope
from server.services.relations import Relations
from tests.api.binding import Person, Town
from tests.domain.numbers import id_number, uscc_of

PATH, MINE = "/organisations", "/me/organisations"
FIRM = {"name": "深圳市示范有限公司", "uscc": uscc_of("101")}
NOBODY = "0" * 32


@pytest.fixture
def relations(town: Town) -> Relations:
    return assemble_binding.binding(town.assembly, town.proofs, town.proofs).relations


def invitation(person: Person, role: str = "handler", **more: Any) -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(days=90)).isoformat()
    return {"account": person.public, "role": role, "scopes": ["apply"], "until": until} | more


async def may(relations: Relations, actor: Person, organisation: str, scope: Scope) -> bool:
    try:
        await relations.subject_of(actor.id, organisation, scope)
    except ForbiddenError:
        return False
    return True


async def founded(town: Town) -> tuple[Person, str]:
    boss = await town.person("张三", "101")
    made = await boss("POST", PATH, FIRM)
    assert made.status == 201
    return boss, made.json["id"]


async def joined(boss: Person, firm: str, person: Person, role: str) -> str:
    relation = (await boss("POST", f"{PATH}/{firm}/handlers", invitation(person, role))).json["id"]
    assert (await person("POST", f"{MINE}/{relation}/agree")).status == 200
    return str(relation)


async def test_the_representative_registers_it_and_may_it(town: Town, relations: Relations):
    boss, firm = await founded(town)
    [mine] = (await boss("GET", MINE)).json["relations"]
    assert (mine["name"], mine["role"], mine["account"], mine["until"]) == (FIRM["name"], "representative", firm, None)
    assert all([await may(relations, boss, firm, scope) for scope in Scope])
    again = await boss("POST", PATH, FIRM)
    assert (again.status, again.json) == (201, {"id": firm, **FIRM})
    assert len((await boss("GET", MINE)).json["relations"]) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"uscc": uscc_of("102")}, 403, "not_representative"),
        ({"name": "某公司注销"}, 403, "not_representative"),
        ({"uscc": "9144"}, 422, "uscc_length"),
        ({"uscc": uscc_of("101")[:-1] + "?"}, 422, "uscc_characters"),
        ({"name": "司"}, 422, "name_invalid"),
        ({"kind": "person"}, 422, "input_invalid"),
    ],
)
async def test_nobody_else_registers_it(town: Town, change: dict[str, str], status: int, code: str):
    boss = await town.person("张三", "101")
    answer = await boss("POST", PATH, FIRM | change)
    assert (answer.status, answer.code) == (status, code)
    assert await town.assembly.db["accounts"].count_documents({"kind": "organisation"}) == 0


async def test_who_has_no_verified_name_registers_nothing(town: Town):
    nobody = await town.person()
    assert (await nobody("POST", PATH, FIRM)).code == "real_name_needed"


async def test_a_new_representative_takes_over_and_the_former_is_told(town: Town, relations: Relations):
    boss, firm = await founded(town)
    heir = await town.person("李四", "101", born="19910101")
    taken = await heir("POST", PATH, FIRM)
    assert (taken.status, taken.json["id"]) == (201, firm)
    assert await may(relations, heir, firm, Scope.APPLY)
    assert not await may(relations, boss, firm, Scope.APPLY)
    assert await town.told(boss) == ["The representative changed"]
    assert (await boss("GET", f"{PATH}/{firm}/handlers")).status == 404


async def test_a_handler_acts_after_the_own_agreement_and_within_the_scopes(town: Town, relations: Relations):
    boss, firm = await founded(town)
    clerk = await town.person("王五", "105")
    asked = await boss("POST", f"{PATH}/{firm}/handlers", invitation(clerk))
    assert (asked.status, asked.json["state"]) == (201, "asked")
    assert not await may(relations, clerk, firm, Scope.APPLY)
    assert await town.told(clerk) == ["An invitation"]
    [waiting] = (await clerk("GET", f"{MINE}/requests")).json["relations"]
    assert waiting["name"] == FIRM["name"]
    assert (await clerk("POST", f"{MINE}/{waiting['id']}/agree")).json["account"] == firm
    assert await may(relations, clerk, firm, Scope.APPLY)
    assert not await may(relations, clerk, firm, Scope.BOOK)
    listed = (await boss("GET", f"{PATH}/{firm}/handlers")).json["relations"]
    assert [(r["role"], r["state"], r["name"]) for r in listed] == [
        ("handler", "active", "王*"),
        ("representative", "active", "张*"),
    ]


async def test_a_refused_invitation_gives_nothing(town: Town, relations: Relations):
    boss, firm = await founded(town)
    clerk = await town.person("王五", "105")
    relation = (await boss("POST", f"{PATH}/{firm}/handlers", invitation(clerk))).json["id"]
    assert (await boss("POST", f"{MINE}/{relation}/agree")).status == 404
    assert (await clerk("POST", f"{MINE}/{relation}/refuse")).json["state"] == "refused"
    assert not await may(relations, clerk, firm, Scope.APPLY)


@pytest.mark.parametrize(("own", "wanted"), list(product(("manager", "handler"), ("manager", "handler"))))
async def test_who_may_take_on_and_dismiss_whom(town: Town, relations: Relations, own: str, wanted: str):
    boss, firm = await founded(town)
    one, other = await town.person("王五", "105"), await town.person("赵六", "107")
    await joined(boss, firm, one, own)
    may_do = (own, wanted) == ("manager", "handler")
    asked = await one("POST", f"{PATH}/{firm}/handlers", invitation(other, wanted))
    assert (asked.status, asked.code) == ((201, "") if may_do else (403, "organisation_forbidden"))
    assert (await one("GET", f"{PATH}/{firm}/handlers")).status == (200 if own == "manager" else 403)
    if may_do:
        await other("POST", f"{MINE}/{asked.json['id']}/agree")
        relation = asked.json["id"]
    else:
        relation = await joined(boss, firm, other, wanted)
    ended = await one("DELETE", f"{PATH}/{firm}/handlers/{relation}")
    assert ended.status == (204 if may_do else 404)
    assert await may(relations, other, firm, Scope.APPLY) is not may_do


async def test_a_handler_leaves_at_once(town: Town, relations: Relations):
    boss, firm = await founded(town)
    clerk = await town.person("王五", "105")
    relation = await joined(boss, firm, clerk, "handler")
    assert (await clerk("DELETE", f"{MINE}/{relation}")).status == 204
    assert not await may(relations, clerk, firm, Scope.APPLY)


async def test_a_stranger_does_not_learn_that_an_organisation_exists(town: Town):
    boss, firm = await founded(town)
    stranger = await town.person("王五", "105")
    relation = (await boss("GET", MINE)).json["relations"][0]["id"]
    for path in (firm, NOBODY, boss.public):
        answers = [
            await stranger("GET", f"{PATH}/{path}/handlers"),
            await stranger("POST", f"{PATH}/{path}/handlers", invitation(stranger)),
            await stranger("DELETE", f"{PATH}/{path}/handlers/{relation}"),
        ]
        assert [(a.status, a.code) for a in answers] == [(404, "organisation_unknown")] * 3
    other = await town.person("李四", "201")
    foreign = (await other("POST", PATH, FIRM | {"uscc": uscc_of("201")})).json["id"]
    assert (await other("DELETE", f"{PATH}/{foreign}/handlers/{relation}")).status == 404


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"account": NOBODY}, 404, "account_unknown"),
        ({"until": "2020-01-01T00:00:00Z"}, 422, "until_invalid"),
        ({"until": "2099-01-01T00:00:00Z"}, 422, "until_invalid"),
        ({"role": "representative"}, 422, "input_invalid"),
        ({"scopes": []}, 422, "input_invalid"),
        ({"phone": "+8613800000005"}, 422, "input_invalid"),
        ({"account": None}, 422, "input_invalid"),
        ({"account": {"$ne": ""}}, 400, "json_invalid"),
    ],
)
async def test_an_invitation_has_to_be_sound(town: Town, change: dict[str, Any], status: int, code: str):
    boss, firm = await founded(town)
    clerk = await town.person("王五", "105")
    answer = await boss("POST", f"{PATH}/{firm}/handlers", invitation(clerk) | change)
    assert (answer.status, answer.code) == (status, code)


async def test_a_handler_is_asked_by_telephone_and_nobody_learns_whose_it_is(town: Town, relations: Relations):
    boss, firm = await founded(town)
    clerk = await town.person("王五", "105", sms="+8613800000005")
    wish = {k: v for k, v in invitation(clerk).items() if k != "account"}
    known, unknown = [
        await boss("POST", f"{PATH}/{firm}/handlers", wish | {"phone": phone})
        for phone in ("+8613800000005", "+8613900001005")
    ]
    changing = ("id", "asked_at")
    told = [{k: v for k, v in a.json.items() if k not in changing} for a in (known, unknown)]
    assert told[0] | {"name": ""} == told[1] | {"name": ""}
    assert [each["name"] for each in told] == ["+86****0005", "+86****1005"]
    listed = (await boss("GET", f"{PATH}/{firm}/handlers")).json["relations"]
    assert [(r["name"], r["account"], r["state"]) for r in listed[:2]] == [
        ("+86****1005", None, "asked"),
        ("+86****0005", None, "asked"),
    ]
    assert (await clerk("POST", f"{MINE}/{known.json['id']}/agree")).status == 200
    assert await may(relations, clerk, firm, Scope.APPLY)
    assert (await boss("DELETE", f"{PATH}/{firm}/handlers/{unknown.json['id']}")).status == 204
    [one, _] = (await boss("GET", f"{PATH}/{firm}/handlers")).json["relations"]
    assert (one["name"], one["account"]) == ("王*", clerk.public)


async def test_a_representative_does_not_become_less_by_an_invitation(town: Town, relations: Relations):
    boss, firm = await founded(town)
    asked = (await boss("POST", f"{PATH}/{firm}/handlers", invitation(boss))).json["id"]
    assert (await boss("POST", f"{MINE}/{asked}/agree")).code == "relation_needless"
    assert await may(relations, boss, firm, Scope.BOOK)


async def test_one_invitation_at_a_time_and_no_organisation_as_handler(town: Town):
    boss, firm = await founded(town)
    clerk = await town.person("王五", "105")
    assert (await boss("POST", f"{PATH}/{firm}/handlers", invitation(clerk))).status == 201
    assert (await boss("POST", f"{PATH}/{firm}/handlers", invitation(clerk))).code == "relation_open"
    itself = invitation(clerk) | {"account": firm}
    assert (await boss("POST", f"{PATH}/{firm}/handlers", itself)).code == "account_unknown"


async def test_a_code_and_a_number_of_the_same_letters_do_not_collide(town: Town):
    boss, _ = await founded(town)
    assert (await boss("GET", "/me/real-name")).json["id_number"].endswith(id_number("101")[-4:])
