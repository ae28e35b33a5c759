"""`booking`: load what can be booked from `data/booking`, see it, and lay its seats out ahead.

Each may be run again at any time: a load adds what is new and leaves what an officer has changed, a layout lays what
is missing. Workers lay out, too; after a load one need not wait for them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server.assemble import Assembly
from server.assemble_booking import booking
from server.commands.serve import assembled
from server.domain.booking_seed import Defect
from server.domain.divisions import is_within
from server.domain.resources import Kept, Kind, Wanted
from server.services import booking_seeding as seeding
from server.settings import load as settings_of
from server.storage.catalogues import DATA, check_resources, load_divisions
from server.storage.resources import ResourceStore

app = typer.Typer(no_args_is_help=True, help="What can be booked: load it, list it, lay its seats out. 预约资源")
WRONG = 2

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Where = Annotated[str | None, typer.Option("--division", help="Only at or below this one: 440300, 440305.")]
Which = Annotated[Kind | None, typer.Option("--kind", help="Only these.")]
Whose = Annotated[str | None, typer.Option("--unit", help="Only of this unit: sz-people.")]


@app.command()
def load(
    *,
    division: Where = None,
    data: Annotated[Path, typer.Option(help="Another folder like data/.", exists=True, file_okay=False)] = DATA,
    json_: Json = False,
) -> None:
    """Add what `data/booking` has and the database has not. A wrong file adds nothing: a line tells each defect."""
    resources, defects = check_resources(load_divisions(), data)
    if defects:
        _tell_defects(defects, json_=json_)
        raise typer.Exit(WRONG)
    chosen = [each for each in resources if division is None or is_within(each.division, division)]

    async def work(assembly: Assembly) -> None:
        with _bar("resources 预约资源入库", len(chosen), Console(stderr=True), is_quiet=json_) as tell:
            loaded = await seeding.load(ResourceStore(assembly.db), chosen, assembly.now(), tell)
        counts = Counter(each.kind.value for each in chosen)
        if json_:
            _print_json({"added": loaded.added, "unchanged": loaded.unchanged, "different": loaded.different,
                         "kinds": counts})  # fmt: skip
            return
        console = Console(soft_wrap=True, highlight=False)
        console.print(f"{loaded.added:,} added 新增, {loaded.unchanged:,} unchanged 未变; {_counted(counts)}")
        for each in loaded.different:
            console.print(f"{each}: the database has it otherwise, left as it is 与数据库不同，未改动")

    _run(work)


@app.command("list")
def list_(
    *,
    division: Where = None,
    kind: Which = None,
    unit: Whose = None,
    limit: Annotated[int, typer.Option(help="How many to show.", min=1)] = 100,
    json_: Json = False,
) -> None:
    """What is in the database: names, place, up to which day seats stand."""

    async def work(assembly: Assembly) -> None:
        wanted = Wanted(kind=kind, unit=unit, division=division, is_open=None)
        found = await seeding.all_of(booking(assembly).schedules, wanted)
        if json_:
            _print_json([_facts(each) for each in found[:limit]])
            return
        table = Table("id", "unit", "group", "name", "kind", "division", "seats until", box=None)
        for each in found[:limit]:
            resource = each.resource
            table.add_row(
                resource.id,
                f"{resource.unit_name.zh}\n{resource.unit_name.en}",
                f"{resource.group_name.zh}\n{resource.group_name.en}",
                f"{resource.name.zh}\n{resource.name.en}" + ("" if resource.is_open else " (closed 停用)"),
                resource.kind,
                resource.division,
                f"{each.laid_until}" if each.is_laid else "none yet 未排",
            )
        console = Console(soft_wrap=True, highlight=False)
        console.print(table)
        console.print(f"{min(limit, len(found)):,} of {_counted(Counter(e.resource.kind.value for e in found))}")

    _run(work)


@app.command()
def layout(*, division: Where = None, kind: Which = None, unit: Whose = None, json_: Json = False) -> None:
    """Lay out the seats of the coming days now, instead of waiting for the workers."""

    async def work(assembly: Assembly) -> None:
        began = time.monotonic()
        schedules = booking(assembly).schedules
        found = await seeding.all_of(schedules, Wanted(kind=kind, unit=unit, division=division))
        with _bar("laying out 排号", len(found), Console(stderr=True), is_quiet=json_) as tell:
            seats = await seeding.lay_out(schedules, found, tell)
        took_s = round(time.monotonic() - began, 1)
        if json_:
            _print_json({"resources": len(found), "new_seats": seats, "took_s": took_s})
        else:
            typer.echo(f"{seats:,} new seats 新增号源 of {len(found):,} resources in {took_s} s")

    _run(work)


@contextmanager
def _bar(what: str, total: int, console: Console, *, is_quiet: bool) -> Iterator[seeding.Tell]:
    columns = (TextColumn(what), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=is_quiet) as bars:
        task = bars.add_task("", total=total)
        yield lambda more: bars.advance(task, more)


def _run(work: Callable[[Assembly], Awaitable[None]]) -> None:
    settings = settings_of(os.environ)

    async def go() -> None:
        async with assembled(settings) as assembly:
            await work(assembly)

    uvloop.run(go())


def _tell_defects(defects: Sequence[Defect], *, json_: bool) -> None:
    if json_:
        _print_json({"defects": [each._asdict() for each in defects]})
        return
    for each in defects:
        typer.echo(f"{each.file}: {each.path}: {each.text}", err=True)


def _facts(kept: Kept) -> dict[str, Any]:
    resource = kept.resource
    named = ("unit_name", "group_name", "name")
    return {
        **{name: getattr(resource, name) for name in ("id", "unit", "group", "kind", "division", "is_open")},
        **{name: getattr(resource, name).model_dump() for name in named},
        "version": kept.version,
        "laid_until": kept.laid_until.isoformat() if kept.is_laid else None,
    }


def _counted(kinds: Counter[str]) -> str:
    return f"{kinds.total():,} resources: " + ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
