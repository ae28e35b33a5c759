"""`doctor`: is everything here that Huimin needs, and if not, what to do. It changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from channels.clamd import Clamd
from server import settings
from server.assemble_departments import departments_of
from server.binaries import MONGOD, VALKEY, Program, find
from server.domain.errors import ConfigurationError, HuiminError
from server.storage.catalogues import load_source_policy

REACH_S = 3.0  # how long whoever stands outside may take to answer
ROOM_BYTES = 2 << 30  # a fresh mongod takes 300 MB, a demo and a test run some hundred more


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` is empty where all is well."""

    what: str
    is_well: bool
    seen: str
    advice: str = ""


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Check Python, binaries, settings, ports, disk and neighbours; say what to do. Exit code 1: something is wrong."""
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
    yield _scanner(chosen)
    yield from _departments(chosen)


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


def _scanner(chosen: settings.Settings) -> Finding:
    advice = "start clamd (apt install clamav-daemon) and name it in HUIMIN_CLAMD_URL; until then no file is taken"
    if chosen.clamd_url is None:
        seen = "HUIMIN_CLAMD_URL is not set" + ("" if chosen.mode == "production" else ": nothing looks at attachments")
        return Finding("clamd", chosen.mode != "production", seen, advice)
    is_there = asyncio.run(Clamd(chosen.clamd_url, REACH_S).ping())
    return Finding("clamd", is_there, f"{chosen.clamd_url} {'answers' if is_there else 'does not answer'}", advice)


def _departments(chosen: settings.Settings) -> Iterator[Finding]:
    """Whether a connection comes up, with its certificate; nobody is asked about anybody."""
    try:
        accounts = departments_of(chosen, load_source_policy())
    except ConfigurationError as error:
        yield Finding("departments", is_well=False, seen=error.en, advice="correct it: docs/departments.md")
        return
    if not accounts:
        yield Finding("departments", is_well=True, seen="HUIMIN_DEPARTMENTS is not set: citizens bring papers")
    advice = "check address, network and certificate with the department; citizens upload papers meanwhile"
    for account in accounts:
        where = f"{account.base_url} ({len(account.sources)} sources)"
        try:
            _connect(account)
        except (OSError, ValueError) as error:
            yield Finding("department", is_well=False, seen=f"{where}: {error}", advice=advice)
        else:
            yield Finding("department", is_well=True, seen=f"{where} is reachable")


def _connect(account: settings.DepartmentAccount) -> None:
    url = urlsplit(account.base_url)
    is_tls, host = url.scheme == "https", url.hostname or ""
    with socket.create_connection((host, url.port or (443 if is_tls else 80)), REACH_S) as plain:
        if is_tls:
            ssl.create_default_context(cafile=account.ca_file).wrap_socket(plain, server_hostname=host).close()


def _table(findings: list[Finding]) -> Table:
    table = Table("", "what", "seen", "what to do", box=None, pad_edge=False)
    for finding in findings:
        mark = "[green]ok[/]" if finding.is_well else "[red]no[/]"
        table.add_row(mark, finding.what, finding.seen, "" if finding.is_well else finding.advice)
    return table
