"""`db`: look at the embedded databases, or run them alone in the foreground."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import asdict
from typing import Annotated, Any

import typer
import uvloop

from server import settings
from server.binaries import MONGOD, VALKEY, find
from server.embedded import Databases, databases, running

app = typer.Typer(no_args_is_help=True, help="The embedded databases: what they are, and running them alone.")

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def info(*, as_json: Json = False) -> None:
    """Print where the databases are, and which binaries would be started."""
    chosen = settings.load(os.environ)
    mongo = chosen.mongo_url or running(chosen.home, "mongod")
    redis = chosen.redis_url or running(chosen.home, "valkey")
    told: dict[str, Any] = {
        "home": str(chosen.home.resolve()),
        "mongo": {"is_embedded": not chosen.mongo_url, "url": mongo},
        "redis": {"is_embedded": not chosen.redis_url, "url": redis},
    }
    for name, named, program, binary in (
        ("mongo", chosen.mongo_url, MONGOD, chosen.mongod),
        ("redis", chosen.redis_url, VALKEY, chosen.valkey),
    ):
        told[name] |= {} if named else {"binary": asdict(find(program, binary))}
    typer.echo(json.dumps(told, default=str, indent=None if as_json else 2, ensure_ascii=False))


@app.command()
def run(
    *,
    cache_gb: Annotated[float, typer.Option(min=0.25, help="Memory for MongoDB's cache, in GB.")] = 0.5,
    as_json: Json = False,
) -> None:
    """Start both, print their URLs, and stop them at Ctrl-C or SIGTERM."""
    uvloop.run(_run(cache_gb, as_json=as_json))


async def _run(cache_gb: float, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with databases(settings.load(os.environ), mongo_cache_gb=cache_gb) as found:
        typer.echo(_told(found, as_json=as_json))
        await stopped.wait()


def _told(found: Databases, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"mongo_url": found.mongo_url, "redis_url": found.redis_url})
    return f"HUIMIN_MONGO_URL={found.mongo_url}\nHUIMIN_REDIS_URL={found.redis_url}"
