"""`keys` on the command line: a new key comes in step by step, and the old one can go when it says so."""

from __future__ import annotations

import asyncio
import json
import os
import re
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.commands.keys import app
from server.settings import SANDBOX_KEY
from server.storage.citizens import Citizens
from server.storage.mongo import Database
from server.storage.vault import Vault
from tests.push.city import DIVISIONS, crowd

FRESH = b64encode(bytes([7]) * 32).decode()


async def keys(*arguments: str) -> Result:
    """The command in this process, on a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_a_new_key_comes_with_the_settings_of_each_step():
    first, again = await keys("new"), await keys("new")
    assert first.exit_code == 0
    [key] = set(re.findall(r"[A-Za-z0-9+/]{43}=", first.stdout))
    assert len(b64decode(key)) == 32
    assert key not in again.stdout
    assert f'HUIMIN_OLD_DATA_KEYS={{"2": "{key}"}}' in first.stdout
    assert "HUIMIN_DATA_KEY_VERSION=2" in first.stdout
    assert SANDBOX_KEY not in first.stdout


async def test_status_counts_by_version_and_rotate_says_when_the_old_key_can_go(
    db: Database, mongo_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sealing = Vault({1: b64decode(SANDBOX_KEY)}, b64decode(SANDBOX_KEY), os.urandom)
    made = crowd(20, 3)
    await Citizens(db, sealing, DIVISIONS.index_of).add(made)
    values = sum(len(v) for c in made for v in c.addresses.values())
    where = {
        "HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name,
        "HUIMIN_HOME": str(tmp_path), "HUIMIN_DATA_KEY": FRESH, "HUIMIN_DATA_KEY_VERSION": "2",
    }  # fmt: skip
    for name, value in where.items():
        monkeypatch.setenv(name, value)

    def counted(told: Result) -> dict[str, int]:
        rows: list[dict[str, Any]] = json.loads(told.stdout)["fields"]
        versions: dict[str, int] = {}
        for row in rows:
            for version, number in row["versions"].items():
                versions[version] = versions.get(version, 0) + number
        return versions

    blind = await keys("status", "--json")
    assert (blind.exit_code, counted(blind)) == (1, {"1": values})
    with monkeypatch.context() as before:
        before.setenv("HUIMIN_OLD_DATA_KEYS", json.dumps({"1": SANDBOX_KEY}))
        told = await keys("rotate", "--json")
    assert told.exit_code == 0, told.stderr
    assert json.loads(told.stdout) == {"version": 2, "resealed": values, "left": 0, "spoilt": 0, "is_over": True}
    after = await keys("status", "--json")
    assert (after.exit_code, counted(after)) == (0, {"2": values})
    assert FRESH not in told.stdout + told.stderr
    shown = await keys("status")
    assert "v2 (current)" in shown.stdout
    assert [e["details"]["resealed"] for e in await db["audit"].find({"action": "keys.rotate"}).to_list()] == [values]
