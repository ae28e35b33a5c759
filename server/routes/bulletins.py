"""The routes of public notices: everybody reads, citizens follow, officers write."""

from __future__ import annotations

from handlers import bulletins as public
from handlers import staff_bulletins as staff
from handlers.feeds import DivisionQuery
from handlers.front import Shelf
from handlers.routing import CITIZEN, PUBLIC, Operation, Route, officer
from server.assemble_bulletins import BulletinParts
from server.domain.access import Deed
from server.domain.bulletins import Content
from server.domain.bulletins_json import BulletinPage, BulletinWhole, TopicsView

UNCHANGED = {304: "unchanged since the ETag of If-None-Match"}
SAMPLES = {
    "rss": '<rss version="2.0"><channel><title>停水</title>...',
    "atom": '<feed xmlns="http://www.w3.org/2005/Atom"><title>停水</title>...',
    "json": '{"version":"https://jsonfeed.org/version/1.1","title":"停水","items":[]}',
}
NAMES = {"rss": "RSS 2.0", "atom": "Atom (RFC 4287)", "json": "JSON Feed 1.1"}


def routes(parts: BulletinParts, shelf: Shelf, base: str) -> list[Route]:
    """The lines of the table. `base` is the public origin ("" = relative links)."""
    return [*_public(parts, shelf, base), *_follows(parts), *_staff(parts)]


def _public(parts: BulletinParts, shelf: Shelf, base: str) -> list[Route]:
    own = {"bulletins": parts.bulletins, "shelf": shelf, "base": base}
    listed = Operation(
        summary="Public notices that hold or were withdrawn: by topic, division, time of change",
        entry=PUBLIC, query=public.BulletinsQuery, gives=BulletinPage, answers_as=UNCHANGED,
    )  # fmt: skip
    topics = Operation(
        summary="Topics of public notices that can be followed", entry=PUBLIC, gives=TopicsView, answers_as=UNCHANGED
    )
    one = Operation(
        summary="One public notice with every version", entry=PUBLIC, gives=BulletinWhole, answers_as=UNCHANGED
    )
    feeds = [
        Route(
            f"/v1/feeds/bulletins/{{bulletin_topic}}.{form}",
            public.BulletinFeedHandler,
            {
                "GET": Operation(
                    summary=f"A topic of public notices as {NAMES[form]}",
                    entry=PUBLIC, query=DivisionQuery, gives_raw={kind: SAMPLES[form]}, answers_as=UNCHANGED,
                )
            },
            own | {"form": form},
        )
        for form, (_, kind) in public.FORMS.items()
    ]  # fmt: skip
    return [
        Route("/v1/bulletins", public.BulletinsHandler, {"GET": listed}, own),
        Route("/v1/bulletins/topics", public.BulletinTopicsHandler, {"GET": topics}, own),
        Route("/v1/bulletins/{bulletin}", public.BulletinHandler, {"GET": one}, own),
        *feeds,
    ]


def _follows(parts: BulletinParts) -> list[Route]:
    own = {"follows": parts.follows}
    follows = {
        "GET": Operation(summary="What one follows", entry=CITIZEN, gives=public.FollowsView),
        "PUT": Operation(
            summary="Follow a topic of public notices in an area and all that lies in it or above; at most forty",
            entry=CITIZEN, takes=public.FollowForm, gives=public.FollowsView,
        ),
    }  # fmt: skip
    follow = Operation(summary="Do not follow this any more", entry=CITIZEN, status=204)
    return [
        Route("/v1/me/follows", public.FollowsHandler, follows, own),
        Route("/v1/me/follows/{follow}", public.FollowHandler, {"DELETE": follow}, own),
    ]


def _staff(parts: BulletinParts) -> list[Route]:
    own = {"office": parts.office}
    read, write, second = (officer(d) for d in (Deed.BULLETIN_READ, Deed.BULLETIN_WRITE, Deed.BULLETIN_PUBLISH))
    listed = {
        "GET": Operation(
            summary="Public notices within reach, last edited first",
            entry=read, query=staff.OfficeQuery, gives=staff.OfficePage,
        ),
        "POST": Operation(
            summary="Draft a public notice", entry=write, takes=Content, gives=staff.OfficeView, status=201
        ),
    }  # fmt: skip
    one = {
        "GET": Operation(summary="One with its draft and history", entry=read, gives=staff.OfficeView),
        "PUT": Operation(
            summary="Write over the draft, or begin a correction of what is published",
            entry=write, takes=Content, needs_version=True, gives=staff.OfficeView,
        ),
    }  # fmt: skip
    submit = Operation(summary="Hand the draft in", entry=write, needs_version=True, gives=staff.OfficeView)
    returned = Operation(
        summary="Give it back to be changed",
        entry=second, takes=staff.BulletinReason, needs_version=True, gives=staff.OfficeView,
    )  # fmt: skip
    publish = Operation(
        summary="Publish what another person handed in, by its digest; those who follow are told",
        entry=second, takes=staff.BulletinPublication, gives=staff.OfficeView,
    )  # fmt: skip
    withdraw = Operation(
        summary="Say that it does not hold any more, and stop telling it",
        entry=officer(Deed.BULLETIN_WITHDRAW), takes=staff.BulletinReason, gives=staff.OfficeView,
    )  # fmt: skip
    path = "/v1/staff/bulletins/{bulletin}"
    return [
        Route("/v1/staff/bulletins", staff.StaffBulletinsHandler, listed, own),
        Route(path, staff.StaffBulletinHandler, one, own),
        Route(f"{path}/submit", staff.SubmitBulletinHandler, {"POST": submit}, own),
        Route(f"{path}/return", staff.ReturnBulletinHandler, {"POST": returned}, own),
        Route(f"{path}/publish", staff.PublishBulletinHandler, {"POST": publish}, own),
        Route(f"{path}/withdraw", staff.WithdrawBulletinHandler, {"POST": withdraw}, own),
    ]
