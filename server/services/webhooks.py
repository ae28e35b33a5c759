"""Tells partners of every released public alert: numbers the releases, queues them per partner, and delivers.

Promises. What is released is told to every active partner at least once, and again only if no answer said it arrived
(or an administrator asks). A body is signed as Standard Webhooks has it, so any of its libraries can verify it. Only a
network failure, a 5xx or a 429 is tried again; after a day it is given up and kept as dead. A slow partner holds up
nobody else. Any number of processes may run this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict

from channels.call import Reply
from channels.call import State as CallState
from server.domain.errors import HuiminError
from server.domain.feeds import covers_division
from server.domain.feeds_json import PublicAlert
from server.domain.partners import Partner, retry_in_s, signature
from server.services.feeds import Feeds
from server.storage.feeds import PublicStore
from server.storage.mongo import MongoError
from server.storage.partners import Delivery, DeliveryStore, PartnerStore
from server.storage.vault import SealedError

EVERY_S = 0.25
LEASE_S = 30.0  # a delivery takes at most a few seconds; who dies gives it back after this
LOOK_BACK = timedelta(days=1)  # at start: releases older than this have their number, or nobody was there for a day
LOOK_AGAIN = timedelta(minutes=10)  # from then on: a release is there the moment it is released
GIVE_UP_AFTER = timedelta(days=1)
AT_ONCE = 500
PARTNERS_AT_ONCE = 64

Post = Callable[[str, Sequence[str], bytes], Awaitable[Reply]]

log = structlog.get_logger()


class WebhookEvent(BaseModel):
    """What a partner receives. `cap` are the released bytes as text; `alert` is as it stands when this is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["alert.released"] = "alert.released"
    seq: int
    released_at: AwareDatetime
    alert: PublicAlert
    cap: str


class Webhooks:
    """The deliverer. `post` makes one bounded HTTPS request to an address that is safe, without redirects."""

    def __init__(
        self,
        stores: tuple[PublicStore, PartnerStore, DeliveryStore],
        feeds: Feeds,
        post: Post,
        *,
        now: Callable[[], datetime],
        jitter: Callable[[], float],
    ) -> None:
        self._events, self._partners, self._deliveries = stores
        self._feeds = feeds
        self._post = post
        self._now = now
        self._jitter = jitter
        self._busy: set[str] = set()
        self._look_back = LOOK_BACK

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; what is in hand is finished."""
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                try:
                    for partner in await self.queue():
                        if partner.id not in self._busy and len(self._busy) < PARTNERS_AT_ONCE:
                            self._busy.add(partner.id)
                            group.create_task(self._drain(partner, stop))
                except MongoError as error:
                    log.warning("webhooks_not_queued", error=type(error).__name__)
                await asyncio.sleep(EVERY_S)

    async def queue(self) -> list[Partner]:
        """Number what is new and queue it for every partner that it concerns; the partners that are told at all."""
        for name, at in await self._events.find_unnumbered(self._now() - self._look_back):
            await self._events.number(name, at)
        self._look_back = LOOK_AGAIN
        partners = await self._partners.find_told()
        for partner, cursor in partners:
            while events := await self._events.events_since(cursor, AT_ONCE):
                messages = {m.identifier: m for m in await self._events.find([event.alert for event in events])}
                wanted = [
                    (event.seq, event.alert)
                    for event in events
                    if event.alert in messages and covers_division(messages[event.alert], partner.division)
                ]
                await self._deliveries.queue(partner.id, wanted, self._now())
                cursor = events[-1].seq  # noqa: PLW2901 - it moves on
                await self._partners.mark_queued(partner.id, cursor)
        return [partner for partner, _ in partners]

    async def deliver(self, partner: Partner) -> bool:
        """Make the oldest delivery that is due; False if none is."""
        delivery = await self._deliveries.claim(partner.id, LEASE_S)
        if delivery is None:
            return False
        assert partner.url is not None
        body = await self._body(delivery)
        timestamp_s = int(self._now().timestamp())
        secret = await self._partners.secret(partner.id)
        headers = [
            "Content-Type: application/json",
            "User-Agent: huimin-webhook/1",
            f"webhook-id: {delivery.id}",
            f"webhook-timestamp: {timestamp_s}",
            f"webhook-signature: {signature(secret, delivery.id, timestamp_s, body)}",
        ]
        await self._settle(delivery, await self._post(partner.url, headers, body))
        return True

    async def _drain(self, partner: Partner, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set() and await self.deliver(partner):
                pass
        except (MongoError, SealedError, HuiminError) as error:  # the lease gives it back
            log.warning("webhook_failed", partner=partner.id, error=type(error).__name__)
        finally:
            self._busy.discard(partner.id)

    async def _body(self, delivery: Delivery) -> bytes:
        told = await self._feeds.get(delivery.alert)
        event = WebhookEvent(
            seq=delivery.seq,
            released_at=told.message.released_at,
            alert=told.as_json(),
            cap=told.message.cap.decode("utf-8", "replace"),
        )
        return event.model_dump_json().encode()

    async def _settle(self, delivery: Delivery, reply: Reply) -> None:
        at = self._now()
        said = f"{reply.status}" if reply.state is CallState.ANSWERED else f"{reply.state} {reply.why}"
        is_answered = reply.state is CallState.ANSWERED
        if is_answered and 200 <= reply.status < 300:
            await self._deliveries.finish(delivery, "done", said, at)
        elif (is_answered and reply.status < 500 and reply.status != 429) or at - delivery.queued_at > GIVE_UP_AFTER:
            log.warning("webhook_dead", partner=delivery.partner, delivery=delivery.id, said=said)
            await self._deliveries.finish(delivery, "dead", said, at)
        else:
            wait_s = retry_in_s(delivery.attempt, reply.retry_after_s, self._jitter())
            await self._deliveries.postpone(delivery, wait_s, said)
