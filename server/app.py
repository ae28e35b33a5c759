"""The ONE route table: path, handler, who may enter, what goes in and out. Whatever is not in it does not exist.

Operations of one feature stand together. `server/openapi.py` makes the contract from the table; tests hold that both
are the same and that nobody enters where the table does not say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
import tornado.web
from redis.exceptions import RedisError

import server
from handlers.base import ApiHandler
from handlers.docs import docs_routes
from handlers.gate import Gate
from handlers.health import Alive, LiveHandler, MetricsHandler, Ready, ReadyHandler
from handlers.manners import PLAIN, Manners
from handlers.mini import mini_routes
from handlers.openapi import OpenApiHandler
from handlers.routing import OPERATOR, PUBLIC, Operation, Route
from server import (
    assemble,
    assemble_applications,
    assemble_booking,
    assemble_bulletins,
    assemble_calendars,
    assemble_catalogue,
    assemble_citizens,
    assemble_facts,
    assemble_inbox,
    assemble_own_offers,
    assemble_privacy,
    assemble_proactive,
    assemble_waiting,
    assemble_weather,
)
from server.assemble import Assembly
from server.assemble_applications import ApplicationParts
from server.assemble_binding import BindingParts
from server.assemble_booking import BookingParts
from server.assemble_bulletins import BulletinParts
from server.assemble_catalogue import CatalogueParts
from server.assemble_citizens import CitizenParts
from server.assemble_duty import duty_binding
from server.assemble_inbox import InboxParts
from server.assemble_public import PublicParts
from server.assemble_standing_orders import standing_orders as order_counter
from server.domain.errors import NotFoundError
from server.openapi import document_of
from server.routes import (
    applications,
    booking,
    booking_office,
    bulletins,
    calendars,
    catalogue,
    codes,
    desk,
    divisions,
    duty,
    facts,
    inbox,
    joining,
    offers,
    office,
    organisations,
    privacy,
    proactive,
    public,
    real_name,
    relations,
    session,
    standing_orders,
    waiting,
    weather,
)
from server.routes.me import me_routes
from server.services.alert_reading import AlertReading
from server.services.audit_reading import AuditReading
from server.services.receipts import Receipts
from server.services.wechat_codes import WeChat
from server.storage.catalogue import CatalogueStore
from server.storage.mongo import MongoError

ADMIN_URL = "http://127.0.0.1:8081"
SECRET_PATH = re.compile(r"(/receipts/[^/]*|/calendars)/.*", re.DOTALL)  # the last part of such a path is a secret

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the public port: what handlers may ask."""

    assembly: Assembly
    receipts: Receipts
    reading: AlertReading
    public: PublicParts
    citizens: CitizenParts
    inbox: InboxParts
    booking: BookingParts
    catalogue: CatalogueParts
    audit: AuditReading
    applications: ApplicationParts
    bulletins: BulletinParts


def services_of(assembly: Assembly, readers: PublicParts, wechat: WeChat | None = None) -> Services:
    """The services of one API process. Without `wechat` nobody logs in by WeChat."""
    receipts, people = assemble.receipts(assembly), assemble_citizens.citizens(assembly, wechat)
    slots, news = assemble_booking.booking(assembly), assemble_bulletins.bulletins(assembly)
    return Services(
        assembly=assembly,
        receipts=receipts,
        reading=AlertReading(assembly.alert_store),
        public=readers,
        citizens=people,
        inbox=assemble_inbox.inbox(assembly, readers.feeds, receipts),
        bulletins=news,
        booking=slots,
        catalogue=assemble_catalogue.catalogue(assembly),
        audit=assemble.audit_reading(assembly),
        applications=assemble_applications.applications(
            assembly, CatalogueStore(assembly.db), people.binding.relations, slots.bookings
        ),
    )


class UnknownHandler(ApiHandler):
    """Everything else."""

    async def prepare(self) -> None:
        """Answer 404 to every method."""
        raise NotFoundError("path_unknown", zh="没有这个地址", en="there is no such path")


def public_routes(services: Services) -> list[Route]:
    """What citizens, officers, partners and providers reach."""
    return [
        *desk.receipt_routes(services.receipts),
        *desk.desk_routes(services.assembly.alerts, services.reading, assemble.previews(services.assembly)),
        *desk.broadcast_routes(assemble.control(services.assembly)),
        *public.reading_routes(services.public, services.assembly.settings),
        *divisions.routes(services.assembly.divisions, services.public.shelf),
        *public.intake_routes(services.public),
        *standing_orders.routes(order_counter(services.assembly)),
        *office.session_routes(services.assembly.officers),
        *office.office_routes(services.assembly.officers, services.audit),
        *session.routes(services.citizens.log_in),
        *codes.routes(services.citizens),
        *docs_routes(services.assembly.settings.security_contact, services.assembly.now),
        *mini_routes(),
        *me_routes(services.citizens.profile),
        *inbox.routes(services.inbox),
        *binding_routes(services.citizens.binding),
        *booking_routes(services),
        *privacy.routes(assemble_privacy.privacy(services.assembly, services.citizens.codes)),
        *catalogue.routes(services.catalogue, services.public.shelf),
        *weather.routes(assemble_weather.weather(services.assembly), services.public.shelf),
        *applications.routes(services.applications),
        *bulletins.routes(services.bulletins, services.public.shelf, services.assembly.settings.public_url),
        *duty.routes(duty_binding(services.assembly)),
        *facts.routes(assemble_facts.facts(services.assembly)),
        *proactive_routes(services),
    ]


def proactive_routes(services: Services) -> list[Route]:
    """Rules of officers, offers of citizens."""
    parts = assemble_proactive.proactive(services.assembly)
    own = assemble_own_offers.own_offers(services.assembly, parts, services.applications, services.catalogue.plan)
    return [*proactive.routes(parts), *offers.routes(own, services.catalogue.catalogue, services.public.shelf)]


def binding_routes(parts: BindingParts) -> list[Route]:
    """Who somebody is and for whom they act."""
    return [
        *real_name.routes(parts),
        *relations.routes(parts),
        *organisations.routes(parts),
        *joining.routes(parts),
    ]


def booking_routes(services: Services) -> list[Route]:
    """Bookings, for citizens and officers."""
    kin = assemble_booking.kin(services.assembly, services.citizens.binding.relations)
    own = assemble_booking.own_bookings(services.assembly, services.booking, kin)
    office = assemble_booking.booking_office(services.assembly, services.booking)
    waits, visits = assemble_waiting.own_waiting(services.assembly, services.booking.waiting, own, kin)
    files = assemble_calendars.calendars(services.assembly, services.booking.bookings)
    return [
        *booking.routes(services.booking, own),
        *waiting.routes(waits, visits),
        *booking_office.routes(office),
        *calendars.routes(files, services.assembly.settings.public_url),
    ]


def admin_routes(assembly: Assembly, figures: Callable[[], bytes]) -> list[Route]:
    """What stays inside. `figures` are those of this process, for Prometheus."""

    async def mongo_answers() -> bool:
        try:
            await assembly.db.command("ping")
        except MongoError:
            return False
        return True

    async def redis_answers() -> bool:
        try:
            return bool(await assembly.redis.ping())
        except (RedisError, OSError):
            return False

    checks = {"mongo": mongo_answers, "redis": redis_answers}
    live = Operation(summary="Whether the process turns", entry=OPERATOR, gives=Alive)
    ready = Operation(
        summary="Whether requests can be served", entry=OPERATOR, gives=Ready, answers_as={503: "a part is away"}
    )
    metrics = Operation(
        summary="The figures of this process", entry=OPERATOR, gives_raw={"text/plain": "process_open_fds 42.0\n"}
    )
    return [
        Route("/livez", LiveHandler, {"GET": live}),
        Route("/readyz", ReadyHandler, {"GET": ready}, {"checks": checks}),
        Route("/metrics", MetricsHandler, {"GET": metrics}, {"figures": figures}),
    ]


def with_contract(public: Sequence[Route], admin: Sequence[Route]) -> list[Route]:
    """The public routes and the document that describes all of them, itself included."""
    contract = Operation(
        summary="This contract: OpenAPI 3.1, made from the route table",
        entry=PUBLIC,
        gives_raw={"application/json": '{"openapi":"3.1.0"}'},
        answers_as={304: "unchanged"},
    )
    route = Route("/openapi.json", OpenApiHandler, {"GET": contract})
    document = document_of([*public, route], admin, server.__version__, ADMIN_URL)
    return [*public, Route(route.path, route.handler, route.operations, {"document": document})]


Saw = Callable[[str, str, int, float], None]  # method, path of the table, status, seconds


def make_app(
    routes: Sequence[Route], gate: Gate, saw: Saw | None = None, manners: Manners = PLAIN
) -> tornado.web.Application:
    """A Tornado application that serves these routes and answers 404 problem+json to everything else."""

    def finished(handler: tornado.web.RequestHandler) -> None:
        _log_request(handler)
        if saw:
            path = handler.path if isinstance(handler, ApiHandler) else ""
            saw(handler.request.method or "", path, handler.get_status(), handler.request.request_time())

    shared = {"gate": gate, "manners": manners}
    return tornado.web.Application(
        [(r.pattern, r.handler, {"path": r.path, "operations": r.operations, **shared, **r.parts}) for r in routes],
        default_handler_class=UnknownHandler,
        default_handler_args={"path": "unknown", "operations": {}, **shared},
        compress_response=False,
        cross_origin_protection=True,
        trusted_origins=manners.origins,
        serve_traceback=False,
        log_function=finished,
    )


def _log_request(handler: tornado.web.RequestHandler) -> None:
    """One line per request, without its query and without the key in a receipt's or a calendar's path: all secrets."""
    report = log.debug if handler.get_status() < 400 else log.warning
    report(
        "request",
        method=handler.request.method,
        path=SECRET_PATH.sub(r"\1/***", handler.request.path),
        status=handler.get_status(),
        ms=round(handler.request.request_time() * 1000, 1),
        request_id=getattr(handler, "request_id", ""),
    )
