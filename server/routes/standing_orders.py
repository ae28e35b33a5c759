"""The part of the route table for standing orders."""

from __future__ import annotations

from handlers import standing_orders as views
from handlers.alert_views import Decision, Release
from handlers.routing import Operation, Route, officer
from server.domain.access import Deed
from server.domain.standing_orders import Terms
from server.services.standing_orders import StandingOrders


def routes(orders: StandingOrders) -> list[Route]:
    """What officers sign, so that a partner's alert need not wait for them."""
    parts = {"orders": orders}
    read, write = officer(Deed.ORDER_READ), officer(Deed.ORDER_WRITE)
    every = {
        "GET": Operation(
            summary="Standing orders within reach", entry=read, query=views.OrdersQuery, gives=views.OrderPage
        ),
        "POST": Operation(
            summary="Draft a standing order; it is void until a second person releases it",
            entry=write, takes=Terms, gives=views.OrderView, status=201,
        ),
    }  # fmt: skip
    one = {
        "GET": Operation(summary="One with its log and all versions of its terms", entry=read, gives=views.OrderView),
        "PUT": Operation(
            summary="Write other terms; the order is void until they are released",
            entry=write, takes=Terms, needs_version=True, gives=views.OrderView,
        ),
    }  # fmt: skip
    release = Operation(
        summary="Put exactly these terms in force, as a second person; a chief if they name red",
        entry=officer(Deed.ORDER_RELEASE, is_fresh=True), takes=Release, gives=views.OrderView,
    )  # fmt: skip
    stop = Operation(
        summary="Stop it at once", entry=officer(Deed.ORDER_STOP), takes=Decision, gives=views.OrderView
    )  # fmt: skip
    path = "/v1/staff/standing-orders"
    return [
        Route(path, views.StandingOrdersHandler, every, parts),
        Route(f"{path}/{{order}}", views.StandingOrderHandler, one, parts),
        Route(f"{path}/{{order}}/release", views.ReleaseOrderHandler, {"POST": release}, parts),
        Route(f"{path}/{{order}}/stop", views.StopOrderHandler, {"POST": stop}, parts),
    ]
