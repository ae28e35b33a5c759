"""`demo`: an officer drafts a red typhoon alert for a district, a chief releases it, tens of thousands get it.

Everything is real but the providers: those are the sandbox, another process with a journal of its own. At the end the
ledger is compared with that journal, notice by notice. Then some residents open the app and
answer, and one of them is served before she asks.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from channels.sandbox.faults import FaultScript, ProviderFaults, ReceiptFaults
from push.judge import Finding, judge
from server.assemble import Assembly, assemble
from server.commands.demo_life import live
from server.commands.demo_proactive import prepare, serve
from server.commands.residents import DISTRICT, UNIT, settle, swear_in
from server.commands.town import Town, accepts, town
from server.domain.alerts.model import Alert, Area, Info, NamedValue, cap_time
from server.domain.alerts.vocabulary import DIVISION_CODE, EVENT_CODE, Colour
from server.domain.broadcasts import CHANNELS, UNREACHABLE, State
from server.domain.china import CHINA
from server.domain.errors import ForbiddenError, UnavailableError
from server.domain.officers import Officer, Role
from server.embedded import databases
from server.services.broadcasts import Progress as Standing
from server.settings import load

STATUSES = ("accepted", "delivered", "read", "undelivered", "refused", "expired", "suppressed", "unknown")
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    citizens: int
    workers: int
    is_json: bool
    seed: int
    picture: Path | None


def demo(
    *,
    citizens: Annotated[int, typer.Option(help="How many people live in the district.", min=1, max=2_000_000)] = 20_000,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=16)] = 2,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed invents the same people and the same bad luck.")] = 1,
    picture: Annotated[Path | None, typer.Option(help="Save what the terminal shows as an SVG.")] = None,
) -> None:
    """Watch a red typhoon alert reach a district, and check it against what the providers wrote down."""
    report = uvloop.run(_run(Options(citizens, workers, json_, seed, picture)))
    if json_:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    if not report["journal_matches"]:
        raise typer.Exit(1)


async def _run(options: Options) -> dict[str, Any]:
    console = Console(
        stderr=options.is_json, record=options.picture is not None, width=100 if options.picture else None
    )
    settings = load(os.environ)
    home = settings.home.resolve() / "demo"
    shutil.rmtree(home, ignore_errors=True)
    console.rule("[bold]惠民 Huimin · demo")
    async with AsyncExitStack() as stack:
        with console.status("starting mongod and Valkey 启动数据库 …"):
            own = settings.model_copy(
                update={"mongo_url": None, "redis_url": None, "mongo_db": "huimin_demo", "home": home}
            )
            running = await stack.enter_async_context(databases(own))
            named = own.model_copy(update={"mongo_url": running.mongo_url, "redis_url": running.redis_url})
            assembly = await stack.enter_async_context(assemble(named))
        await _settle(assembly, options, console)
        with console.status("starting providers, API and workers 启动通道、接口与工作进程 …"):
            place = await stack.enter_async_context(
                town(named, home, workers=options.workers, faults=_weather(options.seed))
            )
        report = await _warn(assembly, place, console)
    if options.picture:
        console.save_svg(str(options.picture), title="make demo")
    return report


async def _settle(assembly: Assembly, options: Options, console: Console) -> None:
    """Invent the people of the district."""
    with _bars(console) as bars:
        task = bars.add_task("people move in 居民入库", total=options.citizens, note="")
        await settle(assembly, options.citizens, options.seed, lambda more: bars.advance(task, more))


async def _warn(assembly: Assembly, place: Town, console: Console) -> dict[str, Any]:
    author, chief = _officer("author", Role.AUTHOR), _officer("chief", Role.CHIEF)
    desk = assembly.alerts
    draft = await desk.draft(author, _typhoon(assembly.now()))
    waiting = await desk.submit(author, draft.identifier, draft.version)
    console.print(f"[bold]{author.name}[/] drafts [red bold]台风红色预警[/] for 南山区: {draft.identifier}")
    try:
        await desk.release(author, draft.identifier, waiting.digest)
    except ForbiddenError as refused:
        console.print(f"[bold]{author.name}[/] tries to release it alone: [yellow]{refused.zh}[/] ({refused.code})")
    released_at = assembly.now()
    alert = await desk.release(chief, draft.identifier, waiting.digest)
    console.print(f"[bold]{chief.name}[/] releases it: digest {waiting.digest[:16]}…")
    texts = (await assembly.broadcast_store.get(alert.identifier)).texts
    console.print(f"  SMS   {texts['sms']['zh']['text']}", soft_wrap=True)
    console.print(f"  push  {texts['push']['zh']['title']}")
    await _watch(assembly, place, alert.identifier, console)
    report = await _report(assembly, place, (alert.identifier, released_at), console)
    return report | {"residents": await _live(assembly, place, alert.identifier, console)}


async def _watch(assembly: Assembly, place: Town, broadcast: str, console: Console) -> None:
    """Bars per channel until everything is sent and every receipt has come in."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + PATIENCE_S
    with _bars(console) as bars:
        tasks = {channel: bars.add_task(channel, total=None, note="") for channel in CHANNELS}
        while (standing := await assembly.broadcasts.progress(broadcast)).state is not State.FINISHED:
            _show(bars, tasks, standing)
            if loop.time() > give_up:
                raise UnavailableError(
                    "demo_stuck",
                    zh=f"未能完成，日志见 {place.home}/log",
                    en=f"it does not finish; see {place.home}/log",
                )
            await asyncio.sleep(0.2)
        _show(bars, tasks, standing)
    with console.status("waiting for the providers' receipts 等待回执 …"):
        await place.control("flush", {}, method="POST")


async def _report(assembly: Assembly, place: Town, released: tuple[str, datetime], console: Console) -> dict[str, Any]:
    broadcast, released_at = released
    entries = place.entries()
    pages = []
    async for range_ in assembly.broadcast_store.ranges(broadcast):
        pages += await assembly.pages.of_range(broadcast, range_.number)
    finding = judge(pages, await accepts(entries, assembly.citizens))
    first, last = min(e.at for e in entries), max(e.at for e in entries)
    standing = await _settled(assembly, broadcast, finding)
    report: dict[str, Any] = {
        "audience": sum(standing.audience(channel) for channel in CHANNELS),
        "channels": {
            channel: {"audience": standing.audience(channel)} | {s: standing.statuses(channel)[s] for s in STATUSES}
            for channel in CHANNELS
        },
        "unreachable": standing.audience(UNREACHABLE),
        "journal_matches": finding.is_equal and _sums_agree(standing, finding),
        "journal": finding.summary(),
        "first_handoff_ms": round((first - released_at).total_seconds() * 1000, 1),
        "sends_per_s": round(len(entries) / max(0.001, (last - first).total_seconds())),
    }
    _print(report, console)
    return report


async def _settled(assembly: Assembly, broadcast: str, finding: Finding) -> Standing:
    """The standing once the sums have caught up with the last receipts; after some seconds, whatever it is."""
    for _ in range(50):
        standing = await assembly.broadcasts.progress(broadcast)
        if _sums_agree(standing, finding):
            break
        await asyncio.sleep(0.2)
    return standing


async def _live(assembly: Assembly, place: Town, alert: str, console: Console) -> dict[str, Any]:
    """Some of the people answer, one is served unasked; after the report, which must not count what they are sent."""
    officers = await swear_in(assembly, partial(secrets.token_urlsafe, 15))
    await prepare(assembly)
    api, sandbox = (f"http://127.0.0.1:{process.facts['port']}" for process in (place.api, place.sandbox))
    lives = await live((api, sandbox), alert, officers, assembly.now(), console)
    return lives | {"proactive": await serve(assembly, (api, sandbox), officers, console)}


def _sums_agree(standing: Standing, finding: Finding) -> bool:
    """The stored sums say what the pages say."""
    return all(
        standing.statuses(channel)[status] == finding.statuses[channel, status]
        for channel in CHANNELS
        for status in STATUSES
    )


def _print(report: dict[str, Any], console: Console) -> None:
    table = Table(title="What the ledger says 台账")
    table.add_column("people 人数")
    for channel in CHANNELS:
        table.add_column(channel, justify="right")
    for name in ("audience", *STATUSES):
        counts = [report["channels"][channel][name] for channel in CHANNELS]
        if any(counts):
            table.add_row(name, *(f"{count:,}" if count else "" for count in counts), end_section=name == "audience")
    console.print(table)
    journal = report["journal"]
    is_equal = report["journal_matches"]
    console.print(
        f"providers' journals: {journal['journal']:,} accepts; "
        + ("[green bold]the report equals the journal[/]" if is_equal else f"[red bold]they differ[/]: {journal}")
    )
    console.print(
        f"first hand-off {report['first_handoff_ms']:.0f} ms after release, {report['sends_per_s']:,} notices/s, "
        f"{report['unreachable']} people without any address (listed for telephoning)"
    )


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description:>24}"),
        BarColumn(40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield bars


def _show(bars: Progress, tasks: dict[str, Any], standing: Standing) -> None:
    for channel, task in tasks.items():
        statuses = standing.statuses(channel)
        total = statuses.total()
        done = total - statuses["planned"] - statuses["sending"] - statuses["retry"]
        note = f"{statuses['delivered']:,} delivered" if statuses["delivered"] else ""
        bars.update(task, total=total or None, completed=done, note=note)


def _officer(name: str, *roles: Role) -> Officer:
    person = {"author": "王敏 (author)", "chief": "李强 (chief)"}[name]
    return Officer(
        id=name, person=name, name=person, roles=frozenset(roles), unit=UNIT, division="440300", events=("11B",)
    )


def _typhoon(now: datetime) -> Alert:
    """What the author types: event, colour, area, until when; the desk writes the rest."""
    where = Area(area_desc="南山区", geocodes=(NamedValue(value_name=DIVISION_CODE, value=DISTRICT),))

    def block(language: str, event: str, detail: str, unit: str) -> Info:
        return Info(
            language=language, categories=("Met",), event=event, response_types=("Shelter",), urgency="Immediate",
            severity=Colour.RED.severity.value, certainty="Observed", sender_name=unit, areas=(where,),
            event_codes=(NamedValue(value_name=EVENT_CODE, value="11B01"),), description=detail,
            expires=cap_time(now + timedelta(hours=6), CHINA),
        )  # fmt: skip

    return Alert(
        infos=(
            block("zh-CN", "台风", "台风“海葵”中心附近最大风力14级，预计今晚登陆。", UNIT.name),
            block("en-US", "Typhoon", "Typhoon Haikui, force 14 near its centre, lands tonight.", UNIT.name_en),
        )
    )


def _weather(seed: int) -> FaultScript:
    """A normal bad day at the providers: some busy answers, some dead addresses, some receipts that say no."""
    receipts = ReceiptFaults(undelivered=0.01, lost=0.005, doubled=0.01, reordered=0.05)
    return FaultScript(
        seed=seed,
        wechat=ProviderFaults(busy=0.01, dead=0.005, grant_gone=0.03, receipts=receipts),
        fcm=ProviderFaults(server_error=0.005, dead=0.02),
        sms_aliyun=ProviderFaults(latency_ms=5, receipts=receipts),
        sms_tencent=ProviderFaults(receipts=receipts),
    )
