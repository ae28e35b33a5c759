"""A process that accepts an offer is killed at every touch of the databases: one application, one number, once."""

from __future__ import annotations

import secrets
from datetime import date
from typing import Any

import pytest

from server.domain.citizens import Account
from server.domain.errors import NotFoundError
from server.domain.facts import day_number
from server.domain.real_name import RealName
from server.domain.rules import Rule
from server.services.offer_forms import FormShelves, OfferForms
from server.services.offer_notices import Telling
from server.services.offers import PATIENCE, Counters, Offers, OfferShelves
from server.storage.catalogues import load_facts
from server.storage.inbox import InboxStore
from server.storage.mongo import Database
from tests.api.offer_town import BIRTHDAY, allowance
from tests.services.application_world import Town as Hall
from tests.services.application_world import caller
from tests.services.mortal_stores import FOREVER, KilledError, Life, Mortal
from tests.services.proactive_world import Town

TOUCHES = 20  # more than accepting takes


class Street:
    """The engine's town and the counter of applications on one database and clock."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.town = Town(db, rules=[Rule.model_validate(BIRTHDAY)])
        self.hall = Hall(db, allowance())
        self.hall.clock.at = self.town.at

    async def find(self, citizen: int) -> RealName | None:  # noqa: ARG002 - nobody here is verified
        """Implements `Names`."""
        return None

    async def addresses_of(self, citizen: int, channel: str) -> list[str]:  # noqa: ARG002 - nor has a telephone
        """Implements `Numbers`."""
        return []

    async def get(self, citizen: int) -> Account:
        """Implements `People`."""
        return caller(citizen).account

    def counter(self, life: Life) -> Offers:
        """That of one process, which lives so long."""
        hall, town = self.hall, self.town
        for name in ("store", "audit"):
            object.__setattr__(hall.ground, name, Mortal(getattr(hall.ground, name), life))
        offers: Any = Mortal(town.offers, life)
        uses: Any = Mortal(hall.uses, life)
        shelves = OfferShelves(offers, town, InboxStore(self.db), self)
        forms = OfferForms(hall.ground, FormShelves(town.facts, load_facts(), self, self, uses))
        telling = Telling(town.offers, town.outbox, town.now)
        counters = Counters(hall.counter, hall.sources(), town.notices(), telling, town, forms)
        return Offers(hall.ground, shelves, counters)

    async def offered(self, citizen: int) -> str:
        """The id of a new offer."""
        await self.town.knows(citizen, birth_date=day_number(date(1946, 11, 24)))
        await self.town.engine().follow()
        return (await self.town.offers.page_of(citizen, None, 1))[0].id


@pytest.fixture
async def street(db: Database) -> Street:
    made = Street(db)
    await made.town.facts.prepare()
    return made


async def test_wherever_it_dies_the_duty_or_the_next_tap_ends_it_with_one_number(street: Street) -> None:
    """Half of the dead are followed by the duty, the others by a second tap; a survivor shows that all was tried."""
    died, life = 0, Life(FOREVER)
    counter = street.counter(life)
    for touch in range(TOUCHES):
        citizen = 5_000 + touch
        offer = await street.offered(citizen)
        life.left = touch
        try:
            await counter.accept(caller(citizen), offer, {})
        except KilledError:
            died += 1
        life.left = FOREVER
        if touch % 2:
            await counter.accept(caller(citizen), offer, {})
        street.town.at += 2 * PATIENCE
        street.hall.clock.at = street.town.at
        await counter.finish_left()
        await street.hall.steps.finish()
        found = await street.hall.store.all_of(citizen)
        state = (await street.town.offers.page_of(citizen, None, 1))[0].state
        if state in ("found", "offered"):  # it died before anything was written: nothing happened
            assert found == []
            continue
        assert state == "accepted", touch
        assert [len(found), bool(found[0].number), found[0].offer] == [1, True, offer], touch
        assert [line.action for line in found[0].timeline] == ["submit"], touch
    assert 5 < died < TOUCHES
    assert await street.db["offers"].count_documents({"unfinished_at": {"$exists": True}}) == 0
    submitted = [each for each in street.hall.log.events.values() if each.action == "application.submit"]
    assert len(submitted) == await street.db["applications"].count_documents({})


async def test_an_offer_is_its_citizens_alone(street: Street) -> None:
    """Another one's offer is as one that does not exist."""
    offer = await street.offered(4_999)
    for name in (offer, secrets.token_hex(16)):
        with pytest.raises(NotFoundError, match="offer_unknown"):
            await street.counter(Life(FOREVER)).accept(caller(4_998), name, {})
