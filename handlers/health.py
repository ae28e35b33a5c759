"""Is this process alive, is it ready, and what has it counted? On the admin port, never on the public one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pydantic import BaseModel, ConfigDict

from handlers.base import ApiHandler


class Alive(BaseModel):
    """The loop turns."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"alive": True}})

    alive: bool


class Ready(BaseModel):
    """Whether requests can be served, and which part is missing if not."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ready": True, "parts": {"mongo": True, "redis": True}}}
    )

    ready: bool
    parts: Mapping[str, bool]


class LiveHandler(ApiHandler):
    """The process answers: that is all."""

    def get(self) -> None:
        """200 while the loop turns."""
        self.respond(Alive(alive=True))


class ReadyHandler(ApiHandler):
    """Every part that a request needs, by name."""

    def initialize(self, checks: Mapping[str, Callable[[], Awaitable[bool]]]) -> None:
        """`checks` answer in bounded time and do not raise."""
        self.checks = checks

    async def get(self) -> None:
        """200 if all are well, else 503 with the ones that are not."""
        found = {name: await check() for name, check in self.checks.items()}
        ready = all(found.values())
        self.respond(Ready(ready=ready, parts=found), 200 if ready else 503)


class MetricsHandler(ApiHandler):
    """The figures of this process, for Prometheus."""

    def initialize(self, figures: Callable[[], bytes]) -> None:
        """`figures` gives them in the text format 0.0.4."""
        self.figures = figures

    def get(self) -> None:
        """The text format."""
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(self.figures())
