"""Officers watch, stop and read a broadcast over HTTP."""

from __future__ import annotations

import asyncio
import csv
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from io import StringIO
from itertools import pairwise
from typing import Any, Self

import pytest

from handlers.bounds import listen
from handlers.broadcasts import EventsHandler
from handlers.routing import Route
from handlers.streaming import Pace
from server import assemble
from server.app import make_app
from server.domain import ranks
from server.domain.broadcasts import Broadcast, Lane, State, page_id
from server.domain.officers import Officer, Role, Unit
from server.domain.pages import Page, PageState
from tests.api.client import Client, Officers
from tests.push.city import DIVISIONS, crowd, warning

UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
PEOPLE = 40
STUCK, STATES = 60, 12  # readers who take nothing of so many states of more than 50 kB
QUICK = Pace(heartbeat_s=0.2, stuck_s=1.5, quiet_s=0.2, longest_s=20.0)
LIST = "/v1/staff/broadcasts/storm/unreached?division=440305&purpose=telephone%20them"


def officer(division: str = "440300", *roles: Role) -> Officer:
    """Somebody at the desk."""
    fields: dict[str, Any] = {"id": f"of-{division}", "person": "p1", "name": "王敏", "unit": UNIT, "events": ("11",)}
    return Officer(**fields, roles=frozenset(roles or {Role.CHIEF}), division=division)


@pytest.fixture
async def storm(assembly: assemble.Assembly) -> Broadcast:
    """A released broadcast of one range with nobody at work on it."""
    broadcast = warning("storm", Lane.RED, assembly.now())
    await assembly.broadcasts.publish(broadcast)
    return broadcast


async def sums(assembly: assemble.Assembly, **statuses: int) -> None:
    """Somebody has recomputed the sums of the range: SMS only."""
    nanshan = str(DIVISIONS.index_of("440305"))
    counted = {"sms": {status: {nanshan: people} for status, people in statuses.items()}}
    await assembly.broadcast_store.set_sums("storm/00000", counted, datetime.now(UTC))


@pytest.fixture
async def live(routes: list[Route], officers: Officers, assembly: assemble.Assembly) -> AsyncIterator[int]:
    """The same API with an event stream in a hurry; its port."""
    parts = {"control": assemble.control(assembly, 0.05), "pace": QUICK}
    hurried = [Route(r.path, r.handler, r.operations, parts) if r.handler is EventsHandler else r for r in routes]
    server, port = listen(make_app(hurried, officers.gate()), 0, "127.0.0.1")
    yield port
    server.stop()
    await server.close_all_connections()


class Events:
    """A reader of an event stream, as a browser is one."""

    def __init__(self, port: int, token: str, last: str = "") -> None:
        self._port = port
        self.ask = (
            "GET /v1/staff/broadcasts/storm/events HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\n" + (f"Last-Event-ID: {last}\r\n" if last else "") + "\r\n"
        ).encode()
        self.head = ""

    async def __aenter__(self) -> Self:
        """Ask, and read the head of the answer."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        self.writer.write(self.ask)
        self.head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Go."""
        self.writer.close()

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event: its id and data. EOFError when the stream has ended."""
        id_ = ""
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode().strip()
            if line.startswith("id: "):
                id_ = line.removeprefix("id: ")
            if line.startswith("data: "):
                return id_, json.loads(line.removeprefix("data: "))
            if line == "0" or self.reader.at_eof():
                raise EOFError


async def test_the_version_grows_with_every_change_of_state_plan_and_sums(
    assembly: assemble.Assembly, storm: Broadcast
):
    async def pause() -> None:
        assert await assembly.broadcasts.pause(storm.id)

    async def resume() -> None:
        assert await assembly.broadcasts.resume(storm.id)

    async def plan() -> None:
        await assembly.broadcast_store.claim_range("storm/00000", "w")
        await assembly.broadcast_store.finish_range("storm/00000", "w", is_planned=True)

    versions = [(await assembly.broadcasts.progress(storm.id)).version]
    for change in (pause, lambda: sums(assembly, planned=5), resume, plan, lambda: sums(assembly, accepted=5)):
        await asyncio.sleep(0.01)
        await change()
        versions.append((await assembly.broadcasts.progress(storm.id)).version)
    assert all(a < b for a, b in pairwise(versions)), versions


async def test_events_are_states_and_resume_by_last_event_id(
    assembly: assemble.Assembly, storm: Broadcast, live: int, officers: Officers
):
    token = officers.enter(officer())
    await sums(assembly, planned=30, accepted=10)
    async with Events(live, token) as first:
        assert "text/event-stream" in first.head
        id_, standing = await first.next()
        assert standing["channels"]["sms"]["statuses"] == {"planned": 30, "accepted": 10}
        assert (standing["state"], str(standing["version"])) == ("live", id_)
    await sums(assembly, accepted=40)
    async with Events(live, token, id_) as again:  # what happened in between comes as one state
        newer, standing = await again.next()
        sms = standing["channels"]["sms"]
        assert (sms["audience"], sms["left"], sms["statuses"]) == (40, 0, {"accepted": 40})
        assert int(newer) > int(id_)
    async with Events(live, token, newer) as seen:  # who has seen all of it waits for news
        await assembly.broadcast_store.set_state(storm.id, State.FINISHED, only_from=[State.LIVE], now=assembly.now())
        last, standing = await seen.next()
        assert standing["is_over"]
        with pytest.raises(EOFError):
            await seen.next()  # over and quiet: the stream ends
    async with Events(live, token, last) as over:
        assert over.head.startswith("HTTP/1.1 204")


async def open_unread(port: int, ask: bytes) -> socket.socket:
    """A reader that asks and then takes nothing, with as little room as the kernel allows."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    await loop.sock_sendall(sock, ask)
    return sock


async def read_to_the_end(sock: socket.socket) -> int:
    """How many bytes there still are; TimeoutError if the other side has not closed."""
    size = 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        try:
            while part := await loop.sock_recv(sock, 1 << 20):
                size += len(part)
        except ConnectionResetError:
            pass
    return size


async def test_stuck_readers_are_cut_off_and_hold_up_neither_readers_nor_requests(
    assembly: assemble.Assembly, storm: Broadcast, live: int, officers: Officers
):
    token = officers.enter(officer())
    everywhere = {str(division.index): 1 for division in list(DIVISIONS.by_index.values())[:250]}
    ask = Events(live, token).ask
    slowest_s = 0.0
    async with AsyncExitStack() as stack, Events(live, token) as good:
        stuck = [stack.enter_context(await open_unread(live, ask)) for _ in range(STUCK)]
        for n in range(1, STATES):
            statuses = {status: dict.fromkeys(everywhere, n) for status in ranks.STATUSES}
            await assembly.broadcast_store.set_sums(f"{storm.id}/00000", {"sms": statuses}, datetime.now(UTC))
            while (await good.next())[1]["channels"].get("sms", {}).get("left", 0) < 3 * n * len(everywhere):
                continue
            began = asyncio.get_running_loop().time()
            assert (await Client(live)("GET", "/v1/staff/broadcasts/none", token=token)).status == 404
            slowest_s = max(slowest_s, asyncio.get_running_loop().time() - began)
        await asyncio.sleep(2 * QUICK.stuck_s)
        unread = [await read_to_the_end(sock) for sock in stuck]
    assert max(unread) < STATES * 50_000 / 2, "a stuck reader gets a few states, not all of them"
    assert slowest_s < 1.0, f"a request waited {slowest_s:.2f} s"


async def test_pause_and_resume_are_logged_refused_to_authors_and_conflict_when_repeated(
    assembly: assemble.Assembly, storm: Broadcast, api: Client, officers: Officers
):
    path = f"/v1/staff/broadcasts/{storm.id}"
    chief, author = officers.enter(officer()), officers.enter(officer("440300", Role.AUTHOR))
    stranger = officers.enter(officer("130100"))
    assert (await api("POST", f"{path}/pause", token=author)).status == 403
    assert (await api("POST", f"{path}/pause", token=stranger)).code == "outside_division"
    assert (await api("POST", f"{path}/pause")).status == 401
    assert (await api("POST", f"{path}/pause", token=chief)).json["state"] == "paused"
    assert (await api("POST", f"{path}/pause", token=chief)).code == "broadcast_state"
    assert (await api("GET", path, token=author)).json["state"] == "paused"
    assert (await api("POST", f"{path}/resume", token=chief)).json["state"] == "live"
    assert (await api("POST", f"{path}/resume", token=chief)).status == 409
    entries = await assembly.db["audit"].find({"stream": "broadcast"}).sort("seq", 1).to_list()
    assert [(e["actor"], e["action"], e["object"]) for e in entries] == [
        ("of-440300", "broadcast.stop", "storm"),
        ("of-440300", "broadcast.resume", "storm"),
    ]


async def test_the_report_and_its_table_say_the_same(
    assembly: assemble.Assembly, storm: Broadcast, api: Client, officers: Officers
):
    await sums(assembly, accepted=3, delivered=30, refused=7)
    token = officers.enter(officer())
    report = (await api("GET", f"/v1/staff/broadcasts/{storm.id}/report", token=token)).json
    table = await api("GET", f"/v1/staff/broadcasts/{storm.id}/report.csv", token=token)
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(StringIO(table.body.decode("utf-8-sig")))
    assert (row["division"], row["name"], row["channel"], row["audience"]) == ("440305", "南山区", "sms", "40")
    statuses = {name: int(row[name]) for name in ranks.STATUSES if row[name] != "0"}
    assert statuses == report["channels"]["sms"]["statuses"] == report["divisions"]["440305"]["sms"]


async def write_pages(assembly: assemble.Assembly) -> dict[int, list[str]]:
    """People on an SMS and a WeChat page, by turns accepted, undelivered, refused, and reached by WeChat only."""
    crowd_ = sorted(crowd(PEOPLE, 7), key=lambda citizen: citizen.id)
    await assembly.citizens.add(crowd_)
    outcomes = {
        "sms": [(ranks.DELIVERED, ranks.UNDELIVERED, ranks.REFUSED, ranks.REFUSED)[n % 4] for n in range(PEOPLE)],
        "wechat": [(ranks.REFUSED, ranks.REFUSED, ranks.UNKNOWN, ranks.ACCEPTED)[n % 4] for n in range(PEOPLE)],
    }
    pages = [
        Page(
            id=page_id("storm", channel, 0, 0),
            broadcast="storm",
            channel=channel,
            number=0,
            lane=Lane.RED,
            state=PageState.DONE,
            to=[c.id for c in crowd_],
            divisions=[DIVISIONS.index_of(c.places[0].division) for c in crowd_],
            not_before=assembly.now(),
            expires_at=assembly.now(),
            outcomes=statuses,
        )
        for channel, statuses in outcomes.items()
    ]
    assert await assembly.pages.insert(pages)
    return {n: list(c.addresses["sms"]) for n, c in enumerate(crowd_)}


async def test_who_was_not_reached_is_listed_once_with_phones_and_the_look_is_logged(
    assembly: assemble.Assembly, storm: Broadcast, api: Client, officers: Officers
):
    phones = await write_pages(assembly)
    token = officers.enter(officer("440305"))
    listed, after, parts = [], "", 0
    while parts < 20:
        answer = await api("GET", f"{LIST}&limit=7&after={after}", token=token)
        assert answer.status == 200, answer.body
        parts += 1
        listed += answer.json["people"]
        after = answer.json["next"]
        if after is None:
            break
    assert [person["phones"] for person in listed] == [phones[n] for n in range(PEOPLE) if n % 4 in (1, 2)]
    assert listed[0]["channels"] == {"sms": "undelivered", "wechat": "refused"}
    assert listed[0]["division"].startswith("440305")
    entries = await assembly.db["audit"].find({"action": "broadcast.unreached"}).to_list()
    assert len(entries) == parts == 3
    assert entries[0]["details"] == {"division": "440305", "purpose": "telephone them"}
    more = (await api("GET", f"{LIST}&limit=500&unconfirmed=true", token=token)).json
    assert len(more["people"]) == PEOPLE * 3 // 4
    assert storm.id == "storm"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("&purpose=telephone%20them", ""), 422),
        (("division=440305", "division=440305999999"), 422),
        (("division=440305", "division=440304"), 403),  # not the officer's own
        (("division=440305", "division=440300"), 403),
        (("&purpose", "&after=AAAA&purpose"), 422),
        (("&purpose", "&after=%21%21&purpose"), 422),
        (("&purpose", "&limit=501&purpose"), 422),
    ],
)
async def test_the_list_is_not_given_without_purpose_own_division_or_a_mark_of_ours(
    change: tuple[str, str], status: int, assembly: assemble.Assembly, storm: Broadcast, api: Client, officers: Officers
):
    token = officers.enter(officer("440305"))
    assert (await api("GET", LIST.replace(*change), token=token)).status == status
    assert await assembly.db["audit"].count_documents({"object": storm.id}) == 0
