"""`version`: which Huimin this is."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, metadata
from typing import Annotated

import typer

import server


def version(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Print the version of Huimin and of what it stands on."""
    told = {
        "huimin": server.__version__,
        "python": platform.python_version(),
        **{name: _release(name) for name in ("tornado", "pymongo", "redis", "uvloop")},
    }
    typer.echo(json.dumps(told) if as_json else "\n".join(f"{name} {release}" for name, release in told.items()))


def _release(package: str) -> str:
    try:
        return metadata(package)["Version"]
    except PackageNotFoundError:
        return "missing"
