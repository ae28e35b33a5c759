"""`officer` and `audit` as an operator sees them: a link to hand over, a log that is whole or not, exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from server.__main__ import command_line
from server.domain.errors import InvalidInputError
from server.storage.mongo import Database

CREATE = ("officer", "create", "--name", "王敏", "--person", "p1", "--roles", "author,drill", "--events", "11B")
UNIT = ("--unit", "44030041600000", "--unit-name", "深圳市气象台", "--sender", "weather@sz.example")
Huimin = Callable[..., Awaitable[Result]]


@pytest.fixture
def huimin(db: Database, mongo_url: str, redis_url: str, tmp_path: Path) -> Huimin:
    urls = {"HUIMIN_MONGO_URL": mongo_url, "HUIMIN_REDIS_URL": redis_url, "HUIMIN_MONGO_DB": db.name}
    environ = urls | {"HUIMIN_HOME": str(tmp_path), "COLUMNS": "200"}
    app: typer.Typer = command_line()

    async def run(*arguments: str) -> Result:
        """In a thread of its own, for a command runs its own loop."""
        return await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environ)

    return run


def told(ran: Result) -> Any:
    assert ran.exit_code == 0, ran.exception
    return json.loads(ran.stdout)


async def test_an_operator_invites_lists_locks_and_recovers(huimin: Huimin):
    made = told(await huimin(*CREATE, *UNIT, "--json"))
    assert (made["path"], len(made["link"])) == ("/v1/staff/activation", 43)
    second = await huimin(
        *CREATE[:3], "李强", "--person", "p2", "--roles", "chief", *UNIT[:2]
    )  # the unit is known by now
    assert "/v1/staff/activation#" in second.stdout
    (first, chief) = told(await huimin("officer", "list", "--json"))
    assert (first["name"], first["roles"], first["state"]) == ("王敏", ["author", "drill"], "invited")
    assert (chief["unit"], chief["division"]) == ("44030041600000", "440300")
    assert told(await huimin("officer", "lock", "王敏"))["state"] == "locked"
    assert told(await huimin("officer", "unlock", first["id"]))["state"] == "invited"
    assert told(await huimin("officer", "roles", "王敏", "author"))["roles"] == ["author"]
    assert told(await huimin("officer", "recover", "王敏", "--json"))["link"] != made["link"]
    assert told(await huimin("officer", "sessions", "王敏", "--end", "--json")) == {"sessions": [], "are_ended": True}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*CREATE[:6], "--roles", "author,auditor", *UNIT), "roles_mixed"),
        ((*CREATE[:6], "--roles", "king", *UNIT), "officer_invalid"),
        ((*CREATE, "--unit", "44030041600000"), "officer_invalid"),
        (("officer", "lock", "无名氏"), "officer_unknown"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(huimin: Huimin, arguments: tuple[str, ...], code: str):
    ran = await huimin(*arguments)
    assert isinstance(ran.exception, InvalidInputError)
    assert (ran.exception.code, ran.stdout) == (code, "")


async def test_the_log_is_whole_until_somebody_touches_it(huimin: Huimin, db: Database):
    told(await huimin(*CREATE, *UNIT, "--json"))
    assert told(await huimin("audit", "sign", "--json")) == [{"stream": "officer", "entry": 2}]
    assert told(await huimin("audit", "verify", "--json")) == {"is_whole": True, "findings": []}
    (done, begun) = told(await huimin("audit", "show", "officer", "--json"))
    assert (done["actor"], done["action"], begun["result"]) == ("operator", "officer.create", "begun")
    await db["audit"].delete_one({"stream": "officer", "seq": 2})
    ran = await huimin("audit", "verify", "--json")
    assert ran.exit_code == 1
    assert [finding["code"] for finding in json.loads(ran.stdout)["findings"]] == ["audit_truncated"]
    assert "audit_truncated" in (await huimin("audit", "verify")).stdout
