"""One's own profile over HTTP: what changes, what is refused, and what the engine sees of it at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from server import assemble_profile
from server.assemble import Assembly
from server.domain.broadcasts import Audience
from server.domain.datum import wgs84_to_gcj02
from server.storage.citizens import NewCitizen, Place
from tests.api.client import Answer, Citizens, Client

ANNA, BEN = 1_001, 2_002
NANSHAN, FUTIAN = "440305", "440304"
HOME = (22.5300, 113.9300)  # in Nanshan
NIGHT = {"begins": "22:00", "ends": "07:00"}
URGENT = ["red", "orange"]


@pytest.fixture
async def anna(citizens: Citizens) -> str:
    return await citizens.enter(ANNA)


@pytest.fixture
async def ben(citizens: Citizens) -> str:
    return await citizens.enter(BEN)


async def etag(api: Client, token: str) -> str:
    return (await api("GET", "/v1/me", token=token)).headers["Etag"]


async def patch(api: Client, token: str, **change: Any) -> Answer:
    return await api("PATCH", "/v1/me", change, token=token, If_Match=await etag(api, token))


async def put_off(api: Client, token: str, *off: dict[str, str]) -> Answer:
    return await api("PUT", "/v1/me/subscriptions", {"off": off}, token=token, If_Match=await etag(api, token))


async def add(api: Client, token: str, **place: Any) -> Answer:
    return await api("POST", "/v1/me/places", {"label": "home"} | place, token=token)


def point(at: tuple[float, float], datum: str = "wgs84") -> dict[str, Any]:
    return {"lat": at[0], "lon": at[1], "datum": datum}


async def places(api: Client, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api("GET", "/v1/me/places", token=token)).json["places"]
    return found


async def audience(assembly: Assembly, audience: Audience) -> list[int]:
    return [m.id async for m in assembly.citizens.members(audience, 0, 1 << 62)]


@pytest.mark.parametrize("path", ["/v1/me", "/v1/me/places", "/v1/me/subscriptions", "/v1/me/grants"])
async def test_nobody_sees_a_profile_without_a_token(api: Client, path: str) -> None:
    assert (await api("GET", path)).status == 401


async def test_a_new_profile_has_no_settings_and_no_internal_id(api: Client, anna: str) -> None:
    answer = await api("GET", "/v1/me", token=anna)
    assert (answer.status, answer.headers["Etag"]) == (200, '"v1"')
    assert answer.json | {"created_at": ""} == {
        "id": f"{ANNA:032x}", "language": "zh", "is_elder_mode": False, "is_real_name": False, "is_tester": False,
        "quiet_hours": None, "channels": ["wechat", "push", "sms"], "is_own_order": False,
        "always_sent": {"quiet_hours": URGENT, "channels": URGENT}, "created_at": "",
    }  # fmt: skip


async def test_settings_change_one_by_one_and_the_engine_has_them_at_once(
    api: Client, anna: str, assembly: Assembly
) -> None:
    await assembly.citizens.add([NewCitizen(ANNA, (), {"sms": ("+8613800000001",)})])
    assert (await patch(api, anna, quiet_hours=NIGHT, channels=["sms"], is_tester=True)).status == 200
    answer = await patch(api, anna, language="en", is_elder_mode=True)
    assert answer.headers["Etag"] == '"v3"'
    assert answer.json["quiet_hours"] == NIGHT
    assert (answer.json["channels"], answer.json["is_own_order"]) == (["sms", "wechat", "push"], True)
    reach = (await assembly.citizens.reach("sms", [ANNA]))[ANNA]
    assert (reach.lang, reach.quiet) == ("en", (22 * 60, 7 * 60))
    [member] = await assembly.citizens.by_id([ANNA])
    assert (member.channels, member.order) == (["sms"], ["sms", "wechat", "push"])
    assert await assembly.citizens.testers() == (ANNA,)


async def test_null_takes_quiet_hours_and_the_own_order_away_and_false_the_consent(
    api: Client, anna: str, assembly: Assembly
) -> None:
    await patch(api, anna, quiet_hours=NIGHT, channels=["sms"], is_tester=True)
    answer = await patch(api, anna, quiet_hours=None, channels=None, is_tester=False)
    assert answer.json["quiet_hours"] is None
    assert answer.json["is_own_order"] is False
    assert await assembly.citizens.testers() == ()


async def test_a_change_needs_the_version_that_was_seen(api: Client, anna: str) -> None:
    missing = await api("PATCH", "/v1/me", {"language": "en"}, token=anna)
    assert (missing.status, missing.code) == (428, "version_missing")
    seen = await etag(api, anna)
    assert (await api("PATCH", "/v1/me", {"language": "en"}, token=anna, If_Match=seen)).status == 200
    stale = await api("PATCH", "/v1/me", {"quiet_hours": NIGHT}, token=anna, If_Match=seen)
    assert (stale.status, stale.code) == (412, "profile_changed")
    assert (await api("GET", "/v1/me", token=anna)).json["quiet_hours"] is None
    assert (await api("GET", "/v1/me", token=anna, If_None_Match='"v2"')).status == 304


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nickname": "x"}, "nickname"),
        ({"language": "fr"}, "language"),
        ({"language": None}, "language"),
        ({"is_elder_mode": "yes"}, "is_elder_mode"),
        ({"quiet_hours": {"begins": "24:00", "ends": "07:00"}}, "quiet_hours.begins"),
        ({"quiet_hours": {"begins": "7:00", "ends": "08:00"}}, "quiet_hours.begins"),
        ({"quiet_hours": {"begins": "22:00\n", "ends": "07:00"}}, "quiet_hours.begins"),
        ({"quiet_hours": {"begins": "07:00", "ends": "07:00"}}, "quiet_hours"),
        ({"channels": ["sms", "sms"]}, "channels"),
        ({"channels": ["pigeon"]}, "channels[0]"),
    ],
)
async def test_a_setting_that_cannot_be_is_refused_by_its_name(
    api: Client, anna: str, change: dict[str, Any], field: str
) -> None:
    answer = await patch(api, anna, **change)
    assert (answer.status, answer.json["field"]) == (422, field)


async def test_a_division_of_any_level_is_a_place_and_its_people_are_warned_at_once(
    api: Client, anna: str, assembly: Assembly
) -> None:
    street = assembly.divisions.children(NANSHAN)[0]
    community = assembly.divisions.children(street)[0]
    for code in ("440300", NANSHAN, street, f"{community:0<12}"):
        answer = await add(api, anna, division=code)
        assert (answer.status, len(answer.json["id"])) == (201, 32)
    assert [p["division"]["code"] for p in await places(api, anna)] == ["440300", NANSHAN, street, community]
    for code in ("440300", NANSHAN, street, community):
        assert await audience(assembly, Audience(divisions=(code,))) == [ANNA]
    assert await audience(assembly, Audience(divisions=(FUTIAN,))) == []


async def test_a_point_from_wechat_is_converted_once_and_the_answer_says_so(
    api: Client, anna: str, assembly: Assembly
) -> None:
    lon, lat = wgs84_to_gcj02(HOME[1], HOME[0])
    answer = await add(api, anna, point=point((lat, lon), "gcj02"))
    found = answer.json["point"]
    assert (found["lat"], found["lon"]) == pytest.approx(HOME, abs=2e-6)
    assert (found["datum"], found["came_as"], found["is_converted"]) == ("wgs84", "gcj02", True)
    assert found["district"] == {"code": NANSHAN, "name": "南山区", "name_en": "Nanshan District"}
    near = {"shape_districts": (NANSHAN,), "circles": ((*HOME, 0.1),)}
    assert await audience(assembly, Audience(**near)) == [ANNA]


async def test_a_point_that_was_not_converted_would_be_outside_of_a_circle_around_the_home(
    api: Client, anna: str, assembly: Assembly
) -> None:
    lon, lat = wgs84_to_gcj02(HOME[1], HOME[0])
    answer = await add(api, anna, point=point((lat, lon), "wgs84"))
    assert answer.json["point"]["is_converted"] is False
    for km, members in ((0.4, []), (1.0, [ANNA])):
        assert await audience(assembly, Audience(circles=((*HOME, km),), shape_districts=(NANSHAN,))) == members


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({}, "place_nowhere"),
        ({"division": "440399"}, "division_unknown"),
        ({"division": "44"}, "division_unknown"),
        ({"division": FUTIAN, "point": point(HOME)}, "place_contradiction"),
        ({"point": point((39.9, 116.4))}, "point_outside"),
        ({"division": NANSHAN, "point": point((39.9, 116.4))}, "point_outside"),
        ({"point": point((113.93, 22.53))}, "input_invalid"),  # turned round
        ({"point": {"lat": HOME[0], "lon": HOME[1]}}, "input_invalid"),  # of no datum
        ({"division": NANSHAN, "label": "castle"}, "input_invalid"),
        ({"division": NANSHAN, "id": "f" * 32}, "input_invalid"),
        ({"division": NANSHAN, "name": "x" * 21}, "input_invalid"),
    ],
)
async def test_a_place_that_cannot_be_is_refused_and_says_why(
    api: Client, anna: str, place: dict[str, Any], code: str
) -> None:
    answer = await add(api, anna, **place)
    assert (answer.status, answer.code) == (422, code)
    assert await places(api, anna) == []


async def test_a_contradiction_names_both_places(api: Client, anna: str) -> None:
    body = {"label": "home", "division": FUTIAN, "point": point(HOME)}
    answer = await api("POST", "/v1/me/places", body, token=anna, Accept_Language="en")
    assert "the point lies in Nanshan District, but the division is Futian District" in answer.json["title"]


async def test_the_finer_of_division_and_point_counts(api: Client, anna: str, assembly: Assembly) -> None:
    street = assembly.divisions.children(NANSHAN)[0]
    for given, counts in (("440300", NANSHAN), (street, street)):
        answer = await add(api, anna, division=given, point=point(HOME))
        assert answer.json["division"]["code"] == counts


async def test_the_same_place_twice_is_one_place_with_the_new_words(api: Client, anna: str) -> None:
    first = await add(api, anna, division=NANSHAN, name="家")
    again = await add(api, anna, division=f"{NANSHAN}000000", label="work")
    assert (first.status, again.status) == (201, 200)
    [only] = await places(api, anna)
    assert (only["id"], only["label"], only["name"]) == (first.json["id"], "work", "家")


async def test_an_eleventh_place_is_refused(api: Client, anna: str, assembly: Assembly) -> None:
    codes = [c for street in assembly.divisions.children(NANSHAN) for c in assembly.divisions.children(street)][:11]
    answers = [await add(api, anna, division=code) for code in codes]
    assert [a.status for a in answers] == [201] * 10 + [409]
    assert answers[-1].code == "places_full"


async def test_a_place_can_be_written_over_and_taken_away_and_audiences_follow(
    api: Client, anna: str, assembly: Assembly
) -> None:
    id_ = (await add(api, anna, division=NANSHAN)).json["id"]
    changed = await api("PUT", f"/v1/me/places/{id_}", {"label": "work", "division": FUTIAN}, token=anna)
    assert (changed.status, changed.json["id"]) == (200, id_)
    assert await audience(assembly, Audience(divisions=(NANSHAN,))) == []
    assert await audience(assembly, Audience(divisions=(FUTIAN,))) == [ANNA]
    assert (await api("DELETE", f"/v1/me/places/{id_}", token=anna)).status == 204
    assert await audience(assembly, Audience(divisions=(FUTIAN,))) == []
    assert (await api("DELETE", f"/v1/me/places/{id_}", token=anna)).code == "place_unknown"


async def test_places_that_are_added_at_the_same_time_are_all_there(api: Client, anna: str, assembly: Assembly) -> None:
    codes = assembly.divisions.children(NANSHAN)[:4]
    answers = await asyncio.gather(*(add(api, anna, division=code) for code in codes))
    assert {a.status for a in answers} == {201}
    assert {p["division"]["code"] for p in await places(api, anna)} == {*codes}


async def test_of_two_changes_that_saw_the_same_version_one_is_made(api: Client, anna: str) -> None:
    seen = await etag(api, anna)
    changes = ({"language": "en"}, {"quiet_hours": NIGHT}, {"channels": ["sms"]})
    answers = await asyncio.gather(*(api("PATCH", "/v1/me", c, token=anna, If_Match=seen) for c in changes))
    assert sorted(a.status for a in answers) == [200, 412, 412]
    found = (await api("GET", "/v1/me", token=anna)).json
    changed = [found["language"] == "en", found["quiet_hours"] == NIGHT, found["is_own_order"]]
    assert changed == [a.status == 200 for a in answers]


async def test_another_persons_place_is_not_there(api: Client, anna: str, ben: str) -> None:
    id_ = (await add(api, anna, division=NANSHAN)).json["id"]
    put = await api("PUT", f"/v1/me/places/{id_}", {"label": "work", "division": FUTIAN}, token=ben)
    delete = await api("DELETE", f"/v1/me/places/{id_}", token=ben)
    assert [(a.status, a.code) for a in (put, delete)] == [(404, "place_unknown")] * 2
    assert [p["label"] for p in await places(api, anna)] == ["home"]


async def test_words_about_a_place_are_sealed_with_the_persons_own_key(
    api: Client, anna: str, assembly: Assembly
) -> None:
    answer = await add(api, anna, division=NANSHAN, name="CANARYname", address="CANARYstreet 5")
    assert answer.json["address"] == "CANARYstreet 5"
    assert (await places(api, anna))[0]["name"] == "CANARYname"
    assert "CANARY" not in repr([d async for d in assembly.db["citizens"].find()])
    assert await assembly.db["person_keys"].count_documents({"_id": ANNA}) == 1


async def test_who_was_registered_by_the_city_finds_language_and_place_there_and_may_change_it(
    api: Client, anna: str, assembly: Assembly
) -> None:
    place = Place(NANSHAN, ("440300", NANSHAN))
    await assembly.citizens.add([NewCitizen(ANNA, (place,), {"sms": ("+8613800000001",)}, lang="en")])
    assert (await api("GET", "/v1/me", token=anna)).json["language"] == "en"
    [first], [again] = await places(api, anna), await places(api, anna)
    assert first == again
    assert first["label"] == "home"
    assert (await api("DELETE", f"/v1/me/places/{first['id']}", token=anna)).status == 204
    assert await places(api, anna) == []
    [member] = await assembly.citizens.by_id([ANNA])
    assert member.channels == ["sms"]


async def test_opt_outs_are_kept_in_the_fewest_words_and_say_what_is_sent_all_the_same(
    api: Client, anna: str, assembly: Assembly
) -> None:
    await assembly.citizens.add([NewCitizen(ANNA, (), {"sms": ("+8613800000001",)})])
    answer = await put_off(
        api, anna, {"topic": "alert", "channel": "sms"}, {"topic": "alert.sea", "level": "blue", "channel": "sms"},
        {"topic": "offer"}, {"topic": "alert.sea", "level": "red"},
    )  # fmt: skip
    assert answer.status == 200
    assert answer.json["off"] == [
        {"topic": "alert", "level": "*", "channel": "sms", "always_sent": URGENT},
        {"topic": "alert.sea", "level": "red", "channel": "*", "always_sent": ["red"]},
        {"topic": "offer", "level": "*", "channel": "*", "always_sent": []},
    ]
    assert answer.json["always_sent"] == URGENT
    assert (await api("GET", "/v1/me/subscriptions", token=anna)).json == answer.json
    reach = (await assembly.citizens.reach("sms", [ANNA]))[ANNA]
    assert reach.off == {"alert:*:sms", "alert.sea:red", "offer"}
    assert (await put_off(api, anna)).json["off"] == []


@pytest.mark.parametrize(
    ("off", "code", "field"),
    [
        ({"topic": "gossip"}, "topic_unknown", "off[0].topic"),
        ({"topic": "notice", "level": "red"}, "level_unknown", "off[0].level"),
        ({"topic": "notice", "channel": "pigeon"}, "input_invalid", "off[0].channel"),
        ({"subject": "notice"}, "input_invalid", "off[0].subject"),
    ],
)
async def test_an_opt_out_of_what_there_is_not_is_refused(
    api: Client, anna: str, off: dict[str, str], code: str, field: str
) -> None:
    answer = await put_off(api, anna, off)
    assert (answer.status, answer.code, answer.json["field"]) == (422, code, field)


async def grants(api: Client, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = (await api("GET", "/v1/me/grants", token=token)).json
    return {t["template"]: t for t in found["templates"]}, {r["level"]: r for r in found["reachable"]}


async def test_reachable_by_says_for_every_level_what_would_be_used_and_what_is_missing(
    api: Client, anna: str, assembly: Assembly
) -> None:
    await assembly.citizens.add([NewCitizen(ANNA, (), {"wechat": ("openid-1",), "push": ("token-1",)})])
    await patch(api, anna, channels=["push", "wechat"])
    await put_off(
        api, anna, {"topic": "alert", "level": "yellow", "channel": "push"}, {"topic": "alert.sea", "channel": "push"}
    )
    await assembly.citizens.set_grants([(ANNA, "WX_ALERT", True, assembly.now())])
    _, reachable = await grants(api, anna)
    no_phone = {"channel": "sms", "why": "no_address", "ask": []}
    assert set(reachable) == {"red", "orange", "yellow", "blue", "transactional", "reminder", "digest"}
    assert (reachable["red"]["uses"], reachable["red"]["missing"]) == (["push", "wechat"], [no_phone])
    assert reachable["yellow"]["uses"] == ["wechat"]
    assert reachable["yellow"]["missing"] == [{"channel": "push", "why": "opted_out", "ask": []}, no_phone]
    assert reachable["blue"]["partly_off"] == [{"channel": "push", "topics": ["alert.sea"]}]
    assert reachable["transactional"]["missing"] == [
        {"channel": "wechat", "why": "no_grant", "ask": ["WX_BOOKING", "WX_NOTICE"]},
        no_phone,
    ]


async def test_a_word_of_the_mini_program_counts_once_at_most_five_times_and_gives_way_to_wechats(
    api: Client, anna: str, assembly: Assembly
) -> None:
    await assembly.citizens.add([NewCitizen(ANNA, (), {"wechat": ("openid-1",)})])

    async def tell(id_: str, answer: str) -> Answer:
        return await api("POST", "/v1/me/grants", {"id": id_, "answers": {"WX_EXERCISE": answer}}, token=anna)

    async def left() -> int:
        return int((await grants(api, anna))[0]["WX_EXERCISE"]["left"])

    for _ in range(3):
        assert (await tell("question-1", "accept")).status == 200
    assert await left() == 1
    for n in range(20):
        await tell(f"question-{n}", "accept")
    assert await left() == 5
    await tell("question-no", "reject")
    assert await left() == 0
    await tell("question-yes", "accept")
    assert await left() == 1
    await assembly.citizens.set_grants([(ANNA, "WX_EXERCISE", True, assembly.now() + timedelta(seconds=1))])
    assert await left() == 1  # the event is about the same tap


async def test_a_template_that_the_city_never_filed_is_refused(api: Client, anna: str) -> None:
    body = {"id": "question-1", "answers": {"WX_NOTICE": "accept", "other.x": "accept"}}
    assert (await api("POST", "/v1/me/grants", body, token=anna)).status == 400  # a key with a dot
    body["answers"] = {"grants": "accept"}
    assert (await api("POST", "/v1/me/grants", body, token=anna)).code == "template_unknown"


async def test_all_that_a_profile_holds_can_be_handed_out_moved_and_erased(
    api: Client, anna: str, ben: str, assembly: Assembly
) -> None:
    await assembly.citizens.add([NewCitizen(ANNA, (), {"wechat": ("openid-1",)}), NewCitizen(BEN, (), {})])
    await add(api, anna, division=NANSHAN, name="家")
    await add(api, anna, division=FUTIAN, label="work")
    await add(api, ben, division=NANSHAN, label="parents")
    await patch(api, anna, quiet_hours=NIGHT, channels=["sms"])
    await put_off(api, anna, {"topic": "offer"})
    await put_off(api, ben, {"topic": "offer", "level": "digest"}, {"topic": "notice"})
    await assembly.citizens.set_grants([(ANNA, "WX_ALERT", True, assembly.now())])
    holdings = assemble_profile.profile_holdings(assembly)
    before = {holding.name: await holding.export(ANNA) for holding in holdings}
    assert [row["name"] for row in before["places"]] == ["家", ""]
    assert before["preferences"][0]["off"] == "offer"
    assert before["grants"][0]["template"] == "WX_ALERT"
    for _ in range(2):  # a repeat changes nothing
        async with assembly.db.client.start_session() as session, await session.start_transaction():
            for holding in holdings:
                await holding.move(ANNA, BEN, session)
    after = {holding.name: await holding.export(BEN) for holding in holdings}
    assert sorted((r["division"], r["name"]) for r in after["places"]) == [(FUTIAN, ""), (NANSHAN, "家")]
    assert after["preferences"][0]["off"] == "notice offer"
    assert after["preferences"][0]["quiet_begins"] == "22:00"
    assert [row["template"] for row in after["grants"]] == ["WX_ALERT"]
    assert await audience(assembly, Audience(divisions=("440300",))) == [BEN]
    for holding in holdings:
        await holding.erase(BEN)
        await holding.erase(BEN)
    for person in (ANNA, BEN):
        assert [await holding.export(person) for holding in (holdings[0], holdings[2])] == [[], []]
    assert await assembly.db["citizens"].find_one({"_id": BEN}) is None
