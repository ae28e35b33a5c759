"""What one row of the bench says, and how it is shown: a ratio or a bound, every raw run, and the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.table import Table

PACKAGES = ("tornado", "uvloop", "pymongo", "redis", "hiredis", "pycurl", "firebase-admin", "celery", "requests")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `measured` is None where it could not be measured; `why` then says what to install."""

    name: str
    figure: str
    reach: str
    measured: float | None
    unit: str = ""
    is_reached: bool | None = None
    why: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated runs of one measurement: the median decides, the extremes are told."""

    median: float
    least: float
    most: float
    runs: Sequence[float]


def spread(runs: Sequence[float]) -> Spread:
    """The spread of at least one run."""
    ordered = sorted(runs)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Spread(median, ordered[0], ordered[-1], [round(r, 3) for r in runs])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` (0..1) of the values do not exceed: of 30 values p99 is the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def conditions() -> dict[str, Any]:
    """The machine and the versions that the figures belong to."""
    cpu_info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", cpu_info.read_text()) if cpu_info.exists() else []
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }


def version_of(binary: str) -> str:
    """The first line that a program says about its version."""
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    return (told.stdout or told.stderr).splitlines()[0].strip()


def table(rows: Sequence[Row]) -> Table:
    """All rows for people."""
    shown = Table(title="make bench", title_justify="left")
    for heading in ("row", "figure", "reach", "measured", "ok"):
        shown.add_column(heading, justify="right" if heading in ("reach", "measured") else "left")
    for row in rows:
        measured = "not measured" if row.measured is None else f"{_short(row.measured)} {row.unit}".strip()
        verdict = {True: "yes", False: "NO", None: "-"}[row.is_reached]
        shown.add_row(row.name, row.figure + (f"\n{row.why}" if row.why else ""), row.reach, measured, verdict)
    return shown


def as_json(rows: Sequence[Row], extra: Mapping[str, Any]) -> dict[str, Any]:
    """All rows with every raw run, and what they were measured on."""
    return {"conditions": {**conditions(), **extra}, "rows": [asdict(row) for row in rows]}


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
