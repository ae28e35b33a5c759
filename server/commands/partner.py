"""`partner`: register the systems that are told of alerts or hand in their own, stop them, replay what they missed.

Key and secret are shown once, at `add`; they stand nowhere in clear.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from server import assemble, assemble_public
from server.commands.serve import assembled
from server.domain.errors import InvalidInputError
from server.domain.partners import Partner
from server.services.partners import Partners
from server.settings import Settings, load
from server.storage.catalogues import load_source_policy

app = typer.Typer(no_args_is_help=True, help="Partners: webhooks that are told of alerts, keys to hand alerts in.")

Name = Annotated[str, typer.Argument(help="a short name: weather-bureau")]
Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
Does = Callable[[assemble.Assembly, Partners], Awaitable[Any]]


@app.command("add")
def add(  # noqa: PLR0913 - each argument is an option of the command line
    id_: Name,
    *,
    name: Annotated[str, typer.Option(help="as people call it: 深圳市气象局")],
    url: Annotated[str | None, typer.Option(help="its webhook; https in production")] = None,
    sender: Annotated[
        list[str] | None, typer.Option(help="a CAP sender it may hand in messages of; repeatable")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="a source (data/sources.yaml) it may state facts of; repeatable")
    ] = None,
    division: Annotated[str | None, typer.Option(help="what it is about; default: the city")] = None,
    as_json: Json = False,
) -> None:
    """Register a partner and show, once, its key for intake and the secret of its webhook."""
    settings = load(os.environ)

    async def does(assembly: assemble.Assembly, partners: Partners) -> Any:
        return await partners.add(_partner(assembly, id_, (name, url, sender, source), division or settings.city))

    found = _run(settings, does)
    told = {"partner": found.partner.model_dump(mode="json"), "key": found.key, "secret": found.secret}
    if as_json:
        typer.echo(orjson.dumps(told))
        return
    console = Console()
    console.print(
        f"Partner {found.partner.id} is registered. What follows is shown only now 仅显示一次:", highlight=False
    )
    console.print(f"  key for intake  (Authorization: Bearer) {found.key}", highlight=False, soft_wrap=True)
    console.print(f"  webhook secret  (Standard Webhooks)     {found.secret}", highlight=False, soft_wrap=True)


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """All partners, and how many deliveries wait, arrived or were given up."""
    found = _run(load(os.environ), lambda _, partners: partners.all())
    if as_json:
        typer.echo(orjson.dumps([{**p.model_dump(mode="json"), "deliveries": counts} for p, counts in found]))
        return
    table = Table("partner", "webhook", "senders, sources", "active", "waiting", "done", "dead")
    for partner, counts in found:
        states = [str(counts.get(state, 0)) for state in ("waiting", "done", "dead")]
        senders, is_active = " ".join((*partner.senders, *partner.sources)), "yes" if partner.is_active else "no"
        table.add_row(f"{partner.id}\n{partner.name}", partner.url or "-", senders, is_active, *states)
    Console().print(table)


@app.command("stop")
def stop(id_: Name) -> None:
    """Tell it nothing more and take nothing more from it."""
    _run(load(os.environ), lambda _, partners: partners.stop(id_))
    typer.echo(f"{id_}: stopped")


@app.command("resume")
def resume(id_: Name) -> None:
    """Undo `stop`; it is told what it missed."""
    _run(load(os.environ), lambda _, partners: partners.resume(id_))
    typer.echo(f"{id_}: active")


@app.command("replay")
def replay(
    id_: Name, *, since: Annotated[int, typer.Option(min=0, help="the `seq` after which to tell again; 0 = all")]
) -> None:
    """Tell it again every release after a cursor."""
    count = _run(load(os.environ), lambda _, partners: partners.replay(id_, since))
    typer.echo(f"{id_}: {count} queued")


def _partner(
    assembly: assemble.Assembly,
    id_: str,
    facts: tuple[str, str | None, list[str] | None, list[str] | None],
    division: str,
) -> Partner:
    name, url, senders, sources = facts
    if strange := set(sources or ()) - load_source_policy().names:
        zh, en = f"数据源未登记：{'、'.join(sorted(strange))}", f"not registered: {', '.join(sorted(strange))}"
        raise InvalidInputError("source_unregistered", zh=zh, en=en, field="source")
    handed_in = {"senders": tuple(senders or ()), "sources": tuple(sources or ())}
    try:
        return Partner(id=id_, name=name, url=url, division=division, created_at=assembly.now(), **handed_in)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        said = f"{field}: {first['msg']}"
        raise InvalidInputError("partner_invalid", zh=said, en=said, field=field) from None


def _run(settings: Settings, does: Does) -> Any:
    async def run() -> Any:
        async with assembled(settings) as assembly:
            return await does(assembly, assemble_public.partners(assembly))

    return uvloop.run(run())
