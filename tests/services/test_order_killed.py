"""A process that dies anywhere between a message and its release: nothing is lost, and it is released once."""

from __future__ import annotations

import asyncio

import pytest

from server.domain.alerts.cap import to_cap
from server.domain.errors import ConflictError
from server.domain.intake import State
from server.domain.standing_order_reasons import WhyNot
from server.services.audit import AuditLog
from server.storage.mongo import Database
from tests.services.desk import AUTHOR, Clock, Post
from tests.services.mortal_stores import KilledError
from tests.services.order_world import PARTNER, Hasty, House, after, rain

EMPTIED = ("intake", "alerts", "standing_orders", "audit")


async def recovered(house: House) -> None:
    """What the next processes do, two at a time, once the dead one's claim has run out."""
    house.clock.pass_by(seconds=6)
    others = [house.process() for _ in "ab"]
    await asyncio.gather(*(desk.finish_interrupted() for _, _, desk in others))
    await asyncio.gather(*(releases.finish() for _, releases, _ in others))
    house.clock.pass_by(seconds=6)
    await house.releases.finish()
    await house.desk.finish_interrupted()


async def killed(house: House, touches: int, *, is_stopped: bool) -> tuple[bool, str]:
    """One message under an order, by a process that dies; whether it lived, and what was found wrong afterwards."""
    order = await house.order()
    intake, _, _ = house.process(touches)
    lived = True
    try:
        await intake.take(PARTNER, to_cap(rain()))
    except KilledError:
        lived = False
    if is_stopped:
        await house.orders.stop(AUTHOR, order.id, "误报")
    was_out = any(alert.released_at for alert in await house.every())
    await recovered(house)
    found = await house.take(rain())  # the partner, who had no answer, asks again
    out = [alert for alert in await house.every() if alert.released_at]
    open_ones = [alert for alert in await house.every() if alert.state in ("draft", "submitted")]
    wrong = []
    if is_stopped and not was_out:
        if out or found.state is not State.PROPOSED or [m.why for m in found.missed] != [WhyNot.STOPPED]:
            wrong.append(f"a stopped order acted: {found.state} {found.missed}")
    elif found.state is not State.RELEASED or [alert.identifier for alert in out] != [found.draft]:
        wrong.append(f"{found.state} {len(out)} {found.missed}")
    if open_ones or found.awaits_order or set(house.post.broadcasts) != {alert.identifier for alert in out}:
        wrong.append("something is left lying about")
    told = [action for _, action, _ in await house.told("intake")]
    if told != ["intake.release"] * len(out):
        wrong.append(f"log: {told}")
    return lived, "; ".join(wrong)


@pytest.mark.parametrize("is_stopped", [False, True])
async def test_wherever_the_process_dies_the_alert_is_released_once_or_if_stopped_meanwhile_not_at_all(
    db: Database, audit: AuditLog, clock: Clock, post: Post, *, is_stopped: bool
):
    house = House(db, audit, clock, post)
    await house.open()
    lived, touches, wrong = False, 0, []
    start = clock.at
    while not lived:
        clock.at = start
        lived, found = await killed(house, touches, is_stopped=is_stopped)
        if found:
            wrong.append(f"died before touch {touches}: {found}")
        for name in EMPTIED:
            await db[name].delete_many({})
        post.broadcasts.clear()
        touches += 1
    assert wrong == []
    assert touches > 20


async def test_a_cancel_that_comes_while_its_alert_waits_follows_it(
    db: Database, audit: AuditLog, clock: Clock, post: Post
):
    house = House(db, audit, clock, post)
    await house.open()
    await house.order()
    first = rain()
    intake, _, _ = house.process(8)  # stored, not released
    with pytest.raises(KilledError):
        await intake.take(PARTNER, to_cap(first))
    assert post.broadcasts == {}
    clock.pass_by(seconds=6)
    lifted = await house.take(after("B2", first, "Cancel", clock, note="雨停"))
    assert lifted.state is State.RELEASED
    assert [alert.kind for alert in await house.every() if alert.released_at] == ["alert", "cancel"]


async def test_an_officer_waits_a_minute_for_the_orders_and_then_takes_the_message_over(
    db: Database, audit: AuditLog, clock: Clock, post: Post
):
    house = House(db, audit, clock, post)
    await house.open()
    await house.order()
    intake, _, _ = house.process(5)
    with pytest.raises(KilledError):
        await intake.take(PARTNER, to_cap(rain()))
    document = await db["intake"].find_one({})
    assert document is not None
    assert document["awaits_order"]
    for decide in (house.intake.adopt(AUTHOR, document["_id"]), house.intake.dismiss(AUTHOR, document["_id"], "x")):
        with pytest.raises(ConflictError, match="intake_decided"):
            await decide
    clock.pass_by(seconds=61)
    draft = await house.intake.adopt(AUTHOR, document["_id"])
    await house.releases.finish()
    assert [(alert.identifier, alert.state) for alert in await house.every()] == [(draft.identifier, "draft")]
    assert post.broadcasts == {}


async def test_an_officer_who_takes_the_orders_draft_in_hand_keeps_it(
    db: Database, audit: AuditLog, clock: Clock, post: Post
):
    house = House(db, audit, clock, post)
    await house.open()
    await house.order()
    touches = 0
    while [alert.state for alert in await house.every()] != ["submitted"]:  # die right after it was handed in
        await db["intake"].delete_many({})
        await db["alerts"].delete_many({})
        touches += 1
        intake, _, _ = house.process(touches)
        with pytest.raises(KilledError):
            await intake.take(PARTNER, to_cap(rain()))
    (waiting,) = await house.every()
    await house.desk.return_(AUTHOR, waiting.identifier, "改一下范围")
    await recovered(house)
    found = await house.take(rain())
    assert (found.state, found.draft) == (State.ADOPTED, waiting.identifier)
    assert [miss.why for miss in found.missed] == [WhyNot.IN_PERSON]
    assert post.broadcasts == {}


@pytest.mark.parametrize("touches", [5, 9, 12, 16])
async def test_processes_that_are_all_at_the_same_message_release_it_once(
    db: Database, audit: AuditLog, clock: Clock, post: Post, touches: int
):
    house = House(db, audit, clock, post)
    await house.open()
    await house.order()
    intake, _, _ = house.process(touches)
    with pytest.raises(KilledError):
        await intake.take(PARTNER, to_cap(rain()))
    await asyncio.gather(*(house.process(store=Hasty, fast_s=n)[1].finish() for n in range(6)))
    clock.pass_by(seconds=6)
    await house.releases.finish()
    alerts = await house.every()
    assert [alert.state for alert in alerts] == ["released"]
    assert list(post.broadcasts) == [alerts[0].identifier]
    assert (await house.take(rain())).state is State.RELEASED
    assert [action for _, action, _ in await house.told("intake")] == ["intake.release"]
