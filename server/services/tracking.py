"""Following an application by number and code, without a log-in: open to everybody, and worth nothing to who guesses.

Promises. A wrong code and a number that nobody has are answered alike. Who is wrong too often waits, counted by where
they ask from, in the database: several processes are no more tries. A code has thirty signs to the tenth power; the
wait is there so that trying is seen and costs time, and it never locks an application for who has its code elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from server.domain.applications import Application
from server.domain.errors import NotFoundError, TooManyError
from server.services.applications import Applications
from server.storage.attempts import Attempts

DELAYS_S = (*(0,) * 10, 5, 15, 30, 60)  # after the n-th wrong try; many honest people may be behind one address

log = structlog.get_logger()


class Tracking:
    """The verb."""

    def __init__(self, counter: Applications, attempts: Attempts, now: Callable[[], datetime]) -> None:
        self._counter = counter
        self._attempts = attempts
        self._now = now

    async def follow(self, number: str, code: str, origin: str) -> tuple[Application, tuple[str, str]]:
        """Where it stands. `origin`: who asks, as far as the network tells.

        InvalidInputError `number_mistyped`; NotFoundError `application_unknown`; TooManyError `tracking_tries`.
        """
        at, counter = self._now(), self._attempts.key("tracking", origin)
        if await self._attempts.is_held(counter, at):
            log.info("tracking_held")
            raise TooManyError(
                "tracking_tries", zh="查询有误次数过多，请稍后再试", en="too many wrong tries: wait a little",
                retry_after_s=DELAYS_S[-1],
            )  # fmt: skip
        try:
            return await self._counter.track(number, code)
        except NotFoundError:
            await self._attempts.charge(counter, at, DELAYS_S)
            raise
