"""好差评: one rating a case, unknown to the rated; a bad one is answered, called back, or appealed to somebody else."""

from __future__ import annotations

from datetime import date

import pytest

from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.officers import Role
from server.domain.ratings import RATE_WITHIN, STEPS, TRIES, Said, TicketAction, TicketState
from server.storage.catalogues import load_questionnaire
from server.storage.mongo import Database
from tests.domain.items import item
from tests.services.application_world import CLERK, OTHER, OWNER, Town, caller, officer, race

BAD = Said(1, {"efficiency": 1}, ("over_statutory_time",), "等了两个月")
GOOD = Said(5, {"efficiency": 5}, ("quick",), "")
SUPERVISOR = officer(Role.SUPERVISOR, name="s")
COLLEAGUE = officer(Role.SUPERVISOR, name="e")


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db, item(workflow="instant"))


async def finished(town: Town, of: int = OWNER) -> str:
    id_ = (await town.submitted(of)).application.id
    await town.decide(id_, "complete")
    return id_


async def test_a_case_is_rated_once_after_it_is_finished_and_for_a_while(town: Town):
    draft = (await town.submitted()).application.id
    with pytest.raises(ConflictError, match="rating_early"):
        await town.ratings.rate(caller(), draft, GOOD)
    case = await finished(town)
    found = await race(*(town.ratings.rate(caller(), case, GOOD) for _ in range(4)))
    assert [e.code for e in found if isinstance(e, ConflictError)] == ["rating_exists"] * 3
    late = await finished(town)
    town.clock.pass_(seconds=RATE_WITHIN.total_seconds() + 1)
    with pytest.raises(ConflictError, match="rating_late"):
        await town.ratings.rate(caller(), late, GOOD)
    with pytest.raises(NotFoundError, match="application_unknown"):
        await town.ratings.rate(caller(OTHER), late, GOOD)


@pytest.mark.parametrize("said", [Said(6, {}, (), ""), Said(3, {"x": 3}, (), ""), Said(3, {}, ("nonsense",), "")])
async def test_what_was_not_asked_is_refused(town: Town, said: Said):
    with pytest.raises(InvalidInputError, match="rating_unknown"):
        await town.ratings.rate(caller(), "0" * 32, said)


async def test_a_bad_rating_is_a_ticket_that_is_answered_and_called_back(town: Town):
    await town.ratings.rate(caller(), await finished(town), BAD)
    [ticket] = await town.ratings.tickets(SUPERVISOR, TicketState.OPEN)
    assert ticket.due_on == date(2026, 12, 15)  # fifteen working days
    with pytest.raises(ConflictError, match="ticket_step"):
        await town.ratings.step(SUPERVISOR, ticket.id, TicketAction.CALL_BACK, "已回访")
    await town.ratings.step(SUPERVISOR, ticket.id, TicketAction.ANSWER, "已补发")
    closed = await town.ratings.step(SUPERVISOR, ticket.id, TicketAction.CALL_BACK, "已回访")
    assert closed.state is TicketState.CLOSED
    assert town.log.actions().count("rating.step") == 2


async def test_nothing_but_a_call_back_or_tries_on_three_days_closes_a_ticket(town: Town):
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    closing = {step for step, after in STEPS.items() if after is TicketState.CLOSED}
    assert closing == {(TicketState.ANSWERED, TicketAction.CALL_BACK)}
    await town.ratings.step(SUPERVISOR, rating.id, TicketAction.ANSWER, "已补发")
    for day in range(TRIES):
        for _ in range(2):  # a second call on the same day is no second try
            found = await town.ratings.tickets(SUPERVISOR, TicketState.ANSWERED)
            assert [each.id for each in found] == [rating.id]
            after = await town.ratings.step(SUPERVISOR, rating.id, TicketAction.NOT_REACHED, "无人接听")
            if day == TRIES - 1:
                break
        town.clock.pass_(days=1)
    assert after.state is TicketState.CLOSED
    with pytest.raises(ConflictError, match="ticket_step"):
        await town.ratings.step(SUPERVISOR, rating.id, TicketAction.NOT_REACHED, "无人接听")


async def test_who_calls_back_gets_the_number_for_a_purpose_and_the_rater_reads_that(town: Town):
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    with pytest.raises(InvalidInputError, match="purpose_missing"):
        await town.ratings.contact(SUPERVISOR, rating.id, " ")
    assert (await town.uses.page(OWNER, "", 10))[0] == []
    contact = await town.ratings.contact(SUPERVISOR, rating.id, "核实补发情况")
    assert contact.phones == [f"+86138{OWNER:08d}"]
    [use] = (await town.uses.page(OWNER, "", 10))[0]
    assert (use.purpose, use.fields, use.about) == ("差评回访：核实补发情况", ("phone",), rating.id)
    [event] = [e for e in town.log.events.values() if e.action == "rating.contact"]
    assert (event.actor, event.object) == (SUPERVISOR.id, f"rating/{rating.id}")
    assert str(OWNER) not in str(event)


async def test_who_handled_the_case_or_comes_when_it_is_over_gets_no_number(town: Town):
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    handler, stranger = officer(Role.CLERK, Role.SUPERVISOR), officer(Role.SUPERVISOR, name="t", institution="sz-tax")
    for nobody in (handler, stranger):
        with pytest.raises(NotFoundError, match="rating_unknown_ticket"):
            await town.ratings.contact(nobody, rating.id, "核实补发情况")
    with pytest.raises(ForbiddenError, match="role_missing"):
        await town.ratings.contact(CLERK, rating.id, "核实补发情况")
    await town.ratings.step(SUPERVISOR, rating.id, TicketAction.ANSWER, "已补发")
    await town.ratings.step(SUPERVISOR, rating.id, TicketAction.CALL_BACK, "已回访")
    with pytest.raises(ConflictError, match="ticket_step"):
        await town.ratings.contact(SUPERVISOR, rating.id, "核实补发情况")
    assert (await town.uses.page(OWNER, "", 10))[0] == []


async def test_overdue_tickets_come_first_and_the_figures_tell_the_share_on_time(town: Town):
    old = await town.ratings.rate(caller(), await finished(town), BAD)
    early = await town.ratings.rate(caller(OTHER), await finished(town, OTHER), BAD)
    await town.ratings.step(SUPERVISOR, early.id, TicketAction.ANSWER, "已补发")
    town.clock.pass_(days=28)
    new = await town.ratings.rate(caller(), await finished(town), BAD)
    await town.ratings.step(SUPERVISOR, new.id, TicketAction.APPEAL, "误评")
    found = await town.ratings.tickets(SUPERVISOR)
    assert {each.id for each in found[:2]} == {old.id, early.id}
    assert [town.ratings.is_overdue(each) for each in found] == [True, True, False]
    await town.ratings.step(SUPERVISOR, old.id, TicketAction.ANSWER, "迟了")
    [tally] = await town.ratings.figures(None)
    assert (tally.bad, tally.fixed, tally.late, tally.on_time) == (3, 2, 1, 1)


async def test_two_who_answer_at_once_do_it_once(town: Town):
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    deeds = [town.ratings.step(by, rating.id, TicketAction.ANSWER, "已处理") for by in (SUPERVISOR, COLLEAGUE)]
    found = await race(*deeds)
    assert sum(isinstance(each, ConflictError) for each in found) == 1
    assert town.log.actions().count("rating.step") == 1


async def test_a_step_of_a_ticket_that_nobody_lived_to_record_is_recorded_later_once(town: Town):
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    town.log.fails = True
    with pytest.raises(ConnectionError):
        await town.ratings.step(SUPERVISOR, rating.id, TicketAction.ANSWER, "已补发")
    town.log.fails = False
    assert [await town.ratings.finish(), await town.ratings.finish()] == [1, 0]
    assert town.log.actions().count("rating.step") == 1


async def test_who_handled_the_case_sees_neither_rating_nor_rater(town: Town, db: Database):
    both = officer(Role.CLERK, Role.SUPERVISOR, name="a")  # the clerk who completed it, with a second role
    case = await finished(town)
    rating = await town.ratings.rate(caller(), case, BAD)
    assert await town.ratings.tickets(both, TicketState.OPEN) == []
    with pytest.raises(NotFoundError, match="rating_unknown_ticket"):
        await town.ratings.step(both, rating.id, TicketAction.ANSWER, "已处理")
    with pytest.raises(ForbiddenError, match="role_missing"):
        await town.ratings.tickets(CLERK, TicketState.OPEN)
    stored = await db["ratings"].find_one({})
    assert stored is not None
    assert case not in str(stored)
    assert "两个月" not in str(stored)


async def test_a_second_account_of_who_handled_the_case_sees_nothing_either(town: Town):
    town.hired = {CLERK.id: CLERK}
    twin = officer(Role.SUPERVISOR, name="z").model_copy(update={"person": CLERK.person})
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    assert await town.ratings.tickets(twin) == []
    with pytest.raises(NotFoundError, match="rating_unknown_ticket"):
        await town.ratings.contact(twin, rating.id, "核实补发情况")
    assert [each.id for each in await town.ratings.tickets(SUPERVISOR)] == [rating.id]


def test_the_standard_is_what_is_asked():
    """国办发〔2019〕51号: the whole (the stars) and four indicators; and the tags of what the law forbids."""
    asked = load_questionnaire()
    assert [each.zh for each in asked.indicators] == ["办事效率", "办事指南精确度", "办事便捷度", "平台操作性"]
    assert {"over_statutory_time", "added_conditions", "extra_materials"} <= {t.id for t in asked.tags if t.is_bad}


async def test_an_appeal_is_decided_by_another_person_and_an_excluded_rating_counts_nowhere(town: Town):
    rating = await town.ratings.rate(caller(), await finished(town), BAD)
    await town.ratings.rate(caller(), await finished(town), GOOD)
    await town.ratings.step(SUPERVISOR, rating.id, TicketAction.APPEAL, "恶意")
    with pytest.raises(ForbiddenError, match="ticket_same_person"):
        await town.ratings.step(SUPERVISOR, rating.id, TicketAction.EXCLUDE, "同意")
    [before] = await town.ratings.figures(None)
    await town.ratings.step(COLLEAGUE, rating.id, TicketAction.EXCLUDE, "核实为误评")
    [after] = await town.ratings.figures("sz-civil-affairs")
    assert (before.levels[1], before.bad, before.tags["over_statutory_time"]) == (1, 1, 1)
    assert (after.levels, after.bad) == ({1: 0, 2: 0, 3: 0, 4: 0, 5: 1}, 0)


async def test_a_ticket_past_its_deadline_is_counted_as_late(town: Town):
    await town.ratings.rate(caller(), await finished(town), BAD)
    town.clock.pass_(days=30)
    [tally] = await town.ratings.figures(None)
    assert (tally.bad, tally.fixed, tally.late) == (1, 0, 1)


async def test_erasing_the_rater_leaves_the_figures_and_no_words(town: Town, db: Database):
    case = await finished(town)
    await town.ratings.rate(caller(), case, BAD)
    assert [row["comment"] for row in await town.marks.export(OWNER)] == ["等了两个月"]
    await town.marks.erase(OWNER)
    assert await town.marks.export(OWNER) == []
    assert await db["ratings"].count_documents({"citizen": OWNER}) == 0
    assert (await town.ratings.figures(None))[0].bad == 1
