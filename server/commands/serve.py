"""`api` and `worker`: the two processes of production. As many of each as there are cores and machines."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Annotated

import structlog
import typer
import uvloop

from handlers.bounds import listen
from handlers.front import Front
from handlers.gate import Gate
from push.duties import Duty, keep
from push.parts import Counters
from push.worker import Share
from server import assemble, assemble_log_in, assemble_manners, assemble_privacy, assemble_public
from server.app import admin_routes, make_app, public_routes, services_of, with_contract
from server.assemble_applications import application_duties
from server.assemble_booking import booking_duties
from server.assemble_bulletins import bulletin_duties
from server.assemble_own_offers import offer_duties
from server.assemble_proactive import prepare_facts, proactive_duties
from server.assemble_standing_orders import order_duty
from server.assemble_weather import weather_duties
from server.embedded import databases
from server.services.receipts import ReceiptCounters
from server.settings import Settings, load
from server.telemetry import Figures, Kept, RequestFigures, metrics_registry, rendered

log = structlog.get_logger()
LOOPBACK = "127.0.0.1"
DRAIN_S = 0.3


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[assemble.Assembly]:
    """The assembly on the databases that the settings name, or on the embedded ones."""
    async with databases(settings) as found:
        named = settings.model_copy(update={"mongo_url": found.mongo_url, "redis_url": found.redis_url})
        async with assemble.assemble(named) as assembly:
            yield assembly


def settle_memory() -> None:
    """What lives after start lives for ever: keep the collector away from it, or it walks all of it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set: the process drains and leaves."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def run_api(settings: Settings) -> None:
    """Serve until told to stop; one JSON line says when it is listening."""
    stop = stop_signal()
    async with AsyncExitStack() as stack:
        assembly = await stack.enter_async_context(assembled(settings))
        address = LOOPBACK if settings.mode == "sandbox" else ""
        readers = assemble_public.public(assembly)
        await readers.feeds.refresh()
        services = services_of(assembly, readers, assemble_log_in.wechat(assembly, stack))
        await services.catalogue.catalogue.refresh()
        gate = Gate(assembly.officers, readers.partners, assembly.now, services.citizens.log_in.log_ins)
        registry = metrics_registry()
        registry.register(
            Kept("huimin_receipts", "Receipts of providers.", ("what",), lambda: _counted(services.receipts.counters))
        )
        inside = admin_routes(assembly, partial(rendered, registry))
        outside = with_contract(public_routes(services), inside)
        app = make_app(outside, gate, RequestFigures(registry).saw, assemble_manners.manners(assembly))
        public = listen(Front(app, readers.shelf), settings.port, address)
        admin = listen(make_app(inside, gate), settings.admin_port, settings.admin_address)
        settle_memory()
        _say_ready(port=public[1], admin_port=admin[1])
        clock = asyncio.create_task(assembly.clock.run(stop))
        board = Duty("board", 1.0, partial(readers.feeds.run, stop, readers.shelf.clear))
        items = Duty("catalogue", 1.0, partial(services.catalogue.catalogue.run, stop, readers.shelf.clear))
        free = Duty("free_seats", 1.0, partial(services.booking.free.run, stop))
        kept = asyncio.create_task(keep([board, items, free], stop))
        await stop.wait()
        for server, _ in (public, admin):
            server.stop()
        await asyncio.sleep(DRAIN_S)  # who asked before is still answered
        for server, _ in (public, admin):
            await server.close_all_connections()
        await clock
        await kept


async def run_worker(settings: Settings, share: Share) -> None:
    """Work until told to stop, then finish or give back what is in hand."""
    stop = stop_signal()
    async with AsyncExitStack() as stack:
        assembly = await stack.enter_async_context(assembled(settings))
        engine = assemble.worker(assembly, stack)
        figures = _figures_of(engine.parts.counters)
        inside = make_app(admin_routes(assembly, partial(rendered, figures)), Gate(None, None, assembly.now))
        server, admin_port = listen(inside, settings.admin_port, settings.admin_address)
        duties = [*assemble.duties(assembly, engine.parts), order_duty(assembly)]
        if share is not Share.URGENT:  # nothing that can wait is done where red has to leave at once
            duties.append(Duty("webhooks", 1.0, partial(assemble_public.webhooks(assembly, stack).run, stop)))
            duties.append(Duty("erase", 2.0, assemble_privacy.erasure(assembly).finish_open))
            duties += booking_duties(assembly, stop)
            duties += weather_duties(assembly, stack, figures)
            duties += application_duties(assembly)
            duties += bulletin_duties(assembly)
            await prepare_facts(assembly)
            duties += proactive_duties(assembly)
            duties += offer_duties(assembly)
        settle_memory()
        _say_ready(pid=os.getpid(), admin_port=admin_port)
        async with asyncio.TaskGroup() as group:
            group.create_task(keep(duties, stop))
            group.create_task(engine.run(stop, share))
        server.stop()
        await server.close_all_connections()


def _figures_of(counters: Counters) -> Figures:
    """The figures of a worker."""
    registry = metrics_registry()
    labels = ("account", "verdict", "code")
    registry.register(
        Kept(
            "huimin_outcomes",
            "Answers of providers.",
            labels,
            lambda: {tuple(key): count for key, count in counters.outcomes.items()},
        )
    )
    registry.register(
        Kept(
            "huimin_engine_events",
            "Takeovers, repeated writes, dead letters, retired addresses.",
            ("event",),
            lambda: {(name,): count for name, count in counters.events.items()},
        )
    )
    return registry


def _counted(receipts: ReceiptCounters) -> dict[tuple[str, ...], float]:
    return {(name,): getattr(receipts, name) for name in ("applied", "unplaced", "forged", "rounds", "seen")}


def _say_ready(**facts: object) -> None:
    sys.stdout.write(json.dumps({"ready": True, **facts}) + "\n")
    sys.stdout.flush()


def api(
    port: Annotated[int | None, typer.Option(help="Instead of HUIMIN_PORT.")] = None,
) -> None:
    """Serve the HTTP API: citizens, officers, partners, receipts of providers."""
    settings = load(os.environ)
    uvloop.run(run_api(settings if port is None else settings.model_copy(update={"port": port})))


def worker(
    share: Annotated[
        Share,
        typer.Option(help="One `urgent` process keeps red quick beside any number of `rest`; `all` stands alone."),
    ] = Share.ALL,
) -> None:
    """Send what is released: plan, lease, send, record. SIGTERM drains."""
    uvloop.run(run_worker(load(os.environ), share))
