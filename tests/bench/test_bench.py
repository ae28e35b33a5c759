"""The bench runs and writes figures that can be read; whether they are reached is not asked on a busy machine."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from bench.figures import percentile, spread

ROOT = Path(__file__).parents[2]


async def run(*arguments: str) -> tuple[int, str]:
    """`python -m bench`: its exit code and what it printed."""
    command = [sys.executable, "-m", "bench", *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(), 150)
    return process.returncode or 0, out.decode() + err.decode()


async def test_a_quick_bench_writes_figures_with_their_raw_runs_and_conditions(tmp_path: Path):
    out = tmp_path / "results.json"
    code, text = await run("receipts", "million", "--quick", "--out", str(out))
    assert code == 0, text
    told = json.loads(out.read_text())
    assert told["conditions"]["is_quick"]
    assert told["conditions"]["cores"] >= 1
    assert [row["name"] for row in told["rows"]] == ["receipts", "disk", "memory"]
    assert all(row["measured"] > 0 and row["is_reached"] in (True, False) for row in told["rows"]), told
    merged = told["rows"][0]["detail"]["merged_per_s"]
    assert merged["least"] <= merged["median"] <= merged["most"]


async def test_an_unknown_row_is_named_and_nothing_is_measured():
    code, text = await run("warp")
    assert code == 2
    assert "warp" in text


def test_a_spread_tells_the_median_and_the_extremes():
    told = spread([3.0, 1.0, 2.0, 10.0])
    assert (told.median, told.least, told.most) == (2.5, 1.0, 10.0)


def test_the_99th_percentile_of_a_few_values_is_the_largest():
    assert percentile([float(n) for n in range(40)], 0.99) == 39.0
    assert percentile([float(n) for n in range(1_000)], 0.99) == 990.0
