"""The desk: drafts, findings, verbs, exercises and the watch over what waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.domain.alerts.cap import to_cap
from server.domain.alerts.model import Area, NamedValue
from server.domain.alerts.release import World
from server.domain.alerts.states import State
from server.domain.alerts.verbs import Change, Words
from server.domain.alerts.vocabulary import DIVISION_CODE, Colour
from server.domain.broadcasts import Lane
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    TooManyError,
)
from server.domain.officers import Role
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.storage.alerts import AlertStore
from server.storage.mongo import Database
from tests.services.desk import (
    AUTHOR,
    CHIEF,
    NANSHAN_RING,
    RELEASER,
    Clock,
    Post,
    followed,
    officer,
    released,
    submitted,
    typhoon,
)


async def test_the_identifier_is_the_chinese_one_and_counts_within_a_second(desk: Alerts):
    names = [(await desk.draft(AUTHOR, typhoon())).identifier for _ in range(10)]
    assert names[0] == "44030041600000_20260901093000"
    assert names[1:] == [f"44030041600000_20260901093000_{n}" for n in range(1, 10)]
    with pytest.raises(TooManyError):
        await desk.draft(AUTHOR, typhoon())


async def test_a_cancel_gives_the_all_clear_to_those_who_have_any_of_the_chain(
    desk: Alerts, post: Post, clock: Clock, db: Database
):
    first = await released(desk, typhoon())
    clock.pass_by(minutes=10)
    update = await followed(desk, first, Kind.UPDATE, Change(words={"zh": Words(description="风力减弱")}))
    clock.pass_by(minutes=10)
    cancel = await followed(desk, first, Kind.CANCEL, Change(note="台风远离"))
    assert (post.broadcasts[update].replaces, post.broadcasts[update].is_loud) == ((first,), False)
    assert post.broadcasts[cancel].replaces == (first, update)
    assert post.broadcasts[cancel].is_all_clear
    assert {b.chain for b in post.broadcasts.values()} == {first}
    states = {d["_id"]: d["state"] async for d in db["alerts"].find()}
    assert states == {first: "updated", update: "cancelled", cancel: "released"}
    with pytest.raises(ConflictError, match="alert_cancelled"):
        await desk.follow(AUTHOR, first, Kind.UPDATE, Change())


async def test_an_update_edited_to_another_area_is_loud_again(desk: Alerts):
    begun = await desk.follow(AUTHOR, await released(desk, typhoon()), Kind.UPDATE, Change())
    elsewhere = Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="440303"),))
    changed = await desk.edit(AUTHOR, begun.identifier, typhoon(area=elsewhere), begun.version)
    assert (begun.is_loud, changed.is_loud) == (False, True)


async def test_an_officer_may_choose_that_an_update_is_loud(desk: Alerts):
    begun = await desk.follow(AUTHOR, await released(desk, typhoon()), Kind.UPDATE, Change(is_loud=True))
    changed = await desk.edit(AUTHOR, begun.identifier, typhoon(), begun.version)
    assert (begun.is_loud, changed.is_loud) == (True, True)


async def test_an_upgrade_to_red_takes_a_chief_and_is_loud(desk: Alerts, post: Post, clock: Clock):
    first = await released(desk, typhoon())
    clock.pass_by(minutes=1)
    begun = await desk.follow(AUTHOR, first, Kind.UPGRADE, Change(colour=Colour.RED))
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    with pytest.raises(ForbiddenError, match="chief_needed"):
        await desk.release(RELEASER, waiting.identifier, waiting.digest)
    await desk.release(CHIEF, waiting.identifier, waiting.digest)
    assert post.broadcasts[begun.identifier].is_loud
    assert post.broadcasts[begun.identifier].lane is Lane.RED


async def test_an_exercise_reaches_the_test_list_and_says_so(
    db: Database, post: Post, clock: Clock, world: World, audit: AuditLog
):
    desk = Alerts(AlertStore(db), replace(world, test_list=(7, 8)), post, audit, now=clock)
    name = await released(desk, typhoon(status="Exercise"))
    assert post.broadcasts[name].audience.citizens == (7, 8)
    assert post.broadcasts[name].is_exercise
    for channel in ("wechat", "push", "sms"):
        assert "演练" in str(post.broadcasts[name].texts[channel]["zh"])
        assert "exercise" in str(post.broadcasts[name].texts[channel]["en"]).lower()


async def test_who_takes_part_in_an_exercise_is_who_says_so_when_it_is_released(
    db: Database, post: Post, clock: Clock, world: World, audit: AuditLog
):
    said = [(7, 8)]

    async def testers() -> tuple[int, ...]:
        return said[-1]

    desk = Alerts(AlertStore(db), world, post, audit, now=clock, testers=testers)
    begun = await desk.draft(AUTHOR, typhoon(status="Exercise"))
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    said.append((8, 9))
    assert (await desk.preview(begun.identifier)).broadcast.audience.citizens == (8, 9)
    await desk.release(RELEASER, begun.identifier, waiting.digest)
    assert post.broadcasts[begun.identifier].audience.citizens == (8, 9)


async def test_an_exercise_without_a_test_list_cannot_be_submitted(desk: Alerts, post: Post):
    begun = await desk.draft(AUTHOR, typhoon(status="Test"))
    with pytest.raises(InvalidInputError, match="test_list_missing"):
        await desk.submit(AUTHOR, begun.identifier, begun.version)
    assert not post.broadcasts


async def test_an_exercise_cannot_be_edited_into_the_real_thing(
    db: Database, post: Post, clock: Clock, world: World, audit: AuditLog
):
    desk = Alerts(AlertStore(db), replace(world, test_list=(7,)), post, audit, now=clock)
    begun = await desk.draft(AUTHOR, typhoon(status="Exercise"))
    changed = await desk.edit(AUTHOR, begun.identifier, typhoon(status="Actual"), begun.version)
    assert changed.is_exercise


async def test_a_polygon_takes_the_people_known_by_district_as_its_colour_says(desk: Alerts, post: Post):
    area = Area(polygons=(NANSHAN_RING,))
    yellow = await released(desk, typhoon(area=area))
    orange = await released(desk, typhoon(Colour.ORANGE, area=area))
    assert post.broadcasts[yellow].audience.shape_districts == ("440305",)
    assert post.broadcasts[yellow].audience.loose_districts == ()
    assert post.broadcasts[orange].audience.loose_districts == ("440305",)


async def test_a_waiting_red_alert_calls_one_chief_after_the_other_and_voids_nothing(desk: Alerts, clock: Clock):
    name, signed = await submitted(desk, typhoon(Colour.RED))
    chiefs = [CHIEF, officer("author", Role.CHIEF), officer("chief2", Role.CHIEF)]  # the author may not release
    assert await desk.overdue(chiefs) == []
    for nth, expected in enumerate(("chief", "chief2", "chief"), 1):
        clock.pass_by(seconds=120)
        [call] = await desk.overdue(chiefs)
        assert (call.chief.person if call.chief else None, call.nth) == (expected, nth)
        assert await desk.overdue(chiefs) == []
    assert (await desk.release(CHIEF, name, signed)).state is State.RELEASED


async def test_a_released_alert_expires_and_is_not_followed_any_more(desk: Alerts, clock: Clock):
    name = await released(desk, typhoon())
    assert await desk.expire() == []
    clock.pass_by(hours=6)
    assert await desk.expire() == [name]
    with pytest.raises(ConflictError, match="alert_expired"):
        await desk.follow(AUTHOR, name, Kind.UPDATE, Change())


async def test_an_edit_of_an_older_version_changes_nothing(desk: Alerts):
    begun = await desk.draft(AUTHOR, typhoon())
    await desk.edit(AUTHOR, begun.identifier, typhoon(Colour.BLUE), begun.version)
    with pytest.raises(ConflictError, match="alert_changed"):
        await desk.edit(AUTHOR, begun.identifier, typhoon(Colour.RED), begun.version)


async def test_a_district_officer_cannot_move_an_alert_out_of_the_district(desk: Alerts):
    local = officer("local", Role.AUTHOR, division="440305")
    begun = await desk.draft(local, typhoon())
    whole_city = Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="440300"),))
    with pytest.raises(ForbiddenError, match="outside_division"):
        await desk.edit(local, begun.identifier, typhoon(area=whole_city), begun.version)


async def test_an_author_gets_every_finding_and_cannot_submit_an_error(desk: Alerts):
    alert = typhoon(status="Exercise").model_copy(update={"note": None})
    infos = tuple(info.model_copy(update={"urgency": "Soon", "web": "nowhere"}) for info in alert.infos)
    begun = await desk.draft(AUTHOR, alert.model_copy(update={"infos": infos}))
    assert {finding.code for finding in await desk.check(begun.identifier)} >= {"CAP-015", "CAP-020", "CAP-036"}
    with pytest.raises(InvalidInputError, match="alert_faulty"):
        await desk.submit(AUTHOR, begun.identifier, begun.version, frozenset({"CAP-015", "CAP-020", "CAP-036"}))


async def test_a_preview_shows_what_will_leave_and_stores_nothing(desk: Alerts, post: Post, db: Database):
    name, signed = await submitted(desk, typhoon())
    before = await db["alerts"].find_one({"_id": name})
    shown = await desk.preview(name)
    assert await db["alerts"].find_one({"_id": name}) == before
    await desk.release(RELEASER, name, signed)
    assert post.broadcasts[name] == shown.broadcast
    assert to_cap(shown.message) == (await desk.get(name)).cap
    assert shown.findings == []


async def test_a_warning_is_acknowledged_by_the_author_and_that_is_on_record(desk: Alerts):
    await released(desk, typhoon())
    again = await desk.draft(AUTHOR, typhoon())
    with pytest.raises(InvalidInputError, match=r"alert_unacknowledged.*CAP-013"):
        await desk.submit(AUTHOR, again.identifier, again.version)
    waiting = await desk.submit(AUTHOR, again.identifier, again.version, frozenset({"CAP-013"}))
    assert waiting.steps[-1].reason == "acknowledged CAP-013"


async def test_a_unit_cannot_warn_outside_its_own_division(desk: Alerts):
    county = officer("author", Role.AUTHOR, division="440000")
    begun = await desk.draft(
        county, typhoon(area=Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="440100"),)))
    )
    assert "CAP-031" in {finding.code for finding in await desk.check(begun.identifier)}


async def test_a_draft_without_an_end_gets_findings_not_a_crash(desk: Alerts):
    alert = typhoon()
    infos = tuple(info.model_copy(update={"expires": None}) for info in alert.infos)
    begun = await desk.draft(AUTHOR, alert.model_copy(update={"infos": infos}))
    assert "CAP-022" in {finding.code for finding in await desk.check(begun.identifier)}


@pytest.mark.parametrize(
    ("area", "code"),
    [
        (Area(polygons=("1,2 3,4",)), "polygon_unreadable"),
        (Area(polygons=("nan,114 22,114 23,115 nan,114",)), "polygon_unreadable"),
        (Area(circles=("22.5,114.0",)), "circle_unreadable"),
        (Area(circles=("22.5,114.0 -1",)), "circle_unreadable"),
    ],
)
async def test_a_shape_nobody_can_read_is_refused_and_nothing_is_stored(
    desk: Alerts, db: Database, area: Area, code: str
):
    with pytest.raises(InvalidInputError, match=code):
        await desk.draft(AUTHOR, typhoon(area=area))
    assert await db["alerts"].count_documents({}) == 0
