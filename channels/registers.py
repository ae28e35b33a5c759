"""The departments' registers over HTTPS: asked instead of a citizen's papers (免提交). Implements `Registers`.

POST {base_url}/ask   {"request", "source", "purposes": [...], "fields": [...], "person": {"name", "id_number"}}
                   -> {"as_of": "2026-11-23T02:00:00Z", "values": {field: text | whole number | true | false}}

signed as our webhooks are (Standard Webhooks: `webhook-id` is `request`). A 404 means that the source knows nothing of
this person. Anything else but a 200 with exactly such a body, in time, is `source_away`: a value that was not asked,
or one of another type, fills no form. Nothing is retried. A source that fails again and again is left alone for a
while, so that citizens go on with papers at once instead of waiting. docs/departments.md is the department's page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated

import orjson
import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool, ValidationError

from channels.call import Reply, State
from channels.transport import Transport
from server.domain.errors import UnavailableError
from server.domain.partners import signature
from server.domain.real_name import RealName
from server.domain.sources import Answer, Question
from server.settings import DepartmentAccount

FAILURES = 3  # in a row, then the source rests
REST_S = 30.0
AHEAD = timedelta(minutes=5)  # how far a department's clock may be before ours
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)  # nothing that is known is as old
MAX_TEXT = 1_000
LARGEST = 2**53  # beyond it JSON's numbers are not the same everywhere
OURS = frozenset({401, 403, 408, 429})  # of the 4xx, those that do not depend on what was asked

Text = Annotated[str, Field(strict=True, max_length=MAX_TEXT)]
Whole = Annotated[int, Field(strict=True, ge=-LARGEST, le=LARGEST)]

log = structlog.get_logger()


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    as_of: Annotated[AwareDatetime, Field(strict=True)]
    values: dict[str, StrictBool | Whole | Text] = Field(max_length=100)


class Breaker:
    """Opens after FAILURES in a row; after REST_S one caller may try, and the next one REST_S later. Times in seconds.

    >>> breaker = Breaker()
    >>> for _ in range(FAILURES):
    ...     breaker.failed(100.0)
    >>> [breaker.may_try(at) for at in (101.0, 100.0 + REST_S, 101.0 + REST_S)]
    [False, True, False]
    """

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until_s = 0.0

    def may_try(self, now_s: float) -> bool:
        """Whether the source may be asked; a True after a rest is for this caller alone."""
        if self._failures < FAILURES:
            return True
        if now_s < self._rests_until_s:
            return False
        self._rests_until_s = now_s + REST_S
        return True

    def failed(self, now_s: float) -> None:
        """It did not answer as agreed."""
        self._failures += 1
        self._rests_until_s = now_s + REST_S

    def worked(self) -> None:
        """It did."""
        self._failures = 0


class Department:
    """One interface and the sources behind it, each with a breaker of its own."""

    def __init__(
        self, account: DepartmentAccount, transport: Transport, now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        self._account = account
        self._transport = transport
        self._now = now
        self._random = random
        self._breakers = {source: Breaker() for source in account.sources}

    async def ask(self, question: Question, person: RealName) -> Answer | None:
        """What it knows; None: nothing. UnavailableError `source_away`."""
        clock, breaker = asyncio.get_running_loop().time, self._breakers[question.source]
        if not breaker.may_try(clock()):
            raise source_away(question.source)
        request = self._random(16).hex()
        reply = await self._fetch(request, question, person)
        is_asked_wrong = 400 <= reply.status < 500 and reply.status not in OURS
        said = _read(reply, question, self._now() + AHEAD) if reply.status == 200 else None
        if said is not None or is_asked_wrong:
            breaker.worked()
        else:
            breaker.failed(clock())
        log.info(
            "register_asked", request=request, source=question.source, state=reply.state.value, status=reply.status,
            why=reply.why, is_understood=said is not None,
        )  # fmt: skip
        if reply.status == 404:
            return None
        if said is None:
            raise source_away(question.source)
        return Answer(MappingProxyType(said.values), said.as_of) if said.values else None

    async def _fetch(self, request: str, question: Question, person: RealName) -> Reply:
        body = orjson.dumps(
            {
                "request": request,
                "source": question.source,
                "purposes": sorted(question.purposes),
                "fields": sorted(question.fields),
                "person": {"name": person.name, "id_number": person.number},
            }
        )
        timestamp_s = int(self._now().timestamp())
        signed = signature(self._account.key.get_secret_value(), request, timestamp_s, body)
        headers = (
            "Content-Type: application/json",
            f"webhook-id: {request}",
            f"webhook-timestamp: {timestamp_s}",
            f"webhook-signature: {signed}",
        )
        url, timeout_s = f"{self._account.base_url.rstrip('/')}/ask", self._account.timeout_s
        try:
            async with asyncio.timeout(timeout_s):  # the wait for a connection included
                return await self._transport.fetch(url, headers, body, timeout_s)
        except TimeoutError:
            return Reply(State.BROKEN, why="time-out")


class Departments:
    """Implements `Registers`: each source is asked where the city's file says."""

    def __init__(self, by_source: Mapping[str, Department]) -> None:
        self._by_source = by_source

    async def ask(self, question: Question, person: RealName) -> Answer | None:
        """The errors of `Department.ask`; a source that nobody serves is away."""
        department = self._by_source.get(question.source)
        if department is None:
            raise source_away(question.source)
        return await department.ask(question, person)


def source_away(source: str) -> UnavailableError:
    """It is not connected, does not answer, or not as agreed."""
    return UnavailableError(
        "source_away",
        zh=f"数据源{source}暂时无法核验，请改为上传材料",
        en=f"{source} cannot confirm it now: upload the paper instead",
    )


def _read(reply: Reply, question: Question, latest_at: datetime) -> _Said | None:
    """What was said, if it is an answer to what was asked."""
    try:
        said = _Said.model_validate_json(reply.body)
    except ValidationError as error:
        wrong = [".".join(map(str, each["loc"][:1])) for each in error.errors(include_input=False, include_url=False)]
        log.warning("register_unreadable", source=question.source, size=len(reply.body), wrong=wrong[:5])
        return None
    if not said.values.keys() <= question.fields or not EARLIEST <= said.as_of <= latest_at:
        log.warning("register_unasked", source=question.source, values=len(said.values), as_of=said.as_of.isoformat())
        return None
    return said
