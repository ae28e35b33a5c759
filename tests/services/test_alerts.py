"""The desk on a real MongoDB: two persons, one digest, one broadcast, whatever races and whatever dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.alerts.cap import read_cap, to_cap
from server.domain.alerts.document import parse_xml
from server.domain.alerts.model import Alert, Area, Info, NamedValue, cap_time
from server.domain.alerts.release import World
from server.domain.alerts.states import State
from server.domain.alerts.verbs import BEIJING, Change, Words
from server.domain.alerts.vocabulary import DIVISION_CODE, EVENT_CODE, Colour
from server.domain.broadcasts import Broadcast, Lane, Policy, digest
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    HuiminError,
    InvalidInputError,
    TooManyError,
    UnavailableError,
)
from server.domain.officers import Officer, Role, Unit
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.storage.alerts import AlertStore
from server.storage.catalogues import load_divisions, load_texts
from server.storage.mongo import Database

DIVISIONS = load_divisions(city="440300")
TEXTS = load_texts()
START = datetime(2026, 9, 1, 1, 30, tzinfo=UTC)
UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300", contact="12121")
NANSHAN_RING = "22.50,113.90 22.50,113.95 22.55,113.95 22.55,113.90 22.50,113.90"


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        """The time it is."""
        return self.at

    def pass_by(self, **delta: float) -> None:
        """Let time go by."""
        self.at += timedelta(**delta)


class Post:
    """What was published: idempotent by id, as the contract asks. `fails` calls die, `refuses` raise."""

    def __init__(self) -> None:
        self.broadcasts: dict[str, Broadcast] = {}
        self.fails = 0
        self.refuses = 0

    async def publish(self, broadcast: Broadcast) -> None:
        """Keep it, or die."""
        if self.fails:
            self.fails -= 1
            raise KilledError
        if self.refuses:
            self.refuses -= 1
            raise UnavailableError("down", zh="不可用", en="down")
        self.broadcasts.setdefault(broadcast.id, broadcast)


class KilledError(Exception):
    """The process dies here."""


def officer(person: str, *roles: Role, division: str = "440300", account: str = "") -> Officer:
    return Officer(
        id=account or f"o-{person}", person=person, name="张", roles=frozenset(roles), unit=UNIT, division=division,
        events=("11B",),
    )  # fmt: skip


AUTHOR = officer("author", Role.AUTHOR, Role.DRILL)
RELEASER = officer("releaser", Role.RELEASER, Role.DRILL)
CHIEF = officer("chief", Role.CHIEF)


def typhoon(colour: Colour = Colour.YELLOW, *, status: str = "Actual", area: Area | None = None) -> Alert:
    """A typhoon alert for Nanshan in two languages, as an author would hand it in."""
    where = area or Area(area_desc="南山区", geocodes=(NamedValue(value_name=DIVISION_CODE, value="440305"),))

    def block(language: str, event: str, unit: str) -> Info:
        return Info(
            language=language, categories=("Met",), event=event, urgency="Expected", severity=colour.severity.value,
            certainty="Likely", event_codes=(NamedValue(value_name=EVENT_CODE, value="11B01"),), sender_name=unit,
            expires=cap_time(START + timedelta(hours=6), BEIJING), description=f"{event} 12", areas=(where,),
        )  # fmt: skip

    note = None if status == "Actual" else "2026年防台风演练"
    return Alert(
        status=status, note=note, infos=(block("zh-CN", "台风", "深圳市气象台"), block("en-US", "Typhoon", "Shenzhen"))
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def world() -> World:
    return World(DIVISIONS, TEXTS)


@pytest.fixture
def desk(db: Database, clock: Clock, post: Post, world: World) -> Alerts:
    return Alerts(AlertStore(db), world, post, now=clock)


async def submitted(desk: Alerts, alert: Alert) -> tuple[str, str]:
    """The identifier and the digest of an alert that waits for its second person."""
    begun = await desk.draft(AUTHOR, alert)
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    return waiting.identifier, waiting.digest


async def released(desk: Alerts, alert: Alert, by: Officer = RELEASER) -> str:
    """The identifier of a released alert."""
    return (await desk.release(by, *await submitted(desk, alert))).identifier


async def followed(desk: Alerts, name: str, kind: Kind, change: Change, by: Officer = RELEASER) -> str:
    """The identifier of a released follow-up."""
    begun = await desk.follow(AUTHOR, name, kind, change)
    waiting = await desk.submit(AUTHOR, begun.identifier, begun.version)
    return (await desk.release(by, waiting.identifier, waiting.digest)).identifier


async def test_two_persons_bring_an_alert_to_the_public(desk: Alerts, post: Post, db: Database, clock: Clock):
    name, signed = await submitted(desk, typhoon())
    clock.pass_by(minutes=3)
    done = await desk.release(RELEASER, name, signed)
    assert done.state is State.RELEASED
    assert [(s.action, s.person) for s in done.steps] == [
        ("draft", "author"),
        ("submit", "author"),
        ("release", "releaser"),
    ]
    sent = post.broadcasts[name]
    assert (sent.lane, sent.policy, sent.audience.divisions) == (Lane.YELLOW, Policy.LADDER, ("440305",))
    assert sent.audience.citizens is None
    assert sent.digest == digest(sent)
    assert "台风黄色预警" in sent.texts["push"]["zh"]["title"]
    stored = await db["alerts"].find_one({"_id": name})
    assert stored is not None
    message = read_cap(parse_xml(stored["cap"]))  # type: ignore[arg-type]
    assert stored["cap"] == to_cap(message)
    assert (message.sender, message.sent) == (UNIT.sender, "2026-09-01T09:33:00+08:00")
    chinese, english = message.infos
    assert chinese.headline == "深圳市气象台发布台风黄色预警"
    assert (english.headline or "").startswith("Yellow alert for typhoon")
    assert chinese.description == "台风 12"
    assert chinese.instruction  # the officer left it to the texts


async def test_the_identifier_is_the_chinese_one_and_counts_within_a_second(desk: Alerts):
    names = [(await desk.draft(AUTHOR, typhoon())).identifier for _ in range(10)]
    assert names[0] == "44030041600000_20260901093000"
    assert names[1:] == [f"44030041600000_20260901093000_{n}" for n in range(1, 10)]
    with pytest.raises(TooManyError):
        await desk.draft(AUTHOR, typhoon())


async def test_two_accounts_of_one_person_are_one_person(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    with pytest.raises(ForbiddenError, match="same_person"):
        await desk.release(officer("author", Role.CHIEF, account="another-account"), name, signed)
    assert not post.broadcasts


async def test_who_edited_last_may_not_release(desk: Alerts):
    begun = await desk.draft(AUTHOR, typhoon())
    second = officer("second", Role.AUTHOR, Role.RELEASER)
    changed = await desk.edit(second, begun.identifier, typhoon(Colour.BLUE), begun.version)
    waiting = await desk.submit(AUTHOR, begun.identifier, changed.version)
    with pytest.raises(ForbiddenError, match="same_person"):
        await desk.release(second, waiting.identifier, waiting.digest)


async def test_red_is_released_by_a_chief_only(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon(Colour.RED))
    with pytest.raises(ForbiddenError, match="chief_needed"):
        await desk.release(RELEASER, name, signed)
    await desk.release(CHIEF, name, signed)
    assert (post.broadcasts[name].lane, post.broadcasts[name].policy) == (Lane.RED, Policy.ALL)


async def test_red_cannot_hide_behind_another_colour_parameter(desk: Alerts):
    alert = typhoon(Colour.RED)
    disguised = tuple(
        i.model_copy(update={"parameters": (NamedValue(value_name="预警级别", value="Blue; IV"),)}) for i in alert.infos
    )
    name, signed = await submitted(desk, alert.model_copy(update={"infos": disguised}))
    with pytest.raises(ForbiddenError, match="chief_needed"):
        await desk.release(RELEASER, name, signed)


async def test_an_edit_after_submission_voids_what_the_second_person_saw(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    back = await desk.return_(RELEASER, name, "范围不对")
    changed = await desk.edit(
        AUTHOR, name, typhoon(area=Area(geocodes=(NamedValue(value_name=DIVISION_CODE, value="440303"),))), back.version
    )
    await desk.submit(AUTHOR, name, changed.version)
    with pytest.raises(ConflictError, match="digest_changed"):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts


async def test_a_change_of_the_texts_behind_its_back_voids_a_submission(
    db: Database, desk: Alerts, world: World, post: Post, clock: Clock
):
    name, signed = await submitted(desk, typhoon())
    events = {**TEXTS.events, "11B01": TEXTS.events["11B01"]._replace(name="台風")}
    other = replace(world, wording=replace(TEXTS, events=events))
    with pytest.raises(ConflictError, match="digest_changed"):
        await Alerts(AlertStore(db), other, post, now=clock).release(RELEASER, name, signed)
    assert (await desk.release(RELEASER, name, signed)).state is State.RELEASED


async def test_a_change_of_the_stored_message_voids_a_submission(db: Database, desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    document = await db["alerts"].find_one({"_id": name})
    assert document is not None
    forged = document["alert"].replace(b"440305", b"440303")
    await db["alerts"].update_one({"_id": name}, {"$set": {"alert": forged}})
    with pytest.raises(ConflictError, match="digest_changed"):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts


async def test_only_one_of_many_who_release_at_once_does_and_one_broadcast_leaves(desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    many = [officer(f"r{n}", Role.RELEASER) for n in range(8)]
    results = await asyncio.gather(*(desk.release(one, name, signed) for one in many), return_exceptions=True)
    assert sum(not isinstance(result, HuiminError) for result in results) == 1
    assert list(post.broadcasts) == [name]


async def test_a_death_between_release_and_publication_ends_in_one_broadcast(db: Database, desk: Alerts, post: Post):
    name, signed = await submitted(desk, typhoon())
    post.fails = 1
    with pytest.raises(KilledError):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts
    assert await desk.finish_interrupted() == [name]
    stored = await db["alerts"].find_one({"_id": name})
    assert stored is not None
    assert Broadcast.model_validate_json(stored["broadcast"]) == post.broadcasts[name]
    assert await desk.finish_interrupted() == []
    assert (await desk.release(RELEASER, name, signed)).version == 3  # the officer's own retry changes nothing
    assert len(post.broadcasts) == 1


async def test_a_cancel_never_overtakes_an_alert_whose_publication_was_interrupted(
    desk: Alerts, post: Post, clock: Clock
):
    name, signed = await submitted(desk, typhoon())
    post.fails = 1
    with pytest.raises(KilledError):
        await desk.release(RELEASER, name, signed)
    clock.pass_by(minutes=1)
    cancel = await followed(desk, name, Kind.CANCEL, Change(note="台风远离"))
    assert list(post.broadcasts) == [name, cancel]


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


async def test_one_alert_that_cannot_be_published_does_not_keep_back_the_others(desk: Alerts, post: Post):
    post.fails = 2
    for colour in (Colour.YELLOW, Colour.BLUE):
        with pytest.raises(KilledError):
            await released(desk, typhoon(colour))
    post.refuses = 1
    with pytest.raises(ExceptionGroup):
        await desk.finish_interrupted()
    assert len(post.broadcasts) == 1
    assert len(await desk.finish_interrupted()) == 1
    assert len(post.broadcasts) == 2


async def test_a_chain_never_forks(desk: Alerts, post: Post, clock: Clock):
    first = await released(desk, typhoon())
    clock.pass_by(minutes=1)
    drafts = [
        await desk.follow(AUTHOR, first, Kind.EXTEND, Change(expires_at=START + timedelta(hours=7 + n)))
        for n in range(4)
    ]
    waiting = [await desk.submit(AUTHOR, d.identifier, d.version) for d in drafts]
    results = await asyncio.gather(
        *(desk.release(RELEASER, w.identifier, w.digest) for w in waiting), return_exceptions=True
    )
    refused = [r.code for r in results if isinstance(r, ConflictError)]
    assert refused == ["chain_moved"] * 3
    assert len(post.broadcasts) == 2


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


async def test_an_exercise_reaches_the_test_list_and_says_so(db: Database, post: Post, clock: Clock, world: World):
    desk = Alerts(AlertStore(db), replace(world, test_list=(7, 8)), post, now=clock)
    name = await released(desk, typhoon(status="Exercise"))
    assert post.broadcasts[name].audience.citizens == (7, 8)
    assert post.broadcasts[name].is_exercise
    for channel in ("wechat", "push", "sms"):
        assert "演练" in str(post.broadcasts[name].texts[channel]["zh"])
        assert "exercise" in str(post.broadcasts[name].texts[channel]["en"]).lower()


async def test_an_exercise_without_a_test_list_cannot_be_submitted(desk: Alerts, post: Post):
    begun = await desk.draft(AUTHOR, typhoon(status="Test"))
    with pytest.raises(InvalidInputError, match="test_list_missing"):
        await desk.submit(AUTHOR, begun.identifier, begun.version)
    assert not post.broadcasts


async def test_an_exercise_cannot_be_edited_into_the_real_thing(db: Database, post: Post, clock: Clock, world: World):
    desk = Alerts(AlertStore(db), replace(world, test_list=(7,)), post, now=clock)
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


async def test_an_alert_that_expired_while_it_waited_is_not_released(desk: Alerts, clock: Clock, post: Post):
    name, signed = await submitted(desk, typhoon())
    clock.pass_by(hours=7)
    with pytest.raises(ConflictError, match="alert_expired"):
        await desk.release(RELEASER, name, signed)
    assert not post.broadcasts


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
