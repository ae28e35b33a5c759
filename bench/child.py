"""One side of a comparison in processes of its own, all started at the same moment.

A child is a module of the bench: it takes its job as one JSON line, says when it is ready, starts at the next line and
answers with one JSON line. What it prepares before that is not measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import uvloop
from pydantic import BaseModel

from bench.processes import cpu_s
from server.domain.errors import UnavailableError
from server.services.population import OPENID

ANSWER_TIMEOUT_S = 300.0
J = TypeVar("J", bound="Job")

LEAST = 0.99  # of the requests; a rival that loses a few is measured all the same


class Job(BaseModel):
    """What every child does: `count` notices. `seed` makes its invented addresses."""

    count: int
    seed: int = 1


async def together(module: str, jobs: Sequence[Job], environ: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Do the jobs at the same time, a process each: (seconds from the word to the last answer, their CPU seconds).

    UnavailableError if a child did not get every notice accepted.
    """
    children = [await _spawn(module, job, environ or {}) for job in jobs]
    try:
        began = time.perf_counter()
        for child in children:
            await _tell(child, "go")
        answers = [await _answer(child) for child in children]
        seconds = time.perf_counter() - began
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
            await child.wait()
    if any(answer["accepted"] < LEAST * job.count for answer, job in zip(answers, jobs, strict=True)):
        raise UnavailableError(
            "bench_child", zh=f"{module} 有未被接受的请求", en=f"{module}: not all accepted: {answers}"
        )
    return seconds, sum(answer["cpu_s"] for answer in answers)


def serve(kind: type[J], prepare: Callable[[J], Awaitable[Callable[[], Awaitable[int]]]]) -> None:
    """Be a child: `prepare` gets the job and returns what is measured, which returns how many notices were accepted."""
    uvloop.run(_serve(kind, prepare))


async def _serve(kind: type[J], prepare: Callable[[J], Awaitable[Callable[[], Awaitable[int]]]]) -> None:
    loop = asyncio.get_running_loop()
    work = await prepare(kind.model_validate_json(sys.stdin.readline()))
    _say({"ready": True})
    if not await loop.run_in_executor(None, sys.stdin.readline):
        return
    before = cpu_s({"me": os.getpid()})["me"]
    accepted = await work()
    _say({"accepted": accepted, "cpu_s": cpu_s({"me": os.getpid()})["me"] - before})


def openids(job: Job) -> list[str]:
    """Invented openids, as the population makes them."""
    random = Random(job.seed)  # noqa: S311 - invented addresses, not secrets
    return ["o" + "".join(random.choices(OPENID, k=27)) for _ in range(job.count)]


def device_tokens(job: Job) -> list[str]:
    """Invented FCM tokens, as the population makes them."""
    random = Random(job.seed)  # noqa: S311 - invented addresses, not secrets
    halves = ((random.choices(OPENID, k=22), random.choices(OPENID, k=134)) for _ in range(job.count))
    return [f"{''.join(first)}:APA91b{''.join(second)}" for first, second in halves]


async def _spawn(module: str, job: Job, environ: Mapping[str, str]) -> Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(__file__).parents[1],
        env=dict(os.environ) | dict(environ),
    )
    await _tell(child, job.model_dump_json())
    await _answer(child)
    return child


async def _tell(child: Process, line: str) -> None:
    assert child.stdin is not None
    child.stdin.write(line.encode() + b"\n")
    await child.stdin.drain()


async def _answer(child: Process) -> dict[str, Any]:
    assert child.stdout is not None
    line = await asyncio.wait_for(child.stdout.readline(), ANSWER_TIMEOUT_S)
    if not line:
        raise UnavailableError("bench_child", zh="基准子进程意外结束", en="a process of the bench ended early")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _say(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
