"""The log over HTTP, for auditors: /v1/staff/audit."""

from __future__ import annotations

from handlers.base import ApiHandler
from handlers.office_views import AuditFindingView, AuditPage, AuditQuery, EntryView, Verification
from server.services.audit_reading import AuditReading


class AuditHandler(ApiHandler):
    """What was done."""

    def initialize(self, audit: AuditReading) -> None:
        """`audit` is what an auditor may see."""
        self.audit = audit

    async def get(self) -> None:
        """A page of a stream, newest first."""
        asked = self.asked(AuditQuery)
        entries = await self.audit.page(self.officer, asked.stream, asked.before, asked.limit)
        following = entries[-1].seq if len(entries) == asked.limit and entries[-1].seq > 1 else None
        self.link_next({"before": following})
        self.respond(AuditPage(entries=tuple(map(EntryView.of, entries)), next=following))


class AuditVerificationHandler(ApiHandler):
    """Whether the log is whole."""

    def initialize(self, audit: AuditReading) -> None:
        """`audit` is what an auditor may see."""
        self.audit = audit

    async def post(self) -> None:
        """Read all of it and say what is not as it was written."""
        findings = await self.audit.verify(self.officer)
        told = tuple(map(AuditFindingView.of, findings))
        self.respond(Verification(is_whole=not findings, findings=told))
