"""Routes of applications: the citizen's, the public tracking page, the office's."""

from __future__ import annotations

from functools import partial

from handlers import application_views as views
from handlers import applications as own
from handlers import attachments as files
from handlers import co_applicants as together
from handlers import papers, ratings
from handlers import staff_application_views as staff_views
from handlers import staff_applications as staff
from handlers.routing import ATTACHMENT_BYTES, CITIZEN, PUBLIC, Operation, Route, officer
from server.assemble_applications import ApplicationParts
from server.domain.access import Deed
from server.services.papers import PaperKind


def routes(parts: ApplicationParts) -> list[Route]:
    """All of them."""
    return [*_own(parts), *_together(parts), *_files(parts), *_papers(parts), *_ratings(parts), *_staff(parts)]


def _own(parts: ApplicationParts) -> list[Route]:
    given = {"applications": parts.applications}
    one = "/v1/applications/{application}"
    gives = partial(Operation, entry=CITIZEN, gives=views.ApplicationView)
    listed = {
        "GET": Operation(
            summary="The caller's applications, newest change first; with `since` what has changed",
            entry=CITIZEN, query=views.OwnQuery, gives=views.OwnPage,
        ),
        "POST": gives(summary="Begin a draft", takes=views.DraftForm, status=201),
    }  # fmt: skip
    whole = {
        "GET": gives(
            summary="One application with its timeline", answers_as={304: "unchanged"}),
        "PUT": gives(
            summary="Save the form, complete or not", takes=views.FormForm, needs_version=True),
        "DELETE": Operation(summary="Delete a draft", entry=CITIZEN, needs_version=True, status=204),
    }  # fmt: skip
    submit = gives(summary="Hand it in: it gets a number, a code and a deadline", needs_version=True)
    with_seat = gives(
        summary="Hand it in together with a held seat: both or neither", takes=views.SeatForm, needs_version=True
    )
    supply = gives(summary="What was asked for is complete: the clock goes on", needs_version=True)
    withdraw = gives(summary="Take it back before it is decided")
    urge = gives(summary="催办: ask for speed, once a day")
    bring = gives(summary="免提交: ask a department instead of bringing a paper; needs the consent")
    track = Operation(
        summary="Where an application stands, by number and code; nothing personal",
        entry=PUBLIC, takes=views.TrackForm, gives=views.TrackView,
    )  # fmt: skip
    return [
        Route("/v1/applications", own.ApplicationsHandler, listed, given),
        Route("/v1/applications/track", own.TrackHandler, {"POST": track}, {"tracking": parts.tracking}),
        Route(one, own.ApplicationHandler, whole, given),
        Route(f"{one}/submit", own.SubmitHandler, {"POST": submit}, given),
        Route(f"{one}/submit-with-seat", own.SeatHandler, {"POST": with_seat}, {"seats": parts.seats}),
        Route(f"{one}/supply", own.SupplyHandler, {"POST": supply}, given),
        Route(f"{one}/withdraw", own.WithdrawHandler, {"POST": withdraw}, given),
        Route(f"{one}/urge", own.UrgeHandler, {"POST": urge}, given),
        Route(f"{one}/sources/{{source}}", own.SourceHandler, {"POST": bring}, {"sources": parts.sources}),
    ]


def _together(parts: ApplicationParts) -> list[Route]:
    given = {"together": parts.together}
    one = "/v1/applications/{application}"
    gives = partial(Operation, entry=CITIZEN, gives=views.ApplicationView)
    invite = gives(
        summary="Name somebody who has to confirm it; they are told", takes=views.InvitationForm, needs_version=True
    )
    take_back = gives(summary="Take an invitation back while nothing was answered")
    agree = gives(summary="Confirm as the one who was named")
    decline = Operation(summary="Decline as the one who was named", entry=CITIZEN, status=204)
    return [
        Route(f"{one}/invite", together.InviteHandler, {"POST": invite}, given),
        Route(f"{one}/invitations/{{invitation}}", together.InvitationHandler, {"DELETE": take_back}, given),
        Route(f"{one}/agree", together.AgreeHandler, {"POST": agree}, given),
        Route(f"{one}/decline", together.DeclineHandler, {"POST": decline}, given),
    ]


def _files(parts: ApplicationParts) -> list[Route]:
    given = {"attachments": parts.attachments}
    one = "/v1/applications/{application}/attachments"
    file = dict.fromkeys(files.KINDS, "...")
    add = Operation(
        summary="Attach a file: JPEG, PNG or PDF, told by its content; pictures lose what the camera wrote",
        entry=CITIZEN, query=files.UploadQuery, takes_raw=("*/*",), takes_bytes=ATTACHMENT_BYTES,
        gives=views.ApplicationView, status=201,
    )  # fmt: skip
    each = {
        "GET": Operation(summary="The file", entry=CITIZEN, gives_raw=file),
        "DELETE": Operation(summary="Take a file away", entry=CITIZEN, gives=views.ApplicationView),
    }
    look = Operation(summary="The file, at the counter", entry=officer(Deed.APPLICATION_READ), gives_raw=file)
    return [
        Route(one, files.AttachmentsHandler, {"POST": add}, given),
        Route(f"{one}/{{attachment}}", files.AttachmentHandler, each, given),
        Route(
            "/v1/staff/applications/{application}/attachments/{attachment}",
            files.StaffAttachmentHandler, {"GET": look}, given,
        ),
    ]  # fmt: skip


def _papers(parts: ApplicationParts) -> list[Route]:
    given = {"papers": parts.papers}
    one = "/v1/applications/{application}"
    verify = {
        "GET": Operation(
            summary="The page behind a paper's QR code", entry=PUBLIC, query=papers.PaperQuery,
            gives_raw={papers.HTML: "<!doctype html>..."},
        ),
        "POST": Operation(
            summary="Whether a paper is ours, what it says, and whether that still stands",
            entry=PUBLIC, takes=papers.PaperForm, gives=papers.VerifiedView,
        ),
    }  # fmt: skip
    keys = Operation(summary="The public keys of papers (RFC 7517)", entry=PUBLIC, gives=papers.KeysView)
    routes = [
        Route("/v1/papers/verify", papers.VerifyHandler, verify, given),
        Route("/v1/papers/keys", papers.KeysHandler, {"GET": keys}, given),
    ]
    for kind, said in ((PaperKind.RECEIPT, "The signed receipt"), (PaperKind.RESULT, "The signed result")):
        more = given | {"kind": kind}
        paper = Operation(summary=said, entry=CITIZEN, gives=papers.PaperView)
        code = Operation(summary=f"{said} as a QR code", entry=CITIZEN, gives_raw={papers.SVG: "<svg/>"})
        routes.append(Route(f"{one}/{kind}", papers.PaperHandler, {"GET": paper}, more))
        routes.append(Route(f"{one}/{kind}.svg", papers.PaperCodeHandler, {"GET": code}, more))
    return routes


def _ratings(parts: ApplicationParts) -> list[Route]:
    given = {"ratings": parts.ratings}
    one = {
        "GET": Operation(summary="What one said of a case", entry=CITIZEN, gives=ratings.RatingView),
        "POST": Operation(
            summary="好差评: rate a finished case, once; who handled it never sees by whom",
            entry=CITIZEN, takes=ratings.RatingForm, gives=ratings.RatingView, status=201,
        ),
    }  # fmt: skip
    asked = Operation(summary="What a rating asks", entry=PUBLIC, gives=ratings.QuestionsView)
    figures = Operation(summary="Ratings by unit", entry=PUBLIC, query=ratings.FiguresQuery, gives=ratings.FiguresView)
    tickets = Operation(
        summary="Bad ratings of the own units, overdue ones first; no person is named",
        entry=officer(Deed.RATING_READ), query=ratings.TicketsQuery, gives=ratings.TicketsView,
    )  # fmt: skip
    step = Operation(
        summary="Answer a bad rating, call back, appeal, decide an appeal",
        entry=officer(Deed.RATING_STEP), takes=ratings.TicketForm, gives=ratings.RatingTicketView,
    )  # fmt: skip
    contact = Operation(
        summary="Whom to call back: numbers, for a purpose that the person reads; not for who handled the case",
        entry=officer(Deed.RATING_CONTACT), takes=ratings.ContactForm, gives=ratings.ContactView,
    )  # fmt: skip
    return [
        Route("/v1/applications/{application}/rating", ratings.RatingHandler, one, given),
        Route("/v1/ratings/questions", ratings.QuestionsHandler, {"GET": asked}, given),
        Route("/v1/ratings/figures", ratings.FiguresHandler, {"GET": figures}, given),
        Route("/v1/staff/ratings", ratings.TicketsHandler, {"GET": tickets}, given),
        Route("/v1/staff/ratings/{rating}/steps", ratings.TicketHandler, {"POST": step}, given),
        Route("/v1/staff/ratings/{rating}/contact", ratings.ContactHandler, {"POST": contact}, given),
    ]


def _staff(parts: ApplicationParts) -> list[Route]:
    given = {"deciding": parts.deciding}
    read, step = officer(Deed.APPLICATION_READ), officer(Deed.APPLICATION_STEP)
    one = "/v1/staff/applications/{application}"
    inbox = Operation(
        summary="The inbox of the officer's unit, nearest deadline first",
        entry=read, query=staff_views.InboxQuery, gives=views.ListPage,
    )  # fmt: skip
    reasons = Operation(summary="Templates of reasons", entry=read, gives=staff_views.ReasonsView)
    whole = Operation(
        summary="One application; the applicant reads that it was looked at", entry=read, gives=staff_views.FiledView
    )
    claim = Operation(summary="Take it on; of two one wins", entry=step, gives=staff_views.FiledView)
    transfer = Operation(
        summary="Hand it on, or back to all; a supervisor anybody's",
        entry=officer(Deed.APPLICATION_ASSIGN), takes=staff_views.TransferForm, gives=staff_views.FiledView,
    )  # fmt: skip
    take = Operation(
        summary="A step of its workflow: accept, ask for more, approve, reject, complete, deliver",
        entry=step, takes=staff_views.ApplicationStepForm, gives=staff_views.FiledView,
    )  # fmt: skip
    again = Operation(
        summary="补正 a second time: once is the rule, a supervisor answers for the exception",
        entry=officer(Deed.APPLICATION_ASK_AGAIN), takes=staff_views.AskAgainForm, gives=staff_views.FiledView,
    )  # fmt: skip
    return [
        Route("/v1/staff/applications", staff.StaffApplicationsHandler, {"GET": inbox}, given),
        Route("/v1/staff/applications/reasons", staff.ReasonsHandler, {"GET": reasons}, {"reasons": parts.reasons}),
        Route(one, staff.StaffApplicationHandler, {"GET": whole}, given),
        Route(f"{one}/claim", staff.ClaimHandler, {"POST": claim}, given),
        Route(f"{one}/transfer", staff.TransferHandler, {"POST": transfer}, given),
        Route(f"{one}/steps", staff.StepHandler, {"POST": take}, given),
        Route(f"{one}/ask-again", staff.AskAgainHandler, {"POST": again}, given),
    ]
