"""Personal notices on their way: from the outbox over the filler and the sender to the providers' journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from server.domain.broadcasts import CHANNELS, State
from server.domain.outbox import day_of
from server.domain.ranks import status
from server.domain.pages import effective
from server.domain.wording import Words
from server.services.notices import TEMPLATE
from tests.push.city import accepted, owners_of, pages_of
from tests.push.conftest import City, until

TITLE, BODY = Words("您的证件已办好", "Your card is ready"), Words("请到南山区政务服务中心领取", "Collect it at Nanshan")


def journal(city: City):
    """All accepts of this test by (channel, citizen)."""
    return accepted(list(city.sandbox.journal())[city.began :], owners_of(city.citizens))


async def pages(city: City):
    return await pages_of(city.assembly, f"{TEMPLATE}-{day_of(city.now())}")


async def paged(city: City, count: int) -> None:
    async def are_there() -> bool:
        return sum(len(page.to) for page in await pages(city)) >= count

    await until(are_there)


async def test_a_notice_is_with_the_provider_within_two_seconds_of_its_transaction(city: City):
    [person] = await city.people(1)
    city.start()
    await asyncio.sleep(0.5)
    assert await city.assembly.notices.tell(person.id, TITLE, BODY, key="n1")
    await asyncio.sleep(2.0)
    assert journal(city) == {("wechat", person.id): 1}
