"""Routes of joining accounts."""

from __future__ import annotations

from handlers.joining import (
    ConfirmForm,
    JoinConfirmationHandler,
    JoinHandler,
    JoinProofForm,
    JoinsHandler,
    JoinsView,
    JoinView,
)
from handlers.routing import CITIZEN, Operation, Route
from server.assemble_binding import BindingParts


def routes(parts: BindingParts) -> list[Route]:
    """Prove, look, confirm; or stop."""
    own = {"joining": parts.joining}
    joins = {
        "GET": Operation(summary="Joins that wait, on either side", entry=CITIZEN, gives=JoinsView),
        "POST": Operation(
            summary="Prove control of one's other account; nothing moves yet",
            entry=CITIZEN, takes=JoinProofForm, gives=JoinView, status=201,
        ),
    }  # fmt: skip
    join = {
        "GET": Operation(summary="What a join would move, and what stands against it", entry=CITIZEN, gives=JoinView),
        "DELETE": Operation(summary="Object to a join, or take it back", entry=CITIZEN, status=204),
    }
    confirm = Operation(
        summary="Make one account of the two: everything comes over, the other's log-ins end",
        entry=CITIZEN, takes=ConfirmForm, gives=JoinView,
    )  # fmt: skip
    return [
        Route("/v1/me/join", JoinsHandler, joins, own),
        Route("/v1/me/join/{join}", JoinHandler, join, own),
        Route("/v1/me/join/{join}/confirm", JoinConfirmationHandler, {"POST": confirm}, own),
    ]
