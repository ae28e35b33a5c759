"""The doctor tells whether the scanner and the departments are there, and what to do if not."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.sandbox.process import SandboxProcess
from server.commands.town import environment
from server.settings import Settings
from tests.channels.sandbox_world import COMMAND

ASK = "import typer; from server.commands.doctor import doctor; typer.run(doctor)"


async def told(tmp_path: Path, **environ: str) -> dict[str, dict[str, Any]]:
    """The findings by what they are about."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HUIMIN_")}
    own = {"HUIMIN_HOME": str(tmp_path), "HUIMIN_PORT": "0", "HUIMIN_ADMIN_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASK, "--json", env=plain | environ | own, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return {finding["what"]: finding for finding in json.loads(said)["findings"]}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path / "sandbox")
    yield process
    await process.kill()


async def test_what_is_reachable_is_well_and_what_has_died_is_named_with_advice(
    sandbox: SandboxProcess, tmp_path: Path
):
    aids = sandbox.aids(["population", "marriage"])
    environ = environment(Settings(mode="sandbox").model_copy(update=dict(aids)))
    well = await told(tmp_path, **environ)
    assert (well["clamd"]["is_well"], well["department"]["is_well"]) == (True, True)
    assert "2 sources" in well["department"]["seen"]
    await sandbox.kill()
    ill = await told(tmp_path, **environ)
    assert (ill["clamd"]["is_well"], ill["department"]["is_well"]) == (False, False)
    assert "HUIMIN_CLAMD_URL" in ill["clamd"]["advice"]
    assert "certificate" in ill["department"]["advice"]


async def test_a_city_without_departments_is_well_and_a_wrong_file_is_not(tmp_path: Path):
    assert (await told(tmp_path))["departments"]["is_well"]
    wrong = await told(tmp_path, HUIMIN_DEPARTMENTS=str(tmp_path / "none.yaml"))
    assert not wrong["departments"]["is_well"]
    assert "none.yaml" in wrong["departments"]["seen"]
