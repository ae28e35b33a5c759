"""Each minute of the day is planned once, whoever dies, however many plan, whatever the clock does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from server.domain.errors import ConflictError, NotFoundError
from server.domain.faults import FaultyInputError
from server.domain.outbox import Entry
from server.domain.weather_conditions import Condition, What
from server.domain.weather_subscriptions import MOST, Subscription, Wish
from server.domain.working_days import WorkingDays
from server.services.weather_holdings import WeatherSubscriptionHolding
from server.services.weather_notices import WeatherNotices
from server.services.weather_subscriptions import WeatherSubscriptions
from server.storage.mongo import Database, Session, in_transaction
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.profiles import Profiles
from server.storage.vault import Vault
from server.storage.weather_subscriptions import WeatherSubscriptionStore
from tests.services.desk import DIVISIONS, TEXTS, Clock
from tests.services.mortal_stores import KilledError, Life
from tests.services.weather_world import AT, HALF_PAST_SEVEN, PLACE, MortalOutbox, WeatherWorld, forecast


@pytest.fixture
async def world(db: Database, clock: Clock) -> WeatherWorld:
    world = WeatherWorld(db, clock)
    await world.began()
    await world.shelves.forecasts.put(forecast())
    return world


async def test_a_notice_waits_for_its_minute_with_one_key_a_day(world: WeatherWorld):
    (one,) = await world.wishes(1)
    planner = world.planner()
    assert (await planner.plan()).told == 0  # twenty minutes before
    world.clock.at = AT - timedelta(minutes=9)
    assert (await planner.plan()).told == 1
    entry = await world.db["outbox"].find_one({})
    assert entry is not None
    day = f"{AT + timedelta(hours=8):%Y%m%d}"
    assert (entry["_id"], entry["due_at"]) == (f"weather/{one.id}/{day}", AT)
    world.clock.at = AT + timedelta(hours=20)
    assert (await planner.plan()).told == 0


async def test_a_condition_is_looked_at_in_the_forecast_of_the_place(world: WeatherWorld):
    await world.wishes(1, Condition(What.RAIN, 70), Condition(What.ABOVE, 30))
    world.clock.at = AT - timedelta(minutes=5)
    planned = await world.planner().plan()
    assert (planned.looked_at, planned.told) == (1, 0)


@pytest.mark.parametrize("writes", range(4))
async def test_who_is_killed_in_the_middle_of_a_minute_leaves_nothing_out_and_nothing_twice(
    world: WeatherWorld, writes: int
):
    await world.wishes(23)
    world.clock.at = AT - timedelta(minutes=1)
    mortal = world.planner(outbox=MortalOutbox(world.db, Life(writes)), take=6)
    with pytest.raises(KilledError):
        await mortal.plan()
    assert len(await world.waiting()) == writes * 6
    await world.let_go()
    assert (await world.planner(take=6).plan()).told == 23 - writes * 6
    assert len(await world.waiting()) == 23


async def test_two_processes_that_both_think_it_is_their_turn_tell_everybody_once(world: WeatherWorld):
    await world.wishes(40)
    world.clock.at = AT - timedelta(minutes=1)
    both = [world.planner(owner="the same", take=7) for _ in range(2)]  # one name: both get the turn
    done = await asyncio.gather(*(planner.plan() for planner in both))
    assert sum(planned.told for planned in done) == 40
    assert len(await world.waiting()) == 40


async def test_of_two_processes_one_has_the_turn(world: WeatherWorld):
    await world.wishes(3)
    world.clock.at = AT - timedelta(minutes=1)
    done = await asyncio.gather(*(world.planner().plan() for _ in range(2)))
    assert sorted(planned.looked_at for planned in done) == [0, 3]


async def test_a_missed_minute_is_caught_up_for_two_hours(world: WeatherWorld):
    await world.wishes(2)
    world.clock.at = AT + timedelta(hours=1, minutes=59)
    planned = await world.planner().plan()
    assert (planned.told, planned.dropped) == (2, 0)


async def test_a_minute_that_was_missed_for_longer_is_dropped_and_counted(world: WeatherWorld):
    await world.wishes(2)
    world.clock.at = AT + timedelta(hours=2, minutes=1)
    planner = world.planner()
    planned = await planner.plan()
    assert (planned.told, planned.dropped) == (0, 2)
    assert planner.counts["dropped",] == 2
    assert (await planner.plan()).dropped == 0


async def test_a_clock_that_steps_forth_and_back_tells_nobody_twice(world: WeatherWorld):
    await world.wishes(2)
    planner = world.planner()
    for minutes in (-5, 55, -15, 3, -30, 1):
        world.clock.at = AT + timedelta(minutes=minutes)
        await planner.plan()
    assert len(await world.waiting()) == 2


async def test_a_wish_that_is_made_within_a_minute_that_was_planned_is_told(world: WeatherWorld):
    world.clock.at = AT - timedelta(minutes=5)
    planner = world.planner()
    await planner.plan()
    (one,) = await world.wishes(1)
    assert await world.waiting() == []
    await planner.plan_now(one)
    assert len(await world.waiting()) == 1


@pytest.fixture
def verbs(world: WeatherWorld) -> WeatherSubscriptions:
    return WeatherSubscriptions(world.shelves.subscriptions, world.planner(), WorkingDays(), world.clock)


async def test_a_change_withdraws_what_waits_and_counts_at_once(world: WeatherWorld, verbs: WeatherSubscriptions):
    (one,) = await world.wishes(1)
    world.clock.at = AT - timedelta(minutes=5)
    await world.planner().plan()
    (before,) = await world.waiting()
    await verbs.change(1, one.id, Wish((PLACE,), HALF_PAST_SEVEN + 2))
    (after,) = await world.waiting()
    assert after != before
    assert (await world.db["outbox"].find_one({"_id": after}) or {})["due_at"] == AT + timedelta(minutes=2)
    await verbs.remove(1, one.id)
    assert await world.waiting() == []


class ChangingOutbox(Outbox):
    """While a notice is on its way into it, its person changes the wish, and who does so finds no notice yet."""

    def __init__(self, db: Database, change: Callable[[], Awaitable[object]]) -> None:
        super().__init__(db)
        self._change: Callable[[], Awaitable[object]] | None = change

    async def put(self, entries: Sequence[Entry], session: Session | None = None) -> int:
        """After the change, once."""
        change, self._change = self._change, None
        if change is not None:
            await change()
        return await super().put(entries, session)


async def test_a_change_while_its_notice_is_put_leaves_that_of_the_new_wish(
    world: WeatherWorld, verbs: WeatherSubscriptions
):
    (one,) = await world.wishes(1)
    world.clock.at = AT - timedelta(minutes=5)
    outbox = ChangingOutbox(world.db, lambda: verbs.change(1, one.id, Wish((PLACE,), HALF_PAST_SEVEN + 2)))
    await world.planner(outbox=outbox).plan()
    assert [key.split("/")[1] for key in await world.waiting()] == [f"{one.id}.2"]


class BusyStore(WeatherSubscriptionStore):
    """Another device is quicker, once."""

    other: Callable[[], Awaitable[object]] | None = None

    async def change(self, before: Subscription, wish: Wish) -> Subscription | None:
        """After the other one."""
        other, self.other = self.other, None
        if other is not None:
            await other()
        return await super().change(before, wish)


async def test_of_two_devices_that_change_a_wish_at_once_one_notice_is_left(
    world: WeatherWorld, verbs: WeatherSubscriptions
):
    (one,) = await world.wishes(1)
    world.clock.at = AT - timedelta(minutes=5)
    await world.planner().plan()
    store = BusyStore(world.db)
    store.other = lambda: verbs.change(1, one.id, Wish((PLACE,), HALF_PAST_SEVEN + 2))
    slower = WeatherSubscriptions(store, world.planner(), WorkingDays(), world.clock)
    await slower.change(1, one.id, Wish((PLACE,), HALF_PAST_SEVEN + 1))
    assert [key.split("/")[1] for key in await world.waiting()] == [f"{one.id}.3"]


async def test_nobody_has_more_wishes_than_there_may_be_whoever_asks_at_once(
    world: WeatherWorld, verbs: WeatherSubscriptions
):
    await world.wishes(1)
    wish = Wish((PLACE,), 600)
    made = await asyncio.gather(*(verbs.add(1, wish, f"k{n}") for n in range(MOST + 5)), return_exceptions=True)
    refused = [each for each in made if isinstance(each, ConflictError)]
    assert len(refused) == 6
    assert len(await verbs.all(1)) == MOST


async def test_one_key_is_one_wish(world: WeatherWorld, verbs: WeatherSubscriptions):
    await world.wishes(1)
    made = await asyncio.gather(*(verbs.add(1, Wish((PLACE,), 600), "the-key") for _ in range(5)))
    assert len({each.subscription.id for each in made}) == 1


async def test_places_and_wishes_of_others_do_not_exist(world: WeatherWorld, verbs: WeatherSubscriptions):
    (one, _) = await world.wishes(2)
    with pytest.raises(FaultyInputError):
        await verbs.add(1, Wish(("0" * 32,), 600), "k")
    with pytest.raises(NotFoundError):
        await verbs.get(2, one.id)
    with pytest.raises(NotFoundError):
        await verbs.remove(2, one.id)


async def test_words_are_of_the_newest_forecast_and_of_nothing_that_does_not_hold(world: WeatherWorld):
    (one,) = await world.wishes(1, Condition(What.RAIN, 60))
    world.clock.at = AT
    notices = WeatherNotices(world.shelves, DIVISIONS, TEXTS.templates, world.clock)
    about = f"{one.id}/{AT + timedelta(hours=8):%Y%m%d%H%M}"
    texts = await notices.render("weather.only_if", [about, "gone/202601010730", "nonsense"])
    assert [*texts] == [about]
    area = DIVISIONS.area("440305001").zh
    body = f"家（{area}）：降雨概率70%，中雨，18~24℃"
    assert texts[about]["push"]["zh"] == {"title": "天气提醒", "body": body}
    await world.shelves.forecasts.put(forecast(rain_percent=10, as_of=AT))
    assert await notices.render("weather.only_if", [about]) == {}


async def test_an_older_forecast_never_replaces_a_newer_one(world: WeatherWorld):
    assert not await world.shelves.forecasts.put(forecast(rain_percent=1, as_of=AT - timedelta(hours=2)))
    assert (await world.shelves.forecasts.find(["440305"]))["440305"].days[0].rain_percent == 70


async def test_after_a_join_wishes_name_the_places_that_became_one(world: WeatherWorld, db: Database):
    await world.wishes(2)
    twin = secrets.token_hex(16)
    await db["citizens"].update_one({"_id": 2}, {"$set": {"places.0.id": twin}})
    people = PersonVault(db, Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes), secrets.token_bytes)
    holding = WeatherSubscriptionHolding(world.shelves.subscriptions, Profiles(db, people))
    await in_transaction(db, lambda session: holding.move(1, 2, session))
    found = await world.shelves.subscriptions.find_of(2)
    assert {each.wish.places for each in found} == {(twin,), (PLACE,)}
    assert sorted(row["places"] for row in await holding.export(2)) == sorted([[twin], [PLACE]])
    await holding.erase(2)
    assert await holding.export(2) == []


async def test_what_waits_for_somebody_who_was_erased_is_not_put(world: WeatherWorld):
    await world.wishes(1)
    await world.db["person_keys"].insert_one({"_id": 1})
    world.clock.at = AT - timedelta(minutes=1)
    assert (await world.planner(outbox=Outbox(world.db)).plan()).told == 0
