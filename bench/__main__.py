"""`make bench`: the figures that the README promises, each a ratio or a bound, written to bench/results.json."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import (
    applications,
    booking,
    catalogue,
    celery_tasks,
    chaos,
    codes,
    figures,
    firebase,
    first_hit,
    million,
    preview,
    proactive,
    profile,
    public_cache,
    receipts,
    singles,
    sms,
)
from bench.city import QUICK, Sizes, Stage, Tell
from bench.figures import Row
from server.domain.errors import HuiminError
from server.embedded import databases
from server.settings import Settings
from server.storage.catalogues import load_texts

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
    "profile": profile.profile,
    "million": million.million,
    "preview_division": preview.by_division,
    "preview_shape": preview.by_shape,
    "booking": booking.booking,
    "codes": codes.codes,
    "applications": applications.lifecycle,
    "proactive": proactive.proactive,
    "catalogue": catalogue.catalogue,
    "chaos": chaos.chaos,
}


Keep = Callable[[list[Row], Mapping[str, float]], None]


async def measure(names: Sequence[str], home: Path, sizes: Sizes, tell: Tell, keep: Keep) -> None:
    """Run the rows one after the other on embedded databases below `home`; `keep` gets all rows after each of them."""
    rows: list[Row] = []
    took_s: dict[str, float] = {}
    wording = load_texts()
    async with databases(Settings(home=home / "db")) as found:
        settings = Settings(mongo_url=found.mongo_url, redis_url=found.redis_url, home=home)
        servers = {"mongod": found.mongod, "valkey": found.valkey}
        pids = {name: server.pid for name, server in servers.items() if server is not None and server.pid is not None}
        for name in names:
            began = time.monotonic()
            tell_row = partial(_tell_of, tell, name)
            tell_row("starting", 0, 1)
            try:
                rows += await ROWS[name](Stage(settings, home, sizes, tell_row, pids, wording))
            except (HuiminError, OSError, RuntimeError) as error:  # one row must not cost the others
                rows.append(
                    Row(name, f"{name} could not be measured", "", None, is_reached=False, why=str(error)[:300])
                )
            took_s[name] = round(time.monotonic() - began, 1)
            keep(rows, took_s)


def _tell_of(tell: Tell, name: str, what: str, done: int, of: int) -> None:
    tell(f"{name}: {what}", done, of)


def bench(
    rows: Annotated[list[str] | None, typer.Argument(help=f"Which rows; all without any: {', '.join(ROWS)}.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: it shows that the bench works.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    home: Annotated[Path | None, typer.Option(help="Keep the seeded databases here for the next run.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; all rows: bench/results.json.")] = None,
) -> None:
    """Measure, print a table, write the results. Exit code 1 if a figure is not reached (not with --quick)."""
    names = rows or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        raise typer.BadParameter(f"no row {unknown[0]}; known are {', '.join(ROWS)}")
    out = out or (None if rows or quick else RESULTS)  # some rows, or small ones, must not replace the whole
    measured: list[Row] = []
    told: dict[str, Any] = {}

    def keep(so_far: list[Row], took_s: Mapping[str, float]) -> None:
        measured[:] = so_far
        told.update(figures.as_json(so_far, {"is_quick": quick, "took_s": took_s}))
        if out is not None:
            out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    sizes = QUICK if quick else Sizes()
    try:
        with (
            TemporaryDirectory(prefix="huimin-bench-") as temporary,
            Progress(*columns, console=Console(stderr=True)) as progress,
        ):
            bar = progress.add_task("databases", total=None)

            def tell(what: str, done: int, of: int) -> None:
                progress.update(bar, description=what, completed=done, total=of)

            uvloop.run(measure(names, home or Path(temporary), sizes, tell, keep))
    except HuiminError as error:
        typer.echo(f"bench: {error.en} [{error.code}]", err=True)
        raise typer.Exit(2) from None
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        Console().print(figures.table(measured))
    if not quick and any(row.is_reached is False for row in measured):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(bench)
