"""Routes of acting for others: relatives, and the organisations that somebody acts for."""

from __future__ import annotations

from handlers.relations import (
    AgreeHandler,
    ConsentCodeHandler,
    ConsentForm,
    RefuseHandler,
    RelationHandler,
    RelationsHandler,
    RelationsView,
    RelationView,
    RelativeForm,
    RelativesHandler,
    RequestsHandler,
)
from handlers.routing import CITIZEN, Operation, Route
from server.assemble_binding import BindingParts
from server.domain.relations import Kind


def routes(parts: BindingParts) -> list[Route]:
    """Both kinds."""
    relatives = {"relations": parts.relations, "kind": Kind.RELATIVE}
    base = "/v1/me/relatives"
    operations = {
        "GET": Operation(
            summary="For whom the caller acts, and who acts for the caller", entry=CITIZEN, gives=RelationsView
        ),
        "POST": Operation(
            summary="Ask to act for a relative; they have to agree (a minor child's guardian acts by the register)",
            entry=CITIZEN, takes=RelativeForm, gives=RelationView, status=201,
        ),
    }  # fmt: skip
    code = Operation(
        summary="The relative agrees by a one-time code on their own telephone",
        entry=CITIZEN, takes=ConsentForm, gives=RelationView,
    )  # fmt: skip
    listed = Operation(
        summary="Organisations that the caller acts for, or is asked to", entry=CITIZEN, gives=RelationsView
    )
    organisations = {"relations": parts.relations, "kind": Kind.ORGANISATION}
    return [
        Route(base, RelativesHandler, operations, relatives),
        Route(f"{base}/{{relation}}/code", ConsentCodeHandler, {"POST": code}, relatives),
        *_answers(base, parts, Kind.RELATIVE),
        Route("/v1/me/organisations", RelationsHandler, {"GET": listed}, organisations),
        *_answers("/v1/me/organisations", parts, Kind.ORGANISATION),
    ]


def _answers(base: str, parts: BindingParts, kind: Kind) -> list[Route]:
    """What somebody does who is asked."""
    own = {"relations": parts.relations, "kind": kind}
    waiting = Operation(summary="What waits for the caller's consent", entry=CITIZEN, gives=RelationsView)
    agree = Operation(summary="Agree", entry=CITIZEN, gives=RelationView)
    refuse = Operation(summary="Refuse", entry=CITIZEN, gives=RelationView)
    end = Operation(summary="End it, or take a request back; holds at once", entry=CITIZEN, status=204)
    return [
        Route(f"{base}/requests", RequestsHandler, {"GET": waiting}, own),
        Route(f"{base}/{{relation}}/agree", AgreeHandler, {"POST": agree}, own),
        Route(f"{base}/{{relation}}/refuse", RefuseHandler, {"POST": refuse}, own),
        Route(f"{base}/{{relation}}", RelationHandler, {"DELETE": end}, own),
    ]
