"""What partners hand in: stored once, judged in full, proposed to officers, and never released by itself."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest

from server.domain.alerts.cap import to_cap
from server.domain.alerts.guotu_writing import to_guotu
from server.domain.alerts.model import Alert, cap_time
from server.domain.alerts.states import State as DeskState
from server.domain.alerts.vocabulary import Colour
from server.domain.china import CHINA
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, TooManyError
from server.domain.intake import Received, State
from server.domain.officers import Officer, Role
from server.domain.partners import Partner
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.services.intake import MAX_PER_MINUTE, Intake, Unreadable
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore
from server.storage.mongo import Database
from server.storage.partners import PartnerStore
from server.storage.vault import Vault
from tests.services.desk import AUTHOR, DIVISIONS, RELEASER, START, UNIT, Clock, Post, officer, typhoon

SENDER = "bureau@sz.example"
PARTNER = Partner(id="bureau", name="市气象局", senders=(SENDER,), division="440300", created_at=START)


@pytest.fixture
async def intake(db: Database, clock: Clock, desk: Alerts, audit: AuditLog) -> Intake:
    partners = PartnerStore(db, Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes))
    await partners.insert(PARTNER, key="hmk_x", secret="whsec_eA==", cursor=0)
    return Intake((IntakeStore(db), partners, PublicStore(db)), desk, DIVISIONS, audit, now=clock)


def message(name: str = "B1", colour: Colour = Colour.YELLOW, **changes: object) -> Alert:
    """A whole message of the partner's own."""
    infos = tuple(
        info.model_copy(update={"headline": f"{info.event} {colour}", "instruction": "请留在室内"})
        for info in typhoon(colour).infos
    )
    plain = {"identifier": name, "sender": SENDER, "sent": cap_time(START, CHINA), "infos": infos}
    return typhoon(colour).model_copy(update={**plain, **changes})


def follow_up(name: str, before: Alert, kind: str, colour: Colour = Colour.YELLOW, **changes: object) -> Alert:
    return message(name, colour, msg_type=kind, references=str(before.reference), **changes)


async def taken(intake: Intake, alert: Alert, partner: Partner = PARTNER) -> Received:
    found = await intake.take(partner, to_cap(alert))
    assert isinstance(found, Received)
    return found


def codes(found: Received, severity: str = "quarantine") -> set[str]:
    return {each.code for each in found.findings if each.severity == severity}


async def test_a_good_message_is_proposed_and_nothing_is_drafted_or_published(intake: Intake, db: Database, post: Post):
    found = await taken(intake, message())
    assert (found.state, found.partner, codes(found)) == (State.PROPOSED, "bureau", set())
    assert await db["alerts"].count_documents({}) == 0
    assert post.broadcasts == {}


async def test_the_same_message_again_gets_the_same_answer_and_is_stored_once(
    intake: Intake, db: Database, clock: Clock
):
    first = await taken(intake, message())
    clock.pass_by(minutes=5)
    again = await asyncio.gather(*(taken(intake, message()) for _ in range(5)))
    assert [each == first for each in again] == [True] * 5
    assert await db["intake"].count_documents({}) == 1


async def test_the_same_identifier_with_other_content_is_quarantined_even_if_both_come_at_once(intake: Intake):
    both = [message(), message(colour=Colour.ORANGE)]
    found = await asyncio.gather(*(taken(intake, alert) for alert in both))
    assert sorted(each.state for each in found) == [State.PROPOSED, State.QUARANTINED]
    later = await taken(intake, message(note="x"))
    assert later.state is State.QUARANTINED
    assert "CAP-004" in codes(later)


async def test_an_unregistered_sender_is_quarantined_and_does_not_take_the_others_identifier(intake: Intake):
    stranger = PARTNER.model_copy(update={"id": "other", "senders": ("other@sz.example",)})
    forged = await taken(intake, message(), stranger)
    assert forged.state is State.QUARANTINED
    assert "CAP-005" in codes(forged)
    assert (await taken(intake, message())).state is State.PROPOSED


async def test_the_same_content_under_a_new_name_within_the_hour_is_quarantined(intake: Intake, clock: Clock):
    await taken(intake, message("B1"))
    clock.pass_by(minutes=30)
    again = await taken(intake, message("B2", sent=cap_time(clock(), CHINA)))
    assert (again.state, codes(again)) == (State.QUARANTINED, {"CAP-013"})


async def test_a_message_for_another_city_or_after_a_cancel_is_proposed_with_the_defect_on_record(
    intake: Intake, clock: Clock
):
    district = PARTNER.model_copy(update={"division": "440306"})
    assert "CAP-031" in codes(await taken(intake, message("B0"), district), "warning")
    first = message("B1", Colour.ORANGE)
    await taken(intake, first)
    clock.pass_by(minutes=1)
    sent = cap_time(clock(), CHINA)
    await taken(intake, follow_up("B2", first, "Cancel", Colour.ORANGE, note="over", sent=sent))
    late = await taken(intake, follow_up("B3", first, "Update", Colour.BLUE, sent=sent))
    assert late.state is State.PROPOSED
    assert "CAP-012" in codes(late, "warning")


@pytest.mark.parametrize("data", [b"", b"{}", b"<x/>", b"<!DOCTYPE x []><alert/>", b"\x00\xff" * 50, b"<a>" * 500])
async def test_bytes_that_are_no_alert_are_told_why_and_not_stored(intake: Intake, db: Database, data: bytes):
    found = await intake.take(PARTNER, data)
    assert isinstance(found, Unreadable)
    assert found.findings
    assert await db["intake"].count_documents({}) == 0


async def test_guotu_is_taken_like_cap(intake: Intake):
    found = await intake.take(PARTNER, to_guotu(message()))
    assert isinstance(found, Received)
    assert (found.dialect, found.state, found.alert.identifier) == ("guotu", State.PROPOSED, "B1")


async def test_a_partner_that_sends_without_end_is_told_to_wait_and_repeats_are_still_answered(
    intake: Intake, db: Database, clock: Clock
):
    first = await taken(intake, message())
    document = await db["intake"].find_one({})
    assert document is not None
    copies = [document | {"_id": str(n), "is_first": False} for n in range(MAX_PER_MINUTE)]
    await db["intake"].insert_many(copies)
    with pytest.raises(TooManyError):
        await intake.take(PARTNER, to_cap(message("B2")))
    assert await taken(intake, message()) == first
    clock.pass_by(seconds=61)
    await taken(intake, message("B3", Colour.BLUE))


async def test_an_officer_adopts_it_once_as_a_draft_of_its_own_that_names_the_source(
    intake: Intake, desk: Alerts, db: Database
):
    found = await taken(intake, message())
    results = await asyncio.gather(*(intake.adopt(AUTHOR, found.key) for _ in range(4)), return_exceptions=True)
    drafts = [each for each in results if not isinstance(each, BaseException)]
    assert len(drafts) == 1
    assert all(isinstance(each, ConflictError) for each in results if each is not drafts[0])
    draft = drafts[0]
    assert draft.state is DeskState.DRAFT
    assert draft.author.officer == AUTHOR.id
    assert draft.alert.source == f"市气象局 {SENDER} B1"
    assert draft.alert.sender == UNIT.sender
    assert draft.alert.identifier != "B1"
    assert (await intake.get(AUTHOR, found.key)).draft == draft.identifier
    assert await db["alerts"].count_documents({}) == 1
    waiting = await desk.submit(AUTHOR, draft.identifier, draft.version)
    with pytest.raises(ForbiddenError):
        await desk.release(officer("author", Role.RELEASER), waiting.identifier, waiting.digest)
    assert (await desk.release(RELEASER, waiting.identifier, waiting.digest)).state is DeskState.RELEASED


async def test_a_quarantined_message_can_be_adopted_by_who_has_looked_at_it(intake: Intake):
    await taken(intake, message())
    found = await taken(intake, message(colour=Colour.ORANGE))
    assert found.state is State.QUARANTINED
    assert (await intake.adopt(AUTHOR, found.key)).colour is Colour.ORANGE


async def test_what_the_desk_refuses_stays_undecided(intake: Intake):
    found = await taken(intake, message())
    clerk = officer("clerk", Role.AUTHOR).model_copy(update={"events": ("11A",)})
    with pytest.raises(ForbiddenError):
        await intake.adopt(clerk, found.key)
    assert (await intake.get(AUTHOR, found.key)).state is State.PROPOSED
    await intake.adopt(AUTHOR, found.key)


async def test_an_adoption_whose_process_died_can_be_done_again(intake: Intake, db: Database, clock: Clock):
    found = await taken(intake, message())
    await IntakeStore(db).claim(found.key, "o-dead", clock())
    with pytest.raises(ConflictError):
        await intake.adopt(AUTHOR, found.key)
    clock.pass_by(seconds=31)
    await intake.adopt(AUTHOR, found.key)


async def test_updates_and_cancels_become_verbs_on_the_alert_that_the_first_message_became(
    intake: Intake, desk: Alerts, clock: Clock
):
    first = message("B1")
    draft = await intake.adopt(AUTHOR, (await taken(intake, first)).key)
    waiting = await desk.submit(AUTHOR, draft.identifier, draft.version)
    await desk.release(RELEASER, waiting.identifier, waiting.digest)
    last, chain = first, draft.chain
    for name, kind, colour, verb in (
        ("B2", "Update", Colour.ORANGE, Kind.UPGRADE),
        ("B3", "Update", Colour.BLUE, Kind.DOWNGRADE),
        ("B4", "Cancel", Colour.BLUE, Kind.CANCEL),
    ):
        clock.pass_by(minutes=1)
        alert = follow_up(name, last, kind, colour, note="台风远离", sent=cap_time(clock(), CHINA))
        desk_alert = await intake.adopt(AUTHOR, (await taken(intake, alert)).key)
        assert (desk_alert.kind, desk_alert.chain) == (verb, chain)
        waiting = await desk.submit(AUTHOR, desk_alert.identifier, desk_alert.version)
        await desk.release(RELEASER, waiting.identifier, waiting.digest)
        last = alert


async def test_a_cancel_of_what_was_never_released_is_no_draft_and_an_update_of_it_is_a_first_message(
    intake: Intake, clock: Clock
):
    first = message("B1")
    await taken(intake, first)
    clock.pass_by(minutes=1)
    sent = cap_time(clock(), CHINA)
    update = await taken(intake, follow_up("B2", first, "Update", Colour.ORANGE, sent=sent))
    cancel = await taken(intake, follow_up("B3", first, "Cancel", Colour.ORANGE, note="over", sent=sent))
    with pytest.raises(ConflictError, match="intake_nothing_released"):
        await intake.adopt(AUTHOR, cancel.key)
    draft = await intake.adopt(AUTHOR, update.key)
    assert (draft.kind, draft.colour, draft.alert.references) == (Kind.ALERT, Colour.ORANGE, None)


async def test_a_dismissal_has_a_reason_and_is_the_end(intake: Intake):
    found = await taken(intake, message())
    with pytest.raises(InvalidInputError):
        await intake.dismiss(AUTHOR, found.key, " ")
    done = await intake.dismiss(AUTHOR, found.key, "重复")
    assert (done.state, done.reason, done.officer) == (State.DISMISSED, "重复", AUTHOR.id)
    for again in (intake.adopt(AUTHOR, found.key), intake.dismiss(AUTHOR, found.key, "x")):
        with pytest.raises(ConflictError):
            await again


async def test_what_officers_decide_enters_the_log(intake: Intake, audit: AuditLog, clock: Clock):
    for name, colour in (("B1", Colour.YELLOW), ("B2", Colour.BLUE)):
        clock.pass_by(seconds=1)
        found = await taken(intake, message(name, colour))
        await (intake.adopt(AUTHOR, found.key) if name == "B1" else intake.dismiss(AUTHOR, found.key, "x"))
    told = [(entry.actor, entry.action) for entry in await audit.latest("intake")]
    assert sorted(told) == [(AUTHOR.id, "intake.adopt"), (AUTHOR.id, "intake.dismiss")]
    assert await audit.verify() == []


async def test_officers_see_what_touches_their_division_and_others_see_nothing(intake: Intake, clock: Clock):
    found = await taken(intake, message())
    whole, district, street = (officer("a", Role.AUTHOR, division=code) for code in ("440300", "440305", "440305007"))
    other = officer("b", Role.AUTHOR, division="440306")
    for who in (whole, district, street):
        assert [each.key for each in await intake.page(who, (), None, 10)] == [found.key]
    assert await intake.page(other, (), None, 10) == []
    with pytest.raises(NotFoundError):
        await intake.get(other, found.key)
    with pytest.raises(NotFoundError):
        await intake.adopt(other, found.key)
    assert await intake.page(whole, (State.QUARANTINED,), None, 10) == []
    assert await intake.page(whole, (State.PROPOSED,), clock() - timedelta(seconds=1), 10) == []
    auditor: Officer = officer("c", Role.AUDITOR)
    assert await intake.page(auditor, (), None, 10) == []
