"""The report equals the journal while workers and databases are killed: the long form of the proof in tests/push."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from bench.city import QUICK, Stage
from bench.figures import Row
from server.processes import owned

ROOT = Path(__file__).parents[1]
PROOF = ROOT / "tests" / "push" / "test_chaos.py"
FIGURE = "workers, mongod and Valkey killed, FLUSHALL, in mid-broadcast: the report equals the journal"
TOLD = re.compile(r"^\.?(seed \d+: .*)$", re.MULTILINE)  # what each storm says about itself


async def chaos(stage: Stage) -> list[Row]:
    """Run the proof as pytest does; with --quick its small form."""
    if not PROOF.exists():
        return [Row("chaos", FIGURE, "equal", None, why=f"needs {PROOF.relative_to(ROOT)} of a checkout")]
    stage.tell("storms", 0, 1)
    selected = "not chaos" if stage.sizes == QUICK else "chaos"
    process = await asyncio.create_subprocess_exec(
        *owned([sys.executable, "-m", "pytest", "-q", "-s", "-m", selected, str(PROOF)]),
        cwd=ROOT,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output = (await process.communicate())[0].decode(errors="replace")
    is_equal = process.returncode == 0
    return [
        Row(
            name="chaos",
            figure=FIGURE,
            reach="equal",
            measured=float(is_equal),
            is_reached=is_equal,
            why="" if is_equal else output[-2_000:],
            detail={"storms": TOLD.findall(output), "last_line": output.strip().splitlines()[-1:]},
        )
    ]
