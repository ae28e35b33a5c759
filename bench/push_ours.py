"""Our FCM channel over our transport, without a ledger: what firebase-admin's own sender is compared with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from bench.child import Job, device_tokens, serve
from channels.base import Outcome, PushContent, Verdict, Window
from channels.fcm import FcmChannel
from channels.transport import transport_for
from server.settings import FcmAccount

WINDOW = 250
WINDOWS_AT_ONCE = 4
DEADLINE_S = 30.0


class PushJob(Job):
    """`account` as in the settings."""

    account: dict[str, Any]


class NoStore:
    """A token store for one process: nothing is shared."""

    async def get(self, _name: str) -> str | None:
        """Nothing is known."""
        return None

    async def put(self, _name: str, _value: str, _ttl_s: float) -> None:
        """The keeper has it; nobody else needs it."""

    def lock(self, _name: str, _ttl_s: float) -> AbstractAsyncContextManager[None]:
        """Nobody to wait for."""
        return _open_door()


@asynccontextmanager
async def _open_door() -> AsyncIterator[None]:
    yield


def content() -> PushContent:
    """The notification of both sides."""
    title, body = "深圳市发布暴雨红色预警", "3小时内降雨将达100毫米以上，请停止户外活动，远离低洼积水处。"
    return PushContent(title, body, tag="bench", ttl_s=3_600, is_loud=True, channel_id="alert_red", data={"id": "1"})


async def prepare(job: PushJob) -> Callable[[], Awaitable[int]]:
    """Connect and get a token."""
    account = FcmAccount.model_validate(job.account)
    transport = transport_for(account)
    channel = FcmChannel(account, transport, NoStore(), lambda: datetime.now(UTC))
    if fault := await channel.ready():
        raise ConnectionError(f"no token: {fault}")
    devices, same = device_tokens(job), content()

    async def send_all() -> int:
        accepted = 0
        room = asyncio.Semaphore(WINDOWS_AT_ONCE * WINDOW)
        loop = asyncio.get_running_loop()

        def settle(_index: int, outcome: Outcome) -> None:
            nonlocal accepted
            accepted += outcome.verdict is Verdict.ACCEPTED
            room.release()

        for start in range(0, len(devices), WINDOW):
            window = devices[start : start + WINDOW]
            for _ in window:
                await room.acquire()
            channel.send(Window(same, window, "bench", loop.time() + DEADLINE_S, DEADLINE_S), settle)
        for _ in range(WINDOWS_AT_ONCE * WINDOW):
            await room.acquire()
        transport.close()
        return accepted

    return send_all


if __name__ == "__main__":
    serve(PushJob, prepare)
