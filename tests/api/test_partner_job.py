"""A partner's whole job on a city of real processes: registered on the command line, told by webhook, handing in."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from server.domain.alerts.cap import to_cap
from server.domain.alerts.model import cap_time
from server.domain.china import CHINA
from server.domain.partners import signature
from tests.api.test_main_job import City, city, submit
from tests.channels.scripted import Provider, http
from tests.services.desk import typhoon

SENDER = "bureau@sz.example"
XML = "application/cap+xml"


async def registered(here: City, url: str) -> dict[str, str]:
    """What `partner add` prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIMIN_")}
    environ |= {"HUIMIN_MONGO_URL": here.facts["mongo"], "HUIMIN_REDIS_URL": here.facts["redis"]}
    environ |= {"HUIMIN_MONGO_DB": "huimin_test", "HUIMIN_HOME": str(here.home)}
    arguments = ["partner", "add", "bureau", "--name", "市气象局", "--url", url, "--sender", SENDER, "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", *arguments, env=environ, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    found: dict[str, str] = json.loads(printed)
    return found


def message() -> bytes:
    """A typhoon alert of the partner's own."""
    now = datetime.now(UTC)
    end = cap_time(now + timedelta(hours=6), CHINA)
    infos = tuple(info.model_copy(update={"expires": end, "headline": info.event}) for info in typhoon().infos)
    head = {"identifier": "B1", "sender": SENDER, "sent": cap_time(now, CHINA), "infos": infos}
    return to_cap(typhoon().model_copy(update=head))


async def test_what_a_partner_hands_in_comes_back_signed_once_two_officers_have_released_it(
    tmp_path: Path, mongo_url: str, redis_url: str, db: Any
) -> None:
    assert db.name == "huimin_test"  # emptied afterwards
    receiver = Provider(lambda _: http(b"", 204))
    await receiver.start()
    try:
        async with city(tmp_path, mongo_url, redis_url) as here:
            partner = await registered(here, f"{receiver.url}/hook")
            api, author, chief = here.api, await here.log_in("author"), await here.log_in("chief")
            taken = await api("POST", "/v1/intake", message(), token=partner["key"], Content_Type=XML)
            assert (taken.status, taken.json["state"]) == (202, "proposed"), taken.body
            draft = await api("POST", f"/v1/staff/intake/{taken.json['id']}/adopt", token=author)
            assert draft.status == 201, draft.body
            assert receiver.requests == []
            waiting = await submit(api, author, draft)
            path = f"/v1/staff/alerts/{waiting['identifier']}"
            done = await api("POST", f"{path}/release", {"digest": waiting["digest"]}, token=chief)
            assert done.status == 200, done.body
            async with asyncio.timeout(3):
                while not receiver.requests:
                    await asyncio.sleep(0.02)
            told = receiver.requests[0]
            assert json.loads(told.body)["alert"]["identifier"] == waiting["identifier"]
            signed = signature(partner["secret"], "bureau/1", int(told.header("webhook-timestamp")), told.body)
            assert told.header("webhook-signature") == signed
            events = (await api("GET", "/v1/feeds/events?since=0")).json["events"]
            assert [event["alert"]["identifier"] for event in events] == [waiting["identifier"]]
        assert len(receiver.requests) == 1
    finally:
        await receiver.stop()
