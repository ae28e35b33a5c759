"""The public counter on the real desk: what is in force, what it covers, what came when, and what nobody ever sees."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import orjson
import pytest
from lxml import etree

from server.domain.alerts.cap import read_cap
from server.domain.alerts.document import parse_xml
from server.domain.alerts.guotu_writing import to_guotu
from server.domain.alerts.model import Area, NamedValue
from server.domain.alerts.reading import read
from server.domain.alerts.release import World
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import DIVISION_CODE, Colour
from server.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from server.domain.feeds import Standing
from server.domain.feeds_writing import ATOM, atom
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.services.feeds import STALE_AFTER_S, Feeds
from server.storage.alerts import AlertStore
from server.storage.feeds import PublicStore
from server.storage.mongo import Database
from tests.services.desk import (
    CHIEF,
    DIVISIONS,
    NANSHAN_RING,
    START,
    TEXTS,
    Clock,
    Post,
    followed,
    released,
    submitted,
    typhoon,
)

CANCEL = Change(note="台风远离")


class Ticks:
    """A monotonic clock the test moves."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.s


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def feeds(db: Database, clock: Clock, ticks: Ticks) -> Feeds:
    return Feeds(PublicStore(db), DIVISIONS, now=clock, clock=ticks)


async def in_force(feeds: Feeds, **where: object) -> list[str]:
    await feeds.refresh()
    return [message.identifier for message in feeds.board(**where).alerts]  # type: ignore[arg-type]


def street() -> Area:
    return Area(area_desc="粤海街道", geocodes=(NamedValue(value_name=DIVISION_CODE, value="440305007000"),))


async def test_an_update_takes_the_place_of_what_it_updates_and_a_cancel_leaves_nothing(desk: Alerts, feeds: Feeds):
    first = await released(desk, typhoon())
    assert await in_force(feeds) == [first]
    second = await followed(desk, first, Kind.UPGRADE, Change(colour=Colour.ORANGE))
    assert await in_force(feeds) == [second]
    await followed(desk, second, Kind.CANCEL, CANCEL)
    assert await in_force(feeds) == []


async def test_what_was_replaced_is_gone_even_if_the_process_died_before_marking_it(
    desk: Alerts, feeds: Feeds, db: Database
):
    first = await released(desk, typhoon())
    await followed(desk, first, Kind.CANCEL, CANCEL)
    await db["alerts"].update_one({"_id": first}, {"$set": {"state": "released"}})
    assert await in_force(feeds) == []
    assert (await feeds.get(first)).standing is Standing.CANCELLED


async def test_an_alert_is_gone_the_moment_it_expires_without_any_reading_in_between(
    desk: Alerts, feeds: Feeds, clock: Clock
):
    name = await released(desk, typhoon())
    await feeds.refresh()
    until = feeds.board().until
    assert until == START + timedelta(hours=6)
    clock.at = until - timedelta(milliseconds=1)
    assert [m.identifier for m in feeds.board().alerts] == [name]
    clock.at = until
    assert feeds.board().alerts == ()
    assert (await feeds.get(name)).standing is Standing.EXPIRED


async def test_a_shortened_alert_that_ran_out_does_not_bring_back_the_longer_one(
    desk: Alerts, feeds: Feeds, clock: Clock
):
    first = await released(desk, typhoon())
    clock.pass_by(minutes=1)
    await followed(desk, first, Kind.UPDATE, Change(expires_at=START + timedelta(hours=1)))
    clock.pass_by(hours=2)
    assert await in_force(feeds) == []


async def test_drafts_exercises_and_tests_are_never_public(
    db: Database, clock: Clock, post: Post, audit: AuditLog, feeds: Feeds
):
    desk = Alerts(AlertStore(db), World(DIVISIONS, TEXTS, test_list=(1,)), post, audit, now=clock)
    draft, _ = await submitted(desk, typhoon())
    drill = await released(desk, typhoon(status="Exercise"))
    clock.pass_by(minutes=61)
    trial = await released(desk, typhoon(status="Test"))
    assert await in_force(feeds) == []
    for name in (draft, drill, trial, "44030041600000_19990101000000"):
        with pytest.raises(NotFoundError):
            await feeds.get(name)
        with pytest.raises(NotFoundError):
            await feeds.history(name)
    assert await PublicStore(db).find_unnumbered(START) == []


@pytest.mark.parametrize(
    ("code", "is_covered"),
    [("440305", True), ("440305007", True), ("440305007000", True), ("440300", True), ("440306", False)],
)
async def test_a_division_is_warned_by_what_lies_above_and_below_it(
    desk: Alerts, feeds: Feeds, code: str, *, is_covered: bool
):
    name = await released(desk, typhoon(area=street()))
    assert await in_force(feeds, division=code) == ([name] if is_covered else [])


async def test_an_unknown_division_is_an_error_and_a_known_one_without_alerts_is_an_empty_list(feeds: Feeds):
    assert await in_force(feeds, division="440306") == []
    with pytest.raises(InvalidInputError):
        feeds.board(division="440399")


async def test_a_point_is_warned_by_polygon_and_by_the_district_around_it(desk: Alerts, feeds: Feeds, clock: Clock):
    inside, beside, elsewhere = (22.52, 113.92), (22.58, 113.96), (22.72, 114.25)
    drawn = await released(desk, typhoon(area=Area(area_desc="前海", polygons=(NANSHAN_RING,))))
    clock.pass_by(seconds=1)
    named = await released(desk, typhoon(area=street()))
    assert set(await in_force(feeds, place=feeds.place(*inside))) == {drawn, named}
    assert await in_force(feeds, place=feeds.place(*beside)) == [named]
    assert await in_force(feeds, place=feeds.place(*elsewhere)) == []


async def test_a_hole_in_an_area_is_not_warned(desk: Alerts, feeds: Feeds):
    hole = "22.51,113.91 22.51,113.93 22.53,113.93 22.53,113.91 22.51,113.91"
    code = NamedValue(value_name="EXCLUDE_POLYGON", value=hole)
    name = await released(desk, typhoon(area=Area(area_desc="前海", polygons=(NANSHAN_RING,), geocodes=(code,))))
    assert await in_force(feeds, place=feeds.place(22.545, 113.945)) == [name]
    assert await in_force(feeds, place=feeds.place(22.52, 113.92)) == []


async def test_the_list_is_worst_first(desk: Alerts, feeds: Feeds, clock: Clock):
    names = []
    for colour, by in ((Colour.BLUE, None), (Colour.RED, CHIEF), (Colour.ORANGE, None)):
        clock.pass_by(seconds=1)
        names.append(await (released(desk, typhoon(colour), by) if by else released(desk, typhoon(colour))))
    assert await in_force(feeds) == [names[1], names[2], names[0]]


async def test_a_chain_tells_its_whole_history_from_any_of_its_messages(desk: Alerts, feeds: Feeds, clock: Clock):
    names = [await released(desk, typhoon())]
    for kind, change in ((Kind.UPGRADE, Change(colour=Colour.ORANGE)), (Kind.CANCEL, CANCEL)):
        clock.pass_by(seconds=1)
        names.append(await followed(desk, names[-1], kind, change))
    for name in names:
        told = await feeds.history(name)
        assert [each.message.identifier for each in told] == names
        assert [each.standing for each in told] == [Standing.UPDATED, Standing.CANCELLED, Standing.ALL_CLEAR]
        assert [each.replaced_by for each in told] == [names[1], names[2], None]


async def test_the_public_bytes_are_the_released_bytes_and_guotu_says_the_same(
    desk: Alerts, feeds: Feeds, db: Database
):
    name = await released(desk, typhoon())
    told = await feeds.get(name)
    stored = await db["alerts"].find_one({"_id": name})
    assert stored is not None
    assert told.message.cap == stored["cap"]
    tree = parse_xml(told.message.cap)
    assert isinstance(tree, etree._Element)  # noqa: SLF001 - lxml has no other name for it
    assert read(to_guotu(told.message.alert)).alert == read_cap(tree)


async def test_the_version_changes_exactly_when_what_is_in_force_changes(desk: Alerts, feeds: Feeds, clock: Clock):
    assert await feeds.refresh()
    versions = [feeds.board().version]
    await released(desk, typhoon())
    assert await feeds.refresh()
    versions.append(feeds.board().version)
    assert not await feeds.refresh()
    assert feeds.board().version == versions[-1]
    clock.at = START + timedelta(hours=6)
    assert feeds.board().version == versions[0] != versions[1]


async def test_a_board_that_cannot_be_read_again_is_no_longer_shown(desk: Alerts, feeds: Feeds, ticks: Ticks):
    with pytest.raises(UnavailableError):
        feeds.board()
    await released(desk, typhoon())
    await feeds.refresh()
    ticks.s += STALE_AFTER_S
    assert feeds.board().alerts
    ticks.s += 0.001
    with pytest.raises(UnavailableError):
        feeds.board()


async def test_numbers_are_gapless_in_order_and_given_once_by_any_number_of_processes(
    desk: Alerts, feeds: Feeds, db: Database, clock: Clock
):
    names = []
    for _ in range(5):
        names.append(await released(desk, typhoon()))
        clock.pass_by(minutes=61)
    store = PublicStore(db)

    async def numbering() -> None:
        for name, at in await store.find_unnumbered(START):
            await store.number(name, at)

    await asyncio.gather(*(numbering() for _ in range(4)))
    assert await store.find_unnumbered(START) == []
    found = await feeds.events(0, 100)
    assert [event.seq for event, _ in found] == [1, 2, 3, 4, 5]
    assert sorted(event.alert for event, _ in found) == sorted(names)
    assert [event.seq for event, _ in await feeds.events(3, 1)] == [4]


async def test_an_atom_feed_has_what_the_standard_asks_for_and_the_same_bytes_for_the_same_alerts(
    desk: Alerts, feeds: Feeds
):
    name = await released(desk, typhoon())
    await feeds.refresh()
    board = feeds.board()
    written = atom(board.alerts, "/v1/feeds/alerts.atom", "https://city.example", "zh", board.changed_at)
    assert written == atom(board.alerts, "/v1/feeds/alerts.atom", "https://city.example", "zh", board.changed_at)
    tree, names = etree.fromstring(written), {"a": ATOM}
    for path in ("a:id", "a:title", "a:updated", "a:entry/a:id", "a:entry/a:title", "a:entry/a:updated"):
        assert len(tree.xpath(path, namespaces=names)) == 1, path  # RFC 4287, 4.1.1 and 4.1.2
    assert tree.xpath("string(a:entry/a:author/a:name)", namespaces=names) == "深圳市气象台"
    link = tree.xpath("string(a:entry/a:link[@type='application/cap+xml']/@href)", namespaces=names)
    assert link == f"https://city.example/v1/alerts/{name}.cap"


async def test_geojson_is_what_the_standard_asks_for_and_draws_divisions_where_no_shape_was_given(
    desk: Alerts, feeds: Feeds, clock: Clock
):
    drawn = await released(desk, typhoon(area=Area(area_desc="前海", polygons=(NANSHAN_RING,))))
    clock.pass_by(seconds=1)
    named = await released(desk, typhoon())
    await feeds.refresh()
    told = orjson.loads(orjson.dumps(feeds.features(feeds.board().alerts, "en")))
    by_id = {feature["id"]: feature for feature in told}
    assert set(by_id) == {drawn, named}
    assert by_id[drawn]["properties"]["geometry_source"] == "message"
    assert by_id[named]["properties"]["geometry_source"] == "divisions"
    for feature in by_id.values():
        nested = feature["geometry"]["coordinates"]
        ring = nested[0][0] if feature["geometry"]["type"] == "MultiPolygon" else nested[0]
        assert ring[0] == ring[-1]
        assert all(113 < lon < 115 and 22 < lat < 23 for lon, lat in ring)  # longitude first
        signed = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        assert signed > 0  # the outer ring runs counterclockwise (3.1.6)
        assert feature["properties"]["event"] == "Typhoon"
