"""Real names over HTTP: bound once, shown masked, one number one account, nothing half stored."""

from __future__ import annotations

import asyncio

import pytest

from server.services.real_name import TRIES_A_DAY
from tests.api.binding import Town
from tests.domain.numbers import id_number

PATH = "/me/real-name"
ANN = {"name": "张三丰", "id_number": id_number("101", born="19600229")}


async def test_a_name_is_bound_and_shown_masked_with_the_age_of_today(town: Town):
    ann = await town.person()
    assert (await ann("GET", PATH)).json == {
        "is_bound": False, "name": None, "id_number": None, "age_years": None, "is_elder": None
    }  # fmt: skip
    bound = await ann("PUT", PATH, ANN)
    assert bound.status == 200
    assert (await ann("GET", PATH)).json == bound.json
    told = bound.json
    assert (told["name"], told["id_number"]) == ("张**", f"440***********{ANN['id_number'][-4:]}")
    assert told["is_elder"] is True
    assert told["age_years"] >= 66


async def test_the_same_again_is_the_same_and_another_needs_an_officer(town: Town):
    ann = await town.person()
    first = await ann("PUT", PATH, ANN)
    again = await ann("PUT", PATH, ANN)
    assert (again.status, again.json) == (200, first.json)
    other = await ann("PUT", PATH, ANN | {"id_number": id_number("105")})
    assert (other.status, other.code) == (409, "real_name_bound")


async def test_one_number_is_one_account_even_if_both_ask_at_once(town: Town):
    people = [await town.person() for _ in range(4)]
    answers = await asyncio.gather(*(person("PUT", PATH, ANN) for person in people))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert {answer.code for answer in answers} == {"", "id_number_taken"}
    assert await town.assembly.db["accounts"].count_documents({"is_real_name": True}) == 1


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"id_number": "123"}, "id_number_length", "id_number"),
        ({"id_number": id_number(born="19901301")}, "id_number_birth_date", "id_number"),
        ({"name": "<b>"}, "name_invalid", "name"),
        ({"id_number": id_number("403")}, "real_name_refused", "id_number"),
        ({"id_number": id_number("404")}, "real_name_refused", "id_number"),
        ({"is_real_name": True}, "input_invalid", "is_real_name"),
    ],
)
async def test_what_is_wrong_is_named_and_not_stored(town: Town, change: dict[str, object], code: str, field: str):
    ann = await town.person()
    answer = await ann("PUT", PATH, ANN | change)
    assert (answer.status, answer.code, answer.json["field"]) == (422, code, field)
    assert (await ann("GET", PATH)).json["is_bound"] is False


async def test_while_the_authority_is_away_nothing_is_stored_and_no_try_is_lost(town: Town):
    ann = await town.person()
    for _ in range(TRIES_A_DAY + 1):
        answer = await ann("PUT", PATH, ANN | {"id_number": id_number("503")})
        assert (answer.status, answer.code) == (503, "verifier_away")
        assert "Retry-After" in answer.headers
    assert (await ann("PUT", PATH, ANN)).status == 200


async def test_a_day_has_five_tries_also_when_they_come_at_once(town: Town):
    ann = await town.person()
    wrong = ANN | {"id_number": id_number("404")}
    answers = await asyncio.gather(*(ann("PUT", PATH, wrong) for _ in range(TRIES_A_DAY + 4)))
    assert sorted(answer.status for answer in answers) == [422] * TRIES_A_DAY + [429] * 4
    assert (await ann("PUT", PATH, ANN)).code == "real_name_tries"


async def test_nothing_of_a_name_stands_in_the_database_or_the_log(town: Town):
    ann = await town.person()
    await ann("PUT", PATH, ANN)
    db = town.assembly.db
    for name in await db.list_collection_names():
        text = str([d async for d in db[name].find()])
        assert ANN["id_number"] not in text, name
        assert ANN["name"] not in text, name
    entry = await db["audit"].find_one({"action": "citizen.real_name"})
    assert entry is not None
    assert entry["actor"] == ann.public


async def test_nobody_enters_without_a_log_in(town: Town):
    assert (await town.api("GET", "/v1/me/real-name")).status == 401
