"""The inbox over HTTP: today's truth for the own places, news that no copy misses, and marks that nobody else sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server import assemble, assemble_inbox, assemble_public
from server.domain.alerts.model import Alert, Area, cap_time
from server.domain.alerts.release import World
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import Colour
from server.domain.china import CHINA
from server.domain.outbox import Entry
from server.domain.wording import Kind, Words
from server.services.alerts import Alerts
from server.services.notices import TEMPLATE
from server.storage.alerts import AlertStore
from server.storage.citizens import NewCitizen, Place
from tests.api.client import Citizens, Client
from tests.services.desk import CHIEF, DIVISIONS, NANSHAN_RING, TEXTS, Post, followed, released, typhoon

NANSHAN, FUTIAN = "440305", "440304"
TITLE, BODY = Words("您的证件已办好", "Your card is ready"), Words("请到窗口领取", "Collect it")


def place(code: str, point: tuple[float, float] | None = None) -> Place:
    return Place(code, DIVISIONS.lineage(code), point)


def person(id_: int, *places: Place, is_tester: bool = False) -> NewCitizen:
    return NewCitizen(id_, places, {"sms": (f"+86138{id_:08d}",)}, is_tester=is_tester)


def soon(colour: Colour = Colour.YELLOW, *, area: Area | None = None, status: str = "Actual") -> Alert:
    """A typhoon from now on."""
    alert = typhoon(colour, area=area, status=status)
    end = cap_time(datetime.now(UTC) + timedelta(hours=6), CHINA)
    return alert.model_copy(update={"infos": tuple(i.model_copy(update={"expires": end}) for i in alert.infos)})


@pytest.fixture
def desk(assembly: assemble.Assembly) -> Alerts:
    """A desk on the clock of the database, whose broadcasts go nowhere."""
    world = World(DIVISIONS, TEXTS, test_list=(1,))
    return Alerts(AlertStore(assembly.db), world, Post(), assembly.audit, now=assembly.now)


@pytest.fixture
async def reader(assembly: assemble.Assembly, citizens: Citizens) -> str:
    """The token of citizen 7, who cares about Nanshan."""
    await assembly.citizens.add([person(7, place(NANSHAN))])
    return await citizens.enter(7)


async def told(assembly: assemble.Assembly, citizen: int, *keys: str) -> None:
    """This person is told something under each key, in this order."""
    for key in keys:
        assert await assembly.notices.tell(citizen, Words(key, ""), BODY, key=key)


async def inbox(api: Client, token: str, query: str = "") -> Any:
    answer = await api("GET", f"/v1/me/inbox{query}", token=token)
    assert answer.status == 200, answer.body
    return answer.json


def titles(page: Any) -> list[str]:
    return [item["texts"]["zh"]["title"] for item in page["items"]]


def names(page: Any) -> list[str]:
    return [each["alert"]["identifier"] for each in page["alerts"]]


async def test_a_phone_that_missed_everything_sees_what_is_in_force_for_its_places_and_which_place_it_is(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    street = DIVISIONS.children(NANSHAN)[0]
    await assembly.citizens.add([person(7, place(FUTIAN), place(street)), person(8, place(FUTIAN))])
    seven, eight = await citizens.enter(7), await citizens.enter(8)
    over = await released(desk, soon())
    await followed(desk, over, Kind.CANCEL, Change(note="台风远离"))
    now = await released(desk, soon(Colour.ORANGE))
    await readers.feeds.refresh()
    page = await inbox(api, seven)
    assert names(page) == [now]
    assert [p["division"] for p in page["alerts"][0]["places"]] == [street]
    assert page["alerts"][0]["alert"]["texts"]["en"]["event"] == "Typhoon"
    assert page["unread"] == {"alerts": 1, "items": 0, "bulletins": 0}
    assert names(await inbox(api, eight)) == []


async def test_a_place_with_a_point_is_where_its_point_is_and_one_without_where_its_district_is(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    await assembly.citizens.add(
        [person(n, place(NANSHAN, point)) for n, point in ((1, (22.52, 113.92)), (2, (22.60, 113.99)), (3, None))]
    )
    area = Area(area_desc="前海", polygons=(NANSHAN_RING,))
    small, urgent = await released(desk, soon(area=area)), await released(desk, soon(Colour.RED, area=area), CHIEF)
    await readers.feeds.refresh()
    seen = {n: set(names(await inbox(api, await citizens.enter(n)))) for n in (1, 2, 3)}
    assert seen == {1: {small, urgent}, 2: set(), 3: {urgent}}


async def test_an_opened_alert_is_read_until_the_next_message_of_its_chain(
    api: Client, reader: str, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    first = await released(desk, soon())
    await readers.feeds.refresh()
    for _ in range(2):
        assert (await api("POST", f"/v1/me/inbox/alerts/{first}/read", token=reader)).status == 204
    page = await inbox(api, reader)
    assert (page["alerts"][0]["read_at"] is None, page["unread"]["alerts"]) == (False, 0)
    second = await followed(desk, first, Kind.UPDATE, Change(note="风力加大"))
    await readers.feeds.refresh()
    page = await inbox(api, reader)
    assert (names(page), page["unread"]["alerts"]) == ([second], 1)
    assert (await api("POST", f"/v1/me/inbox/alerts/{first}/read", token=reader)).code == "alert_unknown"


async def test_an_exercise_is_there_for_those_who_take_part_and_for_nobody_else(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    await assembly.citizens.add([person(1, place(NANSHAN), is_tester=True), person(2, place(NANSHAN))])
    tester, other = await citizens.enter(1), await citizens.enter(2)
    drill = await released(desk, soon(status="Exercise"))
    await readers.feeds.refresh()
    page = await inbox(api, tester)
    assert (names(page), page["alerts"][0]["is_exercise"]) == ([drill], True)
    assert "演练" in page["alerts"][0]["alert"]["texts"]["zh"]["headline"]
    assert page["alerts"][0]["alert"]["links"] is None  # nothing of it is published
    assert names(await inbox(api, other)) == []
    marks = [(await api("POST", f"/v1/me/inbox/alerts/{drill}/read", token=t)).status for t in (tester, other)]
    assert marks == [204, 404]


async def test_news_is_read_in_pages_newest_first_that_miss_and_double_nothing_while_more_comes_in(
    api: Client, assembly: assemble.Assembly, reader: str
) -> None:
    keys = [f"n{n}" for n in range(7)]
    await told(assembly, 7, *keys)
    seen, target, syncs = [], "/v1/me/inbox?limit=3", set()
    while target:
        answer = await api("GET", target, token=reader)
        assert answer.status == 200
        seen += titles(answer.json)
        syncs.add(answer.json["sync"])
        assert (answer.json["next"] is None) is ("Link" not in answer.headers)
        await told(assembly, 7, f"late{len(seen)}")
        target = answer.headers.get("Link", "<>").partition(">")[0].removeprefix("<")
    assert seen == keys[::-1]
    assert len(syncs) == 1


async def test_what_was_read_stays_read_and_is_counted_so(
    api: Client, assembly: assemble.Assembly, reader: str
) -> None:
    await told(assembly, 7, "a", "b", "c")
    items = (await inbox(api, reader))["items"]
    for _ in range(2):
        assert (await api("POST", f"/v1/me/inbox/{items[0]['id']}/read", token=reader)).status == 204
    assert (await inbox(api, reader))["unread"]["items"] == 2
    counts = [
        (await api("POST", "/v1/me/inbox/read", {"up_to": items[1]["id"]}, token=reader)).json["marked"] for _ in "12"
    ]
    page = await inbox(api, reader)
    assert (counts, page["unread"]["items"]) == ([2, 0], 0)
    assert all(item["read_at"] for item in page["items"])


async def test_up_to_an_item_leaves_what_is_newer_unread(api: Client, assembly: assemble.Assembly, reader: str) -> None:
    await told(assembly, 7, "a", "b", "c")
    items = (await inbox(api, reader))["items"]
    await api("POST", "/v1/me/inbox/read", {"up_to": items[2]["id"]}, token=reader)
    assert [item["read_at"] is None for item in (await inbox(api, reader))["items"]] == [True, True, False]


async def test_somebody_elses_item_is_not_there_and_is_not_marked(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, reader: str
) -> None:
    await told(assembly, 7, "a")
    [item] = (await inbox(api, reader))["items"]
    stranger = await citizens.enter(8)
    answers = [
        await api("POST", f"/v1/me/inbox/{item['id']}/read", token=stranger),
        await api("POST", "/v1/me/inbox/read", {"up_to": item["id"]}, token=stranger),
    ]
    assert [(a.status, a.code) for a in answers] == [(404, "item_unknown")] * 2
    assert (await inbox(api, stranger))["items"] == []
    assert (await inbox(api, reader))["unread"]["items"] == 1


async def test_a_copy_that_asks_for_changes_hears_of_news_marks_and_withdrawals(
    api: Client, assembly: assemble.Assembly, reader: str, later: Later
) -> None:
    await told(assembly, 7, "read", "withdrawn", "same")
    first = await inbox(api, reader)
    ids = dict(zip(titles(first), [item["id"] for item in first["items"]], strict=True))
    await later.settle()
    sync = (await inbox(api, reader))["sync"]
    assert titles(await inbox(api, reader, f"?since={sync}")) == []
    await api("POST", f"/v1/me/inbox/{ids['read']}/read", token=reader)
    await assembly.notices.withdraw("withdrawn")
    await told(assembly, 7, "new")
    change = await inbox(api, reader, f"?since={sync}")
    assert titles(change) == ["new", "read"]
    assert change["items"][1]["read_at"]
    assert change["gone"] == [ids["withdrawn"]]
    assert change["unread"]["items"] == 2
    assert titles(await inbox(api, reader)) == ["new", "same", "read"]


async def test_what_a_slow_transaction_wrote_before_the_last_walk_is_told_by_the_next(
    api: Client, assembly: assemble.Assembly, reader: str
) -> None:
    now = assembly.now()
    entry = Entry("slow", TEMPLATE, 7, "slow", assembly.notices.standing[0].lane, now, now + timedelta(hours=1))
    async with assembly.db.client.start_session() as session, await session.start_transaction():
        await assembly.outbox.put([entry], session)
        sync = (await inbox(api, reader))["sync"]
    await told(assembly, 7, "other")
    await assembly.notices.tell(7, TITLE, BODY, key="slow")  # its words; the entry is there
    assert TITLE.zh in titles(await inbox(api, reader, f"?since={sync}"))


async def test_what_is_not_due_or_moot_is_not_shown_and_not_counted(
    api: Client, assembly: assemble.Assembly, reader: str
) -> None:
    now = assembly.now()
    lane = assembly.notices.standing[0].lane
    entry = Entry("moot", TEMPLATE, 7, "nothing-of-this-name", lane, now, now + timedelta(hours=1))
    tomorrow = replace(entry, key="later", due_at=now + timedelta(days=1), expires_at=now + timedelta(days=2))
    await assembly.outbox.put([entry, tomorrow, replace(entry, key="strange", template="unheard.of")])
    page = await inbox(api, reader)
    assert (page["items"], page["unread"]["items"]) == ([], 0)


async def test_words_are_sealed_with_the_persons_key_and_gone_with_it(
    api: Client, assembly: assemble.Assembly, reader: str
) -> None:
    await told(assembly, 7, "secret-words")
    [stored] = await assembly.db["notices"].find({}).to_list()
    assert b"secret-words" not in bytes(stored["words"])
    assert titles(await inbox(api, reader)) == ["secret-words"]
    await assembly.person_vault.shred(7)
    assert titles(await inbox(api, reader)) == []
    assert await assembly.notices.tell(7, TITLE, BODY, key="after") is False


async def test_an_opened_notice_is_read_in_the_inbox_too(
    api: Client, assembly: assemble.Assembly, reader: str, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    await told(assembly, 7, "a", "b")
    alert = await released(desk, soon())
    await readers.feeds.refresh()
    for broadcast, subject in (
        (f"{TEMPLATE}-20261124", "a"),
        (alert, alert),
        ("nothing", "b"),
        ("no.such-20261124", "b"),
    ):
        form = {"broadcast": broadcast, "subject": subject, "channel": "push"}
        assert (await api("POST", "/v1/notices/read", form, token=reader)).status == 204
        assert (await api("POST", "/v1/notices/shown", form, token=reader)).status == 204
    assert (await inbox(api, reader))["unread"] == {"alerts": 0, "items": 1, "bulletins": 0}


@pytest.mark.parametrize(
    ("query", "code"),
    [("since=x", "cursor_invalid"), ("after=1", "cursor_invalid"), ("after=1.2.zz", "cursor_invalid"),
     ("limit=0", "input_invalid"), ("limit=201", "input_invalid"), ("citizen=8", "input_invalid"),
     ("since=99999999999999", ""), (f"after=99999999999999.99999999999999.{'f' * 32}", "")],
)  # fmt: skip
async def test_a_cursor_that_is_none_of_ours_is_a_problem_that_says_so(
    api: Client, reader: str, query: str, code: str
) -> None:
    answer = await api("GET", f"/v1/me/inbox?{query}", token=reader)
    assert (answer.status, answer.code) == ((422, code) if code else (200, ""))


async def test_a_full_inbox_costs_as_many_reads_as_an_empty_one(
    api: Client, assembly: assemble.Assembly, reader: str, desk: Alerts, readers: assemble_public.PublicParts
) -> None:
    await released(desk, soon())
    await readers.feeds.refresh()
    await told(assembly, 7, "a")
    few = await reads(assembly, api, reader)
    await told(assembly, 7, *(f"n{n}" for n in range(150)))
    assert (
        await reads(assembly, api, reader) == few <= 6
    )  # the account, places, news, marks; of one template: words, key


async def reads(assembly: assemble.Assembly, api: Client, token: str) -> int:
    """How many operations one call costs the database, beside the two that count them."""

    async def count() -> int:
        counted = (await assembly.db.command("serverStatus"))["opcounters"]
        return int(counted["query"] + counted["getmore"] + counted["command"])

    before = await count()
    await inbox(api, token, "?limit=200")
    return await count() - before - 1


class Later:
    """Lets what was written become older than the overlap."""

    def __init__(self, assembly: assemble.Assembly) -> None:
        self._entries = assembly.db["outbox"]

    async def settle(self) -> None:
        """Two minutes ago."""
        back = {name: {"$subtract": [f"${name}", 120_000]} for name in ("due_at", "changed_at")}
        await self._entries.update_many({}, [{"$set": back}])


@pytest.fixture
def later(assembly: assemble.Assembly) -> Later:
    return Later(assembly)


async def test_an_export_holds_the_words_a_join_keeps_them_and_an_erasure_leaves_nothing(
    api: Client, assembly: assemble.Assembly, citizens: Citizens, readers: assemble_public.PublicParts, reader: str
) -> None:
    parts = assemble_inbox.inbox(assembly, readers.feeds, assemble.receipts(assembly))
    [holding, _] = parts.holdings
    await told(assembly, 7, "mine")
    [row] = await holding.export(7)
    assert row["texts"]["zh"]["title"] == "mine"
    other = await citizens.enter(9)
    async with assembly.db.client.start_session() as session, await session.start_transaction():
        await holding.move(7, 9, session)
    await assembly.person_vault.shred(7)
    assert (titles(await inbox(api, reader)), titles(await inbox(api, other))) == ([], ["mine"])
    await holding.erase(9)
    left: Sequence[int] = [await assembly.db[name].count_documents({}) for name in holding.collections]
    assert left == [0, 0, 0]
