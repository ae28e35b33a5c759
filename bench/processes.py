"""What a running process has used, read from /proc (Linux only; elsewhere nothing is known)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Processor seconds that each process has used so far, user and system, all threads."""
    tick = os.sysconf("SC_CLK_TCK")
    used: dict[str, float] = {}
    for name, pid in pids.items():
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(")")[2].split()
            used[name] = (int(fields[11]) + int(fields[12])) / tick
    return used


def resident_mb(pid: int) -> tuple[float, float]:
    """(memory now, its peak so far) of a process in MB (2^20); (0, 0) where it cannot be read."""
    status = Path(f"/proc/{pid}/status")
    text = status.read_text() if status.exists() else ""
    found = {name: int(kb) / 1024 for name, kb in re.findall(r"(VmRSS|VmHWM):\s*(\d+) kB", text)}
    return found.get("VmRSS", 0.0), found.get("VmHWM", 0.0)
