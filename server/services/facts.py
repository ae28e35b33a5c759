"""Takes what departments state about citizens: from files of any size and from partners' requests.

Promises. Only who gave the consent of a fact has it kept; who is not known here, or did not agree, is counted and
forgotten, and no number, name or value of a feed is logged. A line that is wrong is told with number and reason; the
rest goes on. An import that was killed goes on where it stopped; whatever is read twice, in whatever order, ends the
same; a file that was done is not done again. Memory is that of a batch.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog

from server.domain.audit import OPERATOR, Detail, Event
from server.domain.errors import ConflictError, InvalidInputError
from server.domain.fact_feeds import (
    MAX_LINE_BYTES,
    Encoding,
    Form,
    Line,
    Reader,
    Refused,
    Terms,
    Why,
    csv_reader,
    decoded,
    json_reader,
)
from server.domain.facts import Facts, Statement
from server.services.audit import Audit
from server.storage.citizens import Citizens
from server.storage.fact_imports import MAX_REFUSALS, FactImportStore, Import
from server.storage.facts import Applied, FactStore
from server.storage.real_names import RealNameStore
from server.storage.vault import Vault

BATCH = 1_000  # lines
WRITERS = 2
REMEMBERED = 100_000  # statements within which a repeated one is called a duplicate; beyond it changes nothing either
HASHED_BYTES = 1_048_576

log = structlog.get_logger()


class Consenting(Protocol):
    """Who agreed to what: `services.consents.Consents`."""

    async def given_by(self, citizens: Iterable[int], purpose: str) -> frozenset[int]:
        """Those of these people who agree now."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What importing stands on."""

    facts: FactStore
    names: RealNameStore
    citizens: Citizens
    consents: Consenting
    vault: Vault
    known: Facts
    registered: frozenset[str]  # sources
    audit: Audit
    now: Callable[[], datetime]

    def terms(self, speaks_for: tuple[str, ...]) -> Terms:
        """What a feed that speaks for these sources is read against, now."""
        return Terms(self.known, self.registered, speaks_for, self.now())


class Taking:
    """Keeps lines that are well formed. It is a feed's own: it remembers what the feed said already."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def sifted(self, read: Iterable[Line | Refused]) -> tuple[list[Line], list[Refused]]:
        """The lines to take, and those that are wrong or say again what one of the last `REMEMBERED` said."""
        lines: list[Line] = []
        refused: list[Refused] = []
        for each in read:
            if isinstance(each, Refused):
                refused.append(each)
            elif self._is_known(each):
                refused.append(Refused(each.number, Why.DUPLICATE))
            else:
                lines.append(each)
        return lines, refused

    async def take(self, lines: Sequence[Line]) -> Counter[str]:
        """Keep what they state of people who are known and agreed; what came of it, in figures. May be repeated."""
        ground = self._ground
        owners = await ground.names.find_owners({line.id_number for line in lines})
        stated = {said.fact for line in lines for said in line.said}
        agreed = await self._agreed(frozenset(owners.values()), stated)
        kept: list[Statement] = []
        counts: Counter[str] = Counter()
        for line in lines:
            citizen = owners.get(line.id_number)
            if citizen is None:
                counts["unknown"] += len(line.said)
                continue
            for said in line.said:
                purpose = ground.known.by_id[said.fact].consent
                if citizen not in agreed[purpose]:
                    counts["no_consent"] += 1
                    continue
                thing = ground.vault.index(said.thing, field="fact_statements.thing").hex() if said.thing else ""
                kept.append(Statement(citizen, said.fact, said.value, line.source, line.as_of_at, thing, purpose))
        applied = await self._apply(kept)
        await self._forget_unagreed(frozenset(owners.values()), stated)
        counts.update(
            kept=len(kept), changed=sum(a.changed for a in applied), conflicts=sum(a.conflicts for a in applied)
        )
        return counts

    async def settle(self, citizen: int) -> None:
        """Make a person's facts anew, of two accounts that became one; what one of them had not agreed to goes."""
        divisions = {m.id: m.division for m in await self._ground.citizens.by_id([citizen])}
        await self._ground.facts.settle(citizen, lambda c: divisions.get(c, 0))
        await self._forget_unagreed(frozenset([citizen]), self._ground.known.by_id)

    async def _apply(self, kept: Sequence[Statement]) -> Sequence[Applied]:
        """Keep them: a few writers at once, each with people of its own, so that the database need not wait for us."""
        ground = self._ground
        divisions = {m.id: m.division for m in await ground.citizens.by_id(sorted({s.citizen for s in kept}))}
        lots = [[s for s in kept if s.citizen % WRITERS == n] for n in range(WRITERS)]
        async with asyncio.TaskGroup() as group:
            done = [group.create_task(ground.facts.apply(lot, lambda c: divisions.get(c, 0))) for lot in lots]
        return [each.result() for each in done]

    async def _agreed(self, citizens: frozenset[int], facts: Collection[str]) -> Mapping[str, frozenset[int]]:
        """Who of these agrees to what these facts need, by purpose."""
        purposes = sorted({self._ground.known.by_id[fact].consent for fact in facts})
        return {each: await self._ground.consents.given_by(citizens, each) for each in purposes}

    async def _forget_unagreed(self, citizens: frozenset[int], stated: Collection[str]) -> None:
        """Who withdrew, or left, while the batch was written has nothing kept after all."""
        for purpose, agreed in (await self._agreed(citizens, stated)).items():
            facts = [fact.id for fact in self._ground.known.facts if fact.consent == purpose]
            await self._ground.facts.forget_all(citizens - agreed, facts)

    def _is_known(self, line: Line) -> bool:
        """Whether one of the things that a line says was said already, as of the same time."""
        marks = [
            hashlib.blake2b(
                f"{line.id_number}|{said.fact}|{line.source}|{line.as_of_at.isoformat()}|{said.thing}".encode(),
                digest_size=16,
            ).digest()
            for said in line.said
        ]
        if any(mark in self._seen for mark in marks):
            return True
        self._seen.update(dict.fromkeys(marks))
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return False


@dataclass(frozen=True, slots=True)
class Feed:
    """A department's file."""

    path: Path
    source: str
    form: Form = Form.CSV
    encoding: Encoding = Encoding.UTF_8


@dataclass(frozen=True, slots=True)
class Batch:
    """Some lines of a file, read, and where the file goes on."""

    read: Sequence[Line | Refused]
    offset: int
    line: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    file: BinaryIO
    encoding: Encoding
    read: Reader
    taking: Taking


class Importing:
    """Imports files. `tell` hears of each import as it stands."""

    def __init__(self, ground: Ground, imports: FactImportStore) -> None:
        self._ground = ground
        self._imports = imports

    async def run(self, feed: Feed, tell: Callable[[Import], None]) -> tuple[Import, bool]:
        """Import a file, or the rest of it; False beside it: it was done before, and nothing has happened.

        InvalidInputError `source_unregistered`, `feed_header_wrong`, `feed_unreadable`; ConflictError `feed_taken`:
        another process imports it just now.
        """
        ground = self._ground
        if feed.source not in ground.registered:
            zh, en = "数据源未登记（data/sources.yaml）", "the source is not registered (data/sources.yaml)"
            raise InvalidInputError("source_unregistered", zh=zh, en=en, field="source")
        digest = await asyncio.to_thread(_digest, feed)
        name = f"{feed.source}/{ground.vault.index(digest, field='fact_imports.file').hex()}"
        at = await self._imports.open(Import(name, feed.source, ground.now()))
        if at.is_done:
            await self._record(at)
            return at, False
        tell(at)
        with _opened(feed.path) as file:
            read, strange = _reader(file, feed, ground.terms((feed.source,)))
            await self._imports.note(name, strange, ground.now())
            at = await self._through(_Reading(file, feed.encoding, read, Taking(ground)), len(strange), at, tell)
        await self._record(at)
        log.info("facts_imported", source=feed.source, **at.counts)
        return at, True

    async def _record(self, at: Import) -> None:
        """Put a finished import into the audit log, once."""
        told: dict[str, Detail] = dict(at.counts)
        await self._ground.audit.record(Event(OPERATOR, "facts.import", at.id, details=told, key=f"facts/{at.id}"))

    async def _through(self, reading: _Reading, strange: int, at: Import, tell: Callable[[Import], None]) -> Import:
        """From where the cursor stands to the end. The file stands after its header."""
        before = at
        if at.offset == 0:
            start = reading.file.tell()
            at = replace(at, offset=start, line=int(start > 0), counts={"refused": strange})
        reading.file.seek(at.offset)
        while not at.is_done:
            batch = await asyncio.to_thread(_batch, reading.file, reading.encoding, reading.read, at.line)
            lines, refused = reading.taking.sifted(batch.read)
            counts = Counter(at.counts) + Counter({"lines": len(batch.read), "refused": len(refused)})
            if counts["refused"] <= MAX_REFUSALS + len(refused):
                await self._imports.note(at.id, refused, self._ground.now())
            counts += await reading.taking.take(lines)
            at = replace(
                at, offset=batch.offset, line=batch.line, counts=dict(counts), is_done=batch.is_last,
                changed_at=self._ground.now(),
            )  # fmt: skip
            if not await self._imports.advance(before, at):
                raise ConflictError("feed_taken", zh="该文件正在由另一进程导入", en="another process imports this file")
            before = at
            tell(at)
        return at


def check(path: Path, form: Form, encoding: Encoding, terms: Terms) -> Iterable[tuple[int, Sequence[Refused], int]]:
    """Batch by batch how many lines of a file there are, which are refused, and how many bytes were read so far."""
    feed = Feed(path, "", form, encoding)
    with _opened(path) as file:
        read, strange = _reader(file, feed, terms)
        yield 0, strange, file.tell()
        line, is_last = int(form is Form.CSV), False
        while not is_last:
            batch = _batch(file, encoding, read, line)
            yield len(batch.read), [each for each in batch.read if isinstance(each, Refused)], batch.offset
            line, is_last = batch.line, batch.is_last


def _reader(file: BinaryIO, feed: Feed, terms: Terms) -> tuple[Reader, list[Refused]]:
    """What reads the lines of a file, from its first; the file stands at the first of them afterwards."""
    if feed.form is Form.JSONL:
        return json_reader(terms), []
    header = decoded(file.readline(MAX_LINE_BYTES).rstrip(b"\r\n"), feed.encoding)
    return csv_reader(header or "", terms)


def _batch(file: BinaryIO, encoding: Encoding, read: Reader, line: int) -> Batch:
    """The next up to `BATCH` lines after the `line`-th. Empty ones are numbered, and say nothing."""
    found: list[Line | Refused] = []
    while len(found) < BATCH:
        data = file.readline(MAX_LINE_BYTES + 1)
        if not data:
            return Batch(found, file.tell(), line, is_last=True)
        line += 1
        is_whole = len(data) <= MAX_LINE_BYTES
        while not is_whole and data and not data.endswith(b"\n"):  # read past the rest of it
            data = file.readline(MAX_LINE_BYTES)
        if not is_whole:
            found.append(Refused(line, Why.TOO_LONG))
        elif data := data.rstrip(b"\r\n"):
            found.append(one(line, data, encoding, read))
    return Batch(found, file.tell(), line, is_last=False)


def one(number: int, data: bytes, encoding: Encoding, read: Reader) -> Line | Refused:
    """One line, read."""
    text = decoded(data, encoding)
    return Refused(number, Why.ENCODING) if text is None else read(number, text)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        said = str(error.strerror)
        raise InvalidInputError(
            "feed_unreadable", zh=f"无法读取：{said}", en=f"it cannot be read: {said}", field="file"
        ) from None


def _digest(feed: Feed) -> str:
    """SHA-256 of a file, and of how it is read: with another encoding it is another feed."""
    digest = hashlib.sha256(f"{feed.form}|{feed.encoding}|".encode())
    with _opened(feed.path) as file:
        while chunk := file.read(HASHED_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
