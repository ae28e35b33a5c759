"""What people's apps say of notices: it stops the ladder, stands in the report, and nobody can say it for others."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.base import ReceiptVerdict
from server import assemble, assemble_inbox, assemble_public
from server.domain.broadcasts import Broadcast, Lane
from server.domain.outbox import day_of
from server.domain.pages import effective
from server.domain.ranks import status
from server.domain.wording import Words
from server.services.notices import TEMPLATE
from server.services.receipts import Receipts, Sighting
from server.services.sightings import Notice, Sightings
from server.storage.citizens import NewCitizen
from tests.push.city import pages_of
from tests.push.conftest import City, ids, until

WAIT_S = 2.0


def push_and_sms(_: int, citizen: NewCitizen) -> NewCitizen:
    return replace(citizen, addresses={ch: v for ch, v in citizen.addresses.items() if ch != "wechat"})


@pytest.fixture
def receipts(city: City) -> Receipts:
    return assemble.receipts(city.assembly)


@pytest.fixture
async def apps(city: City, receipts: Receipts) -> Sightings:
    """What the apps of all people speak to."""
    readers = assemble_public.public(city.assembly)
    await readers.feeds.refresh()
    return assemble_inbox.inbox(city.assembly, readers.feeds, receipts).sightings


async def statuses(city: City, broadcast: str) -> Counter[tuple[str, int, str]]:
    """(channel, citizen, status) of all notices."""
    return Counter(
        (page.channel, page.to[i], status(rank))
        for page in await pages_of(city.assembly, broadcast)
        for i, rank in enumerate(effective(page))
    )


async def pushed(city: City, people: list[NewCitizen]) -> Broadcast:
    """A yellow warning that is with FCM for all of these."""
    broadcast = await city.release("rain", Lane.YELLOW, order=("push", "sms"), wait_s=WAIT_S)
    city.start()

    async def is_accepted() -> bool:
        found = await statuses(city, broadcast.id)
        return all(found["push", person, "accepted"] for person in ids(people))

    await until(is_accepted)
    return broadcast


async def test_a_push_that_was_shown_in_time_goes_no_further_and_one_that_was_not_goes_on_by_sms(
    city: City, apps: Sightings
):
    people = await city.people(6, push_and_sms)
    broadcast = await pushed(city, people)
    seen, unseen = people[:3], people[3:]
    notice = Notice(broadcast.id, broadcast.subject, "push")
    await asyncio.gather(*(apps.shown(person.id, notice) for person in seen))
    await apps.read(seen[0].id, notice)
    await city.sent(broadcast, 9)
    await city.finished(broadcast)
    assert city.journal(broadcast) == {
        **{("push", person): 1 for person in ids(people)}, **{("sms", person): 1 for person in ids(unseen)}
    }  # fmt: skip
    found = await statuses(city, broadcast.id)
    assert found["push", seen[0].id, "read"] == found["push", seen[1].id, "delivered"] == 1
    assert found["push", unseen[0].id, "accepted"] == 1
    assert (await city.finding(broadcast)).is_equal


async def test_the_report_counts_what_apps_say(city: City, apps: Sightings):
    people = await city.people(4, push_and_sms)
    broadcast = await pushed(city, people)
    for person in people:
        await apps.shown(person.id, Notice(broadcast.id, broadcast.subject, "push"))
    await apps.read(people[0].id, Notice(broadcast.id, broadcast.subject, "push"))

    async def is_counted() -> bool:
        progress = await city.assembly.broadcasts.progress(broadcast.id)
        return progress.statuses("push") == {"delivered": 3, "read": 1}

    await until(is_counted)


async def test_what_somebody_says_of_a_notice_that_is_not_theirs_changes_nothing(
    city: City, apps: Sightings, receipts: Receipts
):
    [one] = await city.people(1, push_and_sms)
    stranger = (await city.people(1, lambda _, c: replace(c, addresses={})))[0]
    broadcast = await pushed(city, [one])
    await city.drain()
    before = [(page.id, list(page.outcomes)) for page in await city.pages(broadcast)]
    for who, name, channel in (
        (stranger.id, broadcast.id, "push"), (one.id, "no-such", "push"), (one.id, broadcast.id, "wechat"),
        (5, broadcast.id, "push"),
    ):  # fmt: skip
        await apps.read(who, Notice(name, name, channel))
    assert [(page.id, list(page.outcomes)) for page in await city.pages(broadcast)] == before
    assert receipts.counters.seen == 0


async def test_of_two_things_of_a_day_only_the_one_that_was_opened_is_read(city: City, apps: Sightings):
    [person] = await city.people(1, push_and_sms)
    for key in ("a", "b"):
        await city.assembly.notices.tell(person.id, Words(key, ""), Words("文", ""), key=key)
    city.start()
    today = f"{TEMPLATE}-{day_of(city.now())}"

    async def are_accepted() -> bool:
        return (await statuses(city, today))["push", person.id, "accepted"] == 2

    await until(are_accepted)
    await apps.read(person.id, Notice(today, "b", "push"))
    by_thing = {
        page.about[i]: status(rank)
        for page in await pages_of(city.assembly, today)
        for i, rank in enumerate(page.outcomes)
        if page.channel == "push"
    }
    assert by_thing == {"a": "accepted", "b": "read"}


async def test_sightings_that_come_at_once_are_written_together(city: City, receipts: Receipts):
    people = await city.people(200, push_and_sms)
    broadcast = await pushed(city, people)
    said = [Sighting(p.id, "push", broadcast.id, broadcast.subject, ReceiptVerdict.DELIVERED) for p in people]
    async with asyncio.timeout(timedelta(seconds=20).total_seconds()):
        await asyncio.gather(*(receipts.see(each) for each in said))
    found = await statuses(city, broadcast.id)
    assert sum(found["push", person, "delivered"] for person in ids(people)) == 200
    assert receipts.counters.rounds <= 3
