"""The partners' counter: register one, know it by its key, stop it, tell it again what it missed.

Promises: key and secret are told once, to the administrator who registers; nobody can read a key again. What an
administrator does here enters the audit log.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from server.domain.audit import OPERATOR, Event
from server.domain.divisions import Divisions
from server.domain.errors import ForbiddenError, InvalidInputError, UnauthenticatedError
from server.domain.partners import KEY_PREFIX, SECRET_PREFIX, Partner, refuse_unfit_url
from server.services.audit import Audit
from server.storage.feeds import PublicStore
from server.storage.partners import DeliveryStore, PartnerStore

INTAKE = "intake.post"
FACTS = "facts.post"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Registered:
    """A new partner and what only its administrator is told: the key for intake, the secret of its webhook."""

    partner: Partner
    key: str
    secret: str


class Partners:
    """Registration and the door. `random(n)` gives n unguessable bytes."""

    def __init__(
        self,
        stores: tuple[PartnerStore, DeliveryStore, PublicStore],
        divisions: Divisions,
        audit: Audit,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        may_be_plain: bool,
    ) -> None:
        self._partners, self._deliveries, self._events = stores
        self._divisions = divisions
        self._audit = audit
        self._now = now
        self._random = random
        self._may_be_plain = may_be_plain

    async def add(self, partner: Partner) -> Registered:
        """Register it; it is told of what is released from now on. InvalidInputError, ConflictError."""
        if partner.url is not None:
            refuse_unfit_url(partner.url, may_be_plain=self._may_be_plain)
        if partner.url is None and not partner.senders and not partner.sources:
            raise InvalidInputError(
                "partner_idle",
                zh="须有回调地址、发送方或数据源",
                en="it needs a URL, a sender or a source",
                field="url",
            )
        self._divisions.get(partner.division)
        key = KEY_PREFIX + base64.urlsafe_b64encode(self._random(SECRET_BYTES)).decode().rstrip("=")
        secret = SECRET_PREFIX + base64.b64encode(self._random(SECRET_BYTES)).decode()
        last = await self._events.last_event()
        await self._partners.insert(partner, key=key, secret=secret, cursor=last.seq if last else 0)
        await self._audit.record(Event(OPERATOR, "partner.add", partner.id))
        return Registered(partner, key, secret)

    async def enter(self, key: str, action: str) -> Partner:
        """The partner of a key; UnauthenticatedError, or ForbiddenError if it may not do this."""
        partner = await self._partners.find_by_key(key)
        if partner is None:
            raise UnauthenticatedError("key_unknown", zh="密钥无效", en="no partner has this key")
        if not {INTAKE: partner.senders, FACTS: partner.sources}.get(action):
            raise ForbiddenError("partner_forbidden", zh="该密钥无此权限", en="this key is not for this")
        return partner

    async def all(self) -> list[tuple[Partner, Mapping[str, int]]]:
        """All partners, with how many deliveries are in which state."""
        counts = await self._deliveries.counts()
        return [(partner, counts.get(partner.id, {})) for partner in await self._partners.all()]

    async def stop(self, id_: str) -> None:
        """Neither told nor let in any more; what waits for it stays. A second call changes nothing."""
        await self._partners.set_active(id_, is_active=False)
        await self._audit.record(Event(OPERATOR, "partner.stop", id_))

    async def resume(self, id_: str) -> None:
        """Undo `stop`; it is told what it missed."""
        await self._partners.set_active(id_, is_active=True)
        await self._audit.record(Event(OPERATOR, "partner.resume", id_))

    async def replay(self, id_: str, since: int) -> int:
        """Tell it again all events after a cursor, whatever came of them before; how many there are."""
        partner, count, at = await self._partners.get(id_), 0, self._now()
        await self._audit.record(Event(OPERATOR, "partner.replay", partner.id, details={"since": since}))
        await self._deliveries.requeue(partner.id, since, at)
        while events := await self._events.events_since(since, 500):
            await self._deliveries.queue(partner.id, [(event.seq, event.alert) for event in events], at)
            since, count = events[-1].seq, count + len(events)
        return count
