"""好差评: one rating a case, unknown to the rated; a bad one is answered, called back, or appealed to somebody else."""

from __future__ import annotations

from datetime import date

import pytest

from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.officers import Role
from server.domain.ratings import RATE_WITHIN, Said, TicketAction, TicketState
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
