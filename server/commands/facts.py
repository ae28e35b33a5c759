"""`facts`: import what departments state about citizens, check a file first, list what was imported.

A line that is wrong is told with its number and the reason, never with what stood in it; the rest goes on. Exit code 1:
lines were refused. `--json` prints one object and nothing else on standard output.
"""

from __future__ import annotations

import csv
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from server.assemble_facts import FactParts, facts
from server.commands.serve import assembled
from server.domain.errors import InvalidInputError
from server.domain.fact_feeds import SAID, Encoding, Form, Refused, Terms
from server.services.facts import Feed, check
from server.settings import Settings, load
from server.storage.catalogues import load_facts, load_source_policy
from server.storage.fact_imports import Import

app = typer.Typer(no_args_is_help=True, help="Facts about citizens 事实数据: import departments' feeds, check, list.")

File = Annotated[Path, typer.Argument(help="CSV with a header, or JSON lines", exists=True, dir_okay=False)]
Source = Annotated[str, typer.Option(help="who states it: a name of data/sources.yaml")]
Format = Annotated[Form | None, typer.Option("--format", help="default: by the file's name")]
Encoded = Annotated[Encoding, typer.Option(help="a byte order mark is read past")]
Report = Annotated[Path | None, typer.Option(help="write the refused lines (number, reason) to this CSV")]
Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Does = Callable[[FactParts], Awaitable[Any]]
TOLD = 20  # refused lines on the screen
WORDS = {
    "lines": "lines 行数", "refused": "refused 拒收行", "unknown": "of strangers 未注册人员",
    "no_consent": "without consent 未同意", "kept": "kept 入库", "changed": "people changed 变动人数",
    "conflicts": "sources differ 数据冲突",
}  # fmt: skip


@app.command("import")
def import_(
    file: File, *, source: Source, form: Format = None, encoding: Encoded = Encoding.UTF_8, report: Report = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Import a file, or the rest of one whose import was broken off; one that was imported already does nothing."""
    feed = Feed(file, source, form or _form(file), encoding)

    async def does(parts: FactParts) -> tuple[Import, bool, list[Refused]]:
        with _bar(file, is_quiet=as_json) as tell:
            done, is_new = await parts.importing.run(feed, lambda at: tell(at.offset))
        refused = parts.imports.refusals(done.id)
        return done, is_new, await _reported(refused, report)

    done, is_new, refused = _run(load(os.environ), does)
    if as_json:
        shown = [{"line": r.number, "code": r.why.value, "field": r.field} for r in refused]
        typer.echo(orjson.dumps({"is_new": is_new, **_figures(done), "first_refused": shown}))
    else:
        _show(refused)
        if not is_new:
            typer.echo("this very file was imported before: nothing is done 该文件此前已导入，未作改动")
        Console().print(_table(f"{source}: {file.name}", _figures(done)))
    raise typer.Exit(int(done.counts.get("refused", 0) > 0))


@app.command("check")
def check_(
    file: File, *, source: Source, form: Format = None, encoding: Encoded = Encoding.UTF_8, as_json: Json = False
) -> None:
    """Look through a file without keeping anything; needs no database. Lines that are said twice are not looked for."""
    registered = load_source_policy().names
    terms, lines, count = Terms(load_facts(), registered, (source,), datetime.now(UTC)), 0, 0
    shown: list[Refused] = []
    with _bar(file, is_quiet=as_json) as tell:
        for more, refused, offset in check(file, form or _form(file), encoding, terms):
            lines, count = lines + more, count + len(refused)
            shown += refused[: TOLD - len(shown)]
            tell(offset)
    if as_json:
        first = [{"line": r.number, "code": r.why.value, "field": r.field} for r in shown]
        typer.echo(orjson.dumps({"lines": lines, "refused": count, "first_refused": first}))
    else:
        _show(shown)
        Console().print(_table(file.name, {"lines": lines, "refused": count}))
    raise typer.Exit(int(count > 0))


@app.command("list")
def list_(*, limit: Annotated[int, typer.Option(min=1, max=1_000)] = 20, as_json: Json = False) -> None:
    """The imports that began last, and what came of them."""
    found: list[Import] = _run(load(os.environ), lambda parts: parts.imports.latest(limit))
    if as_json:
        typer.echo(
            orjson.dumps([{"id": e.id, "began_at": e.began_at, "is_done": e.is_done, **_figures(e)} for e in found])
        )
        return
    shown = ("lines", "refused", "kept", "changed", "conflicts")
    table = Table("source 数据源", "began 开始", "state 状态", *(WORDS[name].replace(" ", "\n", 1) for name in shown))
    for each in found:
        state = "done 完成" if each.is_done else f"at line {each.line:,} 未完"
        figures = [f"{each.counts.get(name, 0):,}" for name in shown]
        table.add_row(each.source, f"{each.began_at:%F %T}Z", state, *figures)
    Console().print(table)


async def _reported(refused: AsyncIterator[Refused], report: Path | None) -> list[Refused]:
    """Write the report; the first few for the screen."""
    first: list[Refused] = []
    rows: list[tuple[object, ...]] = [("line", "code", "field", "zh", "en")]
    async for each in refused:
        rows.append((each.number, each.why.value, each.field, *SAID[each.why]))
        first += [each] if len(first) < TOLD else []
    if report is not None:
        with report.open("w", encoding="utf-8-sig", newline="") as out:
            csv.writer(out).writerows(rows)
    return first


def _show(refused: list[Refused]) -> None:
    for each in refused:
        words = SAID[each.why]
        where = f"{each.field}: " if each.field else ""
        typer.echo(f"line {each.number}: {each.why.value}: {where}{words.zh} {words.en}", err=True)


def _figures(done: Import) -> dict[str, int]:
    return {name: done.counts.get(name, 0) for name in WORDS}


def _table(title: str, figures: dict[str, int]) -> Table:
    table = Table(title=title, show_header=False)
    for name, number in figures.items():
        table.add_row(WORDS[name], f"{number:,}")
    return table


@contextmanager
def _bar(file: Path, *, is_quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar over the bytes of a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as progress:
        task = progress.add_task("reading 读取", total=file.stat().st_size)
        yield lambda offset: progress.update(task, completed=offset)


def _form(file: Path) -> Form:
    """By the file's name."""
    forms = {".csv": Form.CSV, ".jsonl": Form.JSONL, ".ndjson": Form.JSONL}
    if file.suffix.lower() not in forms:
        zh, en = "请用 --format 指明格式", "say --format csv or jsonl"
        raise InvalidInputError("file_kind_unknown", zh=zh, en=en, field="file")
    return forms[file.suffix.lower()]


def _run(settings: Settings, does: Does) -> Any:
    async def run() -> Any:
        async with assembled(settings) as assembly:
            parts = facts(assembly)
            await parts.store.prepare()
            return await does(parts)

    return uvloop.run(run())
