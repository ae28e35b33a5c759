"""Routes of duty calls: a citizen's program shows a code, the officer types it in, either side ends it."""

from __future__ import annotations

from handlers.duty import BoundView, OfficerCodeHandler, OfficerCodeView, OwnDutyHandler, PhoneForm, PhoneHandler
from handlers.routing import CITIZEN, Operation, Route, officer
from server.domain.access import Deed
from server.services.duty_phones import DutyBinding


def routes(binding: DutyBinding) -> list[Route]:
    """No path has an id in it: everybody binds and unbinds for themselves."""
    parts = {"binding": binding}
    own = officer(Deed.SESSION_OWN, is_fresh=True)
    phone = {
        "GET": Operation(
            summary="Whether duty calls reach a telephone", entry=officer(Deed.SESSION_OWN), gives=BoundView
        ),
        "PUT": Operation(
            summary="Bind one's own citizen's account: duty calls go to its telephone from now on",
            entry=own, takes=PhoneForm, gives=BoundView,
        ),
        "DELETE": Operation(summary="Unbind it: duty calls are no more than lines of a log", entry=own, status=204),
    }  # fmt: skip
    duty = {
        "GET": Operation(summary="Whether this account is bound to an officer's", entry=CITIZEN, gives=BoundView),
        "DELETE": Operation(summary="Unbind this account", entry=CITIZEN, status=204),
    }
    code = Operation(
        summary="A code for the officer to type in, good for five minutes; an earlier one is void",
        entry=CITIZEN, gives=OfficerCodeView, status=201,
    )  # fmt: skip
    return [
        Route("/v1/staff/session/citizen", PhoneHandler, phone, parts),
        Route("/v1/me/officer", OwnDutyHandler, duty, parts),
        Route("/v1/me/officer/code", OfficerCodeHandler, {"POST": code}, parts),
    ]
