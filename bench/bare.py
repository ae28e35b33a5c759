"""The bare loop: the product's own HTTP transport posting ready-made bodies to the sandbox, and nothing else.

It is what singles are compared with: no plan, no ledger, no lease, no address to open, no limit, no retry. It runs as
processes of its own, as many as there are workers on the other side. `python -m bench.bare` is one of them: it takes its
job as one JSON line, says when all bodies are encoded, starts at the next line and answers with what it measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import uvloop
from pydantic import BaseModel

from bench.city import cpu_s
from channels.base import WeChatContent
from channels.call import Call, Reply
from channels.transport import Transport, transport_for
from channels.wechat import message_frame as wechat_frame
from server.domain.errors import UnavailableError
from server.services.population import OPENID
from server.settings import FcmAccount, WeChatAccount

JSON = "Content-Type: application/json"
DEADLINE_S = 30.0


class Job(BaseModel):
    """What one bare process sends: `text` is what a broadcast's texts hold for the channel and zh."""

    account: dict[str, Any]
    is_fcm: bool = False
    text: dict[str, Any]
    count: int
    seed: int


async def bare(jobs: Sequence[Job]) -> tuple[float, float]:
    """Run the jobs at the same time, a process each; (seconds from the start to the last answer, their CPU seconds)."""
    processes = [await _spawn(job) for job in jobs]
    try:
        began = time.perf_counter()
        for process in processes:
            await _tell(process, "go")
        answers = [await _answer(process) for process in processes]
        seconds = time.perf_counter() - began
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
    if any(answer["accepted"] != job.count for answer, job in zip(answers, jobs, strict=True)):
        raise UnavailableError("bench_bare", zh="裸循环有未被接受的请求", en=f"not all were accepted: {answers}")
    return seconds, sum(answer["cpu_s"] for answer in answers)


async def _spawn(job: Job) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.bare", stdin=PIPE, stdout=PIPE, cwd=Path(__file__).parents[1]
    )
    await _tell(process, job.model_dump_json())
    await _answer(process)
    return process


async def _tell(process: Process, line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    await process.stdin.drain()


async def _answer(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(await process.stdout.readline())
    return answer


async def run(job: Job) -> None:
    """One process: make the bodies, wait for the word, post them all, always as many at a time as there are connections."""
    account = FcmAccount.model_validate(job.account) if job.is_fcm else WeChatAccount.model_validate(job.account)
    transport = transport_for(account)
    call_of, bodies = await _prepare(job, account, transport)
    _say({"ready": True})
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    before = cpu_s({"me": os.getpid()})["me"]
    accepted = await _post_all(transport, call_of, bodies, account.connections)
    _say({"accepted": accepted, "cpu_s": cpu_s({"me": os.getpid()})["me"] - before})
    transport.close()


async def _post_all(transport: Transport, call: tuple[str, Sequence[str]], bodies: list[bytes], at_once: int) -> int:
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()
    left, accepted = len(bodies), 0
    waiting = iter(bodies)

    def done(_index: int, reply: Reply) -> None:
        nonlocal left, accepted
        left -= 1
        accepted += reply.status == 200 and (b'"errcode":0' in reply.body or b'"name"' in reply.body)
        if (body := next(waiting, None)) is not None:
            transport.post(one, body)
        elif not left:
            finished.set()

    one = Call(call[0], call[1], loop.time() + 3_600.0, DEADLINE_S, done)
    for _ in range(min(at_once, len(bodies))):
        transport.post(one, next(waiting))
    await finished.wait()
    return accepted


async def _prepare(
    job: Job, account: FcmAccount | WeChatAccount, transport: Transport
) -> tuple[tuple[str, Sequence[str]], list[bytes]]:
    random = Random(job.seed)  # noqa: S311 - invented addresses, not secrets
    if isinstance(account, WeChatAccount):
        asked = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret.get_secret_value()}
        reply = await transport.fetch(f"{account.base_url}/cgi-bin/stable_token", (JSON,), orjson.dumps(asked))
        token = orjson.loads(reply.body)["access_token"]
        start, end = wechat_frame(
            WeChatContent(job.text["template_id"], job.text["data"], job.text["page"], job.text["lang"])
        )
        url, headers = f"{account.base_url}/cgi-bin/message/subscribe/send?access_token={token}", (JSON,)
        addresses = ["o" + "".join(random.choices(OPENID, k=27)) for _ in range(job.count)]
        return (url, headers), [b"%b%b%b" % (start, orjson.dumps(a), end) for a in addresses]
    raise NotImplementedError


def _say(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main() -> None:
    """One bare process."""
    uvloop.run(run(Job.model_validate_json(sys.stdin.readline())))


if __name__ == "__main__":
    main()
