"""The operator's side of the sandbox: JSON below `/_sandbox/`. It does not exist at any real provider.

PUT  faults         a whole FaultScript; it replaces the one in force
PUT  limits         {"wechat": {...}, "fcm": {...}, "sms_aliyun": {...}, "sms_tencent": {...}}; only those named change
PUT  callback       {"url": "http://127.0.0.1:8080/v1/receipts"}; "" = send no receipts
PUT  grants         {"template_id", "openids": [...] or null = everybody, "credits": 1, "is_accepted": true,
                    "notify": false}; notify = WeChat tells the city by an event
POST expire-tokens  every access token given out is expired
POST flush          {"timeout_s": 30}; send all pending receipts now -> {"pending", "sent", "given_up"}
GET  texts          ?phone=%2B8613800138000: what this phone shows, newest first -> {"texts": [{"at", "provider",
                    "template", "text"}]}; the last texts of the last phones are kept
PUT  weather        {"rain_percent", "aqi", "low_c", "high_c", "wind_kmh", "location"}: what it is
                    like; null = as it comes
PUT  typhoon        {"lat", "lon", "is_active"}
PUT  alerts         {"warnings": [...], "files": {"name.xml": "<alert ...>"}}: what is in force
PUT  weather-broken {"answers": {"/v7/air/now": [200, "<html>"]}}: answers that are wrong
GET  counts         per provider: what was accepted, refused and done wrong, and the receipts
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from channels.sandbox import receipt_styles
from channels.sandbox.book import Owed
from channels.sandbox.faults import FaultScript
from channels.sandbox.fcm import FcmLimits
from channels.sandbox.http import Reply, Request, response
from channels.sandbox.server import Sandbox
from channels.sandbox.sms_aliyun import AliyunLimits
from channels.sandbox.sms_tencent import TencentLimits
from channels.sandbox.weather import Alerts, Broken, Setting, TyphoonSetting
from channels.sandbox.wechat import WeChatLimits

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Limits(BaseModel):
    """New limits of some providers."""

    model_config = _STRICT
    wechat: WeChatLimits | None = None
    fcm: FcmLimits | None = None
    sms_aliyun: AliyunLimits | None = None
    sms_tencent: TencentLimits | None = None


class Grants(BaseModel):
    """Citizens accept or withdraw a WeChat template."""

    model_config = _STRICT
    template_id: str
    openids: tuple[str, ...] | None = None
    credits: int = Field(default=1, ge=0, le=1_000_000)
    is_accepted: bool = True
    notify: bool = False


def _with_a_port(url: str) -> str:
    _ = urlsplit(url).port  # ValueError over 65535
    return url


class CallbackUrl(BaseModel):
    """Where receipts go."""

    model_config = _STRICT
    url: Annotated[str, AfterValidator(_with_a_port)] = Field(pattern=r"^(http://[\w.-]+(:\d{1,5})?(/[\x21-\x7e]*)?)?$")


class Flush(BaseModel):
    """How long to wait for receipts."""

    model_config = _STRICT
    timeout_s: float = Field(default=30, gt=0, le=600)


class Control:
    """Serves `/_sandbox/`; everything else is the weather's, or 404. `clock` is Unix time in seconds."""

    def __init__(self, sandbox: Sandbox, clock: Callable[[], float]) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._waiting: set[asyncio.Task[None]] = set()
        self._verbs: Mapping[tuple[bytes, bytes], Callable[[bytes], Any]] = {
            (b"PUT", b"/_sandbox/faults"): lambda body: sandbox.script(FaultScript.model_validate_json(body)),
            (b"PUT", b"/_sandbox/limits"): lambda body: self._limit(Limits.model_validate_json(body)),
            (b"PUT", b"/_sandbox/callback"): lambda body: sandbox.send_receipts_to(
                CallbackUrl.model_validate_json(body).url
            ),
            (b"PUT", b"/_sandbox/grants"): lambda body: self._grant(Grants.model_validate_json(body)),
            (b"PUT", b"/_sandbox/weather"): lambda body: sandbox.weather.set(Setting.model_validate_json(body)),
            (b"PUT", b"/_sandbox/typhoon"): lambda body: sandbox.weather.set_typhoon(
                TyphoonSetting.model_validate_json(body)
            ),
            (b"PUT", b"/_sandbox/alerts"): lambda body: sandbox.weather.set_alerts(Alerts.model_validate_json(body)),
            (b"PUT", b"/_sandbox/weather-broken"): lambda body: sandbox.weather.set_broken(
                Broken.model_validate_json(body)
            ),
            (b"POST", b"/_sandbox/expire-tokens"): lambda _body: self._expire_tokens(),
            (b"GET", b"/_sandbox/counts"): lambda _query: self._counts(),
            (b"GET", b"/_sandbox/texts"): self._texts,
        }

    def serve(self, request: Request, reply: Reply) -> None:
        """One control request."""
        if not request.path.startswith(b"/_sandbox/"):
            self._sandbox.weather.serve(request, reply)
            return
        try:
            if (request.method, request.path) == (b"POST", b"/_sandbox/flush"):
                self._start_flush(Flush.model_validate_json(request.body or b"{}"), reply)
                return
            verb = self._verbs.get((request.method, request.path))
            if verb is None:
                reply.send(response(404, b'{"error":"not found"}'))
                return
            result = verb(request.query if request.method == b"GET" else request.body)
        except (ValidationError, LookupError) as error:
            reply.send(response(400, orjson.dumps({"error": str(error)})))
            return
        reply.send(response(200, orjson.dumps(result if result is not None else {"ok": True})))

    def _start_flush(self, flush: Flush, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(self._flush(flush.timeout_s, reply))
        self._waiting.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._waiting.discard)

    async def _flush(self, timeout_s: float, reply: Reply) -> None:
        await self._sandbox.flush(timeout_s)
        counts = [book.counts for book in self._sandbox.books.values()]
        totals = {
            "pending": sum(outbox.pending for outbox in self._sandbox.outboxes.values()),
            "sent": sum(count["receipts sent"] for count in counts),
            "given_up": sum(count["receipts given up"] for count in counts),
        }
        reply.send(response(200, orjson.dumps(totals)))

    def _limit(self, limits: Limits) -> None:
        sandbox = self._sandbox
        sandbox.wechat.limits = limits.wechat or sandbox.wechat.limits
        sandbox.fcm.limits = limits.fcm or sandbox.fcm.limits
        sandbox.aliyun.limits = limits.sms_aliyun or sandbox.aliyun.limits
        sandbox.tencent.limits = limits.sms_tencent or sandbox.tencent.limits

    def _grant(self, asked: Grants) -> None:
        grants = self._sandbox.wechat.grants
        if not grants.knows(asked.template_id):
            raise LookupError(f"no template {asked.template_id}")
        if asked.openids is None:
            grants.accept_all(asked.template_id, asked.credits if asked.is_accepted else 0)
            return
        for openid in asked.openids:
            if asked.is_accepted:
                grants.accept(openid, asked.template_id, asked.credits)
            else:
                grants.revoke(openid, asked.template_id)
            if asked.notify:
                self._notify(openid, asked)

    def _notify(self, openid: str, asked: Grants) -> None:
        now = self._clock()
        event = receipt_styles.grant_event(openid, asked.template_id, is_accepted=asked.is_accepted, now=now)
        self._sandbox.outboxes["wechat"].owe(0, Owed(openid, asked.template_id, "", "", now, "", event))

    def _expire_tokens(self) -> None:
        self._sandbox.wechat.expire_tokens()
        self._sandbox.fcm.expire_tokens()

    def _texts(self, query: bytes) -> dict[str, Any]:
        asked = dict(parse_qsl(query.decode("latin-1")))
        if asked.keys() != {"phone"}:
            raise LookupError("texts?phone=%2B86...")
        return {"texts": self._sandbox.phones.look(asked["phone"].replace(" ", "+", 1))}

    def _counts(self) -> dict[str, dict[str, int]]:
        counts = {name: dict(sorted(book.counts.items())) for name, book in self._sandbox.books.items()}
        for name, outbox in self._sandbox.outboxes.items():
            counts[name]["receipts pending"] = outbox.pending
        return counts
