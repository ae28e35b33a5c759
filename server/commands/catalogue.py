"""`catalogue`: load what `data/catalogue` says, take items in and out as JSON or CSV, check, count, search.

Each defect is one line on standard error: file, item, where, what to do; good items are published all the same, and the
exit code is 1. `--json` prints one object and nothing else on standard output.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from server import assemble
from server.assemble_catalogue import CatalogueParts, catalogue
from server.commands.serve import assembled
from server.domain.catalogue import Item
from server.domain.catalogue_rules import unfit
from server.domain.catalogue_search import Wanted
from server.domain.catalogue_seed import Defect
from server.domain.catalogue_tables import from_csv, from_json, to_csv, to_json
from server.domain.catalogue_targets import figures
from server.domain.catalogue_visits import offered, unbookable
from server.domain.errors import InvalidInputError
from server.services.catalogue_scale import more
from server.settings import Settings, load
from server.storage.catalogue_files import FOLDER, load_rules, read_seed
from server.storage.catalogues import load_divisions, load_resources
from server.storage.rules import RuleStore

app = typer.Typer(no_args_is_help=True, help="The catalogue of items 事项目录: load, import, export, check, count.")

Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Folder = Annotated[Path, typer.Option(help="a folder like data/catalogue")]
Does = Callable[[assemble.Assembly, CatalogueParts], Awaitable[Any]]
TOLD = 200  # defects printed; the rest is counted


@app.command("load")
def load_(
    *,
    folder: Folder = FOLDER,
    scale: Annotated[int, typer.Option(min=0, max=99_999, help="so many invented items more, for tests of size")] = 0,
    seed: Annotated[int, typer.Option(help="of the invented ones")] = 1,
    as_json: Json = False,
) -> None:
    """Publish what the folder says; what is published already in the same words is left alone."""
    settings = load(os.environ)
    found = read_seed(settings.city, folder)

    async def does(assembly: assemble.Assembly, parts: CatalogueParts) -> Any:
        invented = more(found.items, assembly.divisions, scale, seed) if scale else ()
        return await _publish(parts, [*found.items, *invented], f"load {folder.name}", is_quiet=as_json)

    done, defects = _run(settings, does)
    _report(len(found.items) + scale, done, [*found.defects, *defects], as_json=as_json)


@app.command("import")
def import_(file: Annotated[Path, typer.Argument(help="items.json or items.csv")], *, as_json: Json = False) -> None:
    """Publish the items of a file as the next versions of theirs."""
    settings = load(os.environ)
    read = _reader(file)
    items, defects = read(_text(file), file.name)

    async def does(_: assemble.Assembly, parts: CatalogueParts) -> Any:
        return await _publish(parts, items, f"import {file.name}", is_quiet=as_json)

    done, more_defects = _run(settings, does)
    _report(len(items), done, [*defects, *more_defects], as_json=as_json)


@app.command("export")
def export(file: Annotated[Path, typer.Argument(help="items.json or items.csv")]) -> None:
    """Write all items on offer into a file that `import` takes."""
    write = to_csv if _is_csv(file) else to_json

    async def does(_: assemble.Assembly, parts: CatalogueParts) -> Any:
        return [each.item for each in parts.catalogue.index.items]

    items = _run(load(os.environ), does)
    file.write_text(write(items), "utf-8", newline="")
    typer.echo(f"{len(items)} items in {file}")


@app.command("check")
def check(*, folder: Folder = FOLDER, as_json: Json = False) -> None:
    """Look through a folder like data/catalogue, and where it leads to, without a database and publishing nothing."""
    city = load(os.environ).city
    found = read_seed(city, folder)
    divisions = load_divisions()
    rules = load_rules(city, divisions, found.ground, folder)
    wrong = [Defect("", item.id, each.field, each.en) for item in found.items for each in unfit(item, rules)]
    wrong += unbookable(found.items, found.ground, offered(load_resources(divisions), city))
    _report(len(found.items), None, [*found.defects, *wrong], as_json=as_json)


@app.command("kpi")
def kpi(*, as_json: Json = False) -> None:
    """Count what is published, and the rules in force, against the plan's figures."""

    async def does(assembly: assemble.Assembly, parts: CatalogueParts) -> Any:
        live = await RuleStore(assembly.db, time.monotonic).live()
        offered_by_rules = frozenset(each.rule.item for each in live)
        return figures([each.item for each in parts.catalogue.index.items], parts.plan, offered_by_rules)

    found = _run(load(os.environ), does)
    if as_json:
        told = [
            {"name": f.name, "target": f.target, "count": f.count, "gap": f.gap, "missing": f.missing} for f in found
        ]
        typer.echo(orjson.dumps({"figures": told}))
        return
    table = Table(
        "figure 指标", "plan 目标", "now 现有", "gap 差额", "missing 缺少", title="The plan's figures 计划指标"
    )
    for figure in found:
        gap = f"{figure.gap:,}" if figure.gap else "reached 达标"
        table.add_row(figure.name, f"{figure.target:,}", f"{figure.count:,}", gap, " ".join(figure.missing))
    Console().print(table)


@app.command("search")
def search(
    words: Annotated[str, typer.Argument(help="words, or the first letters of their pinyin: gljt")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    as_json: Json = False,
) -> None:
    """Find items as the phone does."""

    async def does(_: assemble.Assembly, parts: CatalogueParts) -> Any:
        began = time.perf_counter()
        found = parts.catalogue.find(Wanted(q=words))
        return found, (time.perf_counter() - began) * 1_000

    found, took_ms = _run(load(os.environ), does)
    if as_json:
        told = [{"id": f.item.id, "version": f.version, "name": f.item.name.zh} for f in found[:limit]]
        typer.echo(orjson.dumps({"total": len(found), "took_ms": round(took_ms, 3), "items": told}))
        return
    table = Table("item 事项", "name 名称", "unit 单位", "days 天", title=f"{len(found)} in {took_ms:.1f} ms")
    for each in found[:limit]:
        table.add_row(each.item.id, each.item.name.zh, each.item.unit.name.zh, str(each.item.promised_days))
    Console().print(table)


async def open_catalogue(assembly: assemble.Assembly, only: Collection[str] = ()) -> None:
    """Publish what `data/catalogue` says about the city that is served, of all items or `only` some."""
    found = read_seed(assembly.settings.city)
    items = [each for each in found.items if not only or each.id in only]
    await catalogue(assembly).editing.load(items, "run", lambda _: None)


async def _publish(
    parts: CatalogueParts, items: Sequence[Item], note: str, *, is_quiet: bool
) -> tuple[dict[str, int], list[Defect]]:
    with _bar(len(items), is_quiet=is_quiet) as tell:
        return await parts.editing.load(items, note, tell)


@contextmanager
def _bar(total: int, *, is_quiet: bool) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as progress:
        task = progress.add_task("items", total=total)
        yield lambda step: progress.advance(task, step)


def _run(settings: Settings, does: Does) -> Any:
    async def run() -> Any:
        async with assembled(settings) as assembly:
            parts = catalogue(assembly)
            await parts.catalogue.refresh()
            return await does(assembly, parts)

    return uvloop.run(run())


def _report(items: int, done: dict[str, int] | None, defects: Sequence[Defect], *, as_json: bool) -> None:
    """Say what was done; exit code 1 if anything was wrong."""
    new = sum(1 for version in (done or {}).values() if version == 1)
    for defect in defects[:TOLD]:
        typer.echo(str(defect), err=True)
    if len(defects) > TOLD:
        typer.echo(f"... and {len(defects) - TOLD} more", err=True)
    if as_json:
        told: dict[str, Any] = {"items": items, "defects": [str(defect) for defect in defects]}
        if done is not None:
            told |= {"new": new, "changed": len(done) - new}
        typer.echo(orjson.dumps(told))
    elif done is None:
        typer.echo(f"{items} items, {len(defects)} defects")
    else:
        typer.echo(f"{items} items: {new} new, {len(done) - new} changed, the rest as it was; {len(defects)} defects")
    if defects:
        raise typer.Exit(1)


def _reader(file: Path) -> Callable[[str, str], tuple[list[Item], list[Defect]]]:
    return from_csv if _is_csv(file) else from_json


def _is_csv(file: Path) -> bool:
    if file.suffix.lower() not in (".csv", ".json"):
        raise InvalidInputError(
            "file_kind_unknown", zh="文件名应以 .json 或 .csv 结尾", en="the file's name has to end in .json or .csv"
        )
    return file.suffix.lower() == ".csv"


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError("file_unreadable", zh=f"无法读取：{error}", en=f"cannot be read: {error}") from None
