"""The whole main job by HTTP alone, on a city of real processes: what officers with `curl` can do, what comes of it.

The city is `python -m server run`, started as a person would start it; nothing here touches a database or an object of
the product. Who got what is asked of the sandbox's journal, which the providers keep.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
from tornado.httpclient import AsyncHTTPClient

from channels.sandbox import journal
from tests.api.client import Answer, Client

PEOPLE = 2_000
NOTICES = {"WX_NOTICE", "SMS_900000005", "SMS_900000015"}  # templates of what is told to one person
PATIENCE_S = 60.0
DESK, BROADCASTS = "/v1/staff/alerts", "/v1/staff/broadcasts"
CHANNEL_OF = {"wechat": "wechat", "fcm": "push", "sms_aliyun": "sms", "sms_tencent": "sms"}


@dataclass(slots=True)
class City:
    """What `run` printed, and where the providers keep their journal."""

    facts: dict[str, Any]
    home: Path

    @property
    def api(self) -> Client:
        """The public port."""
        return Client(urlsplit(self.facts["api"]).port or 0)

    def accepts(self) -> list[journal.Entry]:
        """All warnings that the providers took so far; residents also get notices of their own (offers, weather)."""
        taken = journal.read(self.home / "town" / "sandbox" / "journal.tsv")
        return [entry for entry in taken if entry.template not in NOTICES]

    async def log_in(self, role: str) -> str:
        """The token of the demo officer with this role."""
        who = next(each for each in self.facts["officers"] if each["role"] == role)
        code = pyotp.TOTP(who["totp_secret"]).now()
        given = {"name": who["name"], "password": who["password"], "code": code}
        answer = await self.api("POST", "/v1/staff/session", given)
        assert answer.status == 201, answer.body
        return str(answer.json["token"])

    async def receipts_in(self) -> None:
        """Wait until the providers have delivered all their receipts."""
        await AsyncHTTPClient().fetch(f"{self.facts['sandbox']}/_sandbox/flush", method="POST", body="{}")


@asynccontextmanager
async def city(
    home: Path, mongo_url: str, redis_url: str, people: int = PEOPLE, mongo_db: str = "huimin_test"
) -> AsyncIterator[City]:
    """`python -m server run --port 0 --json`, ended as a person would end it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HUIMIN_")}
    environ |= {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": mongo_db}
    arguments = ["run", "--port", "0", "--json", "--citizens", str(people), "--workers", "1"]
    with (home / "run.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", *arguments, env=environ | {"HUIMIN_HOME": str(home)},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert line, (home / "run.log").read_text()
        yield City(json.loads(line), home)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


async def watched(city: City, token: str, name: str) -> list[dict[str, Any]]:
    """The standings that the event stream tells, until the broadcast is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", city.api.port)
    head = f"GET {BROADCASTS}/{name}/events HTTP/1.1\r\nHost: city\r\nAuthorization: Bearer {token}\r\n\r\n"
    seen: list[dict[str, Any]] = []
    try:
        writer.write(head.encode())
        async with asyncio.timeout(PATIENCE_S):
            while not (seen and seen[-1]["is_over"]):
                line = await reader.readline()
                assert line, "the stream ended before the broadcast did"
                if line.startswith(b"data: "):
                    seen.append(json.loads(line.removeprefix(b"data: ")))
    finally:
        writer.close()
    return seen


async def eventually(ask: Callable[[], Any], is_right: Callable[[Any], bool]) -> Any:
    """The first right answer within the time."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_right(answer := await ask()):
            await asyncio.sleep(0.2)
    return answer


def counted(entries: list[journal.Entry]) -> Counter[str]:
    """Accepts by channel."""
    return Counter(CHANNEL_OF[entry.provider] for entry in entries)


def handed_over(report: dict[str, Any]) -> dict[str, int]:
    """People by channel of whom the report says that a provider took their notice."""
    took = ("accepted", "undelivered", "delivered", "read")
    return {
        channel: total
        for channel, standing in report["channels"].items()
        if (total := sum(standing["statuses"].get(status, 0) for status in took))
    }


async def submit(api: Client, token: str, draft: Answer) -> dict[str, Any]:
    """Hand in what was drafted, knowing the warnings that validation has told."""
    path = draft.headers["Location"]
    found = (await api("POST", f"{path}/validate", token=token)).json
    assert found["may_be_submitted"], found
    known = {"acknowledged": [each["code"] for each in found["findings"]]}
    waiting = await api("POST", f"{path}/submit", known, token=token, If_Match=draft.headers["Etag"])
    assert waiting.status == 200, waiting.body
    answer: dict[str, Any] = waiting.json
    return answer


async def test_the_main_job_is_done_by_http_alone(tmp_path: Path, mongo_url: str, redis_url: str, db: Any) -> None:
    assert db.name == "huimin_test"  # emptied afterwards
    async with city(tmp_path, mongo_url, redis_url) as here:
        api, author, chief = here.api, await here.log_in("author"), await here.log_in("chief")

        form = {
            "event": "11B01", "colour": "Red", "areas": [{"divisions": ["440305"]}],
            "expires_at": (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
            "words": {"zh": {"description": "中心附近最大风力14级。"}, "en": {"description": "Force 14."}},
        }  # fmt: skip
        draft = await api("POST", DESK, form, token=author)
        assert draft.status == 201, draft.body
        waiting = await submit(api, author, draft)
        path, name = f"{DESK}/{waiting['identifier']}", waiting["identifier"]

        preview = (await api("GET", f"{path}/preview", token=chief)).json
        assert preview["people"]["people"] == PEOPLE
        assert preview["digest"] == waiting["digest"]
        assert {text["channel"] for text in preview["texts"]} == {"wechat", "push", "sms"}

        alone = await api("POST", f"{path}/release", {"digest": preview["digest"]}, token=author)
        assert alone.status == 403
        assert here.accepts() == []
        released = await api("POST", f"{path}/release", {"digest": preview["digest"]}, token=chief)
        assert (released.status, released.json["state"]) == (200, "released"), released.body

        standings = await watched(here, author, name)
        assert standings[-1]["state"] == "finished"
        assert sum(channel["left"] for channel in standings[-1]["channels"].values()) == 0
        accepts = here.accepts()
        assert min(counted(accepts).values()) > PEOPLE // 4
        first = min(entry.at for entry in accepts) - datetime.fromisoformat(released.json["released_at"])
        assert first < timedelta(seconds=5)

        active = await eventually(
            lambda: api("GET", "/v1/alerts?division=440305"), lambda answer: name in answer.body.decode()
        )
        assert active.status == 200
        await here.receipts_in()
        report = await eventually(
            lambda: api("GET", f"{BROADCASTS}/{name}/report", token=chief),
            lambda answer: handed_over(answer.json) == dict(counted(accepts)),
        )
        assert report.json["channels"]["sms"]["statuses"]["delivered"] > 0

        cancelled = await api("POST", f"{path}/cancel", {"note": "台风已远离"}, token=author)
        assert (cancelled.status, cancelled.json["state"]) == (201, "submitted"), cancelled.body
        end = cancelled.json["identifier"]
        over = await api("POST", f"{DESK}/{end}/release", {"digest": cancelled.json["digest"]}, token=chief)
        assert over.status == 200, over.body
        assert (await watched(here, chief, end))[-1]["state"] == "finished"
        all_clear = here.accepts()[len(accepts) :]
        reached = {entry.address for entry in accepts}
        assert all_clear
        assert {entry.address for entry in all_clear} <= reached
        assert {entry.template for entry in all_clear}.isdisjoint({e.template for e in accepts if e.provider != "fcm"})
        await eventually(
            lambda: api("GET", "/v1/alerts?division=440305"), lambda answer: name not in answer.body.decode()
        )
        assert (await api("GET", path, token=author)).json["state"] == "cancelled"

        table = await api("GET", f"{BROADCASTS}/{end}/report.csv", token=chief)
        rows = list(csv.DictReader(StringIO(table.body.decode("utf-8-sig"))))
        await here.receipts_in()
        assert {row["channel"] for row in rows} >= set(counted(all_clear))
        steps = [step["action"] for step in (await api("GET", path, token=chief)).json["steps"]]
        assert steps == ["draft", "submit", "release", "mark_cancelled"]
        auditor = await here.log_in("auditor")
        assert (await api("GET", "/v1/staff/audit", token=auditor)).status == 200
