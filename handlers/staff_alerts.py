"""The desk over HTTP: /v1/staff/alerts. Every rule about states, persons and divisions is the services'."""

from __future__ import annotations

from handlers.alert_views import (
    AlertPage,
    AlertsQuery,
    AlertSummary,
    AlertView,
    Cancellation,
    CancelView,
    Decision,
    Findings,
    FindingView,
    PreviewQuery,
    PreviewView,
    Release,
    Submission,
)
from handlers.base import JSON, ApiHandler
from server.domain.alerts.context import Profile
from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.finding import Finding, Gravity
from server.domain.alerts.forms import AlertForm, ChangeForm, alert_of, change_of
from server.domain.alerts.model import Alert
from server.domain.alerts.reading import read
from server.domain.alerts.review import refuse_faulty
from server.domain.alerts.states import Action
from server.domain.alerts.verbs import Change
from server.domain.errors import InvalidInputError
from server.domain.wording import Kind
from server.services.alert_reading import AlertReading, Wanted
from server.services.alerts import Alerts
from server.services.previews import Previews

XML = "application/xml"


class _DeskHandler(ApiHandler):
    """What the handlers of the desk share."""

    def initialize(self, desk: Alerts, reading: AlertReading) -> None:
        """`desk` holds the verbs, `reading` what an officer may see."""
        self.desk = desk
        self.reading = reading

    def show(self, desk: DeskAlert, status: int = 200) -> None:
        """An alert, with its version as ETag; a new one with its place."""
        self.mark(f'"v{desk.version}"')
        if status == 201:
            self.set_header("Location", f"/v1/staff/alerts/{desk.identifier}")
        self.respond(AlertView.of(desk), status)

    def alert(self) -> tuple[Alert, list[Finding]]:
        """The message in the body, a form or CAP or 国突 XML, and what is wrong with the XML; InvalidInputError."""
        if self.media_type == JSON:
            return alert_of(self.given(AlertForm)), []
        found = read(self.request.body, profile=Profile.AUTHOR)
        if found.alert is None:
            refuse_faulty(found.findings, frozenset())
            raise InvalidInputError("alert_faulty", zh="不是预警报文", en="this is no alert", field="body")
        return found.alert, list(found.findings)


class AlertsHandler(_DeskHandler):
    """All alerts within reach."""

    async def get(self) -> None:
        """A page of them."""
        asked = self.asked(AlertsQuery)
        wanted = Wanted(asked.state, asked.division, asked.cursor, asked.limit)
        page, following = await self.reading.page(self.officer, wanted)
        self.link_next({"cursor": following})
        self.respond(AlertPage(alerts=tuple(map(AlertSummary.of, page)), next=following))

    async def post(self) -> None:
        """Draft the first message of a chain."""
        message, _ = self.alert()
        self.show(await self.desk.draft(self.officer, message), 201)


class AlertHandler(_DeskHandler):
    """One alert."""

    async def get(self, identifier: str) -> None:
        """The message and its log."""
        self.show(await self.reading.one(self.officer, identifier))

    async def put(self, identifier: str) -> None:
        """Write over a draft."""
        message, _ = self.alert()
        await self.reading.one(self.officer, identifier)
        self.show(await self.desk.edit(self.officer, identifier, message, self.version))


class ValidateHandler(_DeskHandler):
    """The rules, asked about an alert on the desk."""

    async def post(self, identifier: str) -> None:
        """All findings as it stands, if it were sent now."""
        await self.reading.one(self.officer, identifier)
        self.respond(Findings.of(await self.desk.check(identifier)))


class ValidateNewHandler(_DeskHandler):
    """The rules, asked about a body that is not kept."""

    async def post(self) -> None:
        """All findings, those of the XML first."""
        message, findings = self.alert()
        self.respond(Findings.of(findings + await self.desk.check_new(self.officer, message)))


class PreviewHandler(_DeskHandler):
    """What a release would mean."""

    def initialize(self, desk: Alerts, reading: AlertReading, previews: Previews | None = None) -> None:
        """`previews` counts people, prices and rates."""
        super().initialize(desk, reading)
        assert previews is not None
        self.previews = previews

    async def get(self, identifier: str) -> None:
        """People, texts, cost, time, overlaps, findings; the digest once it is submitted."""
        alert = await self.reading.one(self.officer, identifier)
        figures = await self.previews.of_alert(self.officer, identifier, is_exact=self.asked(PreviewQuery).exact)
        self.respond(PreviewView.of(alert, await self.desk.check(identifier), figures))


class SubmitHandler(_DeskHandler):
    """Author to releaser."""

    async def post(self, identifier: str) -> None:
        """Hand it in; the digest of the answer is what the second person confirms."""
        await self.reading.one(self.officer, identifier)
        acknowledged = self.given(Submission).acknowledged
        self.show(await self.desk.submit(self.officer, identifier, self.version, acknowledged))


class ReleaseHandler(_DeskHandler):
    """The second person sends it."""

    async def post(self, identifier: str) -> None:
        """Release it; repeated by the same officer with the same digest, it changes nothing."""
        await self.reading.one(self.officer, identifier)
        self.show(await self.desk.release(self.officer, identifier, self.given(Release).digest))


class DecideHandler(_DeskHandler):
    """Return or reject."""

    def initialize(self, desk: Alerts, reading: AlertReading, action: Action = Action.RETURN) -> None:
        """`action` is the one that this path stands for."""
        super().initialize(desk, reading)
        self.action = action

    async def post(self, identifier: str) -> None:
        """Say why, and do it."""
        await self.reading.one(self.officer, identifier)
        decide = self.desk.return_ if self.action is Action.RETURN else self.desk.reject
        self.show(await decide(self.officer, identifier, self.given(Decision).reason))


class FollowHandler(_DeskHandler):
    """Update, upgrade, downgrade, extend: the draft of the next message."""

    def initialize(self, desk: Alerts, reading: AlertReading, kind: Kind = Kind.UPDATE) -> None:
        """`kind` is the verb that this path stands for."""
        super().initialize(desk, reading)
        self.kind = kind

    async def post(self, identifier: str) -> None:
        """Draft it; it is submitted and released like any other."""
        await self.reading.one(self.officer, identifier)
        change = change_of(self.given(ChangeForm))
        self.show(await self.desk.follow(self.officer, identifier, self.kind, change), 201)


class CancelHandler(_DeskHandler):
    """The first of the two calls that end an alert; the second is the release by another person."""

    async def post(self, identifier: str) -> None:
        """Draft the all-clear and hand it in; if the rules object it stays a draft and the findings say why."""
        await self.reading.one(self.officer, identifier)
        given = self.given(Cancellation)
        draft = await self.desk.follow(self.officer, identifier, Kind.CANCEL, Change(note=given.note))
        found = await self.desk.check(draft.identifier)
        is_clear = all(f.severity is not Gravity.ERROR and f.code in given.acknowledged for f in found)
        if is_clear:
            draft = await self.desk.submit(self.officer, draft.identifier, draft.version, given.acknowledged)
        self.mark(f'"v{draft.version}"')
        self.set_header("Location", f"/v1/staff/alerts/{draft.identifier}")
        view = AlertView.of(draft).model_dump()
        self.respond(CancelView(**view, findings=tuple(map(FindingView.of, found))), 201)
