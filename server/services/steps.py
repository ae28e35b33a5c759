"""The steps of the desk in the audit log.

Which order survives kill -9? A step is one write together with its effect on the alert, so it can never be half there.
It enters the audit log, under a key made of the alert and its number, before the officer gets an answer and before
anything is published: nobody outside sees an effect that the log does not have. If the process dies in between, the
alert is still marked, and `finish` records the step at the next start; a second time is no second entry.
"""

from __future__ import annotations

from typing import NoReturn

from server.domain.alerts.desk import DeskAlert, Step, step_key
from server.domain.alerts.refusals import forbidden
from server.domain.alerts.states import Why
from server.domain.audit import SYSTEM, Detail, Event
from server.domain.officers import Mandated, Officer
from server.services.audit import Audit
from server.storage.alerts import AlertStore


class StepLog:
    """Carries steps from the alerts into the log."""

    def __init__(self, store: AlertStore, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def record(self, desk: DeskAlert) -> None:
        """Record what the log may not have yet of this alert, which is as it was just written or read."""
        missing = desk.steps[desk.logged :]
        if missing:
            await self._audit.record(*(_event(desk.identifier, step) for step in missing))
            await self._store.mark_logged(desk.identifier, desk.version)

    async def refuse(self, officer: Officer, action: str, identifier: str, why: Why) -> NoReturn:
        """Record that somebody tried what is not allowed, and raise the error that says so."""
        details: dict[str, Detail] = {"order": officer.order} if isinstance(officer, Mandated) else {}
        event = Event(officer.id, f"alert.{action}", f"alert/{identifier}", why.value, details)
        await self._audit.record(event)
        raise forbidden(why)

    async def finish(self) -> list[str]:
        """Record the steps of processes that died before they could; the alerts they belong to."""
        unlogged = await self._store.find_unlogged()
        for desk in unlogged:
            await self.record(desk)
        return [desk.identifier for desk in unlogged]


def _event(identifier: str, step: Step) -> Event:
    details: dict[str, Detail] = {"step": step.seq, "sha256": step.sha256, "digest": step.digest}
    if step.order:
        details["order"] = step.order
    what = f"alert/{identifier}"
    return Event(
        step.officer or SYSTEM, f"alert.{step.action}", what, details=details, key=step_key(identifier, step.seq)
    )
