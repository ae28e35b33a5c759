"""A citizen's whole life by HTTP alone, on a city of real processes: from the first log-in until nothing is left.

What the providers took is asked of their journal. The one thing done behind the product's back: minutes pass for the
rule that a number gets a code a minute, or the life would last as long.
"""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from channels.sandbox.wechat import openid_of
from server.commands.resident import Reply, Resident
from tests.api.test_main_job import BROADCASTS, DESK, City, city, eventually, handed_over, submit, watched

PHONE, APP = "+8613912340007", "app-of-lin:0123456789abcdef"
STREET = "440305001"  # of Nanshan, which is warned
FUTIAN = {"lat": 22.5431, "lon": 114.0579, "datum": "gcj02"}  # which is not
OFF = {"topic": "alert", "level": "*", "channel": "sms"}


async def a_minute_passes(db: Any) -> None:
    """For the numbers that were sent a code."""
    earlier = {"$dateSubtract": {"startDate": "$$this", "unit": "second", "amount": 61}}
    aged = {"$map": {"input": "$sent", "as": "this", "in": earlier}}
    done = await db["one_time_codes"].update_many({"_id": {"$regex": r"^number\|"}}, [{"$set": {"sent": aged}}])
    assert done.modified_count == 1


async def settled(one: Resident, name: str) -> None:
    """Places and grants of a life: home by division, the parents by a point of a Chinese map."""
    refused = await one.ask("POST", "/v1/me/places", {"label": "parents", "point": FUTIAN})
    assert (refused.status, refused.json["code"]) == (403, "consent_needed")
    assert (await one.agree("location"))["is_given"]
    home = await one.add_place("home", division=STREET, name=name, address=f"{name}1栋")
    parents = await one.add_place("parents", point=FUTIAN)
    assert (home["point"], parents["point"]["is_converted"]) == (None, True)
    assert parents["division"]["code"] == "440304"
    assert [p["label"] for p in (await one.tell("GET", "/v1/me/places"))["places"]] == ["home", "parents"]


async def chosen(one: Resident) -> None:
    """What it hears of and by which ways."""
    version = (await one.ask("GET", "/v1/me/subscriptions")).headers["Etag"]
    off = await one.tell("PUT", "/v1/me/subscriptions", {"off": [OFF]}, version=version)
    assert off["off"] == [{**OFF, "always_sent": ["red", "orange"]}]
    granted = await one.tell("POST", "/v1/me/grants", {"id": "first-day", "answers": {"WX_ALERT": "accept"}})
    reached = {each["level"]: set(each["uses"]) for each in granted["reachable"]}
    assert reached["red"] == {"wechat", "push", "sms"}
    assert reached["blue"] == {"wechat", "push"}


async def warned(here: City, chief: str) -> str:
    """Two officers warn Nanshan of a typhoon; the alert, when everybody has been told."""
    author = await here.log_in("author")
    form = {
        "event": "11B01", "colour": "Red", "areas": [{"divisions": ["440305"]}],
        "expires_at": (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
        "words": {"zh": {"description": "中心附近最大风力14级。"}, "en": {"description": "Force 14."}},
    }  # fmt: skip
    waiting = await submit(here.api, author, await here.api("POST", DESK, form, token=author))
    alert = str(waiting["identifier"])
    released = await here.api("POST", f"{DESK}/{alert}/release", {"digest": waiting["digest"]}, token=chief)
    assert released.json["state"] == "released", released.body
    await watched(here, chief, alert)
    return alert


async def answered(one: Resident, here: City, chief: str, alert: str) -> None:
    """Find the alert in the inbox, read it, ask for help and be safe, in the officer's sight."""
    page = (await eventually(lambda: one.ask("GET", "/v1/me/inbox"), lambda reply: reply.json["alerts"])).json
    [found] = page["alerts"]
    assert (found["alert"]["identifier"], found["read_at"]) == (alert, None)
    assert [(p["label"], p["division"]) for p in found["places"]] == [("home", STREET)]
    await one.read_alert(alert)
    page = await one.inbox()
    assert (page["unread"]["alerts"], bool(page["alerts"][0]["read_at"])) == (0, True)

    path = f"{DESK}/{alert}/acknowledgements"
    await one.answer(alert, "help", note="水进屋了")
    assert (await here.api("GET", path, token=chief)).json["total"] == {"safe": 0, "help": 1}
    [in_need] = (await here.api("GET", f"{path}/help?purpose=rescue", token=chief)).json["people"]
    assert (in_need["note"], in_need["phones"]) == ("水进屋了", ["+86139****0007"])
    said = await one.answer(alert, "safe", place={"division": "440304", "text": "父母家"})
    assert [word["state"] for word in said["words"]] == ["help", "safe"]
    tally = (await here.api("GET", path, token=chief)).json
    assert (tally["total"], tally["divisions"][0]["division"]) == ({"safe": 1, "help": 0}, "440304")
    looks = (await one.tell("GET", "/v1/me/uses"))["uses"]
    assert [look["purpose"] for look in looks] == ["rescue"]


async def counted_as_seen(one: Resident, here: City, chief: str, alert: str) -> None:
    """The app says that it displayed the notice, which nobody else can know of a push: the report counts it so."""

    async def report() -> Any:
        return (await here.api("GET", f"{BROADCASTS}/{alert}/report", token=chief)).json

    await here.receipts_in()
    before = handed_over(await report())
    assert "delivered" not in (await report())["channels"]["push"]["statuses"]
    for _ in range(2):  # told again, it counts once
        assert (await one.ask("POST", "/v1/notices/shown", {"broadcast": alert, "channel": "push"})).status == 204
    after = await eventually(report, lambda told: told["channels"]["push"]["statuses"].get("delivered"))
    assert after["channels"]["push"]["statuses"]["delivered"] == 1
    assert handed_over(after) == before


def everything(archive: Reply) -> dict[str, str]:
    """The files of an export by name."""
    assert archive.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(archive.body)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name).decode() for name in opened.namelist()}


async def test_a_citizen_lives_a_whole_life_by_http_alone(
    tmp_path: Path, mongo_url: str, redis_url: str, db: Any
) -> None:
    async with city(tmp_path, mongo_url, redis_url, people=500) as here:
        doors = (here.facts["api"], here.facts["sandbox"])
        one, neighbour = Resident(*doors), Resident(*doors)
        first = await one.enter_by_wechat("lin", "iPhone")
        assert first["is_new"]
        bound = await one.tell("POST", "/v1/me/phone", await one.code(PHONE, "bind_phone"))
        assert bound == {"phone": "+86139****0007", "other_phones": [], "wechat": 1}
        await one.tell("PUT", "/v1/me/devices", {"token": APP, "platform": "android"})
        await settled(one, "林家")
        await chosen(one)
        assert not (await neighbour.enter_by_wechat("resident1"))["is_new"]
        await neighbour.add_place("other", division=STREET, name="邻家", address="邻家9栋")

        chief, addresses = await here.log_in("chief"), (openid_of("lin"), PHONE, APP)
        before = len(here.accepts())
        alert = await warned(here, chief)
        mine = {entry.provider.partition("_")[0] for entry in here.accepts()[before:] if entry.address in addresses}
        assert mine == {"wechat", "fcm", "sms"}  # red asks no opt-out
        assert [text for text in await one.texts(PHONE) if "台风" in text]
        await answered(one, here, chief, alert)
        await counted_as_seen(one, here, chief, alert)

        await a_minute_passes(db)
        second = Resident(*doors)
        again = await second.enter_by_phone(PHONE, "Pixel")
        assert (again["account"], again["is_new"]) == (first["account"], False)
        log_ins = (await second.tell("GET", "/v1/me/log-ins"))["log_ins"]
        assert {(each["label"], each["is_this"]) for each in log_ins} == {("iPhone", False), ("Pixel", True)}

        files = everything(await second.ask("GET", "/v1/me/export"))
        held = json.loads(files["data.json"])
        assert {place["name"] for place in held["places"]} == {"林家", ""}
        assert alert in json.dumps(held["acknowledgements"])
        assert "新的手机号" in json.dumps(held["inbox"], ensure_ascii=False)
        assert not [name for name, text in files.items() if "邻家" in text or openid_of("resident1") in text]

        await a_minute_passes(db)
        leave = {"confirm": "erase", **await one.code(PHONE, "erase")}
        assert (await one.ask("POST", "/v1/me/erasure", leave)).status == 202
        assert [(await phone.ask("GET", "/v1/me")).status for phone in (one, second)] == [401, 401]
        gone = await Resident(*doors).ask("POST", "/v1/session/refresh", {"refresh_token": one.refresh})
        assert gone.status == 401

        await a_minute_passes(db)
        newcomer = Resident(*doors)
        anew = await newcomer.enter_by_phone(PHONE)
        assert (anew["is_new"], anew["account"] == first["account"]) == (True, False)
        assert (await newcomer.tell("GET", "/v1/me/places"))["places"] == []
        page = await newcomer.inbox()
        assert (page["alerts"], page["items"]) == ([], [])
        assert len((await newcomer.tell("GET", "/v1/me/log-ins"))["log_ins"]) == 1
        assert (await neighbour.ask("GET", "/v1/me")).status == 200
