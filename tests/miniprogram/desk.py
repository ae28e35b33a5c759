"""The emergency office of the city under test: releases an alert, and takes it back when the test is over."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.api.client import Answer
from tests.api.test_main_job import DESK, City, submit

FRESH_S = 200.0  # a release needs a second factor of the last five minutes
NANSHAN = "440305"


@dataclass(slots=True)
class Desk:
    """Two officers, logged in once and again when their second factor is old: a one-time code works once."""

    town: City
    held: dict[str, tuple[float, str]] = field(default_factory=dict)

    async def token(self, role: str) -> str:
        """Of the demo officer with this role."""
        at, token = self.held.get(role, (0.0, ""))
        if not token or time.monotonic() - at > FRESH_S:
            token = await self.town.log_in(role)
            self.held[role] = (time.monotonic(), token)
        return token

    async def prepare(self, colour: str = "Orange", description: str = "阵风10级。") -> dict[str, Any]:
        """A typhoon alert for 南山区, submitted and not released."""
        author = await self.token("author")
        form = {
            "event": "11B01", "colour": colour, "areas": [{"divisions": [NANSHAN]}],
            "expires_at": (datetime.now(UTC) + timedelta(hours=6)).isoformat(timespec="seconds"),
            "words": {"zh": {"description": description}, "en": {"description": "Gusts of force 10."}},
        }  # fmt: skip
        draft = await self.town.api("POST", DESK, form, token=author)
        assert draft.status == 201, draft.body
        return await submit(self.town.api, author, draft)

    async def release(self, submitted: dict[str, Any]) -> Answer:
        """By the chief; the answer to it."""
        answer = await self.town.api(
            "POST",
            f"{DESK}/{submitted['identifier']}/release",
            {"digest": submitted["digest"]},
            token=await self.token("chief"),
        )
        assert answer.status == 200, answer.body
        return answer

    async def cancel(self, identifier: str) -> None:
        """The all-clear."""
        author = await self.token("author")
        cancel = await self.town.api("POST", f"{DESK}/{identifier}/cancel", {"note": "已远离"}, token=author)
        assert cancel.status == 201, cancel.body
        await self.release(cancel.json)

    @asynccontextmanager
    async def warned(self, colour: str = "Orange") -> AsyncIterator[str]:
        """An alert is in force meanwhile; its identifier. The all-clear is given however the test ends."""
        submitted = await self.prepare(colour)
        await self.release(submitted)
        try:
            yield submitted["identifier"]
        finally:
            await self.cancel(submitted["identifier"])
