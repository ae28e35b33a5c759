"""A citizen with a phone and the app, seen from outside: HTTP at the public port and nothing else.

The demo's residents and the test of a whole life are made of it. A one-time code is read where a person reads it: among
the texts that the phone shows, which the sandbox's providers keep.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from server.domain.errors import UnavailableError

CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names as HTTP writes them: Etag, Location."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    def told(self) -> Any:
        """What a success says, None if nothing; UnavailableError `demo_stuck` for a refusal, which it quotes."""
        if not 200 <= self.status < 300:
            said = self.body.decode(errors="replace")
            raise UnavailableError("demo_stuck", zh=f"请求被拒绝：{said}", en=f"refused: {self.status} {said}")
        return self.json if self.body else None


@dataclass(slots=True)
class Resident:
    """One person. `api` and `sandbox` are addresses without a slash at the end; tokens are kept after a log-in."""

    api: str
    sandbox: str
    access: str = ""
    refresh: str = ""

    async def ask(self, method: str, path: str, body: Any = None, *, version: str = "") -> Reply:
        """Any request as this person; `body` goes as JSON, `version` as If-Match. Refusals come back as they are."""
        headers = {"Authorization": f"Bearer {self.access}"} if self.access else {}
        headers |= {"If-Match": version} if version else {}
        return await _fetch(f"{self.api}{path}", method, headers, body)

    async def tell(self, method: str, path: str, body: Any = None, *, version: str = "") -> Any:
        """The same for what has to succeed: what it says."""
        return (await self.ask(method, path, body, version=version)).told()

    async def enter_by_wechat(self, who: str, label: str = "") -> Any:
        """Log in by WeChat as `who`; the answer with its tokens."""
        code = f"{who}.{secrets.token_hex(8)}"
        return self._keep(await self.tell("POST", "/v1/session/wechat", {"code": code, "label": label}))

    async def enter_by_phone(self, phone: str, label: str = "") -> Any:
        """Log in with a code by SMS; the answer with its tokens."""
        shown = await self.code(phone, "log_in")
        return self._keep(await self.tell("POST", "/v1/session/phone", {**shown, "label": label}))

    async def code(self, phone: str, purpose: str) -> dict[str, str]:
        """Ask for a one-time code and read it off the phone (E.164): what has to be typed in, with its request."""
        asked = await self.tell("POST", "/v1/codes", {"phone": phone, "purpose": purpose})
        codes = [found[0] for text in await self.texts(phone) if (found := CODE.search(text))]
        return {"request": asked["request"], "code": codes[0] if codes else "none"}

    async def texts(self, phone: str) -> list[str]:
        """What this phone (E.164) shows, newest first."""
        shown = await _fetch(f"{self.sandbox}/_sandbox/texts?{urlencode({'phone': phone})}", "GET", {}, None)
        return [each["text"] for each in shown.told()["texts"]]

    async def agree(self, purpose: str) -> Any:
        """Consent to a purpose in the version that is shown now."""
        listed = await self.tell("GET", "/v1/me/consents")
        version = next(each["version"] for each in listed["consents"] if each["purpose"] == purpose)
        return await self.tell("PUT", f"/v1/me/consents/{purpose}", {"version": version})

    async def add_place(self, label: str, **where: Any) -> Any:
        """Add a place: `division`, `point` with its datum, `name`, `address`."""
        return await self.tell("POST", "/v1/me/places", {"label": label, **where})

    async def inbox(self) -> Any:
        """Alerts in force for the own places, and news."""
        return await self.tell("GET", "/v1/me/inbox")

    async def read_alert(self, alert: str) -> None:
        """Open an alert of the inbox."""
        await self.tell("POST", f"/v1/me/inbox/alerts/{alert}/read")

    async def answer(self, alert: str, state: str, *, place: Mapping[str, Any] | None = None, note: str = "") -> Any:
        """Say `safe` or `help`."""
        said = {"state": state, "place": place, "note": note}
        return await self.tell("POST", f"/v1/alerts/{alert}/acknowledgement", said)

    def _keep(self, entered: Any) -> Any:
        self.access, self.refresh = entered["access_token"], entered["refresh_token"]
        return entered


async def _fetch(url: str, method: str, headers: Mapping[str, str], body: Any) -> Reply:
    data = None if body is None else json.dumps(body).encode()
    sent = {**headers, "Content-Type": "application/json"} if data is not None else {**headers}
    request = HTTPRequest(url, method, sent, data, allow_nonstandard_methods=True, request_timeout=TIMEOUT_S)
    got = await AsyncHTTPClient().fetch(request, raise_error=False)
    return Reply(got.code, dict(got.headers), got.body or b"")
