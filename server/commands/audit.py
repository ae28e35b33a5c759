"""`audit`: read the log of what everybody did, and prove that it is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from server.assemble import Assembly
from server.commands.serve import assembled
from server.domain.audit import OPERATOR, Entry, Event
from server.settings import load

app = typer.Typer(no_args_is_help=True, help="The audit log: read it, verify it. 审计")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def verify(*, json_: Json = False) -> None:
    """Find what was edited, deleted, inserted, reordered or cut off. Exit code 1: something was."""

    async def work(assembly: Assembly) -> int:
        findings = await assembly.audit.verify(assembly.alert_store)
        await assembly.audit.record(Event(OPERATOR, "audit.verify", "audit", details={"findings": len(findings)}))
        if json_:
            _print_json({"is_whole": not findings, "findings": [asdict(finding) for finding in findings]})
        elif findings:
            table = Table("stream", "entry", "code", "what", box=None)
            for finding in findings:
                table.add_row(finding.stream, str(finding.seq), finding.code, f"{finding.zh} {finding.en}")
            Console().print(table)
        else:
            typer.echo("the log is whole 日志完整")
        return 1 if findings else 0

    raise typer.Exit(_run(work))


@app.command()
def show(
    stream: Annotated[str, typer.Argument(help="alert, officer, broadcast, intake, partner or audit.")] = "alert",
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    json_: Json = False,
) -> None:
    """The newest entries of a stream, newest first."""

    async def work(assembly: Assembly) -> int:
        entries = await assembly.audit.latest(stream, limit=limit)
        if json_:
            _print_json([_facts(entry) for entry in entries])
            return 0
        table = Table("entry", "at", "actor", "action", "object", "result", "details", box=None)
        for e in entries:
            told = " ".join(f"{key}={value}" for key, value in e.details.items())
            table.add_row(str(e.seq), f"{e.at:%F %T}Z", e.actor, e.action, e.object, e.result, told)
        Console().print(table)
        return 0

    raise typer.Exit(_run(work))


@app.command()
def sign(*, json_: Json = False) -> None:
    """Sign the end of every chain that has grown since the last minute: before a backup, before a stop."""

    async def work(assembly: Assembly) -> int:
        signed = [{"stream": c.stream, "entry": c.link.seq} for c in await assembly.audit.sign()]
        if json_:
            _print_json(signed)
            return 0
        for one in signed:
            typer.echo(f"{one['stream']}: signed up to {one['entry']}")
        return 0

    raise typer.Exit(_run(work))


def _run(work: Callable[[Assembly], Awaitable[int]]) -> int:
    settings = load(os.environ)

    async def go() -> int:
        async with assembled(settings) as assembly:
            return await work(assembly)

    return uvloop.run(go())


def _facts(entry: Entry) -> dict[str, Any]:
    return asdict(entry) | {"details": dict(entry.details), "hash": entry.hash.hex()}


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))
