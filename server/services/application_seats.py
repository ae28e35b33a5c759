"""An application and a booked seat together: both or neither, wherever a process dies.

Three writes, each to one document, each only if nobody was quicker, and anybody can go on from where another stopped:

1. the application wants this seat (`wanted`): nothing else can be done to it until this is over;
2. the seat is confirmed, or it cannot be: this write decides for both;
3. the application is handed in and keeps the seat (`kept`), with line, number and notices.

If the seat cannot be confirmed, or the application cannot be handed in any more, the application says so first
(`dropped`), then the seat is freed, then the application is a draft again. The order matters: whoever has confirmed it
meanwhile finds that the application does not want it any more, and the seat is freed after that, so a confirmation that
comes too late meets a seat that is gone.

An application that comes to nothing (withdrawn, refused, rejected) drops the seat it kept with the very step that ends
it, and `sweep` frees the seat: by the office, so that no cut-off keeps it and the citizen gets no strike.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from server.domain.applications import Application, By, Seat, Stage, changed, done_before
from server.domain.citizens import Caller
from server.domain.errors import (
    ConflictError,
    HuiminError,
    InvalidInputError,
    NotFoundError,
    StepRefusedError,
    UnavailableError,
)
from server.domain.faults import refuse_faulty
from server.domain.workflow import Act, Party
from server.services.application_steps import TURNS, ApplicationSteps, Ground
from server.services.applications import Applications, Seen

PATIENCE = timedelta(seconds=30)  # handing in takes milliseconds; who does it is thought dead after this
AT_ONCE = 100


class Bookings(Protocol):
    """The booking counter, as far as it is asked here."""

    async def get(self, code: str, by: int | None) -> object:
        """One booking; NotFoundError: there is none, or it is not theirs."""
        ...

    async def confirm(self, code: str, by: int) -> object:
        """A held seat is booked; again changes nothing. ConflictError, NotFoundError: it cannot be, now or ever."""
        ...

    async def cancel(self, code: str, by: int | None) -> object:
        """It is nobody's any more; None: by the office, which no cut-off binds. NotFoundError: it was not."""
        ...


@dataclass(frozen=True, slots=True)
class HandingIn:
    """What is handed in with which seat. `version`: what the caller saw; `booking`: the code of a held seat."""

    application: str
    version: int
    key: str
    booking: str


class ApplicationSeats:
    """The verb, and what finishes it."""

    def __init__(self, ground: Ground, steps: ApplicationSteps, counter: Applications, bookings: Bookings) -> None:
        self._ground = ground
        self._steps = steps
        self._counter = counter
        self._bookings = bookings

    async def submit(self, caller: Caller, what: HandingIn) -> Seen:
        """Both, or the reason why neither: the errors of `Applications.submit` and of `Bookings.confirm`."""
        found = await self._counter.own(caller, what.application)
        if not done_before(found, "submit", what.key):
            if not (found.seat and found.seat.key == what.key):
                found = await self._want(caller, found, what)
            await self.settle(found)
        return await self._counter.get(caller, what.application)

    async def settle(self, application: Application) -> None:
        """Finish it, forwards or back; a second call changes nothing. The seat's refusal is raised where it decided."""
        found = application
        for _ in range(TURNS):
            seat = found.seat
            if seat is None or seat.stage is Stage.KEPT:
                return
            if seat.stage is Stage.DROPPED:
                await self._let_go(found, seat)
            elif refusal := await self._refusal(found, seat):
                dropped = replace(found, seat=replace(seat, stage=Stage.DROPPED), version=found.version + 1)
                if await self._ground.store.swap(found, dropped, is_logged=True):
                    await self._let_go(dropped, seat)
                    raise refusal
            elif await self._handed_in(found, seat):
                return
            found = await self._steps.get(found.id)
        raise UnavailableError("application_busy", zh="办件正忙，请稍后再试", en="too many at once: try again")

    async def sweep(self) -> int:
        """Finish what somebody left half-way; how many there were. To be called every few seconds, by anybody."""
        found = await self._ground.store.find_with_seat(self._ground.now(), AT_ONCE)
        for application in found:
            try:
                await self.settle(application)
            except (ConflictError, NotFoundError, UnavailableError):
                continue  # decided: neither; or it is busy, and the next time will do
        return len(found)

    async def _want(self, caller: Caller, before: Application, what: HandingIn) -> Application:
        if before.version != what.version or before.is_between:
            raise changed()
        terms = await self._steps.terms(before)
        refuse_faulty(terms.faults(before.form))
        who = caller.account.public
        self._steps.judged(before, Act("submit"), By(Party.APPLICANT, who=who, key=what.key), terms)
        await self._refuse_foreign(what.booking, caller)
        now = self._ground.at()
        seat = Seat(what.booking, caller.id, who, what.key, Stage.WANTED, now + PATIENCE)
        after = replace(before, seat=seat, version=before.version + 1, changed_at=now)
        if not await self._ground.store.swap(before, after, is_logged=True):
            raise changed()
        return after

    async def _refuse_foreign(self, booking: str, caller: Caller) -> None:
        """What is freed if it fails has to be their own; InvalidInputError `seat_unknown`."""
        try:
            await self._bookings.get(booking, caller.id)
        except NotFoundError:
            raise InvalidInputError(
                "seat_unknown", zh="没有这个预约", en="there is no such booking", field="booking"
            ) from None

    async def _refusal(self, application: Application, seat: Seat) -> HuiminError | None:
        """Why neither; None: the seat is confirmed and the application can follow. Its people may have been erased."""
        try:
            await self._judged(application, seat)
        except StepRefusedError as refusal:
            return refusal
        return await self._confirmed(seat)

    async def _judged(self, application: Application, seat: Seat) -> Application:
        by = By(Party.APPLICANT, who=seat.who, key=seat.key)
        return self._steps.judged(application, Act("submit"), by, await self._steps.terms(application))

    async def _confirmed(self, seat: Seat) -> HuiminError | None:
        """None: it is. What may go better later is raised."""
        try:
            await self._bookings.confirm(seat.code, seat.holder)
        except (ConflictError, NotFoundError) as refusal:
            return refusal
        return None

    async def _handed_in(self, before: Application, seat: Seat) -> bool:
        stepped = await self._judged(before, seat)
        after = replace(stepped, seat=replace(seat, stage=Stage.KEPT, until=None))
        if not await self._ground.store.swap(before, after, self._steps.notices_of(before, after)):
            return False
        await self._steps.record(after)
        return True

    async def _let_go(self, dropped: Application, seat: Seat) -> None:
        with suppress(NotFoundError, ConflictError):  # nobody has it
            await self._bookings.cancel(seat.code, None)
        after = replace(dropped, seat=None, version=dropped.version + 1)
        await self._ground.store.swap(dropped, after, is_logged=True)
