"""`sandbox`: providers, a department and a virus scanner on loopback, for demo, tests, bench and trying a client."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
import uvloop
import yaml
from pydantic import ValidationError

from channels.sandbox import templates
from channels.sandbox.control import CallbackUrl, Control
from channels.sandbox.faults import FaultScript
from channels.sandbox.server import Sandbox
from server.domain.errors import InvalidInputError

TEMPLATES = Path(__file__).parents[2] / "data" / "templates.yaml"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What the command line says. `home` gets the journal and the FCM key; port 0 = choose one."""

    port: int
    clamd_port: int
    home: Path
    callback: str = ""
    script: FaultScript = field(default_factory=FaultScript)
    templates_file: Path = TEMPLATES
    is_child: bool = False  # end when standard input ends, so that no starter leaves it behind, however it died


async def run(options: SandboxOptions) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on standard output says when it is listening."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.is_child:
        loop.add_reader(sys.stdin, _end_with, stop)
    sandbox = _built(options)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # what lives here lives long; full collections would only cost tail latency
    try:
        ports = (options.port, options.clamd_port)
        await sandbox.serve(ports, Control(sandbox, time.time).serve, _say_ready, stop)
    except OSError as error:
        where = f"127.0.0.1:{options.port} or {options.clamd_port}"
        raise _wrong("port", f"{where}: {error.strerror}") from error


def _built(options: SandboxOptions) -> Sandbox:
    try:
        sandbox = Sandbox(options.home, templates.load(options.templates_file), options.script.seed)
    except BlockingIOError as error:
        raise _wrong("home", f"{options.home}: another sandbox writes the journal there") from error
    except (OSError, ValidationError, yaml.YAMLError) as error:
        raise _wrong("home", str(error)) from error
    sandbox.script(options.script)
    sandbox.send_receipts_to(options.callback)
    return sandbox


def _wrong(field: str, what: str) -> InvalidInputError:
    return InvalidInputError(
        "sandbox_option", zh=f"沙箱参数 --{field} 有误：{what}", en=f"--{field}: {what}", field=field
    )


def _end_with(stop: asyncio.Event) -> None:
    if not sys.stdin.read(1):
        stop.set()


def _say_ready(port: int, clamd_port: int) -> None:
    sys.stdout.write(json.dumps({"ready": True, "port": port, "clamd_port": clamd_port}) + "\n")
    sys.stdout.flush()


def sandbox(  # noqa: PLR0913, PLR0917 - the options of a command line
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 chooses one.")] = 18080,
    clamd_port: Annotated[int, typer.Option(help="Port of the virus scanner on 127.0.0.1; 0 chooses one.")] = 18310,
    home: Annotated[Path, typer.Option(help="Folder of the journal and the FCM key.")] = Path(".huimin/sandbox"),
    callback: Annotated[str, typer.Option(help="Where receipts go, e.g. http://127.0.0.1:8080/v1/receipts.")] = "",
    faults: Annotated[Path | None, typer.Option(help="Fault script (JSON); none = a perfect day.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the fault script.")] = None,
    rate: Annotated[float, typer.Option(help="Recipients a second at each provider; 0 = as the script says.")] = 0.0,
    is_child: Annotated[bool, typer.Option("--child", help="End when standard input ends.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Run local WeChat, FCM, Aliyun, Tencent, a department and a virus scanner, with faults and a journal."""
    try:
        script = FaultScript.model_validate_json(faults.read_bytes()) if faults else FaultScript()
        script = _adjusted(script, seed, rate)
    except (OSError, ValidationError) as error:
        raise _wrong("faults", str(error)) from error
    try:
        url = CallbackUrl(url=callback).url
    except ValidationError as error:
        raise _wrong("callback", "must be http://host:port/path") from error
    uvloop.run(run(SandboxOptions(port, clamd_port, home, url, script, is_child=is_child)))


def _adjusted(script: FaultScript, seed: int | None, rate: float) -> FaultScript:
    fields = script.model_dump()
    if seed is not None:
        fields["seed"] = seed
    if rate:
        for provider in ("wechat", "fcm", "sms_aliyun", "sms_tencent"):
            fields[provider]["rate_per_s"] = rate
    return FaultScript.model_validate(fields)
