"""What the sandbox's tests share: its command line, good requests, and a callback server that remembers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import orjson

from channels.sandbox.accounts import APP_SECRET, APPID, PROJECT
from channels.sandbox.client import Poster
from channels.sandbox.http import Connection, Reply, Request, response

# The command alone, without the rest of the command line and its imports: a second less for every start.
COMMAND = (sys.executable, "-c", "import typer; from server.commands.sandbox import sandbox; typer.run(sandbox)")
SIGN = "惠民预警"
PARAMS = {"area": "南山区", "event": "暴雨", "colour": "红色"}
ALIYUN_TEMPLATE, TENCENT_TEMPLATE, WECHAT_TEMPLATE, ONE_TIME_TEMPLATE = (
    "SMS_900000001",
    "1900001",
    "WX_ALERT",
    "WX_EXERCISE",
)
FIELDS = {
    "thing1": "暴雨",
    "thing2": "红色预警",
    "thing3": "南山区",
    "time4": "2026年11月24日 15:01",
    "thing5": "请勿外出",
}


def openid(number: int) -> str:
    return f"o{number:027d}"


def device(number: int) -> str:
    return f"device{number}:{'A' * 134}"


def phone(number: int) -> str:
    return f"+86138{number:08d}"


def message(touser: str, template: str = WECHAT_TEMPLATE, **fields: str) -> dict[str, Any]:
    """A subscribe message; `fields` replace the good ones."""
    data = {key: {"value": value} for key, value in (FIELDS | fields).items()}
    return {"touser": touser, "template_id": template, "page": "pages/alert/index?id=1", "data": data}


def push(token: str, **more: Any) -> dict[str, Any]:
    """An FCM message; `more` goes into it."""
    android = {"priority": "HIGH", "ttl": "600s", "notification": {"tag": "chain-1"}}
    return {
        "message": {"token": token, "notification": {"title": "预警", "body": "请勿外出"}, "android": android, **more}
    }


class Caller:
    """A plain HTTP client of one sandbox."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._poster = Poster(asyncio.get_running_loop())

    async def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """The status and body of the answer; PostFailedError if there is none."""
        return await self._poster.post(self.base_url + path, orjson.dumps(body), "application/json", 10)

    async def json(self, path: str, body: Any) -> Any:
        """The JSON of the answer, whatever its status."""
        return orjson.loads((await self.post(path, body))[1])

    async def wechat_path(self) -> str:
        """The path of subscribeMessage.send with a fresh token."""
        asked = {"grant_type": "client_credential", "appid": APPID, "secret": APP_SECRET}
        token = (await self.json("/cgi-bin/stable_token", asked))["access_token"]
        return f"/cgi-bin/message/subscribe/send?access_token={token}"

    def close(self) -> None:
        """Hang up."""
        self._poster.close()


FCM_PATH = f"/v1/projects/{PROJECT}/messages:send"


class City:
    """A callback server: keeps every request; `answer` decides what goes back."""

    def __init__(self, answer: Callable[[Request], bytes]) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self._answer = answer
        self._peers: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._serve, self._peers), "127.0.0.1", 0
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/receipts"

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        for peer in tuple(self._peers):
            peer.close()
        await asyncio.sleep(0.01)

    def _serve(self, request: Request, reply: Reply) -> None:
        self.requests.append(request)
        reply.send(self._answer(request))


def agree(request: Request) -> bytes:
    """The answer that each vendor wants to hear."""
    if request.path.startswith(b"/v1/receipts/wechat"):
        return response(200, b"success", content_type="text/plain")
    return response(200, b'{"code":0,"msg":"","result":0,"errmsg":"OK"}')
