"""Officers are reached on their own telephones: from a red draft that waits, or a card, to the provider's journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from push.duties import call_chiefs
from server import assemble
from server.domain.alerts.model import cap_time
from server.domain.alerts.release import World
from server.domain.alerts.vocabulary import Colour
from server.domain.china import CHINA, china_day
from server.domain.deadlines import Card
from server.domain.officers import Role
from server.services.alerts import RED_WAIT, Alerts
from server.services.duty_notices import DutyNotices, Heard, Shelves
from server.services.subjects import Subjects
from server.storage.catalogues import load_escalation, load_working_days
from server.storage.citizens import NewCitizen
from server.storage.duty import Bound, CardBoard, DutyPhones
from server.storage.officers import OfficerStore
from tests.push.city import accepted, owners_of
from tests.push.conftest import City, until
from tests.push.test_booking_reminders import LOOKS, Ahead
from tests.services.application_world import Town
from tests.services.desk import AUTHOR, CHIEF, DIVISIONS, TEXTS, typhoon
from tests.services.office import PASSWORD, newcomer

PAUSE = RED_WAIT + timedelta(seconds=1)
UNIT = "sz-civil-affairs"


class KilledError(Exception):
    """The process dies here."""


async def killed() -> int:
    """What a process had left to do when it died."""
    raise KilledError


class Station:
    """A desk, officers with telephones and a worker, all on one clock."""

    def __init__(self, city: City, clock: Ahead) -> None:
        self.city, self.clock, self.assembly = city, clock, city.assembly
        db, vault = city.assembly.db, city.assembly.vault
        self.phones = DutyPhones(db, vault)
        stores = city.assembly.alert_store, OfficerStore(db, vault), self.phones, CardBoard(db), city.assembly.outbox
        self.shelves = Shelves(*stores)
        self.duties = [self.duty(), self.duty()]  # of two processes

    def start(self) -> None:
        """Let a worker work."""
        engine = replace(self.assembly, clock=self.clock, subjects=Subjects(self.duties[:1]))
        self.city.start(assemble.worker(engine, self.city.stack))

    def duty(self) -> DutyNotices:
        """What one process has."""
        templates = self.assembly.templates
        return DutyNotices(self.shelves, templates, load_escalation(), load_working_days(), self.clock.now)

    @property
    def desk(self) -> Alerts:
        """The desk, on the clock."""
        post, audit = self.assembly.broadcasts, self.assembly.audit
        return Alerts(self.assembly.alert_store, World(DIVISIONS, TEXTS), post, audit, now=self.clock.now)

    async def hire(self, name: str, citizen: NewCitizen | None, *roles: Role, **more: Any) -> str:
        """An active account, its telephone bound."""
        new = newcomer(name, f"staff-{name}", *roles).model_copy(update=more)
        account, link = await self.assembly.officers.create(None, new)
        await self.assembly.officers.activate(link, PASSWORD)
        if citizen:
            assert await self.phones.bind(Bound(account.officer.id, citizen.id, self.clock.now()))
        return account.officer.id

    async def submit(self) -> tuple[str, str]:
        """A red alert that waits from now on."""
        ends = cap_time(self.clock.now() + timedelta(hours=6), CHINA)
        alert = typhoon(Colour.RED)
        alert = alert.model_copy(update={"infos": tuple(i.model_copy(update={"expires": ends}) for i in alert.infos)})
        begun = await self.desk.draft(AUTHOR, alert)
        waiting = await self.desk.submit(AUTHOR, begun.identifier, begun.version)
        return waiting.identifier, waiting.digest

    async def turn(self) -> None:
        """Both processes do their duty, at once."""
        await asyncio.gather(*(call_chiefs(self.desk, self.assembly.officers, duty.call) for duty in self.duties))

    async def waiting(self) -> int:
        """How many notices have been put."""
        return await self.assembly.db["outbox"].count_documents({"template": {"$regex": "^duty"}})

    def got(self) -> Counter[tuple[str, int]]:
        """What the providers took, by channel and person."""
        return accepted(list(self.city.sandbox.journal())[self.city.began :], owners_of(self.city.citizens))

    async def gets(self, wanted: dict[tuple[str, int], int], *, for_s: float = 0) -> None:
        """Wait until they have taken this, then see that it stays at that for so long."""

        async def is_so() -> bool:
            return self.got() == wanted

        await until(is_so, 15)
        await asyncio.sleep(for_s)
        assert self.got() == wanted


@pytest.fixture
async def station(city: City) -> Station:
    clock = Ahead(city.assembly.db)
    await clock.measure()
    return Station(city, clock)


def asleep(_: int, citizen: NewCitizen) -> NewCitizen:
    """WeChat and SMS; quiet hours all day but a minute, and everything switched off that can be."""
    addresses = {channel: citizen.addresses[channel] for channel in ("wechat", "sms")}
    return replace(citizen, addresses=addresses, quiet=(1, 0), off=("*",))


def by_wechat(_: int, citizen: NewCitizen) -> NewCitizen:
    return replace(citizen, quiet=None, addresses={"wechat": citizen.addresses["wechat"]})


async def test_a_waiting_red_alert_calls_one_chief_after_the_other_on_all_channels_once_whoever_dies(station: Station):
    first, second = await station.city.people(2, asleep)
    await station.hire("unreachable", None, Role.CHIEF)  # invited first, called last
    for name, person in (("first", first), ("second", second)):
        await station.hire(name, person, Role.CHIEF)
    station.start()
    await station.submit()
    await station.turn()
    assert await station.waiting() == 0
    station.clock.by += PAUSE
    with pytest.raises(KilledError):
        await call_chiefs(station.desk, station.assembly.officers, killed)
    await station.turn()
    one = {(channel, first.id): 1 for channel in ("wechat", "sms")}
    await station.gets(one)
    await station.turn()
    station.clock.by += PAUSE
    for _ in range(2):
        await station.turn()
    await station.gets(one | {(channel, second.id): 1 for channel in ("wechat", "sms")}, for_s=LOOKS)


async def test_nobody_is_called_to_an_alert_that_has_been_decided_meanwhile(station: Station):
    [chief] = await station.city.people(1, by_wechat)
    await station.hire("chief", chief, Role.CHIEF)
    name, _ = await station.submit()
    station.clock.by += PAUSE
    await station.turn()
    await station.desk.reject(CHIEF, name, "no longer needed")
    assert await station.duties[0].call() == 0
    assert await station.waiting() == 1
    station.start()
    await station.gets({}, for_s=LOOKS)


async def test_a_chief_who_has_unbound_is_not_called_any_more(station: Station):
    [chief] = await station.city.people(1, by_wechat)
    officer = await station.hire("chief", chief, Role.CHIEF)
    await station.submit()
    station.clock.by += PAUSE
    await station.turn()
    await station.phones.unbind(officer)
    assert await station.waiting() == 1
    station.start()
    await station.gets({}, for_s=LOOKS)


# -- cards


def to_a_working_morning(station: Station) -> datetime:
    """Nine o'clock of the next working day but one."""
    day = load_working_days().add(china_day(station.clock.now()), 2).day
    morning = datetime(day.year, day.month, day.day, 9, tzinfo=CHINA)
    station.clock.go_to(morning)
    return morning


async def late(station: Station, *, days: int = 40) -> None:
    """An application that was handed in so many days ago and has its red card now."""
    town = Town(station.assembly.db)
    now = station.clock.now()
    town.clock.at = now - timedelta(days=days)
    await town.submitted()
    town.clock.at = now
    await town.steps.show_cards()
    assert [d["card"] async for d in station.assembly.db["applications"].find()] == [Card.RED.value]


async def test_a_red_card_reaches_the_supervisor_once_a_working_day(station: Station):
    watcher, clerk = await station.city.people(2, by_wechat)
    at = {"division": "440300", "events": (), "institutions": (UNIT,)}
    await station.hire("watcher", watcher, Role.SUPERVISOR, **at)
    await station.hire("clerk", clerk, Role.CLERK, **at)
    await station.hire("mute", None, Role.SUPERVISOR, **at)
    morning = to_a_working_morning(station)
    await late(station)
    station.start()
    told = await asyncio.gather(*(duty.tell_cards() for duty in station.duties))
    assert sum(heard.new for heard in told) == 1
    assert [heard.unheard for heard in told] == [1, 1]
    await station.gets({("wechat", watcher.id): 1}, for_s=LOOKS)
    assert [await duty.tell_cards() for duty in station.duties] == [Heard(), Heard()]
    next_day = load_working_days().add(china_day(morning), 1).day
    station.clock.go_to(morning + (next_day - china_day(morning)))
    assert (await station.duty().tell_cards()).new == 1
    await station.gets({("wechat", watcher.id): 2})


async def test_at_night_no_digest_is_told(station: Station):
    [watcher] = await station.city.people(1, by_wechat)
    await station.hire("watcher", watcher, Role.SUPERVISOR, division="440300", events=(), institutions=(UNIT,))
    morning = to_a_working_morning(station)
    await late(station)
    station.clock.go_to(morning - timedelta(hours=2))
    assert await station.duties[0].tell_cards() == Heard()
