"""What digests count: open cases with a card, and bad ratings whose answer is nearly due."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from server.domain.duty import Ticket
from server.domain.ratings import Rating, TicketState
from server.storage.duty import CardBoard
from server.storage.mongo import Database
from tests.services.application_world import Town

UNIT = "sz-civil-affairs"


async def test_cards_are_counted_over_an_index_that_holds_nothing_else(db: Database):
    town = Town(db)
    for citizen in range(1, 31):
        await town.submitted(citizen)
    town.clock.pass_(days=40)
    await town.steps.show_cards()
    await town.submitted(99)
    await db.command("profile", 2)
    try:
        [case] = await CardBoard(db).cases()
    finally:
        await db.command("profile", 0)
    profiled = await db["system.profile"].find_one({"command.aggregate": "applications"})
    await db["system.profile"].drop()
    assert (case.count, case.units) == (30, ("sz-civil-affairs",))
    assert profiled is not None
    assert profiled["docsExamined"] == 30


async def test_bad_ratings_count_while_they_wait_for_an_answer_that_is_nearly_due(db: Database):
    town, due = Town(db), date(2026, 11, 26)
    bad = Rating(
        id="", unit=UNIT, division="440300", item="elder-allowance", stars=1, indicators={}, tags=(), comment="",
        questionnaire=1, rated_on=date(2026, 11, 19), handlers=frozenset({"h"}), state=TicketState.OPEN, due_on=due,
    )  # fmt: skip
    for nth, changes in enumerate(
        [
            {},
            {},
            {"state": TicketState.APPEALED, "handlers": frozenset()},
            {"due_on": date(2026, 11, 27)},
            {"state": TicketState.ANSWERED},
            {"unit": "sz-police"},
            {"stars": 5, "state": TicketState.NONE, "due_on": None},
        ]
    ):
        assert await town.marks.insert(replace(bad, id=f"r{nth}", **changes), f"case-{nth}", 7)
    found = await CardBoard(db).tickets([UNIT], due)
    assert {*found} == {Ticket(UNIT, "440300", frozenset({"h"}), 2), Ticket(UNIT, "440300", frozenset(), 1)}
