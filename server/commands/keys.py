"""`keys`: which data keys seal what, change to a new one while the city works, make a new one."""

from __future__ import annotations

import json
import os
import secrets
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from server.assemble import Assembly
from server.commands.serve import assembled
from server.domain.audit import OPERATOR, Event
from server.services.key_rotation import KeyRotation, Rotated
from server.settings import load
from server.storage.sealed import SealedField, SealedValues

app = typer.Typer(no_args_is_help=True, help="The keys of personal data: status, rotation. 密钥")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def new() -> None:
    """Print a fresh key, and the settings that bring it in without a moment in which something cannot be read."""
    settings = load(os.environ)
    key, version = b64encode(secrets.token_bytes(32)).decode(), max(settings.keys) + 1
    now, old = settings.data_key_version, "<the present key 现用密钥>"
    typer.echo(
        f"# 1. every process, then restart all of them: they open with the new key 先让所有进程认识新密钥\n"
        f'HUIMIN_OLD_DATA_KEYS={{"{version}": "{key}"}}\n'
        f"# 2. every process, then restart all of them: they seal with it 再改用新密钥\n"
        f"HUIMIN_DATA_KEY={key}\nHUIMIN_DATA_KEY_VERSION={version}\n"
        f'HUIMIN_OLD_DATA_KEYS={{"{now}": "{old}"}}\n'
        f"# 3. then: python -m server keys rotate. When it says so, HUIMIN_OLD_DATA_KEYS can go. 最后轮换"
    )


@app.command()
def status(*, json_: Json = False) -> None:
    """Count the sealed values by field and key version. Exit code 1: some are under a key that is not known here."""
    raise typer.Exit(uvloop.run(_status(is_json=json_)))


@app.command()
def rotate(
    *,
    rate: Annotated[float, typer.Option(min=1, help="Documents a second at most: leave room for the city.")] = 5_000,
    json_: Json = False,
) -> None:
    """Seal everything under the current key. Stop and repeat it as you like. Exit code 1: something is left."""
    raise typer.Exit(uvloop.run(_rotate(rate, is_json=json_)))


async def _status(*, is_json: bool) -> int:
    settings = load(os.environ)
    async with assembled(settings) as assembly:
        counted = await _rotation(assembly).status()
    if is_json:
        rows: list[dict[str, Any]] = [
            {"collection": field.collection, "field": field.path, "versions": {**versions}}
            for field, versions in counted.items()
        ]
        typer.echo(json.dumps({"current": settings.data_key_version, "known": sorted(settings.keys), "fields": rows}))
    else:
        Console().print(_table(counted, settings.data_key_version))
    return 0 if {v for versions in counted.values() for v in versions} <= set(settings.keys) else 1


async def _rotate(rate_per_s: float, *, is_json: bool) -> int:
    console = Console(stderr=is_json)
    columns = (TextColumn("{task.description}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    async with assembled(load(os.environ)) as assembly:
        rotation = _rotation(assembly)
        with Progress(*columns, TimeRemainingColumn(), console=console, disable=is_json) as bars:
            tasks = {
                field: bars.add_task(f"{field.collection}.{field.path}", total=size)
                for field, size in (await rotation.sizes()).items()
            }
            done = await rotation.rotate(rate_per_s, lambda field, count: bars.advance(tasks[field], count))
        version = assembly.settings.data_key_version
        details = {"version": version, "resealed": done.resealed, "left": done.left, "spoilt": done.spoilt}
        await assembly.audit.record(Event(OPERATOR, "keys.rotate", "data_key", details=details))
    typer.echo(json.dumps(details | {"is_over": done.is_over}) if is_json else _told(done, version))
    return 0 if done.is_over else 1


def _rotation(assembly: Assembly) -> KeyRotation:
    return KeyRotation(SealedValues(assembly.db, assembly.vault), assembly.settings.data_key_version, time.monotonic)


def _table(counted: Mapping[SealedField, Counter[int]], current: int) -> Table:
    known = sorted({version for versions in counted.values() for version in versions} | {current})
    table = Table("collection", "field", *(f"v{v}{' (current)' if v == current else ''}" for v in known), box=None)
    for field, versions in counted.items():
        table.add_row(field.collection, field.path, *(f"{versions[v]:,}" for v in known))
    return table


def _told(done: Rotated, version: int) -> str:
    if done.is_over:
        return (
            f"{done.resealed:,} values sealed anew; all are under version {version}: HUIMIN_OLD_DATA_KEYS can go "
            "全部完成，可移除旧密钥"
        )
    return (
        f"{done.resealed:,} values sealed anew, {done.left:,} are left, {done.spoilt:,} do not open: keep the old "
        "keys; does every process seal with the new one? 尚未完成，请保留旧密钥"
    )
