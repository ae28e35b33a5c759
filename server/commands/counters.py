"""`counters`: how many people live where, as previews tell it; rebuilt from the citizens."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from server.commands.serve import assembled
from server.settings import load

app = typer.Typer(no_args_is_help=True, help="The counters of people per division and channel.")


@app.callback()
def counters() -> None:
    """Keep `rebuild` a word of its own, with one command or more."""


@app.command()
def rebuild(*, json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Count everybody anew. Workers do it every hour; a second call counts again."""
    facts = uvloop.run(_rebuild(is_json=json_))
    if json_:
        sys.stdout.write(json.dumps(facts) + "\n")


async def _rebuild(*, is_json: bool) -> dict[str, Any]:
    console = Console(stderr=is_json)
    columns = (TextColumn("counting 统计"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    async with assembled(load(os.environ)) as assembly:
        at = assembly.now()
        with Progress(*columns, console=console, disable=is_json) as bars:
            task = bars.add_task("", total=None)
            divisions = await assembly.counters.rebuild(
                at, lambda done, of: bars.update(task, completed=done, total=of)
            )
        console.print(f"{divisions:,} divisions, as of {at:%Y-%m-%d %H:%M:%S %Z}")
    return {"divisions": divisions, "as_of": at.isoformat()}
