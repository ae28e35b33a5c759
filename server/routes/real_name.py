"""Routes of real-name binding."""

from __future__ import annotations

from handlers.real_name import RealNameForm, RealNameHandler, RealNameView
from handlers.routing import CITIZEN, Operation, Route
from server.assemble_binding import BindingParts


def routes(parts: BindingParts) -> list[Route]:
    """The caller's own name."""
    operations = {
        "GET": Operation(summary="One's own verified name, masked", entry=CITIZEN, gives=RealNameView),
        "PUT": Operation(
            summary="Verify name and ID number with the authority and bind them, once",
            entry=CITIZEN, takes=RealNameForm, gives=RealNameView,
        ),
    }  # fmt: skip
    return [Route("/v1/me/real-name", RealNameHandler, operations, {"real_names": parts.real_names})]
