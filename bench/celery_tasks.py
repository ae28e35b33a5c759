"""Singles end to end against a Celery task per recipient."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import requests
from celery import Celery
from pymongo import AsyncMongoClient

from bench import baseline_celery as rival
from bench.child import Job, openids
from bench.city import Run, Stage, Wish
from bench.figures import Row, spread
from bench.singles import to_everyone
from channels.base import WeChatContent
from channels.wechat import message_frame
from server.domain.broadcasts import Lane
from server.processes import owned

REACH = 50.0
PROCESSES = 2
START_TIMEOUT_S = 60.0
GIVE_UP_S = 120.0
POLL_S = 0.05


async def celery(stage: Stage) -> list[Row]:
    """Notices a second, ours with two workers over the rival's with two processes, to the same sandbox."""
    sizes = stage.sizes
    settings = await stage.city(sizes.people)
    ours, theirs = [], []
    async with stage.town(settings, Wish(workers=PROCESSES)) as run:
        for turn in range(sizes.repeats):
            ours.append((await to_everyone(run, sizes.people)).per_s)
            theirs.append(await _rival(run, sizes.rivals, turn))
    mine, other = spread(ours), spread(theirs)
    ratio = mine.median / other.median
    return [
        Row(
            name="celery",
            figure="singles end to end against one Celery task and one document per recipient (2 processes each)",
            reach=f">= {REACH:.0f}x",
            measured=ratio,
            unit="x",
            is_reached=ratio >= REACH,
            detail={
                "ours_per_s": mine,
                "celery_per_s": other,
                "recipients": {"ours": sizes.people, "celery": sizes.rivals},
                "conditions": "prefork; broker in the same Valkey, documents in the same mongod (w:majority)",
            },
        )
    ]


async def _rival(run: Run, count: int, turn: int) -> float:
    """Recipients a second, from the first document to the last outcome."""
    settings = run.town.settings
    assert settings.mongo_url is not None
    assert settings.redis_url is not None
    url, bodies = await asyncio.to_thread(_messages, run, count, turn)
    async with AsyncMongoClient[dict[str, Any]](settings.mongo_url) as mongo, _workers(run) as app:
        notices = mongo[settings.mongo_db][rival.COLLECTION]
        await notices.drop()
        began = time.perf_counter()
        await notices.insert_many(
            [{"_id": n, "to": body["touser"], "status": "planned"} for n, body in enumerate(bodies)]
        )
        await asyncio.to_thread(_enqueue, app, url, bodies)
        patient_until = time.monotonic() + GIVE_UP_S
        while await notices.count_documents({"status": "planned"}):
            if time.monotonic() > patient_until:
                raise TimeoutError(f"Celery has not sent {count} notices after {GIVE_UP_S:.0f} s")
            await asyncio.sleep(POLL_S)
        seconds = time.perf_counter() - began
        if await notices.count_documents({"status": "accepted"}) != count:
            raise RuntimeError(f"not accepted: {await notices.distinct('status')}")
        return count / seconds


def _enqueue(app: Celery, url: str, bodies: list[dict[str, Any]]) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for number, body in enumerate(bodies):
            app.send_task("bench.baseline_celery.send", (number, url, body), producer=producer)


def _messages(run: Run, count: int, turn: int) -> tuple[str, list[dict[str, Any]]]:
    account = run.town.settings.wechat
    assert account is not None
    asked = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret.get_secret_value()}
    answer = requests.post(f"{account.base_url}/cgi-bin/stable_token", json=asked, timeout=10).json()
    url = f"{account.base_url}/cgi-bin/message/subscribe/send?access_token={answer['access_token']}"
    text = run.whole_city(Lane.BLUE, "wechat").texts["wechat"]["zh"]
    start, end = message_frame(WeChatContent(text["template_id"], text["data"], text["page"], text["lang"]))
    people = openids(Job(count=count, seed=turn))
    return url, [orjson.loads(b"%b%b%b" % (start, orjson.dumps(openid), end)) for openid in people]


@asynccontextmanager
async def _workers(run: Run) -> AsyncIterator[Celery]:
    """The rival's worker processes, ready."""
    settings = run.town.settings
    assert settings.redis_url is not None
    named = {rival.BROKER: settings.redis_url, rival.MONGO: str(settings.mongo_url), rival.DB: settings.mongo_db}
    options = ["--pool=prefork", f"--concurrency={PROCESSES}", "--loglevel=WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    log = run.town.home / "log" / "celery.log"
    with await asyncio.to_thread(log.open, "ab") as file:
        process = await asyncio.create_subprocess_exec(
            *owned([sys.executable, "-m", "celery", "-A", "bench.baseline_celery", "worker", *options, *quiet]),
            env=dict(os.environ) | named,
            stdout=file,
            stderr=file,
        )
    app = Celery("bench", broker=settings.redis_url)
    try:
        await asyncio.to_thread(_wait_until_it_answers, app)
        yield app
    finally:
        app.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _wait_until_it_answers(app: Celery) -> None:
    patient_until = time.monotonic() + START_TIMEOUT_S
    while not app.control.ping(timeout=0.5):
        if time.monotonic() > patient_until:
            raise TimeoutError("the Celery workers did not start")
