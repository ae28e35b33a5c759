"""What a feed of the weather gives, whatever it speaks, and what it may ask about what it gave before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from server.domain.forecasts import Forecast
from server.domain.typhoons import Typhoon


@dataclass(frozen=True, slots=True)
class FeedFault:
    """One thing of a feed that could not be used: where, and why. The rest of the feed went on."""

    name: str
    code: str
    zh: str
    en: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class AlertFile:
    """A live alert as bytes. `name` is how the feed calls it, `version` changes when its content may have."""

    name: str
    version: str
    data: bytes


@dataclass(slots=True)
class Gathered:
    """What one look gave. `over`: ids of typhoons that are there no more; `etags` (by URL) replace those kept."""

    alerts: list[AlertFile] = field(default_factory=list)
    forecasts: list[Forecast] = field(default_factory=list)
    typhoons: list[Typhoon] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    faults: list[FeedFault] = field(default_factory=list)
    etags: dict[str, str] = field(default_factory=dict)

    def refuse(self, name: str, code: str, zh: str, en: str, line: int | None = None) -> None:
        """Note a fault and go on."""
        self.faults.append(FeedFault(name[:200], code, zh, en, line))


class Memory(Protocol):
    """What earlier looks at a feed have seen."""

    @property
    def etags(self) -> Mapping[str, str]:
        """By URL, of the last look that had no faults."""
        ...

    @property
    def now(self) -> datetime:
        """Our clock, at the beginning of this look."""
        ...

    async def versions(self, names: Sequence[str]) -> Mapping[str, str]:
        """By name, the version that was seen to; unknown names are left out."""
        ...

    async def sent(self, names: Sequence[str]) -> Mapping[str, str]:
        """By name, how a later message refers to that one (CAP `sender,identifier,sent`)."""
        ...
