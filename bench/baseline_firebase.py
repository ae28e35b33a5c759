"""The rival: firebase-admin's own `send_each_async`, 500 messages a call, as its documentation says."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import firebase_admin
from firebase_admin import credentials, messaging

from bench.child import device_tokens, serve
from bench.push_ours import PushJob, content
from channels.fcm import message_of

PER_CALL = 500


async def prepare(job: PushJob) -> Callable[[], Awaitable[int]]:
    """Make all messages; the first one goes out now, so that connection and token are there."""
    url = f"{job.account['base_url']}/v1/projects/{{0}}/messages:send"
    messaging._MessagingService.FCM_URL = url  # noqa: SLF001 - its only way to another address
    account = json.loads(job.account["credentials"])
    firebase_admin.initialize_app(credentials.Certificate(account), {"projectId": job.account["project_id"]})
    model = message_of(content(), datetime.now(UTC))
    messages = [_to(model, device) for device in device_tokens(job)]
    first = await messaging.send_each_async(messages[:1])
    if first.failure_count:
        raise ConnectionError(f"firebase-admin: {first.responses[0].exception}")

    async def send_all() -> int:
        accepted = 0
        for start in range(0, len(messages), PER_CALL):
            answer = await messaging.send_each_async(messages[start : start + PER_CALL])
            accepted += answer.success_count
        return accepted

    return send_all


def _to(model: messaging.Message, device: str) -> messaging.Message:
    message = copy.copy(model)
    message.topic, message.token = None, device
    return message


if __name__ == "__main__":
    serve(PushJob, prepare)
