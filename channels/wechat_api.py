"""All other calls to WeChat: wechatpy's API methods on our own transport, awaitable.

wechatpy blocks the loop and keeps its own token; here `_request` is replaced, so its methods return something to await
(`await api.wxa.code_to_session(code)`, `await api.post("openapi/quota/get", data={...})`). A method of wechatpy that
looks into its result at once cannot work so: it raises TypeError with the way out, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException

from channels.base import Fault
from channels.call import State
from channels.replies import read_object
from channels.tokens import TokenKeeper
from channels.transport import Transport
from channels.wechat import STALE_TOKEN
from server.domain.errors import UnavailableError
from server.settings import WeChatAccount

VENDOR = "https://api.weixin.qq.com"

_JSON = ("Content-Type: application/json",)
_TIMEOUT_S = 5.0


class Answer:
    """A call that has not been made yet: await it, once."""

    def __init__(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._call = call

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._call().__await__()

    def __getitem__(self, name: object) -> Any:
        raise TypeError(f"this method of wechatpy reads {name!r} before the answer is there: use get() or post()")


class WeChatApi(WeChatClient):  # type: ignore[misc]  # wechatpy has no types
    """wechatpy's client of one mini-program. Results are JSON objects with errcode 0 or without one.

    Raises WeChatClientException with WeChat's errcode, and UnavailableError if WeChat cannot be reached or understood.
    A stale token is replaced and the call made again, once.
    """

    def __init__(self, account: WeChatAccount, transport: Transport, keeper: TokenKeeper) -> None:
        super().__init__(account.appid, account.secret.get_secret_value())
        self._base_url = account.base_url
        self._transport = transport
        self._keeper = keeper

    @property
    def access_token(self) -> str:
        """The token in use; it is fetched by the call that needs it."""
        return self._keeper.value

    def _request(self, method: str, url_or_endpoint: str, **options: Any) -> Answer:
        url = url_or_endpoint
        if not url.startswith(("http://", "https://")):
            url = f"{options.get('api_base_url') or self.API_BASE_URL}{url}"
        data = options.get("data")
        body = data.encode() if isinstance(data, str) else data
        if isinstance(data, dict):
            body = orjson.dumps(data)
        if method == "get":
            body = None
        elif body is None:
            body = b""
        processor = options.get("result_processor")
        params = dict(options.get("params") or {})
        return Answer(partial(self._call, url.replace(VENDOR, self._base_url, 1), params, body, processor))

    async def _call(self, url: str, params: dict[str, Any], body: bytes | None, processor: Any) -> Any:
        needs_token = "secret" not in params and "access_token" not in params
        result = await self._once(url, params, body, needs_token=needs_token)
        if needs_token and result.get("errcode") in STALE_TOKEN:
            self._keeper.spoil(self._keeper.value)
            result = await self._once(url, params, body, needs_token=True)
        if result.get("errcode", 0) != 0:
            raise WeChatClientException(result["errcode"], str(result.get("errmsg", "")), client=self)
        return processor(result) if processor else result

    async def _once(
        self, url: str, params: Mapping[str, Any], body: bytes | None, *, needs_token: bool
    ) -> Mapping[str, Any]:
        if needs_token:
            fault = await self._keeper.ready()
            if isinstance(fault, Fault):
                raise _unavailable(f"no access token: {fault.kind}")
            params = {**params, "access_token": self._keeper.value}
        reply = await self._transport.fetch(f"{url}?{urlencode(params)}", _JSON, body, _TIMEOUT_S)
        result = read_object(reply.body) if reply.state is State.ANSWERED and reply.status == 200 else None
        if result is None:
            raise _unavailable(f"{reply.state} {reply.status}")
        return result


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(
        "wechat_unavailable", zh="微信服务暂时不可用，请稍后再试", en=f"WeChat is not available: {why}"
    )
