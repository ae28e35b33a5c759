"""All that the product holds about one person, as an archive: JSON, a CSV per part, and a README.

The archive is made while it is sent and exists nowhere here: of everything only one part at a time is in memory, and
nothing is written to a disk. An archive that was cut off has no table of contents and does not open: nobody takes half
of their data for all of it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from server.domain.audit import Event
from server.domain.citizens import Caller
from server.domain.export import readme, table
from server.domain.freshness import refuse_stale_log_in
from server.services.audit import Audit
from server.services.holdings import Holding

PIECE = 64_000  # bytes that are handed on at once, about
EXPORTED = "citizen.export"


class Export:
    """Hands people their data."""

    def __init__(self, holdings: Sequence[Holding], audit: Audit, now: Callable[[], datetime]) -> None:
        self._holdings = sorted(holdings, key=lambda holding: holding.name)
        self._audit = audit
        self._now = now

    async def begin(self, caller: Caller) -> AsyncIterator[bytes]:
        """The archive of the caller's data in pieces; it is in the log first. ForbiddenError `log_in_stale`."""
        at = self._now()
        refuse_stale_log_in(caller, at)
        await self._audit.record(Event(caller.account.public, EXPORTED, caller.account.public))
        return self._pieces(caller.id, at)

    async def _pieces(self, citizen: int, at: datetime) -> AsyncIterator[bytes]:
        sink = _Sink()
        with ZipFile(sink, "w") as archive:
            names = [holding.name for holding in self._holdings]
            for piece in _written(archive, sink, _file("README.txt", at), readme(names, at)):
                yield piece
            for holding in self._holdings:
                text = table(await holding.export(citizen))
                for piece in _written(archive, sink, _file(f"{holding.name}.csv", at), text):
                    yield piece
            with archive.open(_file("data.json", at), "w") as file:
                file.write(b'{"made_at": ' + _json(at.isoformat()))
                for holding in self._holdings:
                    file.write(b",\n" + _json(holding.name) + b": [")
                    for number, row in enumerate(await holding.export(citizen)):
                        file.write((b",\n" if number else b"\n") + _json(row))
                        if sink.size >= PIECE:
                            yield sink.take()
                    file.write(b"]")
                file.write(b"}\n")
        yield sink.take()


class _Sink:
    """Where the archive is written to: holds what was not taken yet. It cannot seek, so sizes follow their files."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, part: bytes, /) -> int:
        """Keep it until it is taken."""
        self._parts.append(bytes(part))
        self.size += len(part)
        return len(part)

    def flush(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._parts, self.size = b"".join(self._parts), [], 0
        return taken


def _written(archive: ZipFile, sink: _Sink, info: ZipInfo, text: str) -> Iterator[bytes]:
    """Write one file; yields what is ready to go."""
    with archive.open(info, "w") as file:
        for start in range(0, len(text), PIECE):
            file.write(text[start : start + PIECE].encode())
            if sink.size >= PIECE:
                yield sink.take()


def _file(name: str, at: datetime) -> ZipInfo:
    info = ZipInfo(name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
    info.compress_type = ZIP_DEFLATED
    return info


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
