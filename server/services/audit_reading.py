"""What an auditor may see: the log page by page, and whether it is whole. Looking is recorded as well."""

from __future__ import annotations

from server.domain.access import Deed, refuse
from server.domain.audit import AuditFinding, Entry, Event
from server.domain.officers import Officer
from server.services.audit import AuditLog, Steps


class AuditReading:
    """The log is the whole city's: an auditor's division has to be the city or above it."""

    def __init__(self, log: AuditLog, steps: Steps, city: str) -> None:
        self._log = log
        self._steps = steps
        self._city = city

    async def page(self, by: Officer, stream: str, before: int | None, limit: int) -> list[Entry]:
        """Entries of a stream, newest first; `before` is the number that the last page ended with."""
        refuse(by, Deed.AUDIT_READ, (self._city,))
        await self._log.record(Event(by.id, Deed.AUDIT_READ, f"audit/{stream}"))
        return await self._log.latest(stream, before, limit)

    async def verify(self, by: Officer) -> list[AuditFinding]:
        """Everything that is not as it was written."""
        refuse(by, Deed.AUDIT_VERIFY, (self._city,))
        findings = await self._log.verify(self._steps)
        await self._log.record(Event(by.id, Deed.AUDIT_VERIFY, "audit", details={"findings": len(findings)}))
        return findings
