"""The routes of the inbox, of what a person's app says of notices, and of "I am safe"."""

from __future__ import annotations

from handlers import inbox as handlers
from handlers.acknowledgements import (
    AcknowledgementHandler,
    HelpHandler,
    HelpQuery,
    StaffAcknowledgementsHandler,
)
from handlers.notices import NoticeForm, NoticeHandler
from handlers.routing import CITIZEN, Operation, Route, officer
from server.assemble_inbox import InboxParts
from server.domain.access import Deed
from server.domain.acknowledgements import Acknowledged, AcknowledgementForm, HelpPage, Tally
from server.domain.inbox import InboxPage


def routes(parts: InboxParts) -> list[Route]:
    """The lines of the table."""
    return [*_inbox(parts), *_notices(parts), *_acknowledgements(parts)]


def _inbox(parts: InboxParts) -> list[Route]:
    own = {"inbox": parts.inbox}
    page = Operation(
        summary="Alerts in force for the own places, public notices one follows, and news, in one call",
        entry=CITIZEN, query=handlers.InboxQuery, gives=InboxPage,
    )  # fmt: skip
    until = Operation(
        summary="Mark an item and all older ones as read",
        entry=CITIZEN, takes=handlers.ReadForm, gives=handlers.ReadView,
    )  # fmt: skip
    item = Operation(summary="Mark one item as read", entry=CITIZEN, status=204)
    alert = Operation(summary="Mark an alert in force as read", entry=CITIZEN, status=204)
    bulletin = Operation(summary="Mark a public notice as read", entry=CITIZEN, status=204)
    return [
        Route("/v1/me/inbox", handlers.InboxHandler, {"GET": page}, own),
        Route("/v1/me/inbox/read", handlers.InboxReadHandler, {"POST": until}, own),
        Route("/v1/me/inbox/{item}/read", handlers.InboxItemReadHandler, {"POST": item}, own),
        Route("/v1/me/inbox/bulletins/{bulletin}/read", handlers.InboxBulletinReadHandler, {"POST": bulletin}, own),
        Route("/v1/me/inbox/alerts/{identifier}/read", handlers.InboxAlertReadHandler, {"POST": alert}, own),
    ]


def _notices(parts: InboxParts) -> list[Route]:
    own = {"sightings": parts.sightings}
    shown = Operation(
        summary="A notice was displayed: it counts as delivered, and no further channel is tried",
        entry=CITIZEN, takes=NoticeForm, status=204,
    )  # fmt: skip
    read = Operation(
        summary="A notice was opened: it counts as read, in the inbox too", entry=CITIZEN, takes=NoticeForm, status=204
    )
    return [
        Route("/v1/notices/shown", NoticeHandler, {"POST": shown}, own | {"is_read": False}),
        Route("/v1/notices/read", NoticeHandler, {"POST": read}, own | {"is_read": True}),
    ]


def _acknowledgements(parts: InboxParts) -> list[Route]:
    desk = {"acknowledgements": parts.acknowledgements}
    mine = {
        "GET": Operation(summary="What the caller answered to an alert", entry=CITIZEN, gives=Acknowledged),
        "POST": Operation(
            summary='"I am safe" or "I need help"; the last word counts',
            entry=CITIZEN, takes=AcknowledgementForm, gives=Acknowledged,
        ),
    }  # fmt: skip
    tally = Operation(
        summary="How many are safe, how many need help, by district",
        entry=officer(Deed.ACKNOWLEDGEMENT_READ), gives=Tally,
    )  # fmt: skip
    listed = Operation(
        summary="Who needs help, longest waiting first; the purpose is logged",
        entry=officer(Deed.ACKNOWLEDGEMENT_HELP), query=HelpQuery, gives=HelpPage,
    )  # fmt: skip
    staff = "/v1/staff/alerts/{identifier}/acknowledgements"
    return [
        Route("/v1/alerts/{identifier}/acknowledgement", AcknowledgementHandler, mine, desk),
        Route(staff, StaffAcknowledgementsHandler, {"GET": tally}, desk),
        Route(f"{staff}/help", HelpHandler, {"GET": listed}, desk),
    ]
