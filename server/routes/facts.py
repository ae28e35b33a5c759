"""The routes of facts: departments state them, people see them and object, officers answer."""

from __future__ import annotations

from handlers import facts as handlers
from handlers.routing import CITIZEN, Operation, Route, officer, partner
from server.assemble_facts import FactParts
from server.domain.access import Deed
from server.services.partners import FACTS


def routes(parts: FactParts) -> list[Route]:
    """The lines of the table."""
    own, desk = {"own": parts.own}, {"desk": parts.desk}
    state = Operation(
        summary="State facts about citizens as JSON lines, signed (webhook-id, webhook-timestamp, webhook-signature)",
        entry=partner(FACTS), takes_raw=handlers.JSON_LINES, takes_bytes=handlers.FACTS_BYTES,
        gives=handlers.FactsTaken,
    )  # fmt: skip
    show = Operation(
        summary="What departments have stated about you: source, time, purpose", entry=CITIZEN,
        gives=handlers.KnownFacts,
    )  # fmt: skip
    object_ = Operation(
        summary="Say that a fact is wrong: it is not used until its source states it anew", entry=CITIZEN,
        takes=handlers.ObjectionText, gives=handlers.ObjectionView, status=201,
    )  # fmt: skip
    page = Operation(
        summary="Objections to facts, longest waiting first", entry=officer(Deed.FACT_OBJECTION_READ),
        query=handlers.ObjectionsQuery, gives=handlers.ObjectionsPage,
    )  # fmt: skip
    answer = Operation(
        summary="Answer an objection; the person is told", entry=officer(Deed.FACT_OBJECTION_ANSWER),
        takes=handlers.ObjectionText, gives=handlers.ObjectionView,
    )  # fmt: skip
    return [
        Route("/v1/partners/facts", handlers.PartnerFactsHandler, {"POST": state}, {"facts": parts.partner}),
        Route("/v1/me/facts", handlers.OwnFactsHandler, {"GET": show}, own),
        Route("/v1/me/facts/{fact}/objection", handlers.ObjectionHandler, {"POST": object_}, own),
        Route("/v1/staff/fact-objections", handlers.ObjectionsHandler, {"GET": page}, desk),
        Route("/v1/staff/fact-objections/{objection}/answer", handlers.AnswerHandler, {"POST": answer}, desk),
    ]
