"""assemble(settings): every long-lived object of a process is built here once, by argument, and closed in reverse.

This is the only file that names concrete channels.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog
from redis.asyncio import Redis

from channels.base import Channel, ReceiptReader
from channels.fcm import FcmChannel
from channels.sms_aliyun import AliyunReceiptReader, AliyunSmsChannel
from channels.sms_tencent import TencentReceiptReader, TencentSmsChannel
from channels.transport import transport_for
from channels.wechat import WeChatChannel
from channels.wechat_events import WeChatReceiptReader
from push.contents import Contents
from push.duties import Duty, Meter, call_chiefs, recount
from push.ladder import Ladder
from push.outbox import Filler
from push.pace import Account, Pace
from push.parts import Counters as EngineCounters
from push.parts import Parts
from push.totals import Totals
from push.watch import Watch
from push.worker import Worker
from server.assemble_offers import offer_notices
from server.assemble_skies import weather_notices
from server.assemble_verifier import verifier_of
from server.domain.alerts.release import World
from server.domain.divisions import Divisions
from server.domain.preferences import Topics
from server.domain.templates import Registry
from server.domain.wording import Wording
from server.services.alerts import Alerts
from server.services.application_notices import ApplicationNotices
from server.services.audit import AuditLog
from server.services.audit_reading import AuditReading
from server.services.binding import Verifier
from server.services.booking_news import BookingNews
from server.services.booking_news import Shelves as BookingShelves
from server.services.broadcasts import Broadcasts
from server.services.consents import Consents
from server.services.control import Control
from server.services.duty_notices import DutyNotices
from server.services.duty_notices import Shelves as DutyShelves
from server.services.notices import Notices
from server.services.officers import Officers, Stores
from server.services.passwords import Argon2
from server.services.previews import Channels, Previews, Sources
from server.services.profile import LOCATION
from server.services.rating_notices import RatingNotices
from server.services.receipts import Receipts
from server.services.reports import Reports, Shelves, Watchers
from server.services.subjects import Subject, Subjects
from server.services.uses import Uses
from server.services.waiting_news import WaitingNews
from server.services.watching import LOOK_EVERY_S, Watching
from server.settings import Account as AccountSettings
from server.settings import AliyunSmsAccount, FcmAccount, Settings, TencentSmsAccount, WeChatAccount
from server.storage import (
    attempts,
    broadcasts,
    callbacks,
    catalogues,
    citizens,
    mongo,
    officers,
    pages,
    queue,
    sessions,
)
from server.storage.accounts import Accounts
from server.storage.alerts import AlertStore
from server.storage.applications import ApplicationStore
from server.storage.audit import AuditStore, CheckpointFile
from server.storage.clock import DatabaseClock
from server.storage.consents import ConsentStore
from server.storage.counters import Counters
from server.storage.duty import CardBoard, DutyPhones
from server.storage.facts import FactStore
from server.storage.followers import Followers
from server.storage.notices import NoticeStore
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.profiles import Profiles
from server.storage.rates import Rates
from server.storage.ratings import RatingStore
from server.storage.resources import ResourceStore
from server.storage.seats import SeatStore
from server.storage.tokens import RedisTokens
from server.storage.uses import UseStore
from server.storage.vault import SealedError, Vault

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Assembly:
    """The objects of one process."""

    settings: Settings
    db: mongo.Database
    redis: Redis
    clock: DatabaseClock
    divisions: Divisions
    citizens: citizens.Citizens
    pages: pages.Pages
    broadcast_store: broadcasts.Broadcasts
    queue: queue.Queue
    tokens: RedisTokens
    vault: Vault
    person_vault: PersonVault
    accounts: Accounts
    consents: Consents
    uses: Uses
    counters: Counters
    broadcasts: Broadcasts
    audit: AuditLog
    alert_store: AlertStore
    alerts: Alerts
    officers: Officers
    outbox: Outbox
    applications: ApplicationStore
    notices: Notices
    booking_news: BookingNews
    waiting_news: WaitingNews
    duty: DutyNotices
    subjects: Subjects
    verifier: Verifier
    templates: Registry
    topics: Topics
    stack: AsyncExitStack  # is closed with the process: for what has to be closed then

    @property
    def now(self) -> Callable[[], datetime]:
        """The database's clock."""
        return self.clock.now


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Assembly]:
    """Open the databases that the settings name and build what every process needs."""
    assert settings.mongo_url is not None
    assert settings.redis_url is not None
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(mongo.client(settings.mongo_url))
        redis = await stack.enter_async_context(queue.connect(settings.redis_url))
        db = mongo.database(client, settings.mongo_db)
        await mongo.prepare(db)
        clock = DatabaseClock(db, time.monotonic)
        await clock.measure()
        divisions, vault = catalogues.load_divisions(), _vault(settings)
        people = _people(db, vault, divisions)
        ledger, store, hints = pages.Pages(db), broadcasts.Broadcasts(db), queue.Queue(redis)
        counter = Broadcasts(store, ledger, people, hints, clock.now)
        wording, topics = catalogues.load_texts(), catalogues.load_topics()
        outbox, persons = Outbox(db), PersonVault(db, vault, os.urandom)
        notices = Notices(NoticeStore(db, persons), outbox, wording.templates, clock.now)
        shelves = _booking_shelves(db, outbox, persons)
        booking_news = BookingNews(shelves, wording.templates, clock.now)
        waiting_news = WaitingNews(shelves, notices, wording.templates, clock.now)
        applied, world = ApplicationStore(db, persons, vault, outbox), World(divisions, wording, topics=topics)
        desk, audit, marks = AlertStore(db), _audit(settings, db, clock.now), RatingStore(db, persons, vault)
        kept = Stores(officers.OfficerStore(db, vault), sessions.SessionStore(db, vault), attempts.Attempts(db, vault))
        moves, duty = _application_news(applied, marks, wording.templates), _duty(db, vault, outbox, wording, clock)
        moves += weather_notices(db, divisions, wording.templates, clock.now), offer_notices(db, wording, clock)
        yield Assembly(
            settings=settings,
            db=db,
            redis=redis,
            clock=clock,
            divisions=divisions,
            citizens=people,
            pages=ledger,
            broadcast_store=store,
            queue=hints,
            tokens=_tokens(redis, vault),
            vault=vault,
            person_vault=persons,
            accounts=Accounts(db),
            consents=_consents(db, persons, clock.now),
            uses=Uses(UseStore(db, os.urandom), clock.now),
            counters=Counters(db),
            broadcasts=counter,
            audit=audit,
            alert_store=desk,
            alerts=Alerts(desk, world, counter, audit, now=clock.now, testers=people.testers),
            officers=Officers(kept, audit, now=clock.now, random=os.urandom, hasher=Argon2()),
            outbox=outbox,
            applications=applied,
            notices=notices,
            booking_news=booking_news,
            waiting_news=waiting_news,
            duty=duty,
            subjects=Subjects([notices, booking_news, waiting_news, duty, *moves]),
            verifier=verifier_of(settings, stack),
            templates=wording.templates,
            topics=topics,
            stack=stack,
        )


def _application_news(store: ApplicationStore, ratings: RatingStore, registry: Registry) -> tuple[Subject, ...]:
    workflows = catalogues.load_workflows()
    return ApplicationNotices(store, registry, workflows), RatingNotices(store, ratings, registry)


def _people(db: mongo.Database, vault: Vault, divisions: Divisions) -> citizens.Citizens:
    numbers = {division.code: division.index for division in divisions.by_index.values()}
    return citizens.Citizens(db, vault, partial(_number, numbers))


def _consents(db: mongo.Database, persons: PersonVault, now: Callable[[], datetime]) -> Consents:
    facts = FactStore(db, catalogues.load_facts())
    forgets = {LOCATION: Profiles(db, persons).forget_points, **facts.forgets()}
    store = ConsentStore(db, os.urandom)
    return Consents(store, catalogues.load_consents(), now, forgets, lambda citizen: facts.touch([citizen]))


def engine(assembly: Assembly, stack: AsyncExitStack) -> Parts:
    """The parts of the engine in a worker process. Its transports are closed with the stack."""
    loop = asyncio.get_running_loop()
    watch = Watch(assembly.broadcast_store, loop.time)
    return Parts(
        owner=f"{os.uname().nodename}.{os.getpid()}.{secrets.token_hex(4)}",
        pages=assembly.pages,
        broadcasts=assembly.broadcast_store,
        citizens=assembly.citizens,
        queue=assembly.queue,
        pace=Pace(assembly.queue, loop.time, assembly.now, assembly.settings.workers),
        watch=watch,
        ladder=Ladder(assembly.pages, assembly.citizens, assembly.queue, assembly.now),
        subjects=assembly.subjects,
        accounts=provider_accounts(assembly, stack),
        counters=EngineCounters(),
        one_time_templates=assembly.templates.one_time,
        clock=loop.time,
        now=assembly.now,
    )


def worker(assembly: Assembly, stack: AsyncExitStack) -> Worker:
    """The engine of a worker process, ready to run."""
    parts = engine(assembly, stack)
    wechat = assembly.settings.wechat
    contents = Contents(assembly.now, wechat.miniprogram_state if wechat else "formal")
    totals = Totals(parts, district_of(assembly.divisions))
    return Worker(parts, contents, totals, filler(assembly, parts), assembly.clock)


def duties(assembly: Assembly, parts: Parts) -> list[Duty]:
    """What a worker process does beside sending."""
    desk = assembly.alerts
    meter = Meter(parts.counters, parts.accounts, Rates(assembly.db), assembly.now)
    return [
        Duty("finish_interrupted", 5.0, desk.finish_interrupted),
        Duty("expire", 5.0, desk.expire),
        Duty("call_chiefs", 5.0, partial(call_chiefs, desk, assembly.officers, assembly.duty.call)),
        Duty("sign_audit", 60.0, assembly.audit.sign),
        Duty("measure", 1.0, meter.tell),
        Duty("recount", 60.0, partial(recount, assembly.counters, assembly.broadcast_store, assembly.now)),
    ]


def control(assembly: Assembly, look_every_s: float = LOOK_EVERY_S) -> Control:
    """What officers may see of broadcasts and do to them; event streams look at the ledger every `look_every_s`."""
    shelves = Shelves(assembly.broadcast_store, assembly.pages, assembly.citizens, assembly.vault)
    watching = Watching(assembly.broadcasts, assembly.divisions, assembly.now, time.monotonic, look_every_s)
    watchers = Watchers(assembly.audit, assembly.uses)
    reports = Reports(assembly.broadcasts, shelves, assembly.divisions, watchers, assembly.now)
    return Control(assembly.broadcast_store, assembly.broadcasts, watching, reports, assembly.audit)


def previews(assembly: Assembly) -> Previews:
    """What tells officers what a release would mean."""
    settings = assembly.settings
    sms = max(settings.sms, key=lambda account: account.fee_fen, default=None)  # failover may take the dearer one
    by_channel = {"wechat": settings.wechat, "push": settings.fcm, "sms": sms}
    known = {channel: account for channel, account in by_channel.items() if account}
    channels = Channels(
        {channel: account.rate_per_s for channel, account in known.items()},
        {channel: account.fee_fen for channel, account in known.items()},
    )
    sources = Sources(
        alerts=assembly.alerts,
        broadcasts=assembly.broadcasts,
        store=assembly.alert_store,
        counters=assembly.counters,
        rates=Rates(assembly.db),
        divisions=assembly.divisions,
        channels=channels,
    )
    return Previews(sources, assembly.now)


def filler(assembly: Assembly, parts: Parts) -> Filler:
    """What turns the outbox into pages."""
    return Filler(parts, assembly.outbox, partial(secrets.token_hex, 6))


def receipts(assembly: Assembly) -> Receipts:
    """What takes the callbacks of all configured providers."""
    readers: dict[str, tuple[str, ReceiptReader]] = {}
    settings = assembly.settings
    if settings.wechat:
        readers["wechat"] = ("wechat", WeChatReceiptReader(settings.wechat))
    for account in settings.sms:
        reader: ReceiptReader = (
            AliyunReceiptReader(account) if isinstance(account, AliyunSmsAccount) else TencentReceiptReader(account)
        )
        readers[account.provider] = ("sms", reader)
    stores = (assembly.broadcast_store, assembly.pages, assembly.citizens, callbacks.Callbacks(assembly.db))
    return Receipts(readers, stores, assembly.queue, assembly.now)


def _vault(settings: Settings) -> Vault:
    keys = {version: key.get_secret_value() for version, key in settings.keys.items()}
    return Vault(keys, b64decode(settings.index_key.get_secret_value()), os.urandom, settings.data_key_version)


def _duty(db: mongo.Database, vault: Vault, outbox: Outbox, wording: Wording, clock: DatabaseClock) -> DutyNotices:
    kept = officers.OfficerStore(db, vault)
    shelves = DutyShelves(AlertStore(db), kept, DutyPhones(db, vault), CardBoard(db), outbox)
    days, table = catalogues.load_working_days(), catalogues.load_escalation()
    return DutyNotices(shelves, wording.templates, table, days, clock.now)


def _booking_shelves(db: mongo.Database, outbox: Outbox, people: PersonVault) -> BookingShelves:
    seats = SeatStore(db, partial(secrets.randbits, 63))
    return BookingShelves(seats, ResourceStore(db), outbox, Followers(db, secrets.token_hex(8)), people)


def _audit(settings: Settings, db: mongo.Database, now: Callable[[], datetime]) -> AuditLog:
    seed = b64decode(settings.audit_key.get_secret_value())
    file = CheckpointFile(settings.home / f"audit-{settings.mongo_db}.jsonl")
    return AuditLog(AuditStore(db), file, seed, now=now, random=os.urandom)


def audit_reading(assembly: Assembly) -> AuditReading:
    """What auditors of this city may see."""
    return AuditReading(assembly.audit, assembly.alert_store, assembly.settings.city)


def provider_accounts(assembly: Assembly, stack: AsyncExitStack) -> Mapping[str, Sequence[Account]]:
    """The provider accounts by channel, in the order in which they are used."""
    settings, tokens, now = assembly.settings, assembly.tokens, assembly.now
    built: dict[str, list[Account]] = {"wechat": [], "push": [], "sms": []}

    def add(channel: Channel, name: str, settings_: AccountSettings) -> None:
        room = 2 * settings_.connections * channel.per_request
        built[channel.channel].append(Account(channel, name, settings_.rate_per_s, room))

    for account in (settings.wechat, settings.fcm, *settings.sms):
        if account is None:
            continue
        transport = transport_for(account)
        stack.callback(transport.close)
        match account:
            case WeChatAccount():
                add(WeChatChannel(account, transport, tokens, now), f"wechat/{account.appid}", account)
            case FcmAccount():
                add(FcmChannel(account, transport, tokens, now), f"fcm/{account.project_id}", account)
            case AliyunSmsAccount():
                sms = AliyunSmsChannel(account, transport, now, partial(secrets.token_hex, 16))
                add(sms, f"sms_aliyun/{account.access_key_id}", account)
            case TencentSmsAccount():
                add(TencentSmsChannel(account, transport, now), f"sms_tencent/{account.sdk_app_id}", account)
    return built


def _tokens(redis: Redis, vault: Vault) -> RedisTokens:
    owner = "tokens|shared|value"

    def unseal(sealed: str) -> str | None:
        try:
            return vault.open(b64decode(sealed), owner=owner)
        except (SealedError, ValueError):
            return None

    return RedisTokens(
        redis, lambda: secrets.token_hex(8), lambda v: b64encode(vault.seal(v, owner=owner)).decode(), unseal
    )


def _number(numbers: Mapping[str, int], code: str) -> int:
    """The index of a division, or of the nearest known one above: an old code must not keep anybody from a warning."""
    above = (code, code[:9], code[:6], f"{code[:4]}00")
    return next((numbers[c] for c in above if c in numbers), 0)


def district_of(divisions: Divisions) -> Callable[[int], int]:
    """Division index -> the index of its district (or of itself, for a city)."""
    known: dict[int, int] = {}

    def district(index: int) -> int:
        found = known.get(index)
        if found is None:
            code = divisions.code_at(index)
            lineage = (*divisions.ancestors(code), code)
            found = known[index] = divisions.index_of(next((c for c in lineage if len(c) == 6 and c[4:] != "00"), code))
        return found

    return district
