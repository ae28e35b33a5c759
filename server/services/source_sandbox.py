"""A department that knows everybody: for the demo, the tests and whoever tries the product on their own machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from types import MappingProxyType

from server.domain.errors import UnavailableError
from server.domain.real_name import RealName
from server.domain.sources import Answer, Question, Value


class SandboxRegisters:
    """Implements `Registers`. Its word about a person follows from their number, so it is the same each time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    async def ask(self, question: Question, person: RealName) -> Answer | None:
        """Name and number as verified, with what the number says; everything else made up; as of yesterday."""
        number = person.number
        known: dict[str, Value] = {
            "name": person.name,
            "id_number": number,
            "birth_day": f"{number[6:10]}-{number[10:12]}-{number[12:14]}",
            "sex": "male" if number[16:17] in "13579" else "female",
        }
        values = {field: known.get(field, _made_up(question.source, field, person)) for field in question.fields}
        return Answer(MappingProxyType(values), self._now() - timedelta(days=1))


class NoRegisters:
    """In production, before a city has connected its departments: papers are uploaded."""

    async def ask(self, question: Question, person: RealName) -> Answer | None:  # noqa: ARG002 - the contract's
        """UnavailableError `source_away`."""
        raise UnavailableError("source_away", zh=f"未接入{question.source}", en=f"{question.source} is not connected")


def _made_up(source: str, field: str, person: RealName) -> str:
    return hashlib.sha256(f"{source}|{field}|{person.number}".encode()).hexdigest()[:8]
