"""The part of `assemble` that the public and partners meet: readers' counter, shelf, partners, intake, webhooks."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from channels.call import Reply
from channels.transport import Limits, Transport
from handlers.front import Shelf
from server.assemble import Assembly
from server.assemble_standing_orders import order_releases
from server.domain.partners import may_reach, networks
from server.services.feeds import Feeds
from server.services.intake import Intake
from server.services.partners import Partners
from server.services.webhooks import Webhooks
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore
from server.storage.partners import DeliveryStore, PartnerStore

WEBHOOKS_AT_ONCE = 64
WEBHOOK_TIMEOUT_S = 5.0
WEBHOOK_REPLY_BYTES = 65_536
LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class PublicParts:
    """What readers and partners meet, and the ready answers in front of it."""

    feeds: Feeds
    shelf: Shelf
    partners: Partners
    intake: Intake


def public(assembly: Assembly) -> PublicParts:
    """The readers' counter with its shelf, and the partners' counter."""
    store = PublicStore(assembly.db)
    feeds = Feeds(store, assembly.divisions, now=assembly.now, clock=time.monotonic)
    stores = (IntakeStore(assembly.db), PartnerStore(assembly.db, assembly.vault), store)
    intake = Intake(
        stores, assembly.alerts, assembly.divisions, assembly.audit, now=assembly.now, orders=order_releases(assembly)
    )
    return PublicParts(feeds=feeds, shelf=Shelf(assembly.now), partners=partners(assembly), intake=intake)


def partners(assembly: Assembly) -> Partners:
    """The partners' counter."""
    stores = (PartnerStore(assembly.db, assembly.vault), DeliveryStore(assembly.db), PublicStore(assembly.db))
    return Partners(
        stores,
        assembly.divisions,
        assembly.audit,
        now=assembly.now,
        random=secrets.token_bytes,
        may_be_plain=assembly.settings.mode == "sandbox",
    )


def webhooks(assembly: Assembly, stack: AsyncExitStack) -> Webhooks:
    """What tells partners. Its transport, which reaches public addresses only, is closed with the stack."""
    settings = assembly.settings
    own = LOOPBACK if settings.mode == "sandbox" else ()
    allowed = networks([*settings.webhook_networks, *own])
    limits = Limits(
        concurrency=WEBHOOKS_AT_ONCE,
        may_reach=partial(may_reach, allowed=allowed),
        max_reply_bytes=WEBHOOK_REPLY_BYTES,
    )
    transport = Transport(limits)
    stack.callback(transport.close)

    async def post(url: str, headers: Sequence[str], body: bytes) -> Reply:
        return await transport.fetch(url, headers, body, timeout_s=WEBHOOK_TIMEOUT_S)

    store = PublicStore(assembly.db)
    return Webhooks(
        (store, PartnerStore(assembly.db, assembly.vault), DeliveryStore(assembly.db)),
        Feeds(store, assembly.divisions, now=assembly.now, clock=time.monotonic),
        post,
        now=assembly.now,
        jitter=random.random,
    )
