"""Feeds are imported line by line: good lines are kept of who agreed, bad ones told, and a killed import goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from server.domain.errors import ConflictError, InvalidInputError
from server.domain.fact_feeds import MAX_LINE_BYTES, Encoding, Form
from server.domain.facts import day_number
from server.services.facts import BATCH, Feed, Importing
from server.storage.fact_imports import Import
from server.storage.mongo import Database
from tests.services.facts_world import HEAD, World, number_of, world

DAY = "2031-05-01"
DAYS = day_number(date(2031, 5, 1))


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
async def town(db: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with world(db, tmp_path) as found:
        yield found


def card(n: int, value: str = DAY, as_of: str = "2026-11-20") -> str:
    return f"{number_of(n)},id_card_until,{value},{as_of}\n"


async def test_only_who_is_known_and_agreed_has_anything_kept(town: World, db: Database):
    """Of four lines two are kept; a stranger and who did not agree are counted and leave no document."""
    await town.people(3)
    town.withdrawn = {(2, "service_offers")}
    done = await town.run(town.file(HEAD + card(1) + card(2) + card(3) + card(4)))
    assert done.counts == {"lines": 4, "unknown": 1, "no_consent": 1, "kept": 2, "changed": 2}
    assert {n: held.values for n, held in (await town.facts.find([1, 2, 3])).items()} == {
        n: {"id_card_until": DAYS} for n in (1, 3)
    }
    assert await db["fact_statements"].distinct("citizen") == [1, 3]
    assert [event.details["kept"] for event in town.log] == [2]


async def test_bad_lines_are_told_and_the_rest_goes_on(town: World):
    """Bytes that do not decode, lines without end, wrong dates, doubles: each has its number."""
    await town.people(5)
    bad = number_of(2).encode() + b",id_card_until,\xff\xfe,2026-11-20\n"
    long = b"x" * (3 * MAX_LINE_BYTES) + b"\n"
    lines = [card(1), bad, card(3, "2031-13-01"), long, "\n", card(4), card(4), card(5)]
    data = b"".join(each if isinstance(each, bytes) else each.encode() for each in lines)
    done = await town.run(town.file(b"\xef\xbb\xbf" + HEAD.encode() + data.rstrip(b"\n")))
    assert await town.refused(done) == [
        (3, "encoding_wrong"), (4, "date_wrong"), (5, "line_too_long"), (8, "line_duplicate"),
    ]  # fmt: skip
    assert (done.counts["lines"], done.counts["refused"], done.counts["kept"]) == (7, 4, 3)
    assert sorted(await town.facts.find(range(6))) == [1, 4, 5]


async def test_the_same_file_again_does_nothing(town: World):
    """A second import reads nothing and says so; another source's, or the next day's, is another."""
    await town.people(1)
    path = town.file(HEAD + card(1))
    first = await town.run(path)
    again, is_new = await Importing(town.ground, town.imports).run(Feed(path, "population"), pytest.fail)
    assert (again.id, again.counts, is_new) == (first.id, first.counts, False)
    other = await town.run(town.file(HEAD + card(1, as_of="2026-11-21")))
    assert other.id != first.id
    assert len(await town.imports.latest(10)) == 2


async def test_gb18030_and_json_lines_are_read(town: World):
    await town.people(2)
    gbk = town.file((HEAD + card(1) + "王小明,id_card_until,是,是\n").encode("gb18030"))
    done = await town.run(Feed(gbk, "population", Form.CSV, Encoding.GB18030))
    assert await town.refused(done) == [(3, "id_number_wrong")] or await town.refused(done) == [(3, "date_wrong")]
    row = f'{{"id_number":"{number_of(2)}","fact":"lives_alone","value":true,"as_of":"2026-11-20"}}\n'
    await town.run(Feed(town.file(row, "a.jsonl"), "population", Form.JSONL))
    assert {n: held.values for n, held in (await town.facts.find([1, 2])).items()} == {
        1: {"id_card_until": DAYS}, 2: {"lives_alone": True},
    }  # fmt: skip


@pytest.mark.parametrize("at_batch", [1, 2, 3])
@pytest.mark.parametrize("is_written", [False, True])
async def test_a_killed_import_goes_on_where_it_stopped(town: World, at_batch: int, *, is_written: bool):
    """Killed after or within any batch, started again: facts and refusals are those of an import that was not."""
    count = 2 * BATCH + 300
    await town.people(400)
    lines = [card(n % 450 + 1, as_of=f"2026-{n // 450 + 1:02d}-0{n % 9 + 1}") for n in range(count)]
    lines[700] = lines[1_900] = "rubbish\n"
    path, told, asked = town.file(HEAD + "".join(lines)), list[Import](), list[int]()

    def tell(at: Import) -> None:
        told.append(at)
        if is_written and len(told) == at_batch + 1:
            raise Killed

    def ask() -> None:  # twice a batch: before its facts are written, and once they stand, before its cursor does
        asked.append(1)
        if len(asked) == 2 * at_batch:
            raise Killed

    town.on_ask = town.on_ask if is_written else ask
    with pytest.raises(Killed):
        await town.run(path, tell=tell)
    stood = told[-1]
    town.on_ask = lambda: None
    again: list[Import] = []
    done = await town.run(path, tell=again.append)
    assert [at.line for at in again[:1]] == ([] if stood.is_done else [stood.line])  # what was done is not read again
    assert len(town.log) == 1
    facts, refused = await town.facts.find(range(500)), await town.refused(done)
    assert refused == [(702, "line_unreadable"), (1_902, "line_unreadable")]
    for name in ("fact_imports", "facts", "fact_statements"):
        await town.db[name].delete_many({})
    whole = await town.run(path)
    assert {k: whole.counts[k] for k in ("lines", "refused", "unknown", "kept")} == {
        k: done.counts[k] for k in ("lines", "refused", "unknown", "kept")
    }
    assert await town.facts.find(range(500)) == facts


async def test_kill_9_loses_nothing_and_reads_nothing_twice(town: World, mongo_url: str):
    """A process is killed in mid-feed, again and again: in the end the facts are those of the file, each line once."""
    count = 8 * BATCH
    await town.people(900)
    town.file(HEAD + "".join(card(n % 900 + 1, as_of=f"2026-{n // 900 + 1:02d}-01") for n in range(count)))
    begins = []
    for _ in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.services.killed_import", mongo_url, str(town.folder),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        begins.append(int(await process.stdout.readline()))
        await process.stdout.readline()  # it has moved; it is somewhere in the next batch
        process.kill()
        await process.communicate()
    done = await town.run(town.folder / "feed.csv")
    assert begins == sorted(set(begins))
    assert (done.counts["lines"], done.counts["kept"], done.counts.get("refused", 0)) == (count, count, 0)
    assert len(await town.facts.find(range(1_000))) == 900


async def test_of_two_importers_of_one_file_one_stops(town: World):
    """Both read the same lines; the slower one is told, and nothing is counted twice."""
    await town.people(50)
    path = town.file(HEAD + "".join(card(n % 50 + 1, as_of=f"2026-01-{n % 28 + 1:02d}") for n in range(BATCH + 100)))
    done = await asyncio.gather(town.run(path), town.run(path), return_exceptions=True)
    assert sum(isinstance(each, Import) for each in done) >= 1
    assert all(isinstance(each, Import | ConflictError) for each in done)
    [kept] = await town.imports.latest(5)
    assert kept.counts["lines"] == BATCH + 100


async def test_who_withdraws_while_a_batch_is_written_has_nothing_kept(town: World, db: Database):
    """A consent that is taken back between the asking and the writing leaves nothing."""
    await town.people(2)
    asked: list[int] = []

    def withdraw() -> None:
        asked.append(1)
        if len(asked) == 1:  # the batch is written after the first asking
            town.withdrawn.add((1, "service_offers"))

    town.on_ask = withdraw
    await town.run(town.file(HEAD + card(1) + card(2)))
    assert await db["fact_statements"].distinct("citizen") == [2]
    assert list(await town.facts.find([1, 2])) == [2]


async def test_sources_that_differ_are_counted(town: World):
    await town.people(1)
    row = f"{number_of(1)},residence,"
    await town.run(town.file(HEAD + row + "hukou,2026-11-20\n"))
    done = await town.run(town.file(HEAD + row + "permit,2026-11-21\n", "other.csv"), "residence")
    assert done.counts["conflicts"] == 1
    assert (await town.facts.find([1]))[1].values == {"residence": "permit"}


async def test_what_cannot_be_imported_is_refused_whole(town: World):
    """A source that was never registered, a file without a header, no file: nothing is begun that could be done."""
    path = town.file(HEAD + card(1))
    for feed, code in (
        (Feed(path, "astrology"), "source_unregistered"),
        (Feed(town.file(card(1), "bare.csv"), "population"), "feed_header_wrong"),
        (Feed(path.with_name("nowhere"), "population"), "feed_unreadable"),
    ):
        with pytest.raises(InvalidInputError) as told:
            await town.run(feed)
        assert told.value.code == code
        assert number_of(1) not in str(told.value)


async def test_no_number_name_or_thing_of_a_feed_is_stored_or_logged(town: World, db: Database):
    """Raw documents of all collections and all lines of the log hold nothing that tells who it is."""
    await town.people(2)
    head = "id_number,fact,value,as_of,thing\n"
    canary, plate = "CANARY王小明", "粤B-CANARY"
    good = f"{number_of(1)},inspection_until,2027-01-01,2026-11-20,{plate}\n"
    bad = f"{number_of(2)},inspection_until,{canary},2026-11-20,{canary}\n{canary},{number_of(2)},x,{canary},y\n"
    bad += f"{canary}\n"
    with structlog.testing.capture_logs() as logs:
        done = await town.run(town.file(head + good + bad), "vehicle")
    assert (done.counts["kept"], done.counts["refused"]) == (1, 3)
    names = await db.list_collection_names()
    dump = repr([d for name in names for d in await db[name].find().to_list()]) + repr(logs) + repr(town.log)
    assert "CANARY" not in dump
    assert not [n for n in (1, 2) if number_of(n) in dump]


async def test_memory_is_that_of_a_batch(town: World):
    """A long feed is never held whole: what an import has in hand at a time is one batch of lines."""
    await town.people(1)
    path = town.file(HEAD + card(9) * (4 * BATCH))
    told: list[int] = []
    done = await town.run(path, tell=lambda at: told.append(at.line))
    assert max(b - a for a, b in pairwise(told)) <= BATCH + 1
    assert done.counts["refused"] == 4 * BATCH - 1  # doubles
    assert done.line == 4 * BATCH + 1
