"""A bulletin and its followers, by the providers' own journal: who hears, once, and who does not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from push.duties import Duty, keep
from server.assemble_bulletins import BulletinParts, bulletin_duties, bulletins
from server.domain.audit import Event
from server.domain.broadcasts import Broadcast
from server.domain.broadcasts import State as BroadcastState
from server.domain.bulletins import Bulletin, Content, broadcast_id
from server.domain.officers import Officer, Role, Unit
from server.services.bulletin_office import BulletinOffice, Ground
from server.storage.bulletins import BulletinStore
from server.storage.citizens import NewCitizen
from server.storage.follows import FollowStore
from tests.push.conftest import City, until

UNIT = Unit(code="44030041600000", name="深圳市水务集团", sender="water@sz.example", division="440300")
CITY, DISTRICT, STREET, COMMUNITY, ASIDE = "440300", "440305", "440305001", "440305001001", "440304"


def officer(person: str, role: Role, division: str = CITY) -> Officer:
    return Officer(
        id=f"id-{person}", person=person, name=person, roles=frozenset({role}), unit=UNIT, division=division, events=()
    )


EDITOR, APPROVER = officer("editor", Role.EDITOR), officer("approver", Role.APPROVER)


def content(city: City, *areas: str, **changes: Any) -> Content:
    now = city.now()
    fields = {
        "topic": "water", "title": {"zh": "计划停水", "en": "Water outage"}, "body": {"zh": "请提前储水。"},
        "areas": areas or (STREET,), "valid_from": now, "valid_until": now + timedelta(days=2),
    }  # fmt: skip
    return Content.model_validate(fields | changes)


async def submitted(office: BulletinOffice, said: Content, before: Bulletin | None = None) -> tuple[str, str]:
    """Handed in by the editor: the id and the digest."""
    one = await (office.edit(EDITOR, before.id, said, before.edit) if before else office.draft(EDITOR, said))
    handed = await office.submit(EDITOR, one.id, one.edit)
    assert handed.draft
    return one.id, handed.draft.submitted


async def published(office: BulletinOffice, said: Content, before: Bulletin | None = None) -> Bulletin:
    return await office.publish(APPROVER, *await submitted(office, said, before))


async def told(city: City, one: Bulletin) -> Broadcast:
    """The broadcast of its newest version."""
    return await city.assembly.broadcast_store.get(one.broadcasts[-1])


async def followers(city: City, parts: BulletinParts, *divisions: str, **keep: Any) -> list[NewCitizen]:
    """As many people, each of whom follows water in one of these; "" follows nothing."""
    people = await city.people(len(divisions), **keep)
    for person, division in zip(people, divisions, strict=True):
        if division:
            await parts.follows.put(person.id, "water", division)
    return people


async def sent(city: City, broadcast: Broadcast) -> None:
    """Wait until all are planned and handed over; the ladder still waits for who is not reached."""

    async def done() -> bool:
        if await city.assembly.broadcast_store.is_any_range_open(broadcast.id):
            return False
        return not (await city.finding(broadcast)).unfinished

    await until(done, 20.0)


def heard(city: City, broadcast: Broadcast) -> set[int]:
    return {citizen for _, citizen in city.journal(broadcast)}


@pytest.fixture
def parts(city: City) -> BulletinParts:
    return bulletins(city.assembly)


def only(*channels: str) -> Any:
    """People in order with one channel each."""

    def change(i: int, citizen: NewCitizen) -> NewCitizen:
        channel = channels[i % len(channels)]
        return replace(citizen, addresses={channel: citizen.addresses[channel]})

    return change


async def test_followers_on_three_channels_hear_within_seconds_and_nobody_else(
    city: City, parts: BulletinParts
) -> None:
    city.start()
    people = await followers(
        city, parts, STREET, STREET, STREET, "", change=only("wechat", "push", "sms", "push"), has_all_channels=True
    )
    await parts.follows.put(people[3].id, "gas", STREET)
    loop = asyncio.get_running_loop()
    began = loop.time()
    one = await published(parts.office, content(city))
    broadcast = await told(city, one)
    await city.sent(broadcast, 3)
    assert loop.time() - began < 10
    await sent(city, broadcast)
    assert dict(city.journal(broadcast)) == {
        (channel, person.id): 1 for channel, person in zip(("wechat", "push", "sms"), people, strict=False)
    }
    assert (await city.finding(broadcast)).is_equal


REACH: dict[str, Sequence[int]] = {  # of followers of the city, district, street, community, another district; nobody
    CITY: (1, 1, 1, 1, 1, 0),
    DISTRICT: (1, 1, 1, 1, 0, 0),
    STREET: (1, 1, 1, 1, 0, 0),
    COMMUNITY: (1, 1, 1, 1, 0, 0),
    "440305002": (1, 1, 0, 0, 0, 0),
    ASIDE: (1, 0, 0, 0, 1, 0),
}


async def test_street_district_and_city_reach_each_other_upwards_and_downwards(
    city: City, parts: BulletinParts
) -> None:
    city.start()
    people = await followers(city, parts, CITY, DISTRICT, STREET, COMMUNITY, ASIDE, "")
    for area, hear in REACH.items():
        broadcast = await told(city, await published(parts.office, content(city, area)))
        await sent(city, broadcast)
        planned = {id_ for page in await city.pages(broadcast) for id_ in page.to}
        assert planned == {p.id for p, hears in zip(people, hear, strict=True) if hears}, area
    handed = sum(map(sum, REACH.values()))  # the journal tells broadcasts of one kind apart by nothing
    assert city.journal(broadcast).total() == handed


async def test_who_switched_public_notices_off_is_not_told(city: City, parts: BulletinParts) -> None:
    city.start()
    people = await followers(city, parts, STREET, STREET, change=lambda i, c: replace(c, off=("bulletin",) * (i == 0)))
    broadcast = await told(city, await published(parts.office, content(city)))
    await sent(city, broadcast)
    assert heard(city, broadcast) == {people[1].id}


async def test_a_correction_is_one_more_broadcast_and_takes_the_place_of_the_first(
    city: City, parts: BulletinParts
) -> None:
    city.start()
    [person] = await followers(city, parts, STREET)
    first = await published(parts.office, content(city))
    await city.sent(await told(city, first), 1)
    second = await published(parts.office, content(city, note="时间更正"), first)
    broadcast = await told(city, second)
    await sent(city, broadcast)
    assert (broadcast.replaces, broadcast.chain) == ((first.broadcasts[0],), (await told(city, first)).chain)
    assert person.id in heard(city, broadcast)
    states = await city.assembly.broadcast_store.states(second.broadcasts)
    assert states[first.broadcasts[0]] is BroadcastState.REPLACED


async def test_after_a_withdrawal_nobody_is_told_who_has_not_been(city: City, parts: BulletinParts) -> None:
    await followers(city, parts, STREET)
    one = await published(parts.office, content(city))
    await parts.office.withdraw(APPROVER, one.id, "检修取消")
    city.start()
    broadcast = await told(city, one)
    assert broadcast.state is BroadcastState.CANCELLED
    await asyncio.sleep(0.5)
    assert heard(city, broadcast) == set()


class _DiedError(Exception):
    """The process is gone."""


class Mortal:
    """The real publisher, in a process that dies before or after its call."""

    def __init__(self, publisher: Any, moment: str) -> None:
        self._publisher = publisher
        self._moment = moment

    async def publish(self, broadcast: Broadcast) -> None:
        """Do it or not, and die."""
        if self._moment == "after":
            await self._publisher.publish(broadcast)
        raise _DiedError

    async def stop(self, id_: str, state: BroadcastState) -> None:
        """Do it or not, and die."""
        if self._moment == "after":
            await self._publisher.stop(id_, state)
        raise _DiedError


class Deaf:
    """An audit log of a process that dies before it can write there."""

    async def record(self, *events: Event) -> None:
        """Die at what the public sees; the rest goes nowhere."""
        if any(event.action == "bulletin.publish" for event in events):
            raise _DiedError


def dying(city: City, moment: str) -> BulletinOffice:
    """The office of such a process."""
    assembly = city.assembly
    store = BulletinStore(assembly.db, assembly.divisions)
    real = bulletins(assembly).office
    ground: Ground = real._ground  # noqa: SLF001 - the same world, in a process that dies
    audit = Deaf() if moment == "audit" else assembly.audit
    return BulletinOffice(
        store, Mortal(assembly.broadcasts, moment), ground, audit, now=city.now, new_id=lambda: "0" * 32
    )


@pytest.mark.parametrize("moment", ["audit", "before", "after"])
async def test_a_death_around_the_broadcast_ends_in_exactly_one_that_a_duty_sends(
    city: City, parts: BulletinParts, moment: str
) -> None:
    city.start()
    [person] = await followers(city, parts, STREET)
    id_, signed = await submitted(parts.office, content(city))
    with pytest.raises(_DiedError):
        await dying(city, moment).publish(APPROVER, id_, signed)
    there = await city.assembly.db["broadcasts"].count_documents({})
    assert there == (moment == "after")
    stop = asyncio.Event()
    [duty] = bulletin_duties(city.assembly)
    running = [asyncio.create_task(keep([Duty(duty.name, 0.05, duty.do)], stop)) for _ in range(2)]
    name = broadcast_id(id_, 1)

    async def is_sent() -> bool:
        return bool(await city.assembly.broadcast_store.states([name]))

    await until(is_sent)
    broadcast = await city.assembly.broadcast_store.get(name)
    await sent(city, broadcast)
    stop.set()
    await asyncio.gather(*running)
    assert city.journal(broadcast).total() == 1
    assert heard(city, broadcast) == {person.id}
    assert await city.assembly.db["broadcasts"].count_documents({}) == 1
    assert await city.assembly.db["bulletins"].count_documents({"is_unsettled": True}) == 0
    steps = [each async for each in city.assembly.db["audit"].find({"object": f"bulletin/{id_}"})]
    assert [each["action"] for each in steps].count("bulletin.publish") == 1
    again = await parts.office.publish(APPROVER, id_, signed)  # the officer tries once more
    assert len(again.versions) == 1


async def test_what_was_withdrawn_before_it_left_never_leaves_whoever_still_holds_it(
    city: City, parts: BulletinParts
) -> None:
    await followers(city, parts, STREET)
    id_, signed = await submitted(parts.office, content(city))
    with pytest.raises(_DiedError):
        await dying(city, "before").publish(APPROVER, id_, signed)
    held = await BulletinStore(city.assembly.db, city.assembly.divisions).find(id_)
    assert held
    await parts.office.withdraw(APPROVER, id_, "检修取消")
    await city.assembly.broadcasts.publish(held.pending[0])  # a slow process comes too late
    city.start()
    await asyncio.sleep(0.5)
    broadcast = await city.assembly.broadcast_store.get(broadcast_id(id_, 1))
    assert broadcast.state is BroadcastState.CANCELLED
    assert heard(city, broadcast) == set()
    assert await city.assembly.db["pages"].count_documents({}) == 0


async def test_marks_of_a_follow_that_is_dropped_leave_and_those_of_others_stay(
    city: City, parts: BulletinParts
) -> None:
    city.start()
    people = await followers(city, parts, STREET, STREET)
    await parts.follows.put(people[0].id, "water", ASIDE)
    await parts.follows.drop(people[0].id, f"water-{STREET}")
    assert all("440305" not in mark for mark in await FollowStore(city.assembly.db).find(people[0].id))
    broadcast = await told(city, await published(parts.office, content(city)))
    await sent(city, broadcast)
    assert heard(city, broadcast) == {people[1].id}
