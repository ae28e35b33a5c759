"""`facts` as an operator sees it: a file is checked, imported once and listed; refused lines mean exit code 1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import command_line
from server.domain.errors import InvalidInputError
from server.storage.mongo import Database
from tests.domain.numbers import id_number

Huimin = Callable[..., Awaitable[Result]]
FEED = f"""id_number,fact,value,as_of
{id_number()},id_card_until,2031-05-01,2026-01-20
{id_number()},id_card_until,2031-02-30,2026-01-20
"""


@pytest.fixture
def huimin(db: Database, mongo_url: str, redis_url: str, tmp_path: Path) -> Huimin:
    urls = {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name}
    environ = urls | {"HUIMIN_HOME": str(tmp_path), "COLUMNS": "160"}

    async def run(*arguments: str) -> Result:
        """In a thread of its own, for a command runs its own loop."""
        return await asyncio.to_thread(CliRunner().invoke, command_line(), ["facts", *arguments], env=environ)

    return run


@pytest.fixture
def feed(tmp_path: Path) -> str:
    path = tmp_path / "feed.csv"
    path.write_text(FEED)
    return str(path)


async def test_a_file_is_checked_before_anything_is_kept(huimin: Huimin, feed: str, db: Database):
    ran = await huimin("check", feed, "--source", "population", "--json")
    wrong = [{"line": 3, "code": "date_wrong", "field": "value"}]
    assert (ran.exit_code, json.loads(ran.stdout)) == (1, {"lines": 2, "refused": 1, "first_refused": wrong})
    assert await db["fact_imports"].count_documents({}) == 0


async def test_a_file_is_imported_once_with_a_report_that_repeats_nothing_of_it(
    huimin: Huimin, feed: str, db: Database, tmp_path: Path
):
    report = tmp_path / "report.csv"
    first = await huimin("import", feed, "--source", "population", "--report", str(report))
    assert first.exit_code == 1, first.exception
    assert "line 3: date_wrong" in first.stderr
    assert report.read_text("utf-8-sig").splitlines()[1].startswith("3,date_wrong,value,日期有误")
    again = await huimin("import", feed, "--source", "population")
    assert "imported before" in again.stdout
    said = f"{first.stdout}{first.stderr}{again.stdout}{report.read_text()}"
    assert id_number() not in said
    [entry] = json.loads((await huimin("list", "--json")).stdout)
    assert (entry["is_done"], entry["lines"], entry["refused"], entry["unknown"]) == (True, 2, 1, 1)
    assert "population" in (await huimin("list")).stdout
    await db["facts"].drop_indexes()


async def test_a_source_that_was_never_registered_is_refused(huimin: Huimin, feed: str, db: Database):
    ran = await huimin("import", feed, "--source", "astrology")
    assert isinstance(ran.exception, InvalidInputError)
    assert ran.exception.code == "source_unregistered"
    await db["facts"].drop_indexes()
