"""The rival that most cities would write: one Celery task and one MongoDB document per recipient, sent by `requests`.

It gets what speaks for it: a kept-alive session per process, documents inserted in bulk, one write per task, no
results, early acknowledgement. It has no plan that survives a crash, no limits and no priorities.
Celery finds its application as a name of this module, so there is one here.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Any

import requests
from celery import Celery
from pymongo import MongoClient
from pymongo.collection import Collection

BROKER = "BENCH_CELERY_BROKER"
MONGO = "BENCH_CELERY_MONGO"
DB = "BENCH_CELERY_DB"
TIMEOUT_S = 10
JSON = {"Content-Type": "application/json"}
COLLECTION = "celery_notices"

app = Celery("bench", broker=os.environ.get(BROKER))
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 64
app.conf.broker_connection_retry_on_startup = True


@functools.cache
def session() -> requests.Session:
    """One kept-alive session per process."""
    return requests.Session()


@functools.cache
def notices() -> Collection[dict[str, Any]]:
    """The documents, w:majority as a replica set does by default."""
    client: MongoClient[dict[str, Any]] = MongoClient(os.environ[MONGO])
    return client[os.environ[DB]][COLLECTION]


@app.task  # type: ignore[untyped-decorator]
def send(notice: int, url: str, body: dict[str, Any]) -> None:
    """Hand one notice over and write down what came of it."""
    text = json.dumps(body, ensure_ascii=False).encode()  # WeChat refuses escaped text, which requests would make
    answer = session().post(url, data=text, headers=JSON, timeout=TIMEOUT_S).json()
    status = "accepted" if answer["errcode"] == 0 else f"refused {answer['errcode']}"
    notices().update_one({"_id": notice}, {"$set": {"status": status, "msgid": answer.get("msgid")}})
