"""The part of `assemble` that is about callers: repeated requests, quotas, and other sites' pages."""

from __future__ import annotations

import secrets
import time
from functools import partial

from handlers.manners import Manners
from handlers.routing import Who
from handlers.throttle import Throttle
from server.assemble import Assembly
from server.services.idempotency import Idempotency
from server.storage.idempotency import IdempotencyStore


def idempotency(assembly: Assembly) -> Idempotency:
    """The keys of all callers."""
    return Idempotency(IdempotencyStore(assembly.db, assembly.vault), partial(secrets.token_hex, 8))


def manners(assembly: Assembly) -> Manners:
    """The manners of the public port."""
    settings = assembly.settings
    quotas = {Who.CITIZEN: settings.citizen_requests_per_min, Who.PUBLIC: settings.public_requests_per_min}
    return Manners(
        idempotency=idempotency(assembly),
        throttles={who: Throttle(who.value, quota, time.monotonic) for who, quota in quotas.items() if quota},
        origins=frozenset(settings.cors_origins),
        proxies=settings.trusted_proxies,
    )
