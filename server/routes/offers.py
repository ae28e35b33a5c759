"""The routes of offers: the citizen's own, and what officers and everybody may know of rules."""

from __future__ import annotations

from handlers import offer_views as views
from handlers import offers as handlers
from handlers.front import Shelf
from handlers.routing import CITIZEN, PUBLIC, Operation, Route, officer
from server.assemble_own_offers import OfferParts
from server.domain.access import Deed
from server.services.catalogue import Catalogue


def routes(parts: OfferParts, catalogue: Catalogue, shelf: Shelf) -> list[Route]:
    """The lines of the table."""
    public = Operation(
        summary="主动服务: which rules are in force, what they led to, and the plan's figure",
        entry=PUBLIC, gives=views.CityFiguresView, answers_as={304: "unchanged"},
    )  # fmt: skip
    shown = {"figures": parts.figures, "catalogue": catalogue, "shelf": shelf}
    return [*_own(parts), *_staff(parts), Route(handlers.FIGURES, handlers.CityFiguresHandler, {"GET": public}, shown)]


def _own(parts: OfferParts) -> list[Route]:
    own, one = {"offers": parts.offers}, "/v1/me/offers/{offer}"
    listed = Operation(
        summary="What the city offers or reminds the caller of, newest first",
        entry=CITIZEN, query=views.OffersQuery, gives=views.OfferPage,
    )  # fmt: skip
    opened = Operation(summary="One offer; it counts as seen", entry=CITIZEN, gives=views.OfferView)
    accept = Operation(
        summary="Accept: its application is begun, filled in, and (免申即享) handed in; for oneself only",
        entry=CITIZEN, takes=views.AcceptForm, gives=views.AcceptedView,
    )  # fmt: skip
    decline = Operation(summary="Decline: nothing of it is told any more", entry=CITIZEN, gives=views.OfferView)
    return [
        Route("/v1/me/offers", handlers.OwnOffersHandler, {"GET": listed}, own),
        Route(one, handlers.OwnOfferHandler, {"GET": opened}, own),
        Route(f"{one}/accept", handlers.AcceptOfferHandler, {"POST": accept}, own),
        Route(f"{one}/decline", handlers.DeclineOfferHandler, {"POST": decline}, own),
    ]


def _staff(parts: OfferParts) -> list[Route]:
    own, read = {"figures": parts.figures}, officer(Deed.RULE_READ)
    rehearse = Operation(
        summary="Rehearse a rule: who would be told today, why, how, and in which words; nobody is",
        entry=read, query=views.RehearsalQuery, gives=views.RehearsalView,
    )  # fmt: skip
    outcomes = Operation(
        summary="What became of a rule's offers, and its runs", entry=read, gives=views.RuleOutcomesView
    )
    everything = Operation(summary="What became of all rules' offers", entry=read, gives=views.AllOutcomesView)
    return [
        Route("/v1/staff/rules/{rule}/rehearsal", handlers.RehearsalHandler, {"POST": rehearse}, own),
        Route("/v1/staff/rules/{rule}/outcomes", handlers.RuleOutcomesHandler, {"GET": outcomes}, own),
        Route("/v1/staff/rule-outcomes", handlers.AllOutcomesHandler, {"GET": everything}, own),
    ]
