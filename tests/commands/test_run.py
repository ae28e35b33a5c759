"""`run` as a script sees it: one line when ready, what dies comes back, SIGTERM leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pyotp import TOTP
from redis.asyncio import Redis
from tornado.httpclient import AsyncHTTPClient

from server.commands.run import Options, serve_city
from server.domain.errors import ConfigurationError
from server.settings import Settings
from server.storage import mongo

PROC = Path("/proc")


def children(pid: int) -> dict[int, str]:
    """The processes that this one started, with their command lines."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if parent == pid:
                found[int(entry.name)] = line
    return found


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait for it."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """A small city that runs, and what it said."""
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "run", "--port", "0", "--json", "--citizens", "300", "--workers", "1"),
            env={**os.environ, "HUIMIN_HOME": str(tmp_path / "home")},
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    assert line, (tmp_path / "log").read_text()
    yield process, json.loads(line)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def edit(facts: dict[str, Any]) -> None:
    """The editor logs in as the README says and sees the catalogue; the clerk reaches the inbox of applications."""
    http, staff = AsyncHTTPClient(), f"{facts['api']}/v1/staff"
    kind = {"Content-Type": "application/json"}
    for role, path in (("editor", "items?limit=1"), ("clerk", "applications"), ("approver", "applications")):
        told = next(officer for officer in facts["officers"] if officer["role"] == role)
        body = {"name": told["name"], "password": told["password"], "code": TOTP(told["totp_secret"]).now()}
        entered = await http.fetch(f"{staff}/session", method="POST", headers=kind, body=json.dumps(body))
        own = {"Authorization": f"Bearer {json.loads(entered.body)['token']}"}
        assert (await http.fetch(f"{staff}/{path}", headers=own)).code == 200


async def test_a_city_says_where_it_is_heals_itself_and_ends_without_a_trace(
    city: tuple[asyncio.subprocess.Process, dict[str, Any]], tmp_path: Path
):
    process, facts = city
    assert list(facts) == ["api", "ops", "sandbox", "mongo", "redis", "officers", "citizens"]
    async with mongo.client(facts["mongo"]) as client, Redis.from_url(facts["redis"]) as redis:
        assert await client["huimin"]["citizens"].estimated_document_count() == 300
        assert await client["huimin"]["counters"].find_one({"_id": "440305"})
        assert await client["huimin"]["rules"].count_documents({"state": "live"}) >= 30
        assert await redis.ping()
    roles = {"author", "releaser", "chief", "auditor", "administrator", "clerk", "approver", "editor", "planner"}
    assert {officer["role"] for officer in facts["officers"]} == roles
    http = AsyncHTTPClient()
    assert all(len(TOTP(officer["totp_secret"]).now()) == 6 for officer in facts["officers"])
    assert len({officer["password"] for officer in facts["officers"]}) == len(roles)
    assert (await http.fetch(f"{facts['api']}/openapi.json")).code == 200
    await edit(facts)
    kind = {"Content-Type": "application/json"}
    code = {"code": f"{facts['citizens'][0]['wechat']}.1"}
    session = f"{facts['api']}/v1/session"
    entered = json.loads(
        (await http.fetch(f"{session}/wechat", method="POST", headers=kind, body=json.dumps(code))).body
    )
    assert entered["is_new"] is False, "somebody who lives here"
    own = {"Authorization": f"Bearer {entered['access_token']}"}
    assert json.loads((await http.fetch(session, headers=own)).body)["account"] == entered["account"]

    before = children(process.pid)
    parts = ("mongod", "valkey", "server sandbox", "server api", "server worker")
    assert all(any(part in line for line in before.values()) for part in parts), before
    for part in ("server api", "server worker", "valkey"):
        os.kill(next(pid for pid, line in before.items() if part in line), signal.SIGKILL)
    await until(lambda: (tmp_path / "log").read_text().count("process_started_again") == 3)
    assert len(children(process.pid)) == len(before)
    assert (await http.fetch(f"{facts['ops']}/readyz")).code == 200
    assert (await http.fetch(f"{facts['api']}/openapi.json")).code == 200

    last = children(process.pid)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    assert not [pid for pid in last if (PROC / str(pid)).exists()]
    assert process.stdout is not None
    assert await process.stdout.read() == b"", "one line, and nothing after it"


async def test_it_refuses_to_start_in_production(tmp_path: Path):
    options = Options(port=0, is_json=True, citizens=1, workers=1)
    with pytest.raises(ConfigurationError) as refused:
        await serve_city(Settings(mode="production", home=tmp_path), options)
    assert refused.value.code == "run_in_production"
