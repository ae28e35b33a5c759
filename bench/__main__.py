"""`make bench`: the figures that the README promises, each a ratio or a bound, written to bench/results.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench import celery_tasks, figures, firebase, first_hit, million, public_cache, receipts, singles, sms
from bench.city import QUICK, Sizes, Stage
from bench.figures import Row
from server.embedded import databases
from server.settings import Settings

RESULTS = Path(__file__).parent / "results.json"

ROWS: Mapping[str, Callable[[Stage], Awaitable[list[Row]]]] = {
    "singles": singles.singles,
    "firebase": firebase.firebase,
    "celery": celery_tasks.celery,
    "latency": singles.latency,
    "sms": sms.sms,
    "first_hit": first_hit.first_hit,
    "red_under_load": first_hit.red_under_load,
    "receipts": receipts.receipts,
    "public_cache": public_cache.public_cache,
    "million": million.million,
}


async def measure(names: Sequence[str], home: Path, sizes: Sizes, progress: Progress) -> list[Row]:
    """Run the rows one after the other on embedded databases below `home`."""
    rows = []
    bar = progress.add_task("databases", total=None)
    async with databases(Settings(home=home / "db")) as found:
        settings = Settings(mongo_url=found.mongo_url, redis_url=found.redis_url, home=home)
        servers = {"mongod": found.mongod, "valkey": found.valkey}
        pids = {name: server.pid for name, server in servers.items() if server is not None and server.pid is not None}
        for name in names:
            tell = partial(_show, progress, bar, name)
            tell("starting", 0, 1)
            rows += await ROWS[name](Stage(settings, home, sizes, tell, pids))
    return rows


def _show(progress: Progress, bar: TaskID, name: str, what: str, done: int, of: int) -> None:
    progress.update(bar, description=f"{name}: {what}", completed=done, total=of)


def bench(
    rows: Annotated[list[str] | None, typer.Argument(help=f"Which rows; all without any: {', '.join(ROWS)}.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: it shows that the bench works.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    home: Annotated[Path | None, typer.Option(help="Keep the seeded databases here for the next run.")] = None,
    out: Annotated[Path, typer.Option(help="Where the results are written.")] = RESULTS,
) -> None:
    """Measure, print a table, write the results. Exit code 1 if a figure is not reached (not with --quick)."""
    names = rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise typer.BadParameter(f"no row {unknown[0]}; known are {', '.join(ROWS)}")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with TemporaryDirectory(prefix="huimin-bench-") as temporary, Progress(*columns, console=console) as progress:
        sizes = QUICK if quick else Sizes()
        measured = uvloop.run(measure(names, home or Path(temporary), sizes, progress))
    told = figures.as_json(measured, {"is_quick": quick})
    out.write_text(json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n")
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False, default=str) + "\n")
    else:
        Console().print(figures.table(measured))
    if not quick and any(row.is_reached is False for row in measured):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(bench)
