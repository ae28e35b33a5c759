"""`ledger`: what was sent, to whom, with which outcome; and the pages that need a human."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from server.assemble import Assembly
from server.commands.serve import assembled
from server.domain.broadcasts import CHANNELS, UNREACHABLE
from server.domain.errors import InvalidInputError, NotFoundError
from server.settings import load

app = typer.Typer(no_args_is_help=True, help="The ledger: broadcasts, single citizens, dead letters. 台账")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KEPT_DAYS = 30


@app.command()
def show(
    broadcast: Annotated[str, typer.Argument(help="Its id: the identifier of the alert.")], *, json_: Json = False
) -> None:
    """Where a broadcast stands: people by channel and status."""

    async def work(assembly: Assembly) -> None:
        standing = await assembly.broadcasts.progress(broadcast)
        channels = {c: dict(standing.statuses(c)) for c in (*CHANNELS, UNREACHABLE) if standing.audience(c)}
        facts = {"state": standing.state.value, "ranges": standing.ranges, "planned": standing.ranges_planned}
        if json_:
            _print_json(facts | {"channels": channels})
            return
        rows = [[c, status, f"{count:,}"] for c, counts in channels.items() for status, count in sorted(counts.items())]
        _print_table(f"{broadcast}: {facts['state']}", ("channel", "status", "people"), rows)

    _run(work)


@app.command()
def citizen(
    *,
    phone: Annotated[str, typer.Option(help="E.164: +8613800000000.")] = "",
    openid: Annotated[str, typer.Option(help="WeChat openid.")] = "",
    token: Annotated[str, typer.Option(help="Device token.")] = "",
    days: Annotated[int, typer.Option(help="How far back.", min=1, max=KEPT_DAYS)] = 3,
    json_: Json = False,
) -> None:
    """What was sent to one person, when, through whom and with which outcome."""
    given = [(c, v) for c, v in zip(CHANNELS, (openid, token, phone), strict=True) if v]
    if len(given) != 1:
        raise InvalidInputError(
            "address_wanted", zh="请给出手机号、openid 或设备令牌之一。", en="give one of --phone, --openid, --token"
        )
    channel, value = given[0]

    async def work(assembly: Assembly) -> None:
        owners = await assembly.citizens.find_by_address(channel, [value])
        if value not in owners:
            raise NotFoundError("address_unknown", zh="没有人使用这个地址。", en="nobody has this address")
        notices = await assembly.broadcasts.of_citizen(owners[value], assembly.now() - timedelta(days=days))
        if json_:
            _print_json(notices)
            return
        rows = [[n["broadcast"], n["channel"], n["status"], n["why"], *_hand(n["handed_over"])] for n in notices]
        _print_table("sent to this person", ("broadcast", "channel", "status", "why", "at", "account"), rows)

    _run(work)


@app.command()
def dead(*, json_: Json = False) -> None:
    """The dead-letter list: pages that a human has to look at, and why."""

    async def work(assembly: Assembly) -> None:
        pages = await assembly.pages.dead()
        if json_:
            _print_json([{"page": p.id, "people": len(p.to), "reason": p.reason} for p in pages])
            return
        _print_table("dead letters", ("page", "people", "reason"), [[p.id, str(len(p.to)), p.reason] for p in pages])

    _run(work)


@app.command()
def retry(
    pages: Annotated[list[str] | None, typer.Argument(help="Page ids, as `ledger dead` prints them.")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All dead pages.")] = False,
    json_: Json = False,
) -> None:
    """Put dead pages back to work, after what broke them was mended."""
    if not pages and not all_:
        raise InvalidInputError("pages_wanted", zh="请给出页号或 --all。", en="give page ids or --all")

    async def work(assembly: Assembly) -> None:
        revived = 0
        while ids := (pages or [page.id for page in await assembly.pages.dead()]):
            hints = await assembly.pages.revive(ids)
            for id_, channel, lane in hints:
                await assembly.queue.push(channel, lane, [id_])
            revived += len(hints)
            if pages or not hints:
                break
        if json_:
            _print_json({"revived": revived})
        else:
            Console().print(f"{revived} pages are open again; workers take them now.")

    _run(work)


def _run(work: Callable[[Assembly], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with assembled(load(os.environ)) as assembly:
            await asyncio.wait_for(work(assembly), 60)

    uvloop.run(inside())


def _hand(hands: list[dict[str, Any]]) -> tuple[str, str]:
    return (hands[-1]["at"], hands[-1]["account"]) if hands else ("", "")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False))


def _print_table(title: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    table = Table(title=title)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
