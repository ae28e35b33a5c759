"""`health`: what the container's HEALTHCHECK runs. Silent and 0 if the process is alive, one line and 1 if not.

It runs every few seconds, so the container calls this module by itself: `python -m server.commands.health` loads a
tenth of what the whole command line does.
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import Annotated

import typer

from server import settings
from server.domain.errors import HuiminError, UnavailableError


def health(
    *, timeout_s: Annotated[float, typer.Option(min=0.1, help="How long an answer may take, in seconds.")] = 2.0
) -> None:
    """Ask the process on this machine whether it is alive (GET /livez on the admin port)."""
    port = settings.load(os.environ).admin_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise _sick(port, str(error)) from None
    finally:
        connection.close()
    if status != 200:
        raise _sick(port, f"HTTP {status}")


def _sick(port: int, why: str) -> UnavailableError:
    return UnavailableError(
        "not_alive",
        zh=f"端口 {port} 上的 /livez 没有正常应答：{why}",
        en=f"no good answer from /livez on port {port}: {why}",
    )


if __name__ == "__main__":
    try:
        health(timeout_s=2.0)
    except HuiminError as error:
        sys.exit(str(error))
