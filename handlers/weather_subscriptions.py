"""One's own weather subscriptions over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import ApiHandler
from handlers.booking import booking_key
from handlers.booking_views import like
from server.domain.profile import CLOCK, clock, minutes
from server.domain.weather_conditions import LIMITS, Condition, What
from server.domain.weather_subscriptions import MOST_CONDITIONS, MOST_PLACES, Wish
from server.services.weather_subscriptions import Kept, WeatherSubscriptions

PLACE = "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92"
_CONDITION: dict[str, JsonValue] = {"what": "rain", "limit": 60}
_FORM: dict[str, JsonValue] = {
    "places": [PLACE], "at": "07:30", "weekdays": [1, 2, 3, 4, 5, 6, 7], "working_days_only": False,
    "only_if": [_CONDITION],
}  # fmt: skip
_VIEW = {"id": "7a92c5e8f10b6d4c1f0e9d2b7a48d6a3", **_FORM, "next_at": "2026-11-24T23:30:00Z"}
_WHAT = (
    "rain: probability above so many percent; aqi: above; below, above: temperature in degrees Celsius; wind: level "
    "above; typhoon: its centre is nearer than so many km"
)


def _different(values: tuple[object, ...]) -> tuple[object, ...]:
    if len({*values}) < len(values):
        raise PydanticCustomError("twice", "one stands there twice", {"zh": "有重复的项目"})
    return values


class ConditionForm(BaseModel):
    """Only if this holds."""

    model_config = like(_CONDITION)

    what: What = Field(description=_WHAT, strict=False)
    limit: int = Field(description="; ".join(f"{what}: {low} to {high}" for what, (low, high) in LIMITS.items()))

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        low, high = LIMITS[self.what]
        if not low <= self.limit <= high:
            raise PydanticCustomError(
                "limit_unfit", "for {what} it goes from {low} to {high}",
                {"what": self.what.value, "low": low, "high": high, "zh": f"{self.what.value}的界限应为{low}至{high}"},
            )  # fmt: skip
        return self


class WeatherSubscriptionForm(BaseModel):
    """What to tell of which places, when. Without conditions it is told on every day; one that holds is enough."""

    model_config = like(_FORM)

    places: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")], ...], AfterValidator(_different)] = Field(
        min_length=1, max_length=MOST_PLACES, description="ids of the caller's places"
    )
    at: str = Field(pattern=CLOCK, description="in China's time")
    weekdays: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], AfterValidator(_different)] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), min_length=1, max_length=7, description="1 is Monday"
    )
    working_days_only: bool = Field(default=False, description="of these days only those on which offices work")
    only_if: Annotated[tuple[ConditionForm, ...], AfterValidator(_different)] = Field(
        default=(), max_length=MOST_CONDITIONS
    )

    @property
    def wish(self) -> Wish:
        """As the counter takes it."""
        return Wish(
            places=self.places,
            minute=minutes(self.at),
            weekdays=frozenset(self.weekdays),
            is_working_days=self.working_days_only,
            conditions=tuple(Condition(each.what, each.limit) for each in self.only_if),
        )


class WeatherSubscriptionView(BaseModel):
    """A weather subscription. A place that was taken away since is left out when it is told."""

    model_config = like(_VIEW)

    id: str
    places: tuple[str, ...]
    at: str
    weekdays: tuple[int, ...]
    working_days_only: bool
    only_if: tuple[ConditionForm, ...]
    next_at: datetime | None = Field(description="when it is looked at next; null: not within a month")

    @classmethod
    def of(cls, kept: Kept) -> Self:
        """Without internal ids."""
        wish = kept.subscription.wish
        return cls(
            id=kept.subscription.id,
            places=wish.places,
            at=clock(wish.minute),
            weekdays=tuple(sorted(wish.weekdays)),
            working_days_only=wish.is_working_days,
            only_if=tuple(ConditionForm(what=each.what, limit=each.limit) for each in wish.conditions),
            next_at=kept.next_at,
        )


class WeatherSubscriptionsView(BaseModel):
    """All of the caller, in the order of the day."""

    model_config = like({"subscriptions": [_VIEW]})

    subscriptions: tuple[WeatherSubscriptionView, ...]


class _WeatherSubscriptionHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, subscriptions: WeatherSubscriptions) -> None:
        """`subscriptions` holds the verbs."""
        self.subscriptions = subscriptions


class WeatherSubscriptionsHandler(_WeatherSubscriptionHandler):
    """/v1/me/weather-subscriptions."""

    async def get(self) -> None:
        """All of them."""
        found = await self.subscriptions.all(self.caller.id)
        self.respond(WeatherSubscriptionsView(subscriptions=tuple(map(WeatherSubscriptionView.of, found))))

    async def post(self) -> None:
        """One more. The Idempotency-Key names it too: it is made once, whoever dies in between."""
        key, wish = booking_key(self.idempotency_key), self.given(WeatherSubscriptionForm).wish
        made = WeatherSubscriptionView.of(await self.subscriptions.add(self.caller.id, wish, key))
        self.set_header("Location", f"/v1/me/weather-subscriptions/{made.id}")
        self.respond(made, 201)


class WeatherSubscriptionHandler(_WeatherSubscriptionHandler):
    """/v1/me/weather-subscriptions/{weather_subscription}."""

    async def get(self, weather_subscription: str) -> None:
        """One of them."""
        self.respond(WeatherSubscriptionView.of(await self.subscriptions.get(self.caller.id, weather_subscription)))

    async def put(self, weather_subscription: str) -> None:
        """Write over it."""
        wish = self.given(WeatherSubscriptionForm).wish
        self.respond(
            WeatherSubscriptionView.of(await self.subscriptions.change(self.caller.id, weather_subscription, wish))
        )

    async def delete(self, weather_subscription: str) -> None:
        """Take it away."""
        await self.subscriptions.remove(self.caller.id, weather_subscription)
        self.set_status(204)
