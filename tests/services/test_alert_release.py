"""Release on a real MongoDB: two persons, one digest, one broadcast, whatever races and whatever dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from server.domain.alerts.cap import read_cap, to_cap
from server.domain.alerts.document import parse_xml
from server.domain.alerts.model import Area, NamedValue
from server.domain.alerts.release import World
from server.domain.alerts.states import State
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import DIVISION_CODE, Colour
from server.domain.broadcasts import Broadcast, Lane, Policy, digest
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    HuiminError,
)
from server.domain.officers import Role
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.storage.alerts import AlertStore
from server.storage.mongo import Database
from tests.services.desk import (
    AUTHOR,
    CHIEF,
    RELEASER,
    START,
    TEXTS,
    UNIT,
    Clock,
    KilledError,
    Post,
    followed,
    officer,
    released,
    submitted,
    typhoon,
)


async def test_two_persons_bring_an_alert_to_the_public(desk: Alerts, post: Post, db: Database, clock: Clock):
    name, signed = await submitted(desk, typhoon())
    clock.pass_by(minutes=3)
    done = await desk.release(RELEASER, name, signed)
    assert done.state is State.RELEASED
    assert [(s.action, s.person) for s in done.steps] == [
        ("draft", "author"),
        ("submit", "author"),
        ("release", "releaser"),
    ]
    sent = post.broadcasts[name]
    assert (sent.lane, sent.policy, sent.audience.divisions) == (Lane.YELLOW, Policy.LADDER, ("440305",))
    assert sent.audience.citizens is None
    assert sent.digest == digest(sent)
    assert "台风黄色预警" in sent.texts["push"]["zh"]["title"]
    stored = await db["alerts"].find_one({"_id": name})
    assert stored is not None
    message = read_cap(parse_xml(stored["cap"]))  # type: ignore[arg-type]
    assert stored["cap"] == to_cap(message)
    assert (message.sender, message.sent) == (UNIT.sender, "2026-09-01T09:33:00+08:00")
    chinese, english = message.infos
    assert chinese.headline == "深圳市气象台发布台风黄色预警"
    assert (english.headline or "").startswith("Yellow alert for typhoon")
    assert chinese.description == "台风 12"
    assert chinese.instruction  # the officer left it to the texts


async def test_two_accounts_of_one_person_are_one_person(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    with pytest.raises(ForbiddenError, match="same_person"):
        await desk.release(officer("author", Role.CHIEF, account="another-account"), name, signed)
    assert not post.broadcasts


async def test_who_edited_last_may_not_release(desk: Alerts):
    begun = await desk.draft(AUTHOR, typhoon())
    second = officer("second", Role.AUTHOR, Role.RELEASER)
    changed = await desk.edit(second, begun.identifier, typhoon(Colour.BLUE), begun.version)
    waiting = await desk.submit(AUTHOR, begun.identifier, changed.version)
    with pytest.raises(ForbiddenError, match="same_person"):
        await desk.release(second, waiting.identifier, waiting.digest)


async def test_red_is_released_by_a_chief_only(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon(Colour.RED))
    with pytest.raises(ForbiddenError, match="chief_needed"):
        await desk.release(RELEASER, name, signed)
    await desk.release(CHIEF, name, signed)
    assert (post.broadcasts[name].lane, post.broadcasts[name].policy) == (Lane.RED, Policy.ALL)


async def test_red_cannot_hide_behind_another_colour_parameter(desk: Alerts):
    alert = typhoon(Colour.RED)
    disguised = tuple(
        i.model_copy(update={"parameters": (NamedValue(value_name="预警级别", value="Blue; IV"),)}) for i in alert.infos
    )
    name, signed = await submitted(desk, alert.model_copy(update={"infos": disguised}))
    with pytest.raises(ForbiddenError, match="chief_needed"):
        await desk.release(RELEASER, name, signed)


async def test_an_edit_after_submission_voids_what_the_second_person_saw(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    back = await desk.return_(RELEASER, name, "范围不对")
    changed = await desk.edit(
        AUTHOR, name, typhoon(area=Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="440303"),))), back.version
    )
    await desk.submit(AUTHOR, name, changed.version)
    with pytest.raises(ConflictError, match="digest_changed"):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts


async def test_a_change_of_the_texts_behind_its_back_voids_a_submission(
    db: Database, desk: Alerts, world: World, post: Post, clock: Clock, audit: AuditLog
):
    name, signed = await submitted(desk, typhoon())
    events = {**TEXTS.events, "11B01": TEXTS.events["11B01"]._replace(name="台風")}
    other = replace(world, wording=replace(TEXTS, events=events))
    with pytest.raises(ConflictError, match="digest_changed"):
        await Alerts(AlertStore(db), other, post, audit, now=clock).release(RELEASER, name, signed)
    assert (await desk.release(RELEASER, name, signed)).state is State.RELEASED


async def test_a_change_of_the_stored_message_voids_a_submission(db: Database, desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    document = await db["alerts"].find_one({"_id": name})
    assert document is not None
    forged = document["alert"].replace(b"440305", b"440303")
    await db["alerts"].update_one({"_id": name}, {"$set": {"alert": forged}})
    with pytest.raises(ConflictError, match="digest_changed"):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts


async def test_only_one_of_many_who_release_at_once_does_and_one_broadcast_leaves(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    many = [officer(f"r{n}", Role.RELEASER) for n in range(8)]
    results = await asyncio.gather(*(desk.release(one, name, signed) for one in many), return_exceptions=True)
    assert sum(not isinstance(result, HuiminError) for result in results) == 1
    assert list(post.broadcasts) == [name]


async def test_a_death_between_release_and_publication_ends_in_one_broadcast(db: Database, desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    post.fails = 1
    with pytest.raises(KilledError):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts
    assert await desk.finish_interrupted() == [name]
    stored = await db["alerts"].find_one({"_id": name})
    assert stored is not None
    assert Broadcast.model_validate_json(stored["broadcast"]) == post.broadcasts[name]
    assert await desk.finish_interrupted() == []
    assert (await desk.release(RELEASER, name, signed)).version == 3  # the officer's own retry changes nothing
    assert len(post.broadcasts) == 1


async def test_a_cancel_never_overtakes_an_alert_whose_publication_was_interrupted(
    desk: Alerts, post: Post, clock: Clock
):
    name, signed = await submitted(desk, typhoon())
    post.fails = 1
    with pytest.raises(KilledError):
        await desk.release(RELEASER, name, signed)
    clock.pass_by(minutes=1)
    cancel = await followed(desk, name, Kind.CANCEL, Change(note="台风远离"))
    assert list(post.broadcasts) == [name, cancel]


async def test_one_alert_that_cannot_be_published_does_not_keep_back_the_others(desk: Alerts, post: Post):
    post.fails = 2
    for colour in (Colour.YELLOW, Colour.BLUE):
        with pytest.raises(KilledError):
            await released(desk, typhoon(colour))
    post.refuses = 1
    with pytest.raises(ExceptionGroup):
        await desk.finish_interrupted()
    assert len(post.broadcasts) == 1
    assert len(await desk.finish_interrupted()) == 1
    assert len(post.broadcasts) == 2


async def test_a_chain_never_forks(desk: Alerts, post: Post, clock: Clock):
    first = await released(desk, typhoon())
    clock.pass_by(minutes=1)
    drafts = [
        await desk.follow(AUTHOR, first, Kind.EXTEND, Change(expires_at=START + timedelta(hours=7 + n)))
        for n in range(4)
    ]
    waiting = [await desk.submit(AUTHOR, d.identifier, d.version) for d in drafts]
    results = await asyncio.gather(
        *(desk.release(RELEASER, w.identifier, w.digest) for w in waiting), return_exceptions=True
    )
    refused = [r.code for r in results if isinstance(r, ConflictError)]
    assert refused == ["chain_moved"] * 3
    assert len(post.broadcasts) == 2


async def test_an_alert_that_expired_while_it_waited_is_not_released(desk: Alerts, clock: Clock, post: Post):
    name, signed = await submitted(desk, typhoon())
    clock.pass_by(hours=7)
    with pytest.raises(ConflictError, match="alert_expired"):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts


async def test_a_chain_keeps_its_order_when_the_clock_goes_back(desk: Alerts, post: Post, clock: Clock):
    first = await released(desk, typhoon())
    clock.pass_by(seconds=-5)
    update = await followed(desk, first, Kind.UPDATE, Change())
    clock.pass_by(seconds=-5)
    cancel = await followed(desk, first, Kind.CANCEL, Change(note="台风远离"))
    assert post.broadcasts[cancel].replaces == (first, update)
