"""`catalogue` as an operator sees it: loaded, counted, found, taken out and in; a line per defect and exit code 1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import command_line
from server.domain.errors import InvalidInputError
from server.storage.catalogue_files import FOLDER
from server.storage.mongo import Database

Huimin = Callable[..., Awaitable[Result]]


@pytest.fixture
def huimin(db: Database, mongo_url: str, redis_url: str, tmp_path: Path) -> Huimin:
    urls = {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name}
    environ = urls | {"HUIMIN_HOME": str(tmp_path), "COLUMNS": "200"}

    async def run(*arguments: str) -> Result:
        """In a thread of its own, for a command runs its own loop."""
        return await asyncio.to_thread(CliRunner().invoke, command_line(), ["catalogue", *arguments], env=environ)

    return run


def told(ran: Result) -> Any:
    assert ran.exit_code == 0, (ran.exception, ran.stderr)
    return json.loads(ran.stdout)


async def test_the_catalogue_is_loaded_counted_and_found_at_the_scale_of_the_plan(huimin: Huimin):
    loaded = told(await huimin("load", "--scale", "700", "--json"))
    assert (loaded["new"], loaded["changed"], loaded["defects"]) == (loaded["items"], 0, [])
    assert loaded["items"] > 1_000
    figures = {each["name"]: each for each in told(await huimin("kpi", "--json"))["figures"]}
    assert [figures[name]["target"] for name in ("one_stop", "city_wide", "nearby", "online", "proactive")] == [
        30, 105, 69, 80, 446,
    ]  # fmt: skip
    assert all(each["count"] >= each["target"] and each["gap"] == 0 for each in figures.values())
    found = told(await huimin("search", "gljt", "--json"))
    assert found["items"][0]["id"] == "elderly-allowance"
    assert found["took_ms"] < 20


async def test_what_is_exported_is_imported_again_as_no_change(huimin: Huimin, tmp_path: Path):
    told(await huimin("load", "--json"))
    for name in ("items.csv", "items.json"):
        assert "items in" in (await huimin("export", str(tmp_path / name))).stdout
        again = told(await huimin("import", str(tmp_path / name), "--json"))
        assert (again["new"], again["changed"], again["defects"]) == (0, 0, [])
    table = (tmp_path / "items.csv").read_text("utf-8").replace("高龄津贴", "尊老金")
    (tmp_path / "items.csv").write_text(table, "utf-8", newline="")
    assert told(await huimin("import", str(tmp_path / "items.csv"), "--json"))["changed"] == 1


async def test_each_defect_is_a_line_and_good_items_are_published_all_the_same(huimin: Huimin, tmp_path: Path):
    folder = copytree(FOLDER, tmp_path / "catalogue")
    file = folder / "items/elderly.yaml"
    file.write_text(file.read_text("utf-8").replace("days: [30, 5]", "days: 30"), "utf-8")
    checked = await huimin("check", "--folder", str(folder))
    assert (checked.exit_code, checked.stderr) == (
        1, "items/elderly.yaml: elderly-allowance: days: write [by law, promised] in working days\n",
    )  # fmt: skip
    loaded = await huimin("load", "--folder", str(folder), "--json")
    assert loaded.exit_code == 1
    assert len(json.loads(loaded.stdout)["defects"]) == 1
    assert json.loads(loaded.stdout)["new"] > 300


async def test_the_plan_is_shown_as_target_actual_and_gap(huimin: Huimin):
    await huimin("load", "--json")
    figures = {each["name"]: each for each in told(await huimin("kpi", "--json"))["figures"]}
    assert all(figures[name]["gap"] == 0 for name in ("one_stop", "city_wide", "nearby", "online"))
    assert figures["proactive"]["gap"] == 446 - figures["proactive"]["count"] > 0
    shown = (await huimin("kpi")).stdout
    assert all(word in shown for word in ("plan 目标", "now 现有", "gap 差额"))


async def test_an_imported_item_of_a_workflow_that_is_not_there_is_a_line(huimin: Huimin, tmp_path: Path):
    told(await huimin("load", "--json"))
    file = tmp_path / "items.json"
    await huimin("export", str(file))
    items = json.loads(file.read_text("utf-8"))
    items["items"][0]["workflow"] = "magic"
    file.write_text(json.dumps(items), "utf-8")
    ran = await huimin("import", str(file))
    name = items["items"][0]["id"]
    line = f"{name}: workflow: there is no magic: take one of data/workflows, or add it there first"
    assert ran.exit_code == 1
    assert line in ran.stderr.splitlines()


async def test_check_tells_an_item_that_nothing_can_be_booked_for(huimin: Huimin, tmp_path: Path):
    folder = copytree(FOLDER, tmp_path / "catalogue")
    desks = (folder / "desks.yaml").read_text("utf-8")
    (folder / "desks.yaml").write_text(desks.replace("marriage-{district}-marriage", "wedding-{district}"), "utf-8")
    ran = await huimin("check", "--folder", str(folder))
    assert ran.exit_code == 1
    assert "the desk marriage books wedding-440305, which has no counter in 440305" in ran.stderr


async def test_a_file_of_another_kind_or_none_is_refused(huimin: Huimin, tmp_path: Path):
    for name, code in (("items.xlsx", "file_kind_unknown"), ("gone.json", "file_unreadable")):
        ran = await huimin("import", str(tmp_path / name))
        assert isinstance(ran.exception, InvalidInputError)
        assert ran.exception.code == code
