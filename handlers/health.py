"""Is this process alive, and is it ready? On the admin port, never on the public one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from handlers.base import ApiHandler


class LiveHandler(ApiHandler):
    """The process answers: that is all."""

    def get(self) -> None:
        """200 while the loop turns."""
        self.respond({"alive": True})


class ReadyHandler(ApiHandler):
    """Every part that a request needs, by name."""

    def initialize(self, checks: Mapping[str, Callable[[], Awaitable[bool]]]) -> None:
        """`checks` answer in bounded time and do not raise."""
        self.checks = checks

    async def get(self) -> None:
        """200 if all are well, else 503 with the ones that are not."""
        found = {name: await check() for name, check in self.checks.items()}
        self.respond({"ready": all(found.values()), "parts": found}, 200 if all(found.values()) else 503)
