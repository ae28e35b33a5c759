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

from redis.asyncio import Redis

from channels.base import Channel, ReceiptReader
from channels.fcm import FcmChannel
from channels.sms_aliyun import AliyunReceiptReader, AliyunSmsChannel
from channels.sms_tencent import TencentReceiptReader, TencentSmsChannel
from channels.transport import transport_for
from channels.wechat import WeChatChannel
from channels.wechat_events import WeChatReceiptReader
from push.contents import Contents
from push.ladder import Ladder
from push.outbox import Filler
from push.pace import Account, Pace
from push.parts import Counters, Parts
from push.totals import Totals
from push.watch import Watch
from push.worker import Worker
from server.domain.alerts.release import World
from server.domain.divisions import Divisions
from server.services.alerts import Alerts
from server.services.broadcasts import Broadcasts
from server.services.notices import Notices
from server.services.receipts import Receipts
from server.services.subjects import Subjects
from server.settings import Account as AccountSettings
from server.settings import AliyunSmsAccount, FcmAccount, Settings, TencentSmsAccount, WeChatAccount
from server.storage import broadcasts, callbacks, catalogues, citizens, mongo, pages, queue
from server.storage.alerts import AlertStore
from server.storage.clock import DatabaseClock
from server.storage.notices import NoticeStore
from server.storage.outbox import Outbox
from server.storage.tokens import RedisTokens
from server.storage.vault import SealedError, Vault


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
    broadcasts: Broadcasts
    alerts: Alerts
    outbox: Outbox
    notices: Notices
    subjects: Subjects
    one_time_templates: frozenset[str]

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
        divisions = catalogues.load_divisions()
        vault = Vault(
            {version: key.get_secret_value() for version, key in settings.keys.items()},
            b64decode(settings.index_key.get_secret_value()),
            os.urandom,
        )
        numbers = {division.code: division.index for division in divisions.by_index.values()}
        people = citizens.Citizens(db, vault, partial(_number, numbers))
        ledger, store, hints = pages.Pages(db), broadcasts.Broadcasts(db), queue.Queue(redis)
        counter = Broadcasts(store, ledger, people, hints, clock.now)
        wording = catalogues.load_texts()
        outbox = Outbox(db)
        notices = Notices(NoticeStore(db), outbox, wording.templates, clock.now)
        world = World(divisions, wording, await people.testers())
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
            broadcasts=counter,
            alerts=Alerts(AlertStore(db), world, counter, now=clock.now),
            outbox=outbox,
            notices=notices,
            subjects=Subjects([notices]),
            one_time_templates=wording.templates.one_time,
        )


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
        accounts=_accounts(assembly, stack),
        counters=Counters(),
        one_time_templates=assembly.one_time_templates,
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


def _accounts(assembly: Assembly, stack: AsyncExitStack) -> Mapping[str, Sequence[Account]]:
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
