"""The part of the route table about the divisions of the cities. `server/app.py` hangs it up."""

from __future__ import annotations

from handlers.divisions import DivisionHandler, DivisionList, DivisionsHandler, DivisionsQuery, DivisionView
from handlers.front import Shelf
from handlers.routing import PUBLIC, Operation, Route
from server.domain.divisions import Divisions


def routes(divisions: Divisions, shelf: Shelf) -> list[Route]:
    """What everybody may read of them."""
    parts = {"divisions": divisions, "shelf": shelf}
    unchanged = {304: "unchanged since the ETag of If-None-Match"}
    some = Operation(
        summary="Divisions: the cities, those below one, one with all above it, or by the beginning of a name",
        entry=PUBLIC, query=DivisionsQuery, gives=DivisionList, answers_as=unchanged,
    )  # fmt: skip
    one = Operation(summary="One division", entry=PUBLIC, gives=DivisionView, answers_as=unchanged)
    return [
        Route("/v1/divisions", DivisionsHandler, {"GET": some}, parts),
        Route("/v1/divisions/{division}", DivisionHandler, {"GET": one}, parts),
    ]
