"""Reminders of applications from the step over the outbox and the engine to the provider's journal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from server import assemble
from server.domain.application_news import News
from server.domain.rating_news import TEMPLATE
from server.services.application_notices import ApplicationNotices
from server.services.rating_notices import RatingNotices
from server.services.subjects import Subjects
from server.storage.catalogues import load_workflows
from tests.domain.items import item
from tests.push.city import accepted, owners_of
from tests.push.conftest import City, until
from tests.push.test_booking_reminders import LOOKS, Ahead, by_wechat
from tests.services.application_world import APPROVER, Town, caller


class Counter:
    """The counter of applications and a worker, on one clock."""

    def __init__(self, city: City, clock: Ahead) -> None:
        self.city, self.clock = city, clock
        self.town = Town(city.assembly.db, item())
        self.sync()
        words = city.assembly.templates
        subjects = Subjects(
            [
                ApplicationNotices(self.town.store, words, load_workflows()),
                RatingNotices(self.town.store, self.town.marks, words),
            ]
        )
        city.start(assemble.worker(replace(city.assembly, clock=clock, subjects=subjects), city.stack))

    def sync(self) -> None:
        """The counter's clock shows what the worker's does."""
        now = self.clock.now()
        self.town.clock.at = now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def due(self, template: str) -> list[datetime]:
        """When the notices of this kind are due."""
        found = self.city.assembly.db["outbox"].find({"template": template}).sort("due_at", 1)
        return [d["due_at"] async for d in found]

    def got(self, person: int) -> int:
        """How many notices the provider took for somebody."""
        journal = accepted(list(self.city.sandbox.journal())[self.city.began :], owners_of(self.city.citizens))
        return journal["wechat", person]

    async def gets(self, person: int, wanted: int, *, for_s: float = 0) -> None:
        """Wait until the provider has taken so many, then see that it stays at that for so long."""

        async def is_so() -> bool:
            return self.got(person) == wanted

        await until(is_so)
        await asyncio.sleep(for_s)
        assert self.got(person) == wanted


@pytest.fixture
async def counter(city: City) -> Counter:
    clock = Ahead(city.assembly.db)
    await clock.measure()
    return Counter(city, clock)


async def test_missing_papers_are_reminded_of_at_their_time_and_not_after_they_were_supplied(counter: Counter):
    [person] = [each.id for each in await counter.city.people(1, by_wechat)]
    application = (await counter.town.submitted(person)).application.id
    await counter.town.decide(application, "ask", reason="material_unclear")
    await counter.gets(person, 2)  # handed in, asked for more
    first, second = await counter.due(News.SUPPLY.value)
    counter.clock.go_to(first - timedelta(minutes=1))
    await counter.gets(person, 2, for_s=LOOKS)
    counter.clock.go_to(first)
    await counter.gets(person, 3)
    counter.sync()
    version = (await counter.town.steps.get(application)).version
    await counter.town.counter.supply(caller(person), application, version, "s")
    counter.clock.go_to(second)
    await counter.gets(person, 3, for_s=LOOKS)


async def test_two_finished_cases_are_one_invitation_to_rate(counter: Counter):
    [person] = [each.id for each in await counter.city.people(1, by_wechat)]
    for _ in range(2):
        application = (await counter.town.submitted(person)).application.id
        await counter.town.decide(application, "accept")
        for action in ("approve", "complete"):
            await counter.town.decide(application, action, APPROVER)
    await counter.gets(person, 8)
    [due_at] = await counter.due(TEMPLATE)
    counter.clock.go_to(due_at)
    await counter.gets(person, 9, for_s=LOOKS)
