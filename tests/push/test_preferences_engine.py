"""What people chose, as the engine keeps to it: their channels, their order, their quiet hours; and red asks nobody."""

from __future__ import annotations

from dataclasses import replace

from server.domain.broadcasts import CHANNELS, Lane
from server.domain.china import CHINA
from server.domain.delivery import opt_out
from tests.push.conftest import City, ids


def quiet_now(city: City) -> tuple[int, int]:
    local = city.now().astimezone(CHINA)
    minute = local.hour * 60 + local.minute
    return (minute - 60) % 1440, (minute + 60) % 1440


async def test_who_switched_a_channel_off_gets_it_on_the_next_rung_and_who_switched_all_off_does_not(city: City):
    offs = [
        (opt_out("alert", "*", "wechat"),),
        (opt_out("*", "*", "wechat"), opt_out("alert", "yellow", "push")),
        (opt_out("alert", "yellow"),),
        (opt_out("alert", "blue"), opt_out("notice", "*", "wechat")),
    ]
    one, two, none, other = await city.people(4, lambda i, c: replace(c, off=offs[i]))
    city.start()
    yellow = await city.release("channel-off", Lane.YELLOW, wait_s=0.5)
    await city.sent(yellow, 3)
    await city.receipts()
    await city.finished(yellow)
    got = {channel: {i for ch, i in city.journal(yellow) if ch == channel} for channel in CHANNELS}
    assert got["sms"] >= {two.id}
    assert not got["wechat"] & {one.id, two.id}
    assert two.id not in got["push"]
    assert {one.id, other.id} <= got["push"] | got["wechat"]
    assert none.id not in {i for _, i in city.journal(yellow)}
    assert await city.standing(yellow, none) == {"wechat": ["opted_out"]}
    assert (await city.standing(yellow, two))["wechat"] == ["channel_off"]
    assert (await city.finding(yellow)).is_equal


async def test_a_family_of_events_that_is_switched_off_is_silent_and_the_others_come(city: City):
    off = (opt_out("alert.sea"), opt_out("alert.weather", "blue"))
    [person] = await city.people(1, lambda _, c: replace(c, off=off))
    city.start()
    sea = await city.release("topic-sea", Lane.YELLOW, topic="alert.sea")
    blue = await city.release("topic-blue", Lane.BLUE, topic="alert.weather")
    yellow = await city.release("topic-yellow", Lane.YELLOW, topic="alert.weather", wait_s=60.0)
    await city.finished(sea, blue)
    await city.sent(yellow, 1)
    assert await city.standing(sea, person) == await city.standing(blue, person) == {"wechat": ["opted_out"]}


async def test_the_own_order_decides_the_first_and_the_next_rungs(city: City):
    orders = [("sms", "push", "wechat"), ("push",), ()]
    first, second, third = await city.people(3, lambda i, c: replace(c, order=orders[i]))
    city.start()
    yellow = await city.release("own-order", Lane.YELLOW, wait_s=60.0)
    await city.sent(yellow, 3)
    assert city.journal(yellow) == {("sms", first.id): 1, ("push", second.id): 1, ("wechat", third.id): 1}


async def test_whom_the_first_rung_may_not_reach_climbs_on_in_the_own_order(city: City):
    off = (opt_out("alert", "*", "push"),)
    [person] = await city.people(1, lambda _, c: replace(c, order=("push", "sms", "wechat"), off=off))
    city.start()
    yellow = await city.release("order-and-off", Lane.YELLOW, wait_s=60.0)
    await city.sent(yellow, 1)
    assert city.journal(yellow) == {("sms", person.id): 1}
    assert (await city.standing(yellow, person))["push"] == ["channel_off"]


async def test_red_asks_for_no_quiet_hours_no_opt_outs_and_no_order(city: City):
    quiet = quiet_now(city)
    people = await city.people(6, lambda _, c: replace(c, quiet=quiet, off=("*", "alert:red:sms"), order=("sms",)))
    city.start()
    red = await city.release("red-asks-nobody", Lane.RED)
    await city.finished(red)
    assert city.journal(red) == {(ch, i): 1 for ch in CHANNELS for i in ids(people)}


async def test_the_quiet_hours_of_the_next_rung_hold_too(city: City):
    quiet, off = quiet_now(city), (opt_out("alert", "*", "wechat"),)
    asleep, awake = await city.people(2, lambda i, c: replace(c, off=off, quiet=quiet if i == 0 else None))
    city.start()
    blue = await city.release("off-and-quiet", Lane.BLUE, wait_s=60.0)
    await city.sent(blue, 1)
    assert city.journal(blue) == {("push", awake.id): 1}
    assert await city.standing(blue, asleep) == {"wechat": ["channel_off"], "push": ["moved", "planned"]}
