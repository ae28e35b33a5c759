"""What an officer reads before a release: where each figure comes from, and that it is right."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from redis.asyncio import Redis

from server.domain.alerts.model import Area
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import Colour
from server.domain.errors import ForbiddenError
from server.domain.officers import Role
from server.domain.preview import Preview, Source, roots
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.previews import Channels, Previews, Sources
from server.storage.alerts import AlertStore
from server.storage.citizens import Citizens, NewCitizen, Place
from server.storage.counters import Counters
from server.storage.mongo import Database
from server.storage.rates import Rates
from server.storage.vault import Vault
from tests.push.city import communities
from tests.services.desk import (
    AUTHOR,
    CHIEF,
    DIVISIONS,
    NANSHAN_RING,
    START,
    Clock,
    officer,
    real_publisher,
    released,
    typhoon,
)

PEOPLE = 1_500
LIMITS = Channels({"wechat": 100.0, "push": 200.0, "sms": 50.0}, {"sms": 4.5})
RING = Area(area_desc="蛇口", polygons=(NANSHAN_RING,))


@pytest.fixture
async def people(db: Database) -> list[NewCitizen]:
    """Some of Nanshan and some of Futian; every third has no phone, every fifth nothing but a phone, some nothing."""
    random = Random(5)  # noqa: S311 - invented people
    homes = communities(district="440305") * 2 + communities(district="440304")
    found = []
    for n in range(PEOPLE):
        code = random.choice(homes)
        point = (random.uniform(22.48, 22.57), random.uniform(113.88, 113.97)) if n % 2 else None
        channels = {"sms"} if n % 5 == 0 else {"wechat", "push", "sms"} - ({"sms"} if n % 3 == 0 else set())
        addresses = {c: (f"{c}-{n}",) for c in channels} if n % 50 else {}
        found.append(NewCitizen(random.getrandbits(63), (Place(code, DIVISIONS.lineage(code), point),), addresses))
    vault = Vault({1: b"k" * 32}, b"i" * 32, lambda count: b"r" * count)
    await Citizens(db, vault, DIVISIONS.index_of).add(found)
    return found


@pytest.fixture
def sources(db: Database, redis: Redis, desk: Alerts) -> Sources:
    """The sources on the run's databases."""
    return Sources(desk, real_publisher(db, redis), AlertStore(db), Counters(db), Rates(db), DIVISIONS, LIMITS)


@pytest.fixture
def previews(sources: Sources, clock: Clock) -> Previews:
    """The counter under test."""
    return Previews(sources, clock)


async def shown(previews: Previews, desk: Alerts, colour: Colour, area: Area | None = None, *, exact: bool = False):
    """The preview of a new draft."""
    begun = await desk.draft(AUTHOR, typhoon(colour, area=area))
    return await previews.of_alert(AUTHOR, begun.identifier, is_exact=exact)


async def test_whole_divisions_come_from_the_counters_and_agree_with_a_count(
    previews: Previews, desk: Alerts, db: Database, people: list[NewCitizen]
):
    await Counters(db).rebuild(START - timedelta(minutes=30), lambda *_: None)
    told = (await shown(previews, desk, Colour.RED)).people
    counted = (await shown(previews, desk, Colour.RED, exact=True)).people
    assert (told.source, told.as_of) == (Source.COUNTERS, START - timedelta(minutes=30))
    assert (counted.source, counted.as_of, counted.margin) == (Source.COUNT, START, 0)
    same = {"people", "channels", "unreachable", "loose", "divisions"}
    assert told.model_dump(include=same) == counted.model_dump(include=same)
    nanshan = [c for c in people if "440305" in c.places[0].divisions]
    assert told.people == len(nanshan)
    assert told.channels == {ch: sum(ch in c.addresses for c in nanshan) for ch in ("wechat", "push", "sms")}
    assert told.unreachable == sum(not c.addresses for c in nanshan) > 0
    assert told.divisions["440305"].name == "南山区"


async def test_without_counters_the_people_are_counted(previews: Previews, desk: Alerts, people: list[NewCitizen]):
    assert people
    assert (await shown(previews, desk, Colour.RED)).people.source is Source.COUNT


async def test_a_shape_is_sampled_at_once_within_the_margin_it_states(
    sources: Sources, clock: Clock, desk: Alerts, people: list[NewCitizen]
):
    quick = Previews(sources, clock, sampled=150)
    told = (await shown(quick, desk, Colour.RED, RING)).people
    counted = (await shown(quick, desk, Colour.RED, RING, exact=True)).people
    assert (told.source, counted.source) == (Source.SAMPLE, Source.COUNT)
    assert 0 < abs(told.people - counted.people) <= told.margin < 3 * counted.people
    inside = [c for c in people if (p := c.places[0].point) and 22.50 < p[0] < 22.55 and 113.90 < p[1] < 113.95]
    in_district = [c for c in inside if "440305" in c.places[0].divisions]
    loose = [c for c in people if not c.places[0].point and "440305" in c.places[0].divisions]
    assert (counted.people, counted.loose) == (len(in_district) + len(loose), len(loose))


async def test_on_a_ladder_everybody_stands_on_one_channel_and_the_cost_is_the_worst_case(
    previews: Previews, desk: Alerts, people: list[NewCitizen]
):
    told = await shown(previews, desk, Colour.YELLOW)
    reachable = told.people.people - told.people.unreachable
    assert sum(told.people.channels.values()) == reachable
    assert told.fee_fen_at_most == pytest.approx(reachable * 4.5 * segments(told))
    red = await shown(previews, desk, Colour.RED)
    assert red.fee_fen_at_most == pytest.approx(red.people.channels["sms"] * 4.5 * segments(red))
    assert len(people) == PEOPLE


def segments(told: Preview) -> int:
    """The most segments that any language's SMS has."""
    return max(text.sms_segments or 0 for text in told.texts)


async def test_the_end_is_expected_from_measured_rates_else_from_the_limits(
    previews: Previews, desk: Alerts, db: Database, people: list[NewCitizen]
):
    assert people
    before = await shown(previews, desk, Colour.RED)
    assert not before.rates["sms"].is_measured
    assert before.expected_finish_s == pytest.approx(before.people.channels["sms"] / 50)
    await Rates(db).add({("sms", "one"): 20}, START)
    after = await shown(previews, desk, Colour.RED)
    assert (after.rates["sms"].is_measured, after.rates["sms"].as_of) == (True, START)
    assert after.expected_finish_s == pytest.approx(after.people.channels["sms"] / 20)


async def test_alerts_in_force_in_the_same_districts_are_named_but_not_those_of_the_own_chain(
    previews: Previews, desk: Alerts, clock: Clock
):
    first = await released(desk, typhoon(Colour.YELLOW))
    clock.pass_by(minutes=1)
    told = await shown(previews, desk, Colour.RED)
    assert [(o.identifier, o.colour, o.divisions) for o in told.overlaps] == [(first, "Yellow", ["440305"])]
    assert "台风" in told.overlaps[0].headline
    change = Change(colour=Colour.RED)
    begun = await desk.follow(AUTHOR, first, Kind.UPGRADE, change)
    assert (await previews.of_alert(AUTHOR, begun.identifier)).overlaps == []
    clock.pass_by(hours=7)
    assert (await previews.of_alert(AUTHOR, (await desk.draft(AUTHOR, typhoon())).identifier)).overlaps == []


async def test_texts_are_told_with_the_length_that_the_provider_counts(previews: Previews, desk: Alerts):
    told = await shown(previews, desk, Colour.RED)
    by_key = {(text.channel, text.language): text for text in told.texts}
    assert set(by_key) == {(channel, language) for channel in ("wechat", "push", "sms") for language in ("zh", "en")}
    sms = by_key["sms", "zh"]
    assert (sms.length, sms.sms_segments) == (len(sms.text["text"]), 1)


async def test_nobody_previews_an_alert_of_another_city(previews: Previews, desk: Alerts):
    begun = await desk.draft(AUTHOR, typhoon())
    with pytest.raises(ForbiddenError):
        await previews.of_alert(officer("stranger", Role.CHIEF, division="130100"), begun.identifier)
    assert (await previews.of_alert(CHIEF, begun.identifier)).people.people == 0


def test_divisions_inside_others_count_once():
    assert roots(["440305001", "440300", "440305", "130102"]) == ["130102", "440300"]
