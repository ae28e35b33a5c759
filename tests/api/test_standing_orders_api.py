"""Standing orders over HTTP, and on a city of real processes: from a partner's post to the telephones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handlers.bounds import listen
from handlers.routing import Route
from server import assemble, assemble_manners, assemble_public
from server.app import make_app
from server.domain.alerts.cap import to_cap
from server.domain.alerts.model import cap_time
from server.domain.alerts.vocabulary import Colour
from server.domain.china import CHINA
from server.domain.officers import Role
from tests.api.client import Client, Officers, client_of
from tests.api.conftest import LIMITS
from tests.api.test_main_job import BROADCASTS, City, city, eventually, handed_over
from tests.api.test_partner_job import registered
from tests.services.desk import AUTHOR, RELEASER, officer
from tests.services.order_world import PARTNER, SENDER, rain

ORDERS = "/v1/staff/standing-orders"
XML = "application/cap+xml"
FOREIGN = officer("foreign", Role.AUTHOR, Role.RELEASER, division="440306")
PART = officer("part", Role.AUTHOR, Role.RELEASER, division="440305001")


def form(**changes: object) -> dict[str, Any]:
    """Rainstorms in 南山区, blue to orange, for a month."""
    until = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")
    return {
        "partner": "bureau", "senders": [SENDER], "events": ["11B03"], "highest": "Orange", "lowest": "Blue",
        "divisions": ["440305"], "max_per_hour": 3, "valid_until": until,
    } | changes  # fmt: skip


def message(name: str = "B1", colour: Colour = Colour.YELLOW, **changes: Any) -> bytes:
    """A rainstorm of this minute."""
    now = datetime.now(UTC)
    alert = rain(name, colour, **({"sent": cap_time(now, CHINA)} | changes))
    end = cap_time(now + timedelta(hours=6), CHINA)
    infos = tuple(info.model_copy(update={"expires": end}) for info in alert.infos)
    return to_cap(alert.model_copy(update={"infos": infos}))


@pytest.fixture
async def open_api(
    assembly: assemble.Assembly, routes: list[Route], officers: Officers, readers: assemble_public.PublicParts
) -> AsyncIterator[Client]:
    """The public port with both doors, for officers and for partners."""
    gate = replace(officers.gate(), partners=readers.partners)
    server, port = listen(make_app(routes, gate, manners=assemble_manners.manners(assembly)), 0, "127.0.0.1", LIMITS)
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


@pytest.fixture
async def key(readers: assemble_public.PublicParts) -> str:
    return (await readers.partners.add(PARTNER)).key


async def test_an_order_is_drafted_released_used_changed_and_stopped(
    open_api: Client, key: str, officers: Officers
) -> None:
    author, second = officers.enter(AUTHOR), officers.enter(RELEASER)
    drafted = await open_api("POST", ORDERS, form(), token=author)
    assert (drafted.status, drafted.json["state"], drafted.json["releaser"]) == (201, "draft", None)
    path = drafted.headers["Location"]
    early = await open_api("POST", "/v1/intake", message("B0", Colour.BLUE), token=key, Content_Type=XML)
    assert early.json["state"] == "proposed"
    proposal = await open_api("GET", f"/v1/staff/intake/{early.json['id']}", token=author)
    assert [(miss["why"], miss["text_en"] != "") for miss in proposal.json["missed"]] == [("order_void", True)]

    stale = officers.enter(RELEASER, totp_age=timedelta(hours=2))
    body = {"digest": drafted.json["digest"]}
    assert (await open_api("POST", f"{path}/release", body, token=stale)).code == "totp_stale"
    assert (await open_api("POST", f"{path}/release", body, token=author)).code == "role_missing"
    done = await open_api("POST", f"{path}/release", body, token=second)
    assert (done.json["state"], done.json["releaser"]) == ("in_force", RELEASER.id)
    again = await open_api("POST", f"{path}/release", body, token=second)
    assert again.json == done.json

    taken = await open_api("POST", "/v1/intake", message(), token=key, Content_Type=XML)
    assert (taken.status, taken.json["state"]) == (202, "released")
    seen = (await open_api("GET", f"/v1/staff/intake/{taken.json['id']}", token=author)).json
    assert (seen["order"], seen["missed"]) == (done.json["id"], [])
    alert = (await open_api("GET", f"/v1/staff/alerts/{seen['draft']}", token=author)).json
    assert (alert["state"], alert["order"], alert["author"]) == ("released", seen["order"], AUTHOR.id)
    assert {step["order"] for step in alert["steps"]} == {seen["order"]}

    current = await open_api("GET", path, token=author)
    assert len(current.json["used_at"]) == 1
    late = await open_api("PUT", path, form(max_per_hour=5), token=author, If_Match=done.headers["Etag"])
    assert (late.status, late.code) == (409, "order_changed")
    changed = await open_api("PUT", path, form(max_per_hour=5), token=author, If_Match=current.headers["Etag"])
    assert (changed.json["state"], changed.json["version"], changed.json["releaser"]) == ("draft", 2, None)
    stopped = await open_api("POST", f"{path}/stop", {"reason": "不再需要"}, token=second)
    assert (stopped.json["state"], stopped.json["stopped_because"]) == ("stopped", "不再需要")
    assert [step["action"] for step in stopped.json["steps"]] == ["draft", "release", "write", "stop"]
    assert [each["id"] for each in (await open_api("GET", ORDERS, token=second)).json["orders"]] == [done.json["id"]]


async def test_an_order_of_another_district_does_not_exist_and_one_above_can_only_be_read(
    open_api: Client, key: str, officers: Officers
) -> None:
    assert key
    drafted = await open_api("POST", ORDERS, form(), token=officers.enter(AUTHOR))
    path, version, digest = drafted.headers["Location"], drafted.headers["Etag"], {"digest": drafted.json["digest"]}
    for who, read, write in ((FOREIGN, 404, 404), (PART, 200, 403)):
        token = officers.enter(who)
        nobodys = f"{ORDERS}/{'0' * 32}"
        asked = [
            await open_api("GET", path, token=token),
            await open_api("PUT", path, form(), token=token, If_Match=version),
            await open_api("POST", f"{path}/release", digest, token=token),
            await open_api("POST", f"{path}/stop", {"reason": "x"}, token=token),
        ]
        assert [answer.status for answer in asked] == [read, write, write, write]
        unknown = await open_api("GET", nobodys, token=token)
        assert (unknown.status, unknown.code) == (404, "order_unknown")
        listed = (await open_api("GET", ORDERS, token=token)).json["orders"]
        assert len(listed) == (read == 200)


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"highest": "Blue", "lowest": "Red"}, 422, None),
        ({"divisions": ["440399"]}, 422, "division"),
        ({"senders": ["stranger@x.example"]}, 422, "senders"),
        ({"valid_until": "2099-01-01T00:00:00Z"}, 422, "valid_until"),
        ({"max_per_hour": 1000}, 422, "max_per_hour"),
        ({"released_by": "me"}, 422, "released_by"),
        ({"partner": "nobody"}, 404, "id"),
        ({"kinds": ["Error"]}, 422, None),
    ],
)
async def test_bad_terms_are_problems_that_name_the_field(
    open_api: Client, key: str, officers: Officers, changes: dict[str, Any], status: int, field: str | None
) -> None:
    assert key
    answer = await open_api("POST", ORDERS, form(**changes), token=officers.enter(AUTHOR))
    assert (answer.status, answer.json.get("field")) == (status, field), answer.body


async def in_force(here: City) -> tuple[str, str]:
    """An order in 南山区, signed by two officers of the demo city, and the token of the second."""
    author, chief = await here.log_in("author"), await here.log_in("chief")
    drafted = await here.api("POST", ORDERS, form(), token=author)
    assert drafted.status == 201, drafted.body
    path = drafted.headers["Location"]
    done = await here.api("POST", f"{path}/release", {"digest": drafted.json["digest"]}, token=chief)
    assert done.json["state"] == "in_force", done.body
    return str(done.json["id"]), chief


async def audited(here: City, stream: str) -> list[dict[str, Any]]:
    """What the log has of a stream, as the auditor reads it."""
    page = await here.api("GET", f"/v1/staff/audit?stream={stream}", token=await here.log_in("auditor"))
    assert page.status == 200, page.body
    found: list[dict[str, Any]] = page.json["entries"]
    return found


async def test_a_partners_rainstorm_reaches_telephones_and_no_officer_has_touched_it(
    tmp_path: Path, mongo_url: str, redis_url: str, db: Any
) -> None:
    assert db.name == "huimin_test"  # emptied afterwards
    async with city(tmp_path, mongo_url, redis_url) as here:
        key = (await registered(here, "http://127.0.0.1:9/nobody"))["key"]
        order, chief = await in_force(here)
        beyond = [
            message("X1", division="440306"),
            message("X2", Colour.RED),
            message("X3", event="11B01"),
        ]
        for sent in beyond:
            told = await here.api("POST", "/v1/intake", sent, token=key, Content_Type=XML)
            assert (told.status, told.json["state"]) == (202, "proposed"), told.body
        assert (await here.api("POST", "/v1/intake", message(), token="hmk_forged", Content_Type=XML)).status == 401
        assert (await here.api("GET", "/v1/alerts")).json["alerts"] == []
        begun = asyncio.get_running_loop().time()
        taken = await here.api("POST", "/v1/intake", message(), token=key, Content_Type=XML)
        assert asyncio.get_running_loop().time() - begun < 2
        assert (taken.status, taken.json["state"]) == (202, "released"), taken.body

        alert = (await here.api("GET", f"/v1/staff/intake/{taken.json['id']}", token=chief)).json["draft"]

        async def people_told() -> int:
            report = (await here.api("GET", f"{BROADCASTS}/{alert}/report", token=chief)).json
            return sum(handed_over(report).values())

        assert await eventually(people_told, bool) > 0
        logged = [entry for entry in await audited(here, "intake") if entry["action"] == "intake.release"]
        assert [entry["details"]["order"] for entry in logged] == [order]
        assert logged[0]["details"]["author"] != logged[0]["details"]["releaser"]
