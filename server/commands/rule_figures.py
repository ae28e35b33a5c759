"""`rules rehearse` and `rules outcomes`: what a rule would do today, and what became of what rules have offered."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from server.assemble import Assembly
from server.assemble_applications import Nobody, applications
from server.assemble_booking import booking
from server.assemble_own_offers import OfferParts, own_offers
from server.assemble_proactive import proactive
from server.commands.serve import assembled
from server.domain.audit import OPERATOR
from server.domain.offers import COUNTS, Tally
from server.domain.officers import Officer, Role, Unit
from server.services.rehearsal import as_json as rehearsal_json
from server.settings import load
from server.storage.catalogue import CatalogueStore

Json = Annotated[bool, typer.Option("--json", help="print JSON and nothing else")]
SHOWN = tuple(name for name in COUNTS if name != "found")


def rehearse(
    rule: Annotated[str, typer.Argument(help="id of a rule, as `rules list` shows it")],
    *,
    version: Annotated[int | None, typer.Option(min=1, help="without it what lies on the desk, else in force")] = None,
    as_json: Json = False,
) -> None:
    """What a rule would do today: who, why, by which channel, in which words. Nobody is told; samples read of it."""

    async def does(assembly: Assembly, parts: OfferParts) -> Any:
        return await parts.figures.rehearse(_operator(assembly.settings.city), rule, version)

    told = rehearsal_json(_run(does, f"rehearsing {rule} 预演"))
    if as_json:
        typer.echo(orjson.dumps(told))
        return
    console = Console()
    table = Table("figure 指标", "people 人数", title=f"{rule} {told['day']}")
    for name in ("found", "would_tell", "known"):
        table.add_row(name, f"{told[name]:,}")
    for group in ("kept_back", "by_channel", "by_division"):
        for name, count in told[group].items():
            table.add_row(f"{group}: {name}", f"{count:,}")
    console.print(table)
    for sample in told["samples"]:
        push = sample["texts"]["push"]["zh"]
        console.print(f"{sample['person']} {dict(sample['why'])}: {push['title']}｜{push['body']}", markup=False)
    if not told["is_complete"]:
        typer.echo("stopped before it had seen everybody 未看完全部人员", err=True)


def outcomes(*, as_json: Json = False) -> None:
    """What became of every rule's offers: counted anew by workers, today's at least every five minutes."""

    async def does(_: Assembly, parts: OfferParts) -> Any:
        return await parts.outcomes.tallies()

    found: Mapping[str, Tally] = _run(does, "counting 统计")
    if as_json:
        told = {name: {**tally.counts, "counted_at": _at(tally)} for name, tally in found.items()}
        typer.echo(orjson.dumps({"rules": told}))
        return
    table = Table("rule 规则", *SHOWN, "as of 截至", title=f"{len(found)} rules")
    for name, tally in found.items():
        table.add_row(name, *(f"{tally.counts[each]:,}" for each in SHOWN), _at(tally))
    Console().print(table)


def _at(tally: Tally) -> str:
    return tally.counted_at.isoformat(timespec="seconds") if tally.counted_at else ""


def _operator(city: str) -> Officer:
    """Whoever sits at the server's own command line, as the log and the list of uses name them."""
    unit = Unit(code=f"{city}00000000", name="系统运维", sender="operator@localhost", division=city)
    return Officer(
        id=OPERATOR, person=OPERATOR, name=OPERATOR, roles=frozenset({Role.EDITOR}), unit=unit, division=city,
        events=(), institutions=(),
    )  # fmt: skip


def _run(does: Callable[[Assembly, OfferParts], Awaitable[Any]], what: str) -> Any:
    async def run() -> Any:
        async with assembled(load(os.environ)) as assembly:
            apply = applications(assembly, CatalogueStore(assembly.db), Nobody(), booking(assembly).bookings)
            with Console(stderr=True).status(what):
                return await does(assembly, own_offers(assembly, proactive(assembly), apply))

    return uvloop.run(run())
