"""A birthday comes: from a fact over rule, outbox and engine to WeChat's journal, one tap, and the grant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from handlers.bounds import listen
from server import assemble, assemble_public
from server.app import make_app, public_routes, services_of
from server.assemble import Assembly
from server.assemble_own_offers import own_offers
from server.domain.china import china_day
from server.domain.officers import Role
from tests.api.client import Citizens, Client, Officers, client_of
from tests.api.offer_town import OfferTown, years_ago
from tests.push.city import accepted, owners_of
from tests.push.conftest import City, until
from tests.push.test_booking_reminders import Ahead, by_wechat
from tests.services.application_world import officer


@asynccontextmanager
async def port(assembly: Assembly, officers: Officers, citizens: Citizens) -> AsyncIterator[Client]:
    """The public port of this assembly."""
    readers = assemble_public.public(assembly)
    await readers.feeds.refresh()
    services = services_of(assembly, readers)
    server, number = listen(make_app(public_routes(services), officers.gate(citizens)), 0, "127.0.0.1")
    yield client_of(number)
    server.stop()
    await server.close_all_connections()


async def test_on_the_eightieth_birthday_wechat_tells_and_one_tap_is_granted(city: City) -> None:
    clock = Ahead(city.assembly.db)
    await clock.measure()
    assembly = replace(city.assembly, clock=clock)
    one, other = [person.id for person in await city.people(2, by_wechat)]
    town = OfferTown(assembly)
    await town.ready()
    today = china_day(clock.now())
    for citizen, days in ((one, 2), (other, 40)):  # eighty in two days, and in forty
        await town.knows(citizen, birth_date=years_ago(today, 80, days))
    city.start(assemble.worker(assembly, city.stack))

    def got() -> dict[int, int]:
        """How many notices WeChat took for each."""
        journal = accepted(list(city.sandbox.journal())[city.began :], owners_of(city.citizens))
        return {person: count for (channel, person), count in journal.items() if channel == "wechat"}

    async def told() -> bool:
        return got() == {one: 1}

    await town.run()
    assert await assembly.db["offers"].count_documents({}) == 0
    clock.by += timedelta(days=3)
    await town.run()
    await until(told)

    officers, citizens = Officers(assembly.now), Citizens(assembly.accounts, assembly.now)
    mine, clerk = await citizens.enter(one), officers.enter(officer(Role.CLERK))
    async with port(assembly, officers, citizens) as api:
        [item] = (await api("GET", "/v1/me/inbox", token=mine)).json["items"]
        offer = f"/v1/me/offers/{item['about']}"
        assert (await api("GET", offer, token=mine)).json["state"] == "seen"
        done = (await api("POST", f"{offer}/accept", {}, token=mine)).json
        assert done["is_filed"]
        path = f"/v1/staff/applications/{done['application']['id']}/steps"
        assert (await api("POST", path, {"action": "complete"}, token=clerk)).json["state"] == "completed"
        services = services_of(assembly, assemble_public.public(assembly))
        assert await own_offers(assembly, town.parts, services.applications).outcomes.follow() == 1
        assert (await api("GET", offer, token=mine)).json["state"] == "done"
    await town.run()
    assert await assembly.db["offers"].count_documents({}) == 1
