"""`booking` as an operator sees it: loads once, tells what is wrong, lays out what is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import command_line
from server.storage.mongo import Database

Huimin = Callable[..., Awaitable[Result]]


@pytest.fixture
def huimin(db: Database, mongo_url: str, redis_url: str, tmp_path: Path) -> Huimin:
    urls = {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name}
    environ = urls | {"HUIMIN_HOME": str(tmp_path), "COLUMNS": "200"}
    app = command_line()

    async def run(*arguments: str) -> Result:
        """In a thread of its own, for a command runs its own loop."""
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environ)

    return run


def told(ran: Result) -> Any:
    assert ran.exit_code == 0, ran.exception
    return json.loads(ran.stdout)


async def test_a_district_is_loaded_once_listed_and_laid_out(huimin: Huimin, db: Database):
    first = told(await huimin("booking", "load", "--division", "130127", "--json"))
    assert first["added"] == sum(first["kinds"].values()) == await db["resources"].count_documents({})
    again = told(await huimin("booking", "load", "--division", "130127", "--json"))
    assert (again["added"], again["unchanged"], again["different"]) == (0, first["added"], [])
    laid = told(await huimin("booking", "layout", "--kind", "home_visit", "--json"))
    assert laid["resources"] == 3
    assert laid["new_seats"] == await db["seats"].count_documents({}) > 0
    assert told(await huimin("booking", "layout", "--kind", "home_visit", "--json"))["new_seats"] == 0
    listed = told(await huimin("booking", "list", "--kind", "hospital", "--limit", "2", "--json"))
    assert [each["unit_name"]["en"] for each in listed] == ["Gaoyi County Hospital"] * 2
    assert listed[0]["laid_until"] is None
    shown = await huimin("booking", "list", "--kind", "hospital")
    assert "高邑县医院" in shown.stdout
    assert f"of {first['kinds']['hospital']} resources" in shown.stdout


async def test_a_wrong_file_loads_nothing_and_tells_each_defect_in_a_line(huimin: Huimin, db: Database, tmp_path: Path):
    (tmp_path / "booking").mkdir()
    unit = "{id: h1, template: hotel, zh: 医院, en: Hospital, division: '999999'}"
    (tmp_path / "booking" / "own.yaml").write_text(f"units: [{unit}]\n", "utf-8")
    ran = await huimin("booking", "load", "--data", str(tmp_path))
    assert ran.exit_code == 2
    assert ran.stderr.splitlines() == [
        "own.yaml: units.0.template: no templates of the name hotel",
        "own.yaml: units.0.division: there is no division 999999",
    ]
    as_json = await huimin("booking", "load", "--data", str(tmp_path), "--json")
    assert as_json.exit_code == 2
    assert [each["path"] for each in json.loads(as_json.stdout)["defects"]] == ["units.0.template", "units.0.division"]
    assert await db["resources"].count_documents({}) == 0
