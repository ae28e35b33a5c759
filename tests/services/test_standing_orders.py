"""Standing orders: who may sign them, what is then released without a touch, and what is only proposed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.domain.alerts.states import State as DeskState
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import Colour
from server.domain.errors import ConflictError, ForbiddenError, HuiminError, InvalidInputError, NotFoundError
from server.domain.intake import Received, State
from server.domain.officers import Officer, Role
from server.domain.standing_order_reasons import WhyNot
from server.domain.standing_orders import State as OrderState
from server.domain.wording import Kind
from server.services.audit import AuditLog
from server.storage.mongo import Database
from tests.services.desk import AUTHOR, CHIEF, RELEASER, Clock, Post, followed, officer
from tests.services.order_world import House, after, rain, terms


@pytest.fixture
async def house(db: Database, audit: AuditLog, clock: Clock, post: Post) -> House:
    found = House(db, audit, clock, post)
    await found.open()
    return found


def why(found: Received) -> list[WhyNot]:
    return [miss.why for miss in found.missed]


async def test_a_covered_alert_leaves_without_an_officers_touch_in_the_name_of_both_who_signed(
    house: House, post: Post
):
    order = await house.order()
    found = await house.take(rain())
    assert (found.state, found.order, found.missed) == (State.RELEASED, order.id, ())
    (alert,) = await house.every()
    assert list(post.broadcasts) == [alert.identifier] == [found.draft]
    assert (alert.state, alert.order, alert.colour) == (DeskState.RELEASED, order.id, Colour.YELLOW)
    done = [(step.action, step.officer, step.order) for step in alert.steps]
    assert done == [
        ("draft", AUTHOR.id, order.id),
        ("submit", AUTHOR.id, order.id),
        ("release", RELEASER.id, order.id),
    ]
    assert "来源：市气象局" in alert.cap.decode()
    assert "来源：市气象局" in str(post.broadcasts[alert.identifier].texts)
    assert await house.take(rain()) == found
    assert len(await house.every()) == 1


async def test_the_log_names_the_order_its_two_persons_the_partner_and_the_message(house: House, audit: AuditLog):
    order = await house.order()
    await house.take(rain())
    steps = [(actor, action, details["order"]) for actor, action, details in await house.told("alert")]
    assert steps == [
        (AUTHOR.id, "alert.draft", order.id),
        (AUTHOR.id, "alert.submit", order.id),
        (RELEASER.id, "alert.release", order.id),
    ]
    both = {"author": AUTHOR.id, "releaser": RELEASER.id, "order": order.id, "partner": "bureau", "identifier": "B1"}
    orders, intake = await house.told("order"), await house.told("intake")
    assert [action for _, action, _ in orders] == ["order.draft", "order.release", "order.use"]
    assert [orders[-1][2], intake[-1][2]] == [both, both]
    assert intake[-1][:2] == ("system", "intake.release")
    assert await audit.verify() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"division": "440306"}, WhyNot.AREA),
        ({"division": "440300"}, WhyNot.AREA),
        ({"colour": Colour.RED}, WhyNot.COLOUR),
        ({"event": "11B01"}, WhyNot.EVENT),
        ({"status": "Exercise", "note": "演练"}, WhyNot.STATUS),
        ({"sender": "stranger@x.example"}, WhyNot.SENDER),
    ],
)
async def test_what_the_order_does_not_name_is_only_proposed_with_the_reason(
    house: House, post: Post, changes: dict[str, Any], reason: WhyNot
):
    await house.order()
    found = await house.take(rain(**changes))
    assert found.state in (State.PROPOSED, State.QUARANTINED)
    assert why(found) == [reason]
    assert post.broadcasts == {}
    assert await house.every() == []
    assert not found.awaits_order


async def test_a_flagged_message_is_never_released_by_an_order(house: House, post: Post):
    await house.order()
    await house.take(rain())
    forged = await house.take(rain(note="other content"))
    assert (forged.state, why(forged)) == (State.QUARANTINED, [WhyNot.FINDING])
    assert len(post.broadcasts) == 1


async def test_without_an_order_it_is_a_proposal_that_an_officer_adopts_as_ever(house: House):
    found = await house.take(rain())
    assert (found.state, found.missed) == (State.PROPOSED, ())
    assert (await house.intake.adopt(AUTHOR, found.key)).order == ""


async def test_updates_and_the_cancel_follow_under_the_order(house: House, clock: Clock, post: Post):
    await house.order()
    first = rain("B1")
    await house.take(first)
    clock.pass_by(minutes=1)
    second = after("B2", first, "Update", clock, Colour.ORANGE)
    upgraded = await house.take(second)
    clock.pass_by(minutes=1)
    lifted = await house.take(after("B3", second, "Cancel", clock, Colour.ORANGE, note="雨停"))
    assert [upgraded.state, lifted.state] == [State.RELEASED, State.RELEASED]
    alerts = await house.every()
    assert [(a.kind, a.state) for a in alerts] == [
        (Kind.ALERT, DeskState.UPDATED),
        (Kind.UPGRADE, DeskState.CANCELLED),
        (Kind.CANCEL, DeskState.RELEASED),
    ]
    assert len({a.chain for a in alerts}) == 1
    assert len(post.broadcasts) == 3
    assert "雨停（来源：市气象局）" in str(post.broadcasts[alerts[-1].identifier].texts)


async def test_an_update_beyond_the_order_and_one_after_an_officers_own_are_only_proposed(house: House, clock: Clock):
    await house.order()
    first = rain("B1")
    draft = (await house.take(first)).draft
    assert draft is not None
    clock.pass_by(minutes=1)
    assert why(await house.take(after("B2", first, "Update", clock, Colour.RED))) == [WhyNot.COLOUR]
    await followed(house.desk, draft, Kind.UPDATE, Change())
    clock.pass_by(minutes=1)
    late = await house.take(after("B3", first, "Cancel", clock, note="雨停"))
    assert (late.state, why(late)) == (State.PROPOSED, [WhyNot.IN_PERSON])


async def test_while_an_officer_holds_the_run_what_follows_is_only_proposed(house: House, clock: Clock, db: Database):
    await house.order()
    first = rain("B1")
    draft = (await house.take(first)).draft
    await db["broadcasts"].insert_one({"_id": draft, "state": "paused"})
    clock.pass_by(minutes=1)
    found = await house.take(after("B2", first, "Update", clock, Colour.ORANGE))
    assert (found.state, why(found)) == (State.PROPOSED, [WhyNot.IN_PERSON])


async def test_an_update_outside_the_order_since_it_was_narrowed_is_only_proposed(house: House, clock: Clock):
    order = await house.order(divisions=["440300"])
    first = rain("B1", division="440306")
    assert (await house.take(first)).state is State.RELEASED
    seen = await house.orders.get(AUTHOR, order.id)
    narrow = await house.orders.write(AUTHOR, order.id, terms(), seen.rev)
    await house.orders.release(RELEASER, order.id, narrow.digest)
    clock.pass_by(minutes=1)
    found = await house.take(after("B2", first, "Cancel", clock, note="雨停"))
    assert (found.state, why(found)) == (State.PROPOSED, [WhyNot.AREA])


async def test_a_cancel_of_what_no_order_released_is_only_proposed(house: House, clock: Clock):
    first = rain("B1")
    await house.take(first)
    await house.order()
    clock.pass_by(minutes=1)
    found = await house.take(after("B2", first, "Cancel", clock, note="雨停"))
    assert (found.state, why(found)) == (State.PROPOSED, [WhyNot.NOT_OURS])


@pytest.mark.parametrize("by", [AUTHOR, RELEASER])
async def test_either_stops_an_order_at_once_and_the_stop_holds(house: House, post: Post, by: Officer):
    order = await house.order()
    await house.orders.stop(by, order.id, "误报")
    found = await house.take(rain())
    assert (why(found), post.broadcasts) == ([WhyNot.STOPPED], {})
    with pytest.raises(ConflictError, match="order_stopped"):
        await house.orders.release(RELEASER, order.id, order.digest)


async def test_a_changed_order_is_void_until_a_second_person_has_released_it_again(house: House, clock: Clock):
    order = await house.order()
    changed = await house.orders.write(AUTHOR, order.id, terms(highest="Yellow"), order.rev)
    assert (changed.state, changed.version) == (OrderState.DRAFT, 2)
    assert why(await house.take(rain("B1"))) == [WhyNot.VOID]
    with pytest.raises(ConflictError, match="digest_changed"):
        await house.orders.release(RELEASER, order.id, order.digest)
    await house.orders.release(RELEASER, order.id, changed.digest)
    clock.pass_by(minutes=61)
    found = await house.take(after("B2", rain("B2"), "Alert", clock, references=None))
    assert (found.state, found.missed) == (State.RELEASED, ())


async def test_an_order_ends_with_its_time(house: House, clock: Clock, post: Post):
    end = "2026-09-01T03:30:00Z"  # two hours from now
    await house.order(valid_until=end)
    clock.pass_by(hours=2)
    assert why(await house.take(rain())) == [WhyNot.EXPIRED]
    assert post.broadcasts == {}


async def test_one_too_many_in_an_hour_stops_the_order_and_the_rest_is_proposed(house: House, clock: Clock):
    order = await house.order(max_per_hour=2, divisions=["440300"])
    places = ("440305", "440304", "440303", "440306")
    found = []
    for n, place in enumerate(places):
        clock.pass_by(seconds=10)
        found.append(await house.take(rain(f"B{n}", division=place)))
    assert [each.state for each in found] == [State.RELEASED, State.RELEASED, State.PROPOSED, State.PROPOSED]
    assert [why(each) for each in found[2:]] == [[WhyNot.BRAKE], [WhyNot.STOPPED]]
    seen = await house.orders.get(AUTHOR, order.id)
    assert (seen.state, seen.steps[-1].action, seen.steps[-1].officer) == (OrderState.STOPPED, "brake", "")
    assert (await house.told("order"))[-1][:2] == ("system", "order.brake")


async def test_messages_at_the_same_moment_do_not_pass_the_brake_together(house: House):
    await house.order(max_per_hour=2, divisions=["440300"])
    places = ("440305", "440304", "440303", "440306", "440307")
    found = await asyncio.gather(*(house.take(rain(f"B{n}", division=place)) for n, place in enumerate(places)))
    assert sum(each.state is State.RELEASED for each in found) <= 2
    assert len([a for a in await house.every() if a.released_at]) <= 2
    assert not any(each.awaits_order for each in found)


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (officer("author", Role.RELEASER, account="o-other"), "same_person"),
        (officer("x", Role.AUTHOR), "role_missing"),
        (officer("x", Role.RELEASER, division="440306"), "order_unknown"),
        (officer("x", Role.RELEASER, division="440305"), "outside_division"),
        (officer("x", Role.RELEASER).model_copy(update={"events": ("11A",)}), "outside_events"),
    ],
)
async def test_only_a_second_person_of_the_place_and_the_event_releases_an_order(house: House, by: Officer, code: str):
    order = await house.orders.draft(AUTHOR, terms())
    with pytest.raises(HuiminError, match=code):
        await house.orders.release(by, order.id, order.digest)
    assert (await house.orders.get(AUTHOR, order.id)).state is OrderState.DRAFT


async def test_who_wrote_earlier_terms_that_were_never_released_is_no_second_person(house: House):
    both = officer("both", Role.AUTHOR, Role.RELEASER)
    order = await house.orders.draft(both, terms())
    changed = await house.orders.write(AUTHOR, order.id, terms(max_per_hour=5), order.rev)
    with pytest.raises(ForbiddenError, match="same_person"):
        await house.orders.release(both, order.id, changed.digest)


async def test_an_order_that_names_red_takes_a_chief_and_then_releases_red(house: House):
    order = await house.orders.draft(AUTHOR, terms(highest="Red"))
    with pytest.raises(ForbiddenError, match="chief_needed"):
        await house.orders.release(RELEASER, order.id, order.digest)
    await house.orders.release(CHIEF, order.id, order.digest)
    found = await house.take(rain(colour=Colour.RED))
    assert found.state is State.RELEASED
    assert (await house.every())[0].steps[-1].officer == CHIEF.id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"valid_until": "2027-09-03T00:00:00Z"}, "valid_until_unfit"),
        ({"valid_until": "2026-09-01T01:30:00Z"}, "valid_until_unfit"),
        ({"senders": ("stranger@x.example",)}, "sender_foreign"),
        ({"partner": "nobody"}, "partner_unknown"),
        ({"divisions": ("440399",)}, "division_unknown"),
        ({"divisions": ("130100",)}, "division_unknown"),
        ({"events": ("11A",)}, "outside_events"),
    ],
)
async def test_terms_that_nobody_could_stand_for_are_refused(house: House, changes: dict[str, Any], code: str):
    with pytest.raises((ForbiddenError, InvalidInputError, NotFoundError), match=code):
        await house.orders.draft(AUTHOR, terms(**changes))


async def test_what_the_desk_refuses_is_taken_off_the_desk_and_proposed(house: House):
    """The author's account warns of rain, but the unit's own jurisdiction ends before 南山区."""
    unit = AUTHOR.unit.model_copy(update={"division": "440306"})
    await house.order(AUTHOR.model_copy(update={"unit": unit}))
    found = await house.take(rain())
    assert (found.state, why(found)) == (State.PROPOSED, [WhyNot.DESK])
    assert found.missed[0].code == "alert_faulty"
    assert [alert.state for alert in await house.every()] == [DeskState.REJECTED]
    assert (await house.intake.adopt(AUTHOR, found.key)).state is DeskState.DRAFT
