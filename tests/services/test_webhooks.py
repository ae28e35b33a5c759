"""What partners are told: once each, signed, again only where that may help, and never about what is not theirs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

import orjson
import pytest

from channels.call import Reply, State
from channels.transport import Limits, Transport
from server.domain.alerts.model import Area, NamedValue
from server.domain.alerts.release import World
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import DIVISION_CODE
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, UnauthenticatedError
from server.domain.partners import Partner, signature
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.services.feeds import Feeds
from server.services.partners import INTAKE, Partners
from server.services.webhooks import Webhooks
from server.storage.alerts import AlertStore
from server.storage.feeds import PublicStore
from server.storage.mongo import Database
from server.storage.partners import DeliveryStore, PartnerStore
from server.storage.vault import Vault
from tests.channels.scripted import Provider, http
from tests.services.desk import DIVISIONS, START, TEXTS, Clock, Post, followed, released, typhoon

CANCEL = Change(note="台风远离")
OK, GONE, BUSY, BROKEN, MOVED = (Reply(State.ANSWERED, status) for status in (204, 410, 429, 503, 302))
NO_NETWORK = Reply(State.REFUSED, why="7 could not connect")


class Receiver:
    """A partner's webhook without a network: answers as told, then with 204."""

    def __init__(self) -> None:
        self.answers: list[Reply] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, url: str, headers: Sequence[str], body: bytes) -> Reply:
        """Take one request."""
        names = dict(line.split(": ", 1) for line in headers)
        self.got.append((url, names, body))
        return self.answers.pop(0) if self.answers else OK

    @property
    def events(self) -> list[tuple[int, str]]:
        """Number and alert of everything that came."""
        bodies = [orjson.loads(body) for _, _, body in self.got]
        return [(body["seq"], body["alert"]["identifier"]) for body in bodies]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def vault() -> Vault:
    return Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes)


@pytest.fixture
def partners(db: Database, vault: Vault, clock: Clock, audit: AuditLog) -> Partners:
    stores = (PartnerStore(db, vault), DeliveryStore(db), PublicStore(db))
    return Partners(stores, DIVISIONS, audit, now=clock, random=secrets.token_bytes, may_be_plain=True)


@pytest.fixture
def drills(db: Database, post: Post, audit: AuditLog, clock: Clock) -> Alerts:
    """A desk that has a test list."""
    return Alerts(AlertStore(db), World(DIVISIONS, TEXTS, test_list=(1,)), post, audit, now=clock)


Build = Callable[..., Webhooks]


@pytest.fixture
def build(db: Database, vault: Vault, clock: Clock, receiver: Receiver) -> Build:
    def make(post: object = receiver) -> Webhooks:
        store = PublicStore(db)
        feeds = Feeds(store, DIVISIONS, now=clock, clock=lambda: 0.0)
        stores = (store, PartnerStore(db, vault), DeliveryStore(db))
        return Webhooks(stores, feeds, post, now=clock, jitter=lambda: 1.0)  # type: ignore[arg-type]

    return make


def partner(id_: str = "bureau", *, division: str = "440300", url: str | None = "https://p.example/hook") -> Partner:
    return Partner(id=id_, name="气象局", url=url, division=division, created_at=START)


async def drained(webhooks: Webhooks) -> None:
    for each in await webhooks.queue():
        while await webhooks.deliver(each):
            pass


async def states(db: Database) -> dict[str, str]:
    return {d["_id"]: d["state"] async for d in db["deliveries"].find({})}


async def due_now(db: Database) -> None:
    """Let the waits be over."""
    await db["deliveries"].update_many({"state": "waiting"}, {"$set": {"due_at": START - timedelta(days=3000)}})


async def test_every_release_is_told_once_in_order_with_a_signature_that_verifies(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, db: Database, clock: Clock
):
    secret = (await partners.add(partner())).secret
    first = await released(desk, typhoon())
    clock.pass_by(seconds=1)
    last = await followed(desk, first, Kind.CANCEL, CANCEL)
    for _ in range(3):
        await drained(build())
    assert receiver.events == [(1, first), (2, last)]
    url, headers, body = receiver.got[0]
    assert url == "https://p.example/hook"
    signed = signature(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
    assert headers["webhook-id"] == "bureau/1"
    stored = await db["alerts"].find_one({"_id": first})
    assert stored is not None
    assert orjson.loads(body)["cap"].encode() == stored["cap"]
    assert await states(db) == {"bureau/1": "done", "bureau/2": "done"}


async def test_any_number_of_processes_tell_each_partner_once(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, clock: Clock
):
    for name in ("one", "two"):
        await partners.add(partner(name))
    for _ in range(3):
        await released(desk, typhoon())
        clock.pass_by(minutes=61)
    await asyncio.gather(*(drained(build()) for _ in range(5)))
    await drained(build())
    assert sorted(headers["webhook-id"] for _, headers, _ in receiver.got) == [
        f"{name}/{seq}" for name in ("one", "two") for seq in (1, 2, 3)
    ]


@pytest.mark.parametrize("reply", [NO_NETWORK, BUSY, BROKEN, Reply(State.BROKEN), Reply(State.NOT_STARTED)])
async def test_a_network_failure_a_5xx_and_a_429_are_tried_again_later(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, db: Database, reply: Reply
):
    await partners.add(partner())
    await released(desk, typhoon())
    receiver.answers = [reply, reply]
    await drained(build())
    assert len(receiver.got) == 1  # not at once
    for _ in range(2):
        await due_now(db)
        await drained(build())
    assert (len(receiver.got), await states(db)) == (3, {"bureau/1": "done"})


@pytest.mark.parametrize("reply", [GONE, MOVED, Reply(State.ANSWERED, 400), Reply(State.ANSWERED, 401)])
async def test_a_refusal_or_a_redirect_is_not_tried_again(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, db: Database, reply: Reply
):
    await partners.add(partner())
    await released(desk, typhoon())
    receiver.answers = [reply]
    await drained(build())
    await due_now(db)
    await drained(build())
    assert (len(receiver.got), await states(db)) == (1, {"bureau/1": "dead"})


async def test_after_a_day_a_delivery_is_given_up(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, db: Database, clock: Clock
):
    await partners.add(partner())
    await released(desk, typhoon())
    receiver.answers = [BROKEN, BROKEN]
    await drained(build())
    clock.pass_by(hours=25)
    await due_now(db)
    await drained(build())
    assert await states(db) == {"bureau/1": "dead"}


async def test_who_died_with_a_delivery_in_hand_gives_it_back_and_its_late_word_counts_for_nothing(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, db: Database
):
    await partners.add(partner())
    await released(desk, typhoon())
    await build().queue()
    store = DeliveryStore(db)
    dead = await store.claim("bureau", 30.0)
    assert dead is not None
    assert await store.claim("bureau", 30.0) is None  # leased
    await due_now(db)  # the lease is over
    await drained(build())
    await store.finish(dead, "dead", "a ghost", START)
    assert (len(receiver.got), await states(db)) == (1, {"bureau/1": "done"})


async def test_a_partner_is_told_of_its_division_of_what_comes_after_it_and_never_of_exercises(
    drills: Alerts, partners: Partners, build: Build, receiver: Receiver, clock: Clock
):
    desk = drills
    await released(desk, typhoon())
    await build().queue()
    clock.pass_by(minutes=61)
    await partners.add(partner("nanshan", division="440305"))
    await partners.add(partner("baoan", division="440306"))
    await released(desk, typhoon(status="Exercise"))
    clock.pass_by(minutes=61)
    name = await released(desk, typhoon())
    clock.pass_by(seconds=1)
    street = Area(area_desc="粤海街道", geocodes=(NamedValue(value_name=DIVISION_CODE, value="440305007"),))
    small = await released(desk, typhoon(area=street))
    await drained(build())
    assert [h["webhook-id"] for _, h, _ in receiver.got] == ["nanshan/2", "nanshan/3"]
    assert receiver.events == [(2, name), (3, small)]


async def test_a_replay_tells_everything_after_the_cursor_again(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver, clock: Clock
):
    for _ in range(2):
        await released(desk, typhoon())
        clock.pass_by(minutes=61)
    await build().queue()
    await partners.add(partner())
    receiver.answers = [GONE]
    for since, count in ((0, 2), (1, 1)):
        assert await partners.replay("bureau", since) == count
        await drained(build())
    assert [seq for seq, _ in receiver.events] == [1, 2, 2]
    with pytest.raises(NotFoundError):
        await partners.replay("nobody", 0)


async def test_a_stopped_partner_is_told_nothing_and_may_not_enter_until_it_is_resumed(
    desk: Alerts, partners: Partners, build: Build, receiver: Receiver
):
    told = partner().model_copy(update={"senders": ("weather@sz.example",)})
    key = (await partners.add(told)).key
    assert (await partners.enter(key, INTAKE)).id == "bureau"
    await partners.stop("bureau")
    await released(desk, typhoon())
    await drained(build())
    assert receiver.got == []
    with pytest.raises(UnauthenticatedError):
        await partners.enter(key, INTAKE)
    await partners.resume("bureau")
    await drained(build())
    assert [seq for seq, _ in receiver.events] == [1]


async def test_a_key_opens_only_what_it_is_for(partners: Partners):
    key = (await partners.add(partner())).key
    for wrong in ("", "hmk_x", key[:-1]):
        with pytest.raises(UnauthenticatedError):
            await partners.enter(wrong, INTAKE)
    with pytest.raises(ForbiddenError):  # it has no sender to hand in anything of
        await partners.enter(key, INTAKE)


async def test_secrets_stand_nowhere_in_clear(partners: Partners, db: Database):
    found = await partners.add(partner())
    document = str(await db["partners"].find_one({}))
    assert found.key not in document
    assert found.secret not in document
    assert found.secret.removeprefix("whsec_") not in document


async def test_a_partner_is_registered_once_and_only_with_what_can_work(partners: Partners):
    await partners.add(partner())
    with pytest.raises(ConflictError):
        await partners.add(partner())
    for wrong in (partner("a1", url=None), partner("a2", url="ftp://x.example/"), partner("a3", division="990000")):
        with pytest.raises(InvalidInputError):
            await partners.add(wrong)


async def test_over_a_real_socket_a_partner_that_comes_back_is_told_and_a_slow_one_holds_up_nobody(
    desk: Alerts, partners: Partners, build: Build, db: Database
):
    quick = Provider(lambda request: http(b"", 503 if request.number == 0 else 204))
    slow = Provider(lambda _: 30.0)
    transport = Transport(Limits(concurrency=4, may_reach=lambda _: True))
    stop = asyncio.Event()

    async def post(url: str, headers: Sequence[str], body: bytes) -> Reply:
        return await transport.fetch(url, headers, body, timeout_s=3.0)

    for provider in (quick, slow):
        await provider.start()
    await partners.add(partner("slow", url=f"{slow.url}/hook"))
    secret = (await partners.add(partner("quick", url=f"{quick.url}/hook"))).secret
    await released(desk, typhoon())
    running = asyncio.create_task(build(post).run(stop))
    async with asyncio.timeout(10):
        while len(quick.requests) < 2:  # 503, then a second later 204
            await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        while (await states(db))["quick/1"] != "done":
            await asyncio.sleep(0.05)
    assert (await states(db))["slow/1"] == "waiting"
    stop.set()
    await running
    seen = quick.requests[1]
    expected = signature(secret, "quick/1", int(seen.header("webhook-timestamp")), seen.body)
    assert seen.header("webhook-signature") == expected
    assert quick.requests[0].body == seen.body
    transport.close()
    for provider in (quick, slow):
        await provider.stop()
