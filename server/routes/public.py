"""The part of the route table that the public and partners meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from handlers import feeds, intake
from handlers.alert_views import AlertView, Decision
from handlers.base import ApiHandler
from handlers.routing import PUBLIC, Operation, Route, officer, partner
from server.assemble_public import PublicParts
from server.domain.access import Deed
from server.domain.feeds_json import ActiveAlerts, AlertHistory, FeedEvents, FeedVersion, PublicAlert
from server.domain.feeds_writing import ATOM_TYPE, CAP_TYPE, GEOJSON_TYPE
from server.services.partners import INTAKE
from server.settings import Settings

CAP_SAMPLE = (
    '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>44030041600000_20261124093000</identifier>...'
)
GUOTU_SAMPLE = '<alert xmlns="http://com.icss.amp"><identifier>44030041600000_20261124093000</identifier>...'
ATOM_SAMPLE = '<feed xmlns="http://www.w3.org/2005/Atom"><title>生效中的预警</title>...'
GEOJSON_SAMPLE = '{"type":"FeatureCollection","features":[]}'


def reading_routes(public: PublicParts, settings: Settings) -> list[Route]:
    """What everybody may read."""
    parts = {"feeds": public.feeds, "shelf": public.shelf, "base": settings.public_url, "city": settings.city}

    def reads(summary: str, gives: type[BaseModel] | None = None, **more: Any) -> Mapping[str, Operation]:
        unchanged = {304: "unchanged since the ETag of If-None-Match"}
        return {"GET": Operation(summary=summary, entry=PUBLIC, gives=gives, answers_as=unchanged, **more)}

    def raw(kind: str, example: str) -> Mapping[str, Any]:
        return {"gives_raw": {kind: example}}

    cap = raw(CAP_TYPE, CAP_SAMPLE)
    guotu = raw(feeds.GUOTU_TYPE, GUOTU_SAMPLE)
    where = {"query": feeds.DivisionQuery}
    atom, geojson = raw(ATOM_TYPE, ATOM_SAMPLE), raw(GEOJSON_TYPE, GEOJSON_SAMPLE)
    table: list[tuple[str, type[ApiHandler], Mapping[str, Operation]]] = [
        ("/v1/alerts", feeds.AlertsHandler,
         reads("Alerts in force: here, or in all of the city", ActiveAlerts, query=feeds.AlertsQuery)),
        ("/v1/alerts/{identifier}.cap", feeds.CapHandler, reads("One message: the released CAP 1.2 bytes", **cap)),
        ("/v1/alerts/{identifier}.guotu", feeds.GuotuHandler, reads("One message as 国突 XML", **guotu)),
        ("/v1/alerts/{identifier}/history", feeds.HistoryHandler, reads("The chain of a message", AlertHistory)),
        ("/v1/alerts/{identifier}", feeds.AlertHandler, reads("One message, in force or not", PublicAlert)),
        ("/v1/feeds/alerts.atom", feeds.AtomHandler, reads("Alerts in force as Atom (RFC 4287)", **where, **atom)),
        ("/v1/feeds/alerts.geojson", feeds.GeoJsonHandler, reads("The same as GeoJSON (RFC 7946)", **where, **geojson)),
        ("/v1/feeds/version", feeds.VersionHandler, reads("Whether anything has changed, in a few bytes", FeedVersion)),
        ("/v1/feeds/heartbeat.cap", feeds.HeartbeatHandler, reads("A CAP System message of this minute", **cap)),
        ("/v1/feeds/events", feeds.EventsHandler,
         reads("All releases in order, from a cursor", FeedEvents, query=feeds.EventsQuery)),
    ]  # fmt: skip
    return [Route(path, handler, operations, parts) for path, handler, operations in table]


def intake_routes(public: PublicParts) -> list[Route]:
    """What partners hand in, and what officers make of it."""
    parts = {"intake": public.intake}
    read, decide = officer(Deed.INTAKE_READ), officer(Deed.INTAKE_DECIDE)
    post = Operation(
        summary="Hand in a CAP or 国突 message; a standing order releases it, or it is proposed to an officer",
        entry=partner(INTAKE), takes_raw=intake.XML_TYPES, gives=intake.Taken, status=202,
    )  # fmt: skip
    page = Operation(
        summary="What partners handed in, newest first", entry=read, query=intake.ProposalsQuery,
        gives=intake.ProposalPage,
    )  # fmt: skip
    one = Operation(summary="One of them, with the message and all findings", entry=read, gives=intake.ProposalWhole)
    adopt = Operation(summary="Make a draft of it, marked with its source", entry=decide, gives=AlertView, status=201)
    dismiss = Operation(summary="Say no to it", entry=decide, takes=Decision, gives=intake.ProposalView)
    path = "/v1/staff/intake/{proposal}"
    return [
        Route("/v1/intake", intake.IntakeHandler, {"POST": post}, parts),
        Route("/v1/staff/intake", intake.ProposalsHandler, {"GET": page}, parts),
        Route(path, intake.ProposalHandler, {"GET": one}, parts),
        Route(f"{path}/adopt", intake.AdoptHandler, {"POST": adopt}, parts),
        Route(f"{path}/dismiss", intake.DismissHandler, {"POST": dismiss}, parts),
    ]
