"""`rules` as an operator sees it: looked through, handed in, compared, counted; a line per defect and exit code 1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from server.__main__ import command_line
from server.storage.catalogues import DATA
from server.storage.mongo import Database

Huimin = Callable[..., Awaitable[Result]]


@pytest.fixture
def huimin(db: Database, mongo_url: str, redis_url: str, tmp_path: Path) -> Huimin:
    urls = {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name}
    environ = urls | {"HUIMIN_HOME": str(tmp_path / "home"), "COLUMNS": "200"}

    async def run(*arguments: str) -> Result:
        """In a thread of its own, for a command runs its own loop."""
        return await asyncio.to_thread(lambda: CliRunner().invoke(command_line(), arguments, env=environ))

    return run


def told(ran: Result) -> Any:
    assert ran.exit_code == 0, (ran.exception, ran.stderr)
    return json.loads(ran.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The city's rules, to be changed by a test."""
    return copytree(DATA / "rules", tmp_path / "rules")


async def test_a_folder_is_looked_through_without_a_database_and_each_defect_has_its_line(
    huimin: Huimin, folder: Path
) -> None:
    assert told(await huimin("rules", "check", "--json"))["rules"] >= 30
    file = folder / "elders.yaml"
    file.write_text(file.read_text("utf-8").replace("item: elderly-card", "item: elderly-kart"), "utf-8")
    line = file.read_text("utf-8").splitlines().index("  item: elderly-kart") + 1
    ran = await huimin("rules", "check", "--folder", str(folder))
    assert ran.exit_code == 1
    assert f"elders.yaml:{line}: elderly-card-60 item: there is no elderly-kart" in ran.stderr
    assert (await huimin("rules", "schema")).stdout == (DATA / "rules" / "rule.schema.json").read_text("utf-8")


async def test_what_is_loaded_waits_for_a_second_person_and_counts_when_it_is_in_force(
    huimin: Huimin, db: Database, folder: Path
) -> None:
    told(await huimin("catalogue", "load", "--json"))
    loaded = told(await huimin("rules", "load", "--json"))
    assert len(loaded["handed_in"]) == loaded["rules"]
    assert told(await huimin("rules", "load", "--json"))["handed_in"] == []
    lines = told(await huimin("rules", "list", "--json"))["rules"]
    assert {line["desk"] for line in lines} == {"submitted 1"}
    before = {each["name"]: each["count"] for each in told(await huimin("catalogue", "kpi", "--json"))["figures"]}
    await db["rules"].update_many({}, {"$set": {"state": "live", "slot": "force"}})  # as if they were released
    assert told(await huimin("rules", "diff", "--json"))["different"] == {}
    after = {each["name"]: each["count"] for each in told(await huimin("catalogue", "kpi", "--json"))["figures"]}
    assert after["proactive"] > before["proactive"]
    file = folder / "elders.yaml"
    file.write_text(file.read_text("utf-8").replace("lasts_days: 365", "lasts_days: 300"), "utf-8")
    different = told(await huimin("rules", "diff", "--folder", str(folder), "--json"))["different"]
    assert different == {"elderly-card-60": ["lasts_days: 365 -> 300"]}
    again = told(await huimin("rules", "load", "--folder", str(folder), "--json"))
    assert again["handed_in"] == ["elderly-card-60@2"]
