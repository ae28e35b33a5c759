"""The bare loop: the product's own HTTP transport posting ready-made WeChat bodies to the sandbox, and nothing else.

It is what singles are compared with: no plan, no ledger, no lease, no address to open, no limit, no retry. As many
requests are always on their way as there are connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from bench.child import Job, openids, serve
from channels.base import WeChatContent
from channels.call import Call, Reply
from channels.transport import transport_for
from channels.wechat import message_frame
from server.settings import WeChatAccount

JSON = ("Content-Type: application/json",)
DEADLINE_S = 30.0


class BareJob(Job):
    """`account` as in the settings; `text` as a broadcast holds it for WeChat and one language."""

    account: dict[str, Any]
    text: dict[str, Any]


async def prepare(job: BareJob) -> Callable[[], Awaitable[int]]:
    """Get a token and encode all bodies."""
    account = WeChatAccount.model_validate(job.account)
    transport = transport_for(account)
    asked = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret.get_secret_value()}
    reply = await transport.fetch(f"{account.base_url}/cgi-bin/stable_token", JSON, orjson.dumps(asked))
    token = orjson.loads(reply.body)["access_token"]
    url = f"{account.base_url}/cgi-bin/message/subscribe/send?access_token={token}"
    text = job.text
    start, end = message_frame(WeChatContent(text["template_id"], text["data"], text["page"], text["lang"]))
    bodies = [b"%b%b%b" % (start, orjson.dumps(openid), end) for openid in openids(job)]

    async def post_all() -> int:
        loop = asyncio.get_running_loop()
        finished = asyncio.Event()
        left, accepted = len(bodies), 0
        waiting = iter(bodies)

        def done(_index: int, reply: Reply) -> None:
            nonlocal left, accepted
            left -= 1
            accepted += reply.status == 200 and b'"errcode":0' in reply.body
            if (body := next(waiting, None)) is not None:
                transport.post(call, body)
            elif not left:
                finished.set()

        call = Call(url, JSON, loop.time() + 3_600.0, DEADLINE_S, done)
        for _ in range(min(account.connections, len(bodies))):
            transport.post(call, next(waiting))
        await finished.wait()
        transport.close()
        return accepted

    return post_all


if __name__ == "__main__":
    serve(BareJob, prepare)
