"""`weather`: how the feeds of the weather stand, and what of them could not be used."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from server.assemble_weather import feeds as feeds_of
from server.commands.serve import assembled
from server.services.weather_feeds import Standing
from server.settings import Settings, load

app = typer.Typer(no_args_is_help=True, help="The weather: how its feeds stand.")


@app.callback()
def weather() -> None:
    """The weather: how its feeds stand."""


@app.command("feeds")
def feeds(*, as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False) -> None:
    """Every feed of the settings: when it was last heard, why not, and its last faults. Exit code 1: one is silent."""
    found = uvloop.run(_standings(load(os.environ)))
    if as_json:
        typer.echo(orjson.dumps([_plain(each) for each in found]))
    else:
        table = Table("", "feed", "last heard", "what is wrong")
        for each in found:
            mark = "[red]silent[/]" if each.is_silent else "[green]ok[/]"
            told = _plain(each)
            wrong = "\n".join(filter(None, (told["why"], *told["faults"])))
            table.add_row(
                mark, each.name, f"{each.silent_s:.0f} s ago" if each.silent_s is not None else "never", wrong
            )
        Console().print(table)
    raise typer.Exit(1 if any(each.is_silent for each in found) else 0)


async def _standings(settings: Settings) -> list[Standing]:
    async with assembled(settings) as assembly, AsyncExitStack() as stack:
        return await feeds_of(assembly, stack).standings()


def _plain(standing: Standing) -> dict[str, Any]:
    state = standing.state
    return {
        "feed": standing.name,
        "is_silent": standing.is_silent,
        "silent_s": standing.silent_s,
        "failures": state.failures if state else 0,
        "why": state.why if state else "",
        "faults": list(state.faults) if state else [],
    }
