"""What people answer to an alert over HTTP: what they say, what officers count, and who sees whom."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server import assemble, assemble_inbox, assemble_public
from server.domain.alerts.model import cap_time
from server.domain.alerts.release import World
from server.domain.alerts.verbs import Change
from server.domain.china import CHINA
from server.domain.datum import wgs84_to_gcj02
from server.domain.officers import Role
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.storage.alerts import AlertStore
from server.storage.citizens import NewCitizen, Place
from tests.api.client import Citizens, Client, Officers
from tests.services.desk import DIVISIONS, TEXTS, Post, followed, officer, released, typhoon

NANSHAN, FUTIAN, CITY = "440305", "440304", "440300"
PURPOSE = "purpose=telephone%20them"


@pytest.fixture
def desk(assembly: assemble.Assembly) -> Alerts:
    """A desk on the clock of the database, whose broadcasts go nowhere."""
    world = World(DIVISIONS, TEXTS, test_list=(1,))
    return Alerts(AlertStore(assembly.db), world, Post(), assembly.audit, now=assembly.now)


@pytest.fixture
async def name(desk: Alerts) -> str:
    """A typhoon in force for Nanshan."""
    return await typhoon_now(desk)


async def typhoon_now(desk: Alerts, *, hours: float = 6, status: str = "Actual") -> str:
    alert = typhoon(status=status)
    end = cap_time(datetime.now(UTC) + timedelta(hours=hours), CHINA)
    infos = tuple(i.model_copy(update={"expires": end}) for i in alert.infos)
    return await released(desk, alert.model_copy(update={"infos": infos}))


async def people(assembly: assemble.Assembly, citizens: Citizens, *codes: str) -> list[str]:
    """The tokens of citizens 1, 2, ... with a place each."""
    made = [
        NewCitizen(n, (Place(code, DIVISIONS.lineage(code)),), {"sms": (f"+861380000{n:04d}",)})
        for n, code in enumerate(codes, 1)
    ]
    await assembly.citizens.add(made)
    return [await citizens.enter(each.id) for each in made]


def enter(officers: Officers, division: str, *roles: Role) -> str:
    return officers.enter(officer(f"at-{division}", *(roles or (Role.RELEASER,)), division=division))


async def say(api: Client, token: str, name: str, **form: Any) -> Any:
    answer = await api("POST", f"/v1/alerts/{name}/acknowledgement", form, token=token)
    assert answer.status == 200, answer.body
    return answer.json


async def tally(api: Client, token: str, name: str) -> Any:
    answer = await api("GET", f"/v1/staff/alerts/{name}/acknowledgements", token=token)
    assert answer.status == 200, answer.body
    return answer.json


async def in_need(api: Client, token: str, name: str, query: str = "") -> Any:
    answer = await api("GET", f"/v1/staff/alerts/{name}/acknowledgements/help?{PURPOSE}{query}", token=token)
    assert answer.status == 200, answer.body
    return answer.json


async def test_the_last_word_counts_and_the_words_before_it_are_kept(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, name: str
) -> None:
    [token] = await people(assembly, citizens, NANSHAN)
    await say(api, token, name, state="help", note="水进屋了")
    told = await say(api, token, name, state="safe")
    assert (told["state"], [word["state"] for word in told["words"]]) == ("safe", ["help", "safe"])
    assert told["words"][0]["note"] == "水进屋了"
    mine = await api("GET", f"/v1/alerts/{name}/acknowledgement", token=token)
    assert mine.json == told


async def test_officers_count_by_district_and_only_what_lies_in_their_own_division(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, officers: Officers, name: str
) -> None:
    street = DIVISIONS.children(NANSHAN)[0]
    tokens = await people(assembly, citizens, street, street, NANSHAN, FUTIAN)
    for token, state in zip(tokens, ("safe", "help", "safe", "safe"), strict=True):
        await say(api, token, name, state=state)
    await say(api, tokens[3], name, state="safe", place={"division": FUTIAN})
    city = await tally(api, enter(officers, CITY), name)
    assert city["total"] == {"safe": 3, "help": 1}
    assert [(row["division"], row["safe"], row["help"]) for row in city["divisions"]] == [
        (FUTIAN, 1, 0), (NANSHAN, 2, 1),
    ]  # fmt: skip
    assert (await tally(api, enter(officers, NANSHAN), name))["total"] == {"safe": 2, "help": 1}
    far = await api("GET", f"/v1/staff/alerts/{name}/acknowledgements", token=enter(officers, "440303"))
    assert (far.status, far.code) == (404, "alert_unknown")


async def test_who_needs_help_is_listed_longest_waiting_first_with_place_and_words(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, officers: Officers, name: str
) -> None:
    tokens = await people(assembly, citizens, *[NANSHAN] * 5)
    lon, lat = wgs84_to_gcj02(113.93, 22.53)
    spot = {"point": {"lat": lat, "lon": lon, "datum": "gcj02"}, "text": "3栋1201"}
    for n, token in enumerate(tokens):
        await say(api, token, name, state="help", place=spot, note=f"第{n}户")
    await say(api, tokens[0], name, state="help", note="还在等")  # says more, and keeps the place in the queue
    await say(api, tokens[1], name, state="safe")
    desk_officer, notes, after = enter(officers, NANSHAN), [], ""
    while True:
        part = await in_need(api, desk_officer, name, f"&limit=2{after}")
        notes += [person["note"] for person in part["people"]]
        if part["next"] is None:
            break
        after = f"&after={part['next']}"
    assert notes == ["还在等", "第2户", "第3户", "第4户"]
    last = (await in_need(api, desk_officer, name))["people"][-1]
    assert (last["place"], last["division_name"]) == ("3栋1201", "南山区")
    assert abs(last["point"]["lat"] - 22.53) < 1e-5 > abs(last["point"]["lon"] - 113.93)


async def test_numbers_are_masked_until_they_are_asked_for_and_every_look_is_in_the_audit_log(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, officers: Officers, name: str
) -> None:
    [token] = await people(assembly, citizens, NANSHAN)
    await say(api, token, name, state="help")
    desk_officer = enter(officers, NANSHAN)
    [masked] = (await in_need(api, desk_officer, name))["people"]
    [full] = (await in_need(api, desk_officer, name, "&numbers=true"))["people"]
    assert (masked["phones"], full["phones"]) == (["+86138****0001"], ["+8613800000001"])
    entries = await assembly.audit.latest("acknowledgement")
    looks = [(e.actor, e.object, e.details["purpose"], e.details["numbers"]) for e in reversed(entries)]
    assert looks == [("o-at-440305", name, "telephone them", shows) for shows in (False, True)]
    seen = (await api("GET", "/v1/me/uses", token=token)).json["uses"]  # and the person sees both
    assert [(use["about"], use["fields"][-1]) for use in seen] == [(name, "phone"), (name, "phone_masked")]


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "input_invalid"), ("purpose=x", "input_invalid"), ("purpose=%20%20%20%20%20", "purpose_missing"),
     (f"{PURPOSE}&division={FUTIAN}", "outside_division"), (f"{PURPOSE}&division=990000", "division_unknown"),
     (f"{PURPOSE}&after=1", "mark_invalid"), (f"{PURPOSE}&limit=201", "input_invalid")],
)  # fmt: skip
async def test_a_look_without_purpose_or_outside_of_the_division_is_refused_and_shows_nobody(
    api: Client, officers: Officers, name: str, query: str, code: str
) -> None:
    answer = await api("GET", f"/v1/staff/alerts/{name}/acknowledgements/help?{query}", token=enter(officers, NANSHAN))
    assert (answer.status in (403, 422), answer.code) == (True, code)


async def test_an_update_keeps_what_was_answered_before_it(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, officers: Officers, desk: Alerts, name: str
) -> None:
    one, two = await people(assembly, citizens, NANSHAN, NANSHAN)
    await say(api, one, name, state="help")
    newer = await followed(desk, name, Kind.UPDATE, Change(note="风力加大"))
    assert (await tally(api, enter(officers, NANSHAN), newer))["total"] == {"safe": 0, "help": 1}
    await say(api, one, newer, state="safe")
    await say(api, two, name, state="safe")
    assert (await tally(api, enter(officers, NANSHAN), name))["total"] == {"safe": 2, "help": 0}


async def test_an_answer_that_says_no_place_counts_at_the_own_place_in_the_area_else_where_the_area_is(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, name: str
) -> None:
    street = DIVISIONS.children(NANSHAN)[0]
    tokens = await people(assembly, citizens, street, FUTIAN)
    told = [await say(api, token, name, state="safe") for token in [*tokens, await citizens.enter(99)]]
    assert [each["words"][0]["division"] for each in told] == [street, NANSHAN, NANSHAN]


async def test_forty_words_at_once_are_one_answer_and_the_last_twenty_are_kept(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, officers: Officers, name: str
) -> None:
    [token] = await people(assembly, citizens, NANSHAN)
    await asyncio.gather(*(say(api, token, name, state="help", note=str(n)) for n in range(40)))
    assert (await tally(api, enter(officers, NANSHAN), name))["total"] == {"safe": 0, "help": 1}
    mine = await api("GET", f"/v1/alerts/{name}/acknowledgement", token=token)
    assert len(mine.json["words"]) == 20


async def test_nobody_answers_what_was_not_released_is_long_over_or_is_an_exercise_of_others(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, desk: Alerts, name: str
) -> None:
    [token] = await people(assembly, citizens, NANSHAN)
    drill = await typhoon_now(desk, status="Exercise")
    for unknown in ("nothing", drill):
        answer = await api("POST", f"/v1/alerts/{unknown}/acknowledgement", {"state": "safe"}, token=token)
        assert (answer.status, answer.code) == (404, "alert_unknown")
    none_yet = await api("GET", f"/v1/alerts/{name}/acknowledgement", token=token)
    assert (none_yet.status, none_yet.code) == (404, "acknowledgement_unknown")
    [raw] = await assembly.db["alerts"].find({"_id": name}).to_list()
    old = raw["alert"].replace(str(datetime.now(CHINA).year).encode(), b"2020")
    await assembly.db["alerts"].update_one({"_id": name}, {"$set": {"alert": old}})
    over = await api("POST", f"/v1/alerts/{name}/acknowledgement", {"state": "safe"}, token=token)
    assert (over.status, over.code) == (409, "alert_over")


@pytest.mark.parametrize(
    "form",
    [{}, {"state": "fine"}, {"state": "help", "place": {}}, {"state": "help", "place": {"text": "  "}},
     {"state": "help", "place": {"point": {"lat": 91, "lon": 0, "datum": "wgs84"}}},
     {"state": "help", "place": {"point": {"lat": 22.5, "lon": 113.9}}}, {"state": "help", "note": "x" * 301},
     {"state": "help", "citizen": 8}, {"state": "help", "place": {"division": "44"}}],
)  # fmt: skip
async def test_an_answer_that_cannot_be_right_is_refused(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, name: str, form: dict[str, Any]
) -> None:
    [token] = await people(assembly, citizens, NANSHAN)
    answer = await api("POST", f"/v1/alerts/{name}/acknowledgement", form, token=token)
    assert (answer.status, answer.code) == (422, "input_invalid")


async def test_what_people_say_is_sealed_moves_with_them_and_is_gone_with_them(
    api: Client,
    assembly: assemble.Assembly,
    citizens: Citizens,
    readers: assemble_public.PublicParts,
    name: str,
    officers: Officers,
) -> None:
    one, _ = await people(assembly, citizens, NANSHAN, NANSHAN)
    await say(api, one, name, state="help", place={"text": "SECRET-PLACE"}, note="SECRET-NOTE")
    [stored] = await assembly.db["acknowledgements"].find({}).to_list()
    assert "SECRET" not in str(stored)
    holding = assemble_inbox.inbox(assembly, readers.feeds, assemble.receipts(assembly)).holdings[1]
    async with assembly.db.client.start_session() as session, await session.start_transaction():
        await holding.move(1, 2, session)
    await assembly.person_vault.shred(1)
    [row] = await holding.export(2)
    assert (row["words"][0]["place"], row["words"][0]["note"]) == ("SECRET-PLACE", "SECRET-NOTE")
    assert list(await holding.export(1)) == []
    await assembly.person_vault.shred(2)
    [blank] = (await in_need(api, enter(officers, NANSHAN), name))["people"]
    assert (blank["place"], blank["note"]) == ("", "")
    await holding.erase(2)
    assert await assembly.db["acknowledgements"].count_documents({}) == 0
