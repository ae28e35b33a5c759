"""One-time codes by SMS."""

from __future__ import annotations

from handlers.codes import CodeAsked, CodeSent, CodesHandler
from handlers.routing import PUBLIC, Operation, Route
from server.assemble_citizens import CitizenParts


def routes(citizens: CitizenParts) -> list[Route]:
    """Where everybody may ask for a code."""
    send = Operation(
        summary="Send a one-time code by SMS; the answer is the same whether the number is known here",
        entry=PUBLIC, takes=CodeAsked, gives=CodeSent, status=202,
    )  # fmt: skip
    return [Route("/v1/codes", CodesHandler, {"POST": send}, {"codes": citizens.codes})]
