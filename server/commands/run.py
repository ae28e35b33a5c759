"""`run`: the whole city kept up on this machine, to be tried by hand or by a script: databases, sandbox, API, workers.

Demo data only: it refuses to start in production. Whatever dies is started again, on its old port, with a line in the
log. SIGTERM and Ctrl-C end everything that was started here; the people and the alerts stay in the home folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import structlog
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from server.assemble import Assembly, assemble
from server.assemble_weather import register_sandbox_partner
from server.commands.bulletins import post_bulletins
from server.commands.catalogue import open_catalogue
from server.commands.residents import known, open_counters, settle, swear_in
from server.commands.rules import open_rules
from server.commands.serve import stop_signal
from server.commands.stated import state_facts
from server.commands.town import Ports, Process, Town, town
from server.domain.errors import ConfigurationError, UnavailableError
from server.embedded import Databases, databases
from server.processes import Server
from server.settings import Settings, load

AGAIN_S = 0.5  # before something that died is started again
LOOK_EVERY_S = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. `port` None: the one of the settings; 0: any free one."""

    port: int | None
    is_json: bool
    citizens: int
    workers: int


def run(
    *,
    port: Annotated[int | None, typer.Option(help="Of the API; 0 takes any free one.", min=0, max=65535)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON line when all is ready.")] = False,
    citizens: Annotated[int, typer.Option(help="People to invent if there are none.", min=1, max=2_000_000)] = 20_000,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1, max=16)] = 2,
) -> None:
    """Keep a whole city up to try things on: API, workers, sandbox providers, databases, demo officers."""
    uvloop.run(serve_city(load(os.environ), Options(port, json_, citizens, workers)))


async def serve_city(settings: Settings, options: Options) -> None:
    """Until SIGTERM or SIGINT; ConfigurationError in production."""
    if settings.mode == "production":
        raise ConfigurationError(
            "run_in_production",
            zh="run 只用于试用；生产环境请运行 api 和 worker",
            en="`run` is for trying things; in production start `api` and `worker`",
        )
    stop = stop_signal()
    up = asyncio.create_task(_keep_up(settings, options))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({up, stopped}, return_when=asyncio.FIRST_COMPLETED)
    for task in (up, stopped):
        task.cancel()
    await asyncio.wait({up, stopped})
    if not up.cancelled():
        up.result()


async def _keep_up(settings: Settings, options: Options) -> None:
    """Start everything, say so, and watch over it until cancelled."""
    console = Console(stderr=True)
    home = settings.home.resolve()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(databases(settings))
        named = settings.model_copy(update={"mongo_url": running.mongo_url, "redis_url": running.redis_url})
        assembly = await stack.enter_async_context(assemble(named))
        await _settle(assembly, options, console)
        with console.status("what can be booked 预约资源入库 …"):
            await open_counters(assembly)
        await register_sandbox_partner(assembly)
        with console.status("the catalogue 事项目录入库 …"):
            await open_catalogue(assembly)
        await state_facts(assembly)
        await post_bulletins(assembly)
        officers = await swear_in(assembly, partial(secrets.token_urlsafe, 15))
        with console.status("rules of proactive service 主动服务规则发布 …"):
            await open_rules(assembly)
        ports = Ports(settings.port, settings.admin_port) if options.port is None else Ports(options.port)
        place = await stack.enter_async_context(town(named, home / "town", workers=options.workers, ports=ports))
        _say(
            _facts(running, place)
            | {
                "officers": officers,
                "citizens": await known(assembly),
            },
            console,
            is_json=options.is_json,
        )
        async with asyncio.TaskGroup() as group:
            processes = {"sandbox": place.sandbox, "api": place.api}
            processes |= {f"worker{n}": worker for n, worker in enumerate(place.workers)}
            for name, process in processes.items():
                group.create_task(_watch_process(name, process))
            for name, server in (("mongod", running.mongod), ("valkey", running.valkey)):
                if server is not None:
                    group.create_task(_watch_server(name, server))


async def _settle(assembly: Assembly, options: Options, console: Console) -> None:
    """People move in once; later runs find them there."""
    if await assembly.citizens.count():
        return
    columns = (TextColumn("people move in 居民入库"), BarColumn(40), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=options.is_json) as bars:
        task = bars.add_task("", total=options.citizens)
        await settle(assembly, options.citizens, 1, lambda more: bars.advance(task, more))


async def _watch_process(name: str, process: Process) -> None:
    while True:
        code = await process.exited()
        log.warning("process_died", name=name, code=code)
        await _again(name, process)


async def _watch_server(name: str, server: Server) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if server.pid is None:
            log.warning("process_died", name=name)
            await _again(name, server)


async def _again(name: str, what: Process | Server) -> None:
    """Start it again until it stays: what it needs may be on its way up itself."""
    while True:
        await asyncio.sleep(AGAIN_S)
        try:
            await what.start()
        except UnavailableError as error:
            log.warning("process_start_failed", name=name, why=error.en)
        else:
            log.info("process_started_again", name=name, pid=what.pid)
            return


def _facts(running: Databases, place: Town) -> dict[str, Any]:
    return {
        "api": f"http://127.0.0.1:{place.api.facts['port']}",
        "ops": f"http://127.0.0.1:{place.api.facts['admin_port']}",
        "sandbox": f"http://127.0.0.1:{place.sandbox.facts['port']}",
        "mongo": running.mongo_url,
        "redis": running.redis_url,
    }


def _say(facts: dict[str, Any], console: Console, *, is_json: bool) -> None:
    if is_json:
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    console.rule("[bold]惠民 Huimin")
    for name in ("api", "ops", "sandbox", "mongo", "redis"):
        console.print(f"{name:>8}  {facts[name]}")
    for officer in facts["officers"]:
        told = f"{officer['name']}  password {officer['password']}  TOTP secret {officer['totp_secret']}"
        console.print(f"{officer['role']:>8}  {told}")
    for citizen in facts["citizens"]:
        code = f"wx.login code {citizen['wechat']}.<anything new>"
        console.print(f" citizen  {code}  phone {citizen['phone'] or 'none'}")
    console.print("Ctrl-C ends it all; people and alerts stay. 按 Ctrl-C 结束，数据保留。")
