"""What everybody may read, over a real socket: place, form, ETag, and the kept answers in front of the application."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from server import assemble, assemble_public
from server.domain.alerts.model import Alert, Area, NamedValue, cap_time
from server.domain.alerts.release import World
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import DIVISION_CODE, Colour
from server.domain.china import CHINA
from server.domain.datum import wgs84_to_gcj02
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.storage.alerts import AlertStore
from server.storage.feeds import PublicStore
from tests.api.client import SECURITY, Client
from tests.services.desk import DIVISIONS, NANSHAN_RING, TEXTS, Post, followed, released, typhoon

FORMS = ("", ".cap", ".guotu", "/history")
HOT = ("/v1/alerts", "/v1/alerts?division=440305", "/v1/feeds/alerts.atom", "/v1/feeds/alerts.geojson",
       "/v1/feeds/alerts.atom?division=440305", "/v1/feeds/version", "/v1/feeds/heartbeat.cap")  # fmt: skip
BAD_QUERIES = (
    ("?division=44", 422), ("?division=990000", 422), ("?division[$ne]=1", 422), ("?point=22.5,113.9", 422),
    ("?datum=gcj02", 422), ("?point=north&datum=wgs84", 422), ("?point=91,0&datum=wgs84", 422),
    ("?point=nan,inf&datum=wgs84", 422), ("?point=22.5,113.9&datum=wgs84&division=440305", 422),
    ("?limit=0", 422), ("?limit=501", 422), ("?after=1", 422), ("?x=1", 422),
    ("?division=440305&division=440306", 400), ("?division=%00", 400), ("?point=22.5,113.9&datum=bd09", 422),
)  # fmt: skip
CANCEL = Change(note="台风远离")


@pytest.fixture
def desk(assembly: assemble.Assembly) -> Alerts:
    """A desk on the clock of the database, whose broadcasts go nowhere."""
    return Alerts(
        AlertStore(assembly.db), World(DIVISIONS, TEXTS, test_list=(1,)), Post(), assembly.audit, now=assembly.now
    )


@pytest.fixture
async def watched(readers: assemble_public.PublicParts) -> AsyncIterator[assemble_public.PublicParts]:
    """The board as the product keeps it fresh."""
    stop = asyncio.Event()
    running = asyncio.create_task(readers.feeds.run(stop, readers.shelf.clear))
    yield readers
    stop.set()
    await running


def soon(colour: Colour = Colour.YELLOW, *, lasts: timedelta = timedelta(hours=6), area: Area | None = None) -> Alert:
    """A typhoon from now on."""
    alert = typhoon(colour, area=area)
    end = cap_time(datetime.now(UTC) + lasts, CHINA)
    return alert.model_copy(update={"infos": tuple(i.model_copy(update={"expires": end}) for i in alert.infos)})


async def refreshed(readers: assemble_public.PublicParts) -> None:
    if await readers.feeds.refresh():
        readers.shelf.clear()


def told(headers: dict[str, str]) -> dict[str, str]:
    """The headers that do not differ from answer to answer."""
    return {name: value for name, value in headers.items() if name not in {"Date", "X-Request-Id"}}


async def names(api: Client, query: str = "") -> list[str]:
    answer = await api("GET", f"/v1/alerts{query}")
    assert answer.status == 200, answer.body
    return [alert["identifier"] for alert in answer.json["alerts"]]


async def test_an_alert_can_be_read_by_division_by_point_and_in_all_its_forms(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    name = await released(desk, soon(area=Area(area_desc="前海", polygons=(NANSHAN_RING,))))
    await refreshed(readers)
    assert await names(api) == await names(api, "?division=440305") == [name]
    assert await names(api, "?division=440306") == []
    assert await names(api, "?point=22.52,113.92&datum=wgs84") == [name]
    kinds = {}
    for form in FORMS:
        answer = await api("GET", f"/v1/alerts/{name}{form}")
        assert answer.status == 200, form
        kinds[form] = answer.headers["Content-Type"].partition(";")[0]
    assert kinds == {"": "application/json", ".cap": "application/cap+xml", ".guotu": "application/xml",
                     "/history": "application/json"}  # fmt: skip
    stored = await readers.feeds.get(name)
    assert (await api("GET", f"/v1/alerts/{name}.cap")).body == stored.message.cap


async def test_a_point_of_a_chinese_map_is_converted_before_it_is_looked_up(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    name = await released(desk, soon(area=Area(area_desc="前海", polygons=(NANSHAN_RING,))))
    await refreshed(readers)
    lat, lon = 22.5, 113.949  # a hundred metres inside the eastern edge
    shifted_lon, shifted_lat = wgs84_to_gcj02(lon, lat + 0.01)
    assert shifted_lon > 113.95  # read as WGS-84 it would lie outside
    assert await names(api, f"?point={shifted_lat:.6f},{shifted_lon:.6f}&datum=gcj02") == [name]
    assert await names(api, f"?point={shifted_lat:.6f},{shifted_lon:.6f}&datum=wgs84") == []


async def test_a_query_that_cannot_be_right_is_a_problem_that_says_so(api: Client) -> None:
    for query, status in BAD_QUERIES:
        answer = await api("GET", f"/v1/alerts{query}")
        assert (answer.status, bool(answer.code)) == (status, True), query


async def test_a_long_list_is_read_in_pages_that_miss_and_double_nothing(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    made = set()
    for code in ("440303", "440304", "440305", "440306", "440307"):
        area = Area(area_desc=code, geocodes=(NamedValue(value_name=DIVISION_CODE, value=code),))
        made.add(await released(desk, soon(area=area)))
    await refreshed(readers)
    seen, after = [], ""
    while True:
        answer = (await api("GET", f"/v1/alerts?limit=2{after}")).json
        seen += [alert["identifier"] for alert in answer["alerts"]]
        if answer["next"] is None:
            break
        after = f"&after={answer['next']}"
    assert len(seen) == len(made)
    assert set(seen) == made


async def test_exercises_drafts_and_strangers_are_unknown_in_every_form(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    drill = soon().model_copy(update={"status": "Exercise", "note": "演练"})
    name = await released(desk, drill)
    await refreshed(readers)
    assert await names(api) == []
    for form in FORMS:
        for who in (name, "44030041600000_19990101000000"):
            answer = await api("GET", f"/v1/alerts/{who}{form}")
            assert (answer.status, answer.code) == (404, "alert_unknown")


async def test_a_hot_answer_is_kept_equal_in_every_header_and_not_sent_to_who_has_it(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    await released(desk, soon())
    await refreshed(readers)
    for path in HOT:
        readers.shelf.clear()
        before = readers.shelf.hits
        made = await api("GET", path)
        assert readers.shelf.hits == before
        kept = await api("GET", path)
        assert readers.shelf.hits == before + 1
        assert made.status == kept.status == 200
        assert made.body == kept.body
        assert told(made.headers) == told(kept.headers)
        assert set(SECURITY) | {"Date", "Etag", "Vary"} <= set(kept.headers)
        for tag in (kept.headers["Etag"], f"W/{kept.headers['Etag']}", f'"x", {kept.headers["Etag"]}', "*"):
            again = await api("GET", path, If_None_Match=tag)
            assert (again.status, again.body) == (304, b"")
        assert (await api("GET", path, If_None_Match='"x"')).body == kept.body
        assert (await api("GET", path, X_Request_Id="my-request-1")).headers["X-Request-Id"] == "my-request-1"
        head = await api("HEAD", path)
        assert (head.status, head.body, head.headers["Etag"]) == (200, b"", kept.headers["Etag"])


async def test_answers_are_kept_per_language_and_never_for_odd_spellings(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    await released(desk, soon())
    await refreshed(readers)
    path = "/v1/feeds/alerts.atom"
    texts = {(await api("GET", path, Accept_Language=tag)).body for tag in ("zh-CN", "en", "zh", "en-GB,en;q=0.9")}
    assert len(texts) == 2
    assert readers.shelf.hits == 2
    for odd in ("?division=440%3305", "?division=440305000", "?division=440305000000", "?division=440305&"):
        for _ in range(2):
            assert (await api("GET", f"{path}{odd}")).status == 200
    assert readers.shelf.hits == 2


async def test_a_cancelled_alert_is_gone_within_a_second(
    api: Client, desk: Alerts, watched: assemble_public.PublicParts
) -> None:
    loop = asyncio.get_running_loop()
    name = await released(desk, soon())
    while await names(api) != [name]:  # kept from here on
        await asyncio.sleep(0.02)
    await followed(desk, name, Kind.CANCEL, CANCEL)
    began = loop.time()
    paths = ("/v1/alerts", "/v1/feeds/alerts.atom", "/v1/feeds/alerts.geojson")
    while any([name.encode() in (await api("GET", path)).body for path in paths]):
        assert loop.time() - began < 1.0
        await asyncio.sleep(0.02)
    assert (await api("GET", f"/v1/alerts/{name}")).json["standing"] == "cancelled"
    assert watched.shelf.hits > 0


async def test_a_kept_answer_is_not_given_out_after_what_it_tells_has_expired(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    name = await released(desk, soon(lasts=timedelta(seconds=2)))
    await refreshed(readers)
    seen: list[Any] = []
    while not seen or seen[-1]:
        seen.append(await names(api))
        at = readers.feeds.now()
        await asyncio.sleep(0.05)
    expires_at = (await readers.feeds.get(name)).message.expires_at
    assert at >= expires_at > at - timedelta(seconds=0.5)  # nobody refreshed the board in between
    assert readers.shelf.hits > 3


async def test_feeds_are_well_formed_and_links_lead_to_the_message(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    name = await released(desk, soon())
    await refreshed(readers)
    tree = etree.fromstring((await api("GET", "/v1/feeds/alerts.atom")).body)
    atom = {"a": "http://www.w3.org/2005/Atom"}
    link = str(tree.xpath("string(a:entry/a:link[@title='cap']/@href)", namespaces=atom))
    assert (await api("GET", link)).status == 200
    collection = (await api("GET", "/v1/feeds/alerts.geojson")).json
    assert collection["type"] == "FeatureCollection"
    features = collection["features"]
    assert [feature["id"] for feature in features] == [name]
    beat = etree.fromstring((await api("GET", "/v1/feeds/heartbeat.cap")).body)
    cap = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
    assert beat.xpath("string(c:status)", namespaces=cap) == "System"
    assert name in beat.xpath("string(c:references)", namespaces=cap)


async def test_the_log_of_releases_is_read_from_a_cursor(
    api: Client, desk: Alerts, readers: assemble_public.PublicParts, assembly: assemble.Assembly
) -> None:
    first = await released(desk, soon())
    last = await followed(desk, first, Kind.CANCEL, CANCEL)
    store = PublicStore(assembly.db)
    for name, at in await store.find_unnumbered(datetime.now(UTC) - timedelta(hours=1)):
        await store.number(name, at)
    page = (await api("GET", "/v1/feeds/events?limit=1")).json
    assert [(e["seq"], e["alert"]["identifier"], e["alert"]["standing"]) for e in page["events"]] == [
        (1, first, "cancelled")
    ]
    rest = (await api("GET", f"/v1/feeds/events?since={page['next']}")).json
    assert [e["alert"]["identifier"] for e in rest["events"]] == [last]
    assert (await api("GET", f"/v1/feeds/events?since={rest['next']}")).json == {"events": [], "next": rest["next"]}
    newest = (await api("GET", f"/v1/feeds/events?limit=1&before={2**53 - 1}")).json
    assert [e["alert"]["identifier"] for e in newest["events"]] == [last]
    older = (await api("GET", f"/v1/feeds/events?before={newest['next']}")).json
    assert [e["alert"]["identifier"] for e in older["events"]] == [first]
    assert (await api("GET", "/v1/feeds/events?since=1&before=2")).status == 422
    assert readers.shelf.hits == 0


async def test_an_answer_that_is_not_kept_is_not_sent_again_either(
    api: Client, readers: assemble_public.PublicParts
) -> None:
    path = "/v1/alerts?limit=5"
    answer = await api("GET", path)
    again = await api("GET", path, If_None_Match=answer.headers["Etag"])
    assert (again.status, again.body, readers.shelf.hits) == (304, b"", 0)
    assert answer.headers["Etag"] == f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
