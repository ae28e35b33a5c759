"""Offers over HTTP: /v1/me/offers for their citizen; rehearsals and outcomes of rules for officers and everybody."""

from __future__ import annotations

from datetime import timedelta

from handlers.base import ApiHandler
from handlers.front import Shelf
from handlers.offer_views import (
    AcceptedView,
    AcceptForm,
    AllOutcomesView,
    CityFiguresView,
    OfferPage,
    OffersQuery,
    OfferView,
    OutcomesView,
    RehearsalQuery,
    RehearsalView,
    RuleOutcomesView,
    write_place,
)
from handlers.public import PublicHandler
from server.services.catalogue import Catalogue
from server.services.offers import Offers
from server.services.rehearsal import as_json
from server.services.rule_figures import RuleFigures

FIGURES_LAST = timedelta(minutes=1)
FIGURES = "/v1/offers/figures"


class _OwnHandler(ApiHandler):
    """What the citizen's handlers share."""

    def initialize(self, offers: Offers) -> None:
        """`offers` holds the verbs."""
        self.offers = offers


class OwnOffersHandler(_OwnHandler):
    """/v1/me/offers."""

    async def get(self) -> None:
        """Newest first; the Link header leads on."""
        asked = self.asked(OffersQuery)
        found, following = await self.offers.page(self.caller, asked.place, asked.limit)
        after = write_place(following)
        self.link_next({"after": after})
        self.respond(OfferPage(offers=tuple(OfferView.of(each, self.language) for each in found), next=after))


class OwnOfferHandler(_OwnHandler):
    """/v1/me/offers/{offer}."""

    async def get(self, offer: str) -> None:
        """It counts as seen."""
        self.respond(OfferView.of(await self.offers.open(self.caller, offer), self.language))


class AcceptOfferHandler(_OwnHandler):
    """/v1/me/offers/{offer}/accept."""

    async def post(self, offer: str) -> None:
        """Once, however often."""
        accepted = await self.offers.accept(self.caller, offer, self.given(AcceptForm).form)
        self.respond(AcceptedView.of(accepted, self.language))


class DeclineOfferHandler(_OwnHandler):
    """/v1/me/offers/{offer}/decline."""

    async def post(self, offer: str) -> None:
        """Nothing of it is told any more."""
        self.respond(OfferView.of(await self.offers.decline(self.caller, offer), self.language))


class _FiguresHandler(ApiHandler):
    """What the officers' handlers share."""

    def initialize(self, figures: RuleFigures) -> None:
        """`figures` asks the policy."""
        self.figures = figures


class RehearsalHandler(_FiguresHandler):
    """/v1/staff/rules/{rule}/rehearsal."""

    async def post(self, rule: str) -> None:
        """What it would do today; nobody is told."""
        rehearsal = await self.figures.rehearse(self.officer, rule, self.asked(RehearsalQuery).version)
        self.respond(RehearsalView.model_validate(as_json(rehearsal)))


class RuleOutcomesHandler(_FiguresHandler):
    """/v1/staff/rules/{rule}/outcomes."""

    async def get(self, rule: str) -> None:
        """One rule's, with its runs."""
        self.respond(RuleOutcomesView.of(rule, await self.figures.outcomes_of(self.officer, rule)))


class AllOutcomesHandler(_FiguresHandler):
    """/v1/staff/rule-outcomes."""

    async def get(self) -> None:
        """All rules'."""
        tallies = await self.figures.outcomes(self.officer)
        self.respond(AllOutcomesView(rules=tuple(OutcomesView.of(*each) for each in tallies.items())))


class CityFiguresHandler(PublicHandler):
    """/v1/offers/figures."""

    def initialize(self, figures: RuleFigures, catalogue: Catalogue, shelf: Shelf) -> None:
        """`shelf` keeps the answer: everybody reads the same."""
        self.figures, self.catalogue = figures, catalogue
        self.stand_behind(shelf)

    async def get(self) -> None:
        """What counts towards the plan."""
        figures = await self.figures.city(self.catalogue.index.items)
        self.tell_model(CityFiguresView.of(figures, self.language), self.figures.now() + FIGURES_LAST, FIGURES)
