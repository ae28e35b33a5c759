"""Standing orders: /v1/staff/standing-orders. What two officers sign, so that a partner's alert need not wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handlers.alert_views import Decision, Release
from handlers.base import ApiHandler
from server.domain.standing_orders import EXAMPLE, StandingOrder, State, Terms
from server.services.standing_orders import StandingOrders

_STEP = {
    "at": "2026-11-24T01:30:00Z",
    "officer": "o-wangmin",
    "action": "draft",
    "version": 1,
    "reason": "",
    "terms": EXAMPLE,
}
_ORDER = {
    "id": "7c1e0f9d2b7a48d6a3c5e8f10b6d7a92",
    "version": 1,
    "state": "draft",
    "terms": EXAMPLE,
    "author": "o-wangmin",
    "releaser": None,
    "digest": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e6a8b0c2d4e6f8a0b1c3d5e7f9a1b3c5d",
    "used_at": [],
    "stopped_because": "",
}


def _like(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})


class OrderStepView(BaseModel):
    """One entry of an order's log; every version of its terms stands in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: AwareDatetime
    officer: str = Field(description='account; "" is the product itself')
    action: str = Field(description="draft, write, release, stop, or brake: too many alerts in an hour")
    version: int
    reason: str
    terms: Terms | None


class OrderLine(BaseModel):
    """One standing order."""

    model_config = _like(_ORDER)

    id: str
    version: int = Field(description="counts the terms")
    state: State = Field(description="only one in force acts, and only until its terms end")
    terms: Terms
    author: str
    releaser: str | None = Field(description="the second person, while these terms are released")
    digest: str = Field(description="what the second person confirms")
    used_at: tuple[datetime, ...] = Field(description="when it let a message through, within the last hour")
    stopped_because: str = Field(description="of a stopped one")

    @classmethod
    def of(cls, order: StandingOrder) -> OrderLine:
        """Of an order."""
        return cls(**_line(order))


class OrderView(OrderLine):
    """One standing order with its log."""

    model_config = _like(_ORDER | {"steps": [_STEP]})

    steps: tuple[OrderStepView, ...]

    @classmethod
    def of(cls, order: StandingOrder) -> OrderView:
        """Of an order."""
        steps = (
            OrderStepView(
                at=s.at, officer=s.officer, action=s.action, version=s.version, reason=s.reason, terms=s.terms
            )
            for s in order.steps
        )
        return cls(**_line(order), steps=tuple(steps))


class OrderPage(BaseModel):
    """Some orders, by id; ask again with `after=next`."""

    model_config = _like({"orders": [_ORDER], "next": None})

    orders: tuple[OrderLine, ...]
    next: str | None


class OrdersQuery(BaseModel):
    """Which orders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str = Field(default="", pattern=r"^([0-9a-f]{32})?$", description="`next` of the page before", examples=[""])
    limit: int = Field(default=50, ge=1, le=100, examples=[50])


class _OrderHandler(ApiHandler):
    def initialize(self, orders: StandingOrders) -> None:
        """`orders` asks the policy."""
        self.orders = orders

    def tell(self, order: StandingOrder, status: int = 200) -> None:
        """An order, with the ETag that If-Match names."""
        self.mark(f'"v{order.rev}"')
        self.respond(OrderView.of(order), status)


class StandingOrdersHandler(_OrderHandler):
    """/v1/staff/standing-orders."""

    async def get(self) -> None:
        """Orders within reach."""
        query = self.asked(OrdersQuery)
        found = await self.orders.page(self.officer, query.after, query.limit)
        following = found[-1].id if len(found) == query.limit else None
        self.link_next({"after": following})
        self.respond(OrderPage(orders=tuple(map(OrderLine.of, found)), next=following))

    async def post(self) -> None:
        """Draft one."""
        order = await self.orders.draft(self.officer, self.given(Terms))
        self.set_header("Location", f"/v1/staff/standing-orders/{order.id}")
        self.tell(order, 201)


class StandingOrderHandler(_OrderHandler):
    """/v1/staff/standing-orders/{order}."""

    async def get(self, order: str) -> None:
        """One of them."""
        self.tell(await self.orders.get(self.officer, order))

    async def put(self, order: str) -> None:
        """Other terms, which are void until they are released."""
        self.tell(await self.orders.write(self.officer, order, self.given(Terms), self.version))


class ReleaseOrderHandler(_OrderHandler):
    """/v1/staff/standing-orders/{order}/release."""

    async def post(self, order: str) -> None:
        """Exactly these terms, by a second person."""
        self.tell(await self.orders.release(self.officer, order, self.given(Release).digest))


class StopOrderHandler(_OrderHandler):
    """/v1/staff/standing-orders/{order}/stop."""

    async def post(self, order: str) -> None:
        """At once."""
        self.tell(await self.orders.stop(self.officer, order, self.given(Decision).reason))


def _line(order: StandingOrder) -> dict[str, Any]:
    is_released = order.releaser is not None and order.state is not State.DRAFT
    return {
        "id": order.id,
        "version": order.version,
        "state": order.state,
        "terms": order.terms,
        "author": order.author.id,
        "releaser": order.releaser.id if order.releaser and is_released else None,
        "digest": order.digest,
        "used_at": tuple(use.at for use in order.uses),
        "stopped_because": order.steps[-1].reason if order.state is State.STOPPED else "",
    }
