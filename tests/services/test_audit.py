"""`verify` finds what was done to the log; every step of the desk is in it, even after a kill."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bson import Int64

from server.domain.alerts.release import World
from server.domain.audit import Event, chained
from server.domain.errors import ForbiddenError
from server.domain.officers import Role
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.services.steps import StepLog
from server.storage.alerts import AlertStore
from server.storage.audit import AuditStore, CheckpointFile, _to_document
from server.storage.mongo import Database
from tests.services.desk import AUTHOR, RELEASER, Clock, Post, audit_of, officer, released, typhoon


class DeafError(Exception):
    """The process dies before the log has it."""


class Deaf:
    """A log that is never reached."""

    async def record(self, *events: Event) -> None:
        """Die."""
        raise DeafError(events)


async def written(audit: AuditLog, count: int = 6) -> None:
    await audit.record(*(Event("o", "alert.edit", f"alert/{n}") for n in range(count)))


async def codes(audit: AuditLog) -> list[tuple[str, int]]:
    return [(finding.code, finding.seq) for finding in await audit.verify()]


async def test_an_untouched_log_is_whole(audit: AuditLog):
    assert await codes(audit) == []
    await written(audit)
    assert await codes(audit) == []
    await audit.sign()
    await written(audit)
    assert await codes(audit) == []


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "somebody else"},
        {"result": "refused"},
        {"details.more": 1},
        {"details": []},
        {"at": 5},
        {"extra": True},
        {"hash": "text"},
        {"object": None},
    ],
)
async def test_an_edit_is_found_where_it_was_made(db: Database, audit: AuditLog, change: dict[str, object]):
    await written(audit)
    await db["audit"].update_one({"seq": 3}, {"$set": change})
    assert ("audit_altered", 3) in await codes(audit)
    assert {seq for _, seq in await codes(audit)} <= {3, 4}  # a forged hash is the next one's predecessor, too


async def test_a_deletion_is_found(db: Database, audit: AuditLog):
    await written(audit)
    await db["audit"].delete_one({"seq": 3})
    assert await codes(audit) == [("audit_missing", 3)]


async def test_a_deletion_is_found_although_the_rest_was_renumbered(db: Database, audit: AuditLog):
    await written(audit)
    await db["audit"].delete_one({"seq": 3})
    for seq in (4, 5, 6):
        await db["audit"].update_one({"seq": seq}, {"$inc": {"seq": -1}})
    assert ("audit_altered", 3) in await codes(audit)


@pytest.mark.parametrize("seq", [0, -1, "3", 3.5, Int64(2**40), None])
async def test_an_insertion_is_found_wherever_it_is_put(db: Database, audit: AuditLog, seq: object):
    await written(audit)
    await db["audit"].insert_one({"_id": "evil", "stream": "alert", "seq": seq, "hash": b"x"})
    found = await codes(audit)
    assert [code for code, _ in found] in (["audit_altered"], ["audit_missing"])


async def test_an_insertion_between_two_is_found(db: Database, audit: AuditLog):
    await written(audit)
    for seq in (6, 5, 4):
        await db["audit"].update_one({"seq": seq}, {"$inc": {"seq": 1}})
    document = await db["audit"].find_one({"seq": 3})
    assert document is not None
    await db["audit"].insert_one(document | {"_id": "evil", "seq": 4})
    assert [seq for _, seq in await codes(audit)] == [4, 5, 6, 7]


async def test_a_swap_of_two_is_found(db: Database, audit: AuditLog):
    await written(audit)
    for old, new in ((3, 99), (4, 3), (99, 4)):
        await db["audit"].update_one({"seq": old}, {"$set": {"seq": new}})
    assert ("audit_altered", 3) in await codes(audit)


async def test_a_cut_off_end_is_found_by_its_checkpoint(db: Database, audit: AuditLog):
    await written(audit)
    await audit.sign()
    await db["audit"].delete_many({"seq": {"$gt": 4}})
    assert await codes(audit) == [("audit_truncated", 4)]


async def test_a_wiped_database_is_found_by_the_file(db: Database, audit: AuditLog):
    await written(audit)
    await audit.sign()
    await db["audit"].delete_many({})
    await db["audit_checkpoints"].delete_many({})
    assert await codes(audit) == [("audit_checkpoint_missing", 6), ("audit_truncated", 0)]


async def test_a_chain_that_was_rewritten_without_a_flaw_is_found_by_its_checkpoint(db: Database, audit: AuditLog):
    await written(audit)
    await audit.sign()
    entries = [entry async for entry in AuditStore(db).stream("alert")]
    forged = [(e.key, e.at, Event("another", e.action, e.object)) for e in entries]
    await db["audit"].delete_many({})
    from_genesis = chained(await AuditStore(db).head("alert"), forged, "alert")
    await db["audit"].insert_many([_to_document(entry) for entry in from_genesis])
    assert await codes(audit) == [("audit_rewritten", 6)]


async def test_a_checkpoint_that_another_key_signed_is_none(
    db: Database, audit: AuditLog, clock: Clock, tmp_path: Path
):
    await written(audit)
    evil = AuditLog(AuditStore(db), CheckpointFile(tmp_path / "evil"), b"e" * 32, now=clock, random=bytes)
    await evil.sign()
    assert await codes(audit) == [("audit_forged", 6)]


async def test_only_a_chain_that_has_grown_is_signed_again(audit: AuditLog):
    await written(audit)
    assert [(c.stream, c.link.seq) for c in await audit.sign()] == [("alert", 6)]
    assert await audit.sign() == []
    await written(audit, 1)
    assert [(c.stream, c.link.seq) for c in await audit.sign()] == [("alert", 7)]


async def test_every_step_of_the_desk_is_in_the_log_once_with_its_actor(
    db: Database, desk: Alerts, audit: AuditLog, clock: Clock
):
    name = await released(desk, typhoon())
    clock.pass_by(hours=7)
    await desk.expire()
    entries = [entry async for entry in AuditStore(db).stream("alert")]
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("alert.draft", AUTHOR.id),
        ("alert.submit", AUTHOR.id),
        ("alert.release", RELEASER.id),
        ("alert.mark_expired", "system"),
    ]
    assert {entry.object for entry in entries} == {f"alert/{name}"}
    clock.pass_by(minutes=1)
    assert await audit.verify(AlertStore(db)) == []


async def test_a_try_at_what_is_not_allowed_is_in_the_log_with_its_reason(desk: Alerts, audit: AuditLog):
    begun = await desk.draft(AUTHOR, typhoon())
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    both = officer("author", Role.RELEASER, account="o-second-account")
    with pytest.raises(ForbiddenError, match="same_person"):
        await desk.release(both, waiting.identifier, waiting.digest)
    with pytest.raises(ForbiddenError, match="role_missing"):
        await desk.draft(RELEASER, typhoon())
    newest = await audit.latest("alert", limit=2)
    assert [(entry.actor, entry.action, entry.result) for entry in newest] == [
        (RELEASER.id, "alert.draft", "role_missing"),
        ("o-second-account", "alert.release", "same_person"),
    ]


async def test_what_an_officer_writes_as_a_reason_is_not_in_the_log(db: Database, desk: Alerts):
    begun = await desk.draft(AUTHOR, typhoon())
    await desk.reject(AUTHOR, begun.identifier, "住在南山的张三电话13800138000")
    entries = [repr(entry) async for entry in AuditStore(db).stream("alert")]
    assert len(entries) == 2
    assert not [entry for entry in entries if "13800138000" in entry or AUTHOR.person in entry.replace(AUTHOR.id, "")]


async def test_a_release_is_not_published_before_the_log_has_it(
    db: Database, desk: Alerts, post: Post, world: World, clock: Clock
):
    begun = await desk.draft(AUTHOR, typhoon())
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    deaf = Alerts(AlertStore(db), world, post, Deaf(), now=clock)
    with pytest.raises(DeafError):
        await deaf.release(RELEASER, waiting.identifier, waiting.digest)
    assert post.broadcasts == {}
    assert [entry.action for entry in await audit_of(db, clock, Path()).latest("alert")] == [
        "alert.submit",
        "alert.draft",
    ]
    assert await desk.finish_interrupted() == [waiting.identifier]
    assert list(post.broadcasts) == [waiting.identifier]
    (newest, *_) = await audit_of(db, clock, Path()).latest("alert")
    assert (newest.action, newest.actor) == ("alert.release", RELEASER.id)


async def test_a_release_that_the_log_missed_is_in_it_before_a_second_try_publishes(
    db: Database, desk: Alerts, audit: AuditLog, post: Post, world: World, clock: Clock
):
    begun = await desk.draft(AUTHOR, typhoon())
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    deaf = Alerts(AlertStore(db), world, post, Deaf(), now=clock)
    for _ in range(2):
        with pytest.raises(DeafError):
            await deaf.release(RELEASER, waiting.identifier, waiting.digest)
    assert post.broadcasts == {}
    await desk.release(RELEASER, waiting.identifier, waiting.digest)
    assert list(post.broadcasts) == [waiting.identifier]
    assert [entry.action for entry in await audit.latest("alert", limit=1)] == ["alert.release"]


async def test_a_draft_of_a_dead_process_is_recorded_at_the_next_start(
    db: Database, desk: Alerts, audit: AuditLog, post: Post, world: World, clock: Clock
):
    with pytest.raises(DeafError):
        await Alerts(AlertStore(db), world, post, Deaf(), now=clock).draft(AUTHOR, typhoon())
    assert await desk.finish_interrupted() == []
    assert [entry.action for entry in await audit.latest("alert")] == ["alert.draft"]
    clock.pass_by(minutes=1)
    assert await audit.verify(AlertStore(db)) == []


async def test_a_step_that_a_dead_process_did_not_record_is_recorded_by_the_next_step_and_in_order(
    db: Database, desk: Alerts, audit: AuditLog, clock: Clock, world: World, post: Post
):
    begun = await desk.draft(AUTHOR, typhoon())
    deaf = Alerts(AlertStore(db), world, post, Deaf(), now=clock)
    with pytest.raises(DeafError):
        await deaf.submit(AUTHOR, begun.identifier, begun.version)
    await desk.return_(RELEASER, begun.identifier, "范围不对")
    assert [entry.action for entry in await audit.latest("alert")] == ["alert.return", "alert.submit", "alert.draft"]
    assert await StepLog(AlertStore(db), audit).finish() == []


async def test_a_step_that_only_the_alert_tells_is_found(db: Database, desk: Alerts, audit: AuditLog, clock: Clock):
    await released(desk, typhoon())
    await db["audit"].delete_one({"seq": 3})  # the last: no checkpoint yet, the chain itself looks whole
    clock.pass_by(minutes=1)
    assert await codes(audit) == []
    assert [finding.code for finding in await audit.verify(AlertStore(db))] == ["audit_step_unlogged"]


@pytest.mark.parametrize(
    "change", [{"$set": {"steps.1.officer": "somebody"}}, {"$set": {"steps.1.reason": "other"}}, {"$pop": {"steps": 1}}]
)
async def test_a_step_that_was_changed_in_the_alert_is_found(
    db: Database, desk: Alerts, audit: AuditLog, clock: Clock, change: dict[str, object]
):
    begun = await desk.draft(AUTHOR, typhoon())
    await desk.submit(AUTHOR, begun.identifier, begun.version)
    await db["alerts"].update_one({}, change)
    clock.pass_by(minutes=1)
    found = await audit.verify(AlertStore(db))
    assert [(finding.code, finding.seq) for finding in found] == [("audit_step_altered", 2)]


async def test_a_step_on_its_way_into_the_log_is_no_finding(db: Database, desk: Alerts, audit: AuditLog, clock: Clock):
    await desk.draft(officer("author", Role.AUTHOR), typhoon())
    await db["audit"].delete_many({})
    assert await audit.verify(AlertStore(db)) == []
    clock.at += timedelta(seconds=11)
    assert [finding.code for finding in await audit.verify(AlertStore(db))] == ["audit_step_unlogged"]
