"""Killed (kill -9) before any write of an upload, a removal or a deletion, nothing is left that can be reached."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from server.domain.errors import NotFoundError
from server.services.attachments import LOOSE_FOR, Upload
from server.storage.mongo import Database
from tests.domain.items import MATERIAL, item
from tests.services.application_world import Town, caller
from tests.services.killed_file import PDF

ROOT = Path(__file__).parents[2]
PLACES = ("attachments", "attachment_data.files", "attachment_data.chunks")


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(materials=[MATERIAL]))


async def killed(town: Town, mongo_url: str, verb: str, applications: list[str]) -> list[bool]:
    """Whether each of these processes was killed, the n-th before its n-th write."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.services.killed_file", mongo_url, verb, town.clock.at.isoformat(), *applications,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return [line == "killed" for line in out.decode().split()]


async def with_file(town: Town) -> tuple[str, str]:
    """A draft with one file, by their ids."""
    draft = (await town.draft()).application
    upload = Upload("id_card", "a.pdf", "application/pdf", PDF)
    seen = await town.attachments.add(caller(), draft.id, upload)
    return draft.id, seen.application.brought[0].ref


async def left(db: Database) -> dict[str, set[str]]:
    """Whose traces there are in each collection, by the file's id."""
    ids = {"attachments": "_id", "attachment_data.files": "_id", "attachment_data.chunks": "files_id"}
    return {name: set(await db[name].distinct(ids[name])) for name in PLACES}


async def swept(town: Town) -> None:
    town.clock.pass_(seconds=LOOSE_FOR.total_seconds() + 1)
    while await town.attachments.sweep():
        pass


async def test_an_upload_is_whole_or_was_never_there(town: Town, db: Database, mongo_url: str):
    drafts = [(await town.draft()).application.id for _ in range(8)]
    ends = await killed(town, mongo_url, "upload", drafts)
    assert ends == sorted(ends, reverse=True)
    assert (ends[0], ends[-1]) == (True, False)
    loose = {d["_id"]: d["application"] async for d in db["attachments"].find()}
    named = set[str]()
    for draft in drafts:
        brought = (await town.counter.get(caller(), draft)).application.brought
        for each in brought:
            assert (await town.attachments.read(caller(), draft, each.ref))[1] == PDF
        named |= {each.ref for each in brought}
    assert loose.keys() - named  # some have died before their application named the file
    for file in loose.keys() - named:
        with pytest.raises(NotFoundError, match="attachment_unknown"):
            await town.attachments.read(caller(), loose[file], file)
    await swept(town)
    assert set(map(frozenset, (await left(db)).values())) == {frozenset(named)}


async def test_a_removal_is_whole_or_has_not_begun(town: Town, db: Database, mongo_url: str):
    files = dict([await with_file(town) for _ in range(7)])
    ends = await killed(town, mongo_url, "remove", list(files))
    assert (ends[0], ends[-1]) == (True, False)
    kept = set[str]()
    for draft, file in files.items():
        brought = (await town.counter.get(caller(), draft)).application.brought
        if brought:
            assert (await town.attachments.read(caller(), draft, file))[1] == PDF
            kept.add(file)
    assert 0 < len(kept) < len(files)
    await swept(town)
    assert set(map(frozenset, (await left(db)).values())) == {frozenset(kept)}


async def test_a_deleted_draft_takes_its_files_along_wherever_its_process_dies(
    town: Town, db: Database, mongo_url: str
):
    files = dict([await with_file(town) for _ in range(7)])
    ends = await killed(town, mongo_url, "discard", list(files))
    assert (ends[0], ends[-1]) == (True, False)
    kept = {files[d["_id"]] async for d in db["applications"].find({}, {"_id": 1})}
    assert 0 < len(kept) < len(files)
    await swept(town)
    assert set(map(frozenset, (await left(db)).values())) == {frozenset(kept)}
