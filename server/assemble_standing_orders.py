"""The part of `assemble` for standing orders: the counter where they are signed, and what acts under them."""

from __future__ import annotations

import secrets
from functools import partial

from push.duties import Duty
from server.assemble import Assembly
from server.services.intake_chains import IntakeChains
from server.services.order_releases import OrderReleases, Shelves
from server.services.standing_orders import StandingOrders
from server.storage.feeds import PublicStore
from server.storage.intake import IntakeStore
from server.storage.partners import PartnerStore
from server.storage.standing_orders import OrderStore


def standing_orders(assembly: Assembly) -> StandingOrders:
    """The officers' counter."""
    stores = (OrderStore(assembly.db), PartnerStore(assembly.db, assembly.vault))
    return StandingOrders(
        stores, assembly.divisions, assembly.audit, now=assembly.now, new_id=partial(secrets.token_hex, 16)
    )


def order_releases(assembly: Assembly) -> OrderReleases:
    """What releases under an order."""
    db, intake = assembly.db, IntakeStore(assembly.db)
    shelves = Shelves(
        orders=OrderStore(db),
        intake=intake,
        chains=IntakeChains(intake, PublicStore(db)),
        partners=PartnerStore(db, assembly.vault),
        alerts=assembly.alert_store,
        broadcasts=assembly.broadcast_store,
    )
    return OrderReleases(shelves, assembly.alerts, assembly.divisions, assembly.audit, now=assembly.now)


def order_duty(assembly: Assembly) -> Duty:
    """What a worker does for messages whose process died: looks for them every second."""
    return Duty("finish_orders", 1.0, order_releases(assembly).finish)
