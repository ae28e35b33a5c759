"""`doctor`: is everything here that Huimin needs, and if not, what to do. It changes nothing."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from server import settings
from server.binaries import MONGOD, VALKEY, Program, find
from server.domain.errors import ConfigurationError, HuiminError

ROOM_BYTES = 2 << 30  # a fresh mongod takes 300 MB, a demo and a test run some hundred more


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` is empty where all is well."""

    what: str
    is_well: bool
    seen: str
    advice: str = ""


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Check Python, binaries, libraries, settings, ports and disk; say what to do. Exit code 1: something is wrong."""
    findings = list(_look())
    is_well = all(finding.is_well for finding in findings)
    if as_json:
        typer.echo(json.dumps({"is_well": is_well, "findings": [asdict(f) for f in findings]}, ensure_ascii=False))
    else:
        Console().print(_table(findings))
    raise typer.Exit(0 if is_well else 1)


def _look() -> Iterator[Finding]:
    yield Finding("python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer")
    try:
        chosen = settings.load(os.environ)
    except HuiminError as error:
        yield Finding("settings", is_well=False, seen=error.en, advice="correct or unset these variables")
        chosen = settings.Settings.model_construct()
    else:
        yield Finding("settings", is_well=True, seen=f"mode {chosen.mode}, city {chosen.city}")
    for url, program, named in (
        (chosen.mongo_url, MONGOD, chosen.mongod),
        (chosen.redis_url, VALKEY, chosen.valkey),
    ):
        yield _server_named(program, url) if url else _binary(program, named)
    for name, port in (("port", chosen.port), ("admin_port", chosen.admin_port)):
        yield _port(name, port)
    yield _room(chosen.home)


def _server_named(program: Program, url: str) -> Finding:
    return Finding(program.title, is_well=True, seen=f"named in the settings ({url.rpartition('@')[2]})")


def _binary(program: Program, named: Path | None) -> Finding:
    try:
        found = find(program, named)
    except ConfigurationError as error:
        return Finding(program.title, is_well=False, seen=error.code, advice=error.en)
    return Finding(program.title, is_well=True, seen=f"{found.version} from {found.source} ({found.path})")


def _port(name: str, port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            advice = f"a running Huimin may be using it; else name another in HUIMIN_{name.upper()}"
            return Finding(name, is_well=False, seen=f"{port}: {error.strerror}", advice=advice)
    return Finding(name, is_well=True, seen=f"{port} is free")


def _room(home: Path) -> Finding:
    there = next(folder for folder in (home.resolve(), *home.resolve().parents) if folder.exists())
    free_bytes = shutil.disk_usage(there).free
    is_writable = os.access(there, os.W_OK)
    return Finding(
        "home",
        is_well=is_writable and free_bytes >= ROOM_BYTES,
        seen=f"{home.resolve()}: {free_bytes >> 20} MB free{'' if is_writable else ', not writable'}",
        advice=f"name a writable folder with {ROOM_BYTES >> 20} MB free in HUIMIN_HOME",
    )


def _table(findings: list[Finding]) -> Table:
    table = Table("", "what", "seen", "what to do", box=None, pad_edge=False)
    for finding in findings:
        mark = "[green]ok[/]" if finding.is_well else "[red]no[/]"
        table.add_row(mark, finding.what, finding.seen, "" if finding.is_well else finding.advice)
    return table
