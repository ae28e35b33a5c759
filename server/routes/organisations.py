"""Routes of organisations."""

from __future__ import annotations

from handlers.organisations import (
    HandlerForm,
    HandlerHandler,
    HandlersHandler,
    OrganisationForm,
    OrganisationsHandler,
    OrganisationView,
)
from handlers.relations import RelationsView, RelationView
from handlers.routing import CITIZEN, Operation, Route
from server.assemble_binding import BindingParts


def routes(parts: BindingParts) -> list[Route]:
    """Registering one, and its handlers."""
    own = {"organisations": parts.organisations, "relations": parts.relations}
    register = Operation(
        summary="Register an organisation as its legal representative, or take over as its new one",
        entry=CITIZEN, takes=OrganisationForm, gives=OrganisationView, status=201,
    )  # fmt: skip
    handlers = {
        "GET": Operation(summary="Who acts for it, or is asked to", entry=CITIZEN, gives=RelationsView),
        "POST": Operation(
            summary="Ask somebody to act for it", entry=CITIZEN, takes=HandlerForm, gives=RelationView, status=201
        ),
    }
    end = Operation(summary="End a handler's relation; holds at once", entry=CITIZEN, status=204)
    one = "/v1/organisations/{organisation}/handlers"
    return [
        Route("/v1/organisations", OrganisationsHandler, {"POST": register}, own),
        Route(one, HandlersHandler, handlers, own),
        Route(f"{one}/{{relation}}", HandlerHandler, {"DELETE": end}, own),
    ]
