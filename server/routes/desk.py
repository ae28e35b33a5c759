"""The desk: drafting, checking and releasing alerts; watching and stopping broadcasts; the providers' receipts."""

from __future__ import annotations

from typing import Any

from handlers.alert_views import (
    AlertPage,
    AlertsQuery,
    AlertView,
    Cancellation,
    CancelView,
    Decision,
    Findings,
    PreviewQuery,
    PreviewView,
    Release,
    Submission,
)
from handlers.broadcasts import (
    CSV,
    BroadcastHandler,
    EventsHandler,
    PauseHandler,
    ReportHandler,
    ReportTableHandler,
    ResumeHandler,
    UnreachedHandler,
    UnreachedQuery,
)
from handlers.receipts import ReceiptHandler
from handlers.routing import EVENT_STREAM, PROVIDER, Operation, Route, officer
from handlers.staff_alerts import (
    XML,
    AlertHandler,
    AlertsHandler,
    CancelHandler,
    DecideHandler,
    FollowHandler,
    PreviewHandler,
    ReleaseHandler,
    SubmitHandler,
    ValidateHandler,
    ValidateNewHandler,
)
from handlers.streaming import Pace
from server.domain.access import Deed
from server.domain.alerts.forms import AlertForm, ChangeForm
from server.domain.alerts.states import Action
from server.domain.progress import BroadcastStanding
from server.domain.report import Report, UnreachedPage
from server.domain.wording import Kind
from server.services.alert_reading import AlertReading
from server.services.alerts import Alerts
from server.services.control import Control
from server.services.previews import Previews
from server.services.receipts import Receipts

CALLBACK_SAMPLE = '{"code":0,"msg":"接收成功"}'


def broadcast_routes(counter: Control) -> list[Route]:
    """What officers see before a release, and while and after a broadcast is on its way."""
    control = {"control": counter}
    one = "/v1/staff/broadcasts/{identifier}"
    read, unreached = officer(Deed.BROADCAST_READ), officer(Deed.BROADCAST_UNREACHED)
    standing = Operation(summary="Where a broadcast stands", entry=read, gives=BroadcastStanding)
    pause = Operation(summary="Stop the run for now", entry=officer(Deed.BROADCAST_STOP), gives=BroadcastStanding)
    resume = Operation(summary="Go on with a paused run", entry=officer(Deed.BROADCAST_RESUME), gives=BroadcastStanding)
    events = Operation(
        summary="The standing as server-sent events, newest first seen, resumed by Last-Event-ID",
        entry=read,
        gives_raw={EVENT_STREAM: 'id: 1764\nevent: standing\ndata: {"version":1764}\n\n'},
        answers_as={204: "it is over, and Last-Event-ID has seen the end: do not come again"},
    )
    report = Operation(summary="What became of it", entry=read, gives=Report)
    table = Operation(
        summary="What became of it, for spreadsheets: a line per district and channel, a column per status",
        entry=read,
        gives_raw={CSV: "division,name,channel,audience,planned\r\n440305,南山区,sms,20000,0\r\n"},
    )
    listed = Operation(
        summary="Who was not reached, with telephone numbers; the purpose is logged",
        entry=unreached,
        query=UnreachedQuery,
        gives=UnreachedPage,
    )
    return [
        Route(one, BroadcastHandler, {"GET": standing}, control),
        Route(f"{one}/events", EventsHandler, {"GET": events}, {**control, "pace": Pace()}),
        Route(f"{one}/pause", PauseHandler, {"POST": pause}, control),
        Route(f"{one}/resume", ResumeHandler, {"POST": resume}, control),
        Route(f"{one}/report", ReportHandler, {"GET": report}, control),
        Route(f"{one}/report.csv", ReportTableHandler, {"GET": table}, control),
        Route(f"{one}/unreached", UnreachedHandler, {"GET": listed}, control),
    ]


def receipt_routes(receipts: Receipts) -> list[Route]:
    """What providers reach: callbacks that their channel's reader verifies."""
    parts = {"receipts": receipts}
    operations = {
        "GET": Operation(
            summary="The provider checks this address (WeChat's echo)",
            entry=PROVIDER,
            gives_raw={"text/plain": "5837164012"},
        ),
        "POST": Operation(
            summary="Receipts and events, in the provider's own form; answered once they are durable",
            entry=PROVIDER,
            takes_raw=("*/*",),
            gives_raw={"application/json": CALLBACK_SAMPLE, "text/plain": "success"},
        ),
    }
    return [
        Route("/v1/receipts/{provider}", ReceiptHandler, operations, parts),
        Route("/v1/receipts/{provider}/{key}", ReceiptHandler, operations, parts),
    ]


def desk_routes(desk: Alerts, reading: AlertReading, previews: Previews) -> list[Route]:
    """What officers do with alerts."""
    parts = {"desk": desk, "reading": reading}
    message: dict[str, Any] = {"takes": AlertForm, "takes_raw": (XML,)}
    read, draft, edit = officer(Deed.ALERT_READ), officer(Deed.ALERT_DRAFT), officer(Deed.ALERT_EDIT)
    alerts = {
        "GET": Operation(summary="Alerts within reach, newest first", entry=read, query=AlertsQuery, gives=AlertPage),
        "POST": Operation(
            summary="Draft an alert: a form, or CAP or 国突 XML", entry=draft, gives=AlertView, status=201, **message
        ),
    }
    alert = {
        "GET": Operation(summary="One alert with its message and its log", entry=read, gives=AlertView),
        "PUT": Operation(summary="Write over a draft", entry=edit, needs_version=True, gives=AlertView, **message),
    }
    check_new = Operation(summary="All findings on a message that is not kept", entry=draft, gives=Findings, **message)
    check = Operation(summary="All findings on an alert, if it were sent now", entry=read, gives=Findings)
    preview = Operation(
        summary="What a release would mean: people, texts, cost, time, overlaps, findings",
        entry=officer(Deed.ALERT_PREVIEW), query=PreviewQuery, gives=PreviewView,
    )  # fmt: skip
    submit = Operation(
        summary="Hand it in; the answer's digest is what the second person confirms",
        entry=officer(Deed.ALERT_SUBMIT), takes=Submission, needs_version=True, gives=AlertView,
    )  # fmt: skip
    release = Operation(
        summary="Release it as a second person",
        entry=officer(Deed.ALERT_RELEASE, is_fresh=True), takes=Release, gives=AlertView,
    )  # fmt: skip
    cancel = Operation(
        summary="Draft the all-clear and hand it in, in one call; a second person releases it",
        entry=officer(Deed.ALERT_FOLLOW, is_fresh=True), takes=Cancellation, gives=CancelView, status=201,
    )  # fmt: skip
    one = "/v1/staff/alerts/{identifier}"
    return [
        Route("/v1/staff/alerts", AlertsHandler, alerts, parts),
        Route("/v1/staff/alerts/validate", ValidateNewHandler, {"POST": check_new}, parts),
        Route(one, AlertHandler, alert, parts),
        Route(f"{one}/validate", ValidateHandler, {"POST": check}, parts),
        Route(f"{one}/preview", PreviewHandler, {"GET": preview}, parts | {"previews": previews}),
        Route(f"{one}/submit", SubmitHandler, {"POST": submit}, parts),
        Route(f"{one}/release", ReleaseHandler, {"POST": release}, parts),
        *(
            Route(f"{one}/{action}", DecideHandler, {"POST": _decision(action, deed)}, parts | {"action": action})
            for action, deed in ((Action.RETURN, Deed.ALERT_RETURN), (Action.REJECT, Deed.ALERT_REJECT))
        ),
        *(
            Route(f"{one}/{kind}", FollowHandler, {"POST": _following(kind)}, parts | {"kind": kind})
            for kind in (Kind.UPDATE, Kind.UPGRADE, Kind.DOWNGRADE, Kind.EXTEND)
        ),
        Route(f"{one}/cancel", CancelHandler, {"POST": cancel}, parts),
    ]


def _decision(action: Action, deed: Deed) -> Operation:
    said = {Action.RETURN: "Give it back to be changed, or take it back", Action.REJECT: "End it unreleased"}
    return Operation(summary=said[action], entry=officer(deed), takes=Decision, gives=AlertView)


def _following(kind: Kind) -> Operation:
    return Operation(
        summary=f"Draft the next message of the chain: {kind}",
        entry=officer(Deed.ALERT_FOLLOW),
        takes=ChangeForm,
        gives=AlertView,
        status=201,
    )
