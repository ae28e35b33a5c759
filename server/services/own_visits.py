"""What citizens do with visits of several seats: for themselves, and for whom they may act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain import booking_refusals as refusals
from server.domain.chains import Stage, Step
from server.domain.errors import InvalidInputError
from server.domain.relations import Scope
from server.domain.schedules import Quota
from server.services.chains import Chains, Whole
from server.services.chains import Wish as Wanted
from server.services.own_bookings import REMEMBERED, Kin, OwnBookings, Shown
from server.storage.resources import ResourceStore


@dataclass(frozen=True, slots=True)
class Errand:
    """One step: a service of the resource whose slot this is, from its beginning on."""

    slot: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `subject`: public id of a relative; None = the caller."""

    errands: tuple[Errand, ...]
    quota: Quota
    key: str
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class ShownVisit:
    """A visit as its people see it: its seats by time."""

    whole: Whole
    parts: tuple[Shown, ...]
    subject: str
    is_own: bool
    at: datetime


class OwnVisits:
    """The verbs. `caller` is the internal id of the citizen who asks; a visit of others is `booking_unknown`."""

    def __init__(
        self,
        chains: Chains,
        bookings: OwnBookings,
        resources: ResourceStore,
        kin: Kin,
        now: Callable[[], datetime],
    ) -> None:
        self._chains = chains
        self._bookings = bookings
        self._resources = resources
        self._kin = kin
        self._now = now

    async def hold(self, caller: int, wish: Wish) -> ShownVisit:
        """All seats for some minutes, to be confirmed. `relation_missing`, `elder_only`, `service_unknown`."""
        citizen = await self._kin.relations.subject_of(caller, wish.subject, Scope.BOOK)
        if wish.quota is Quota.ELDER:
            await self._bookings.refuse_younger(citizen)
        steps = await self._steps(wish.errands)
        return await self._shown(
            caller, await self._chains.hold(Wanted(citizen, caller, wish.key, wish.quota.value, steps))
        )

    async def get(self, caller: int, visit: str) -> ShownVisit:
        """One of them."""
        return await self._shown(caller, await self._chains.get(visit, caller))

    async def all(self, caller: int) -> Sequence[ShownVisit]:
        """Own ones and those for others, latest first."""
        since = self._now() - REMEMBERED
        return [await self._shown(caller, whole) for whole in await self._chains.history(caller, since)]

    async def confirm(self, caller: int, visit: str) -> ShownVisit:
        """Book all of it. ConflictError `hold_expired`."""
        return await self._shown(caller, await self._chains.confirm(visit, caller))

    async def move(self, caller: int, visit: str, errands: tuple[Errand, ...]) -> ShownVisit:
        """To other times, all of it or nothing. Whose it is comes first, so that a stranger learns nothing of times."""
        if (await self._chains.get(visit, caller)).chain.stage is Stage.HELD:
            raise refusals.booking_state()
        return await self._shown(caller, await self._chains.move(visit, caller, await self._steps(errands)))

    async def cancel(self, caller: int, visit: str) -> ShownVisit:
        """Give all of it back. ConflictError `cut_off`."""
        return await self._shown(caller, await self._chains.cancel(visit, caller))

    async def _steps(self, errands: Sequence[Errand]) -> tuple[Step, ...]:
        """With the length of each service; InvalidInputError `service_unknown`."""
        names = [errand.slot.split("/")[1] if errand.slot.count("/") == len("//") else "" for errand in errands]
        kept = await self._resources.find(set(names))
        steps = []
        for errand, name in zip(errands, names, strict=True):
            if name not in kept:
                raise refusals.slot_unknown()
            service = kept[name].resource.service(errand.service) if errand.service else None
            if errand.service and service is None:
                raise InvalidInputError(
                    "service_unknown",
                    zh="该资源不办理此项业务，请重新选择",
                    en="this resource does not offer that service: choose another one",
                    field="steps",
                )
            steps.append(Step(errand.slot, service.minutes if service else 0, errand.service))
        return tuple(steps)

    async def _shown(self, caller: int, whole: Whole) -> ShownVisit:
        citizen = whole.chain.citizen
        public = (await self._kin.accounts.get(citizen)).public
        parts = await self._bookings.show_all(caller, whole.visits)
        return ShownVisit(whole, tuple(parts), public, citizen == caller, self._now())
