"""Applications on a port of their own: a small catalogue, citizens and officers who are already in."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

from handlers.bounds import Limits, listen
from handlers.manners import Manners
from server import assemble_applications, assemble_booking, assemble_manners
from server.app import make_app
from server.assemble import Assembly
from server.assemble_applications import ApplicationParts
from server.domain.catalogue import Item
from server.domain.ratings import Rating
from server.routes import applications
from server.storage.catalogue import CatalogueStore
from server.storage.ratings import RatingStore
from tests.api.client import Citizens, Client, Officers, client_of
from tests.domain.items import MATERIAL, Shelf, item
from tests.services.application_world import Acting

PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@dataclass
class Counter:
    """What a test holds in its hands."""

    api: Client
    parts: ApplicationParts
    acting: Acting
    assembly: Assembly


@asynccontextmanager
async def counter_of(
    assembly: Assembly, officers: Officers, citizens: Citizens, *items: Item
) -> AsyncIterator[Counter]:
    """The routes of applications, served."""
    acting = Acting()
    parts = assemble_applications.applications(
        assembly, Shelf(*items), acting, assemble_booking.booking(assembly).bookings
    )
    manners = Manners(idempotency=assemble_manners.idempotency(assembly))
    app = make_app(applications.routes(parts), officers.gate(citizens), manners=manners)
    server, port = listen(app, 0, "127.0.0.1", Limits(header_timeout_s=1.0, body_timeout_s=1.0))
    yield Counter(client_of(port), parts, acting, assembly)
    server.stop()
    await server.close_all_connections()


async def make_application(assembly: Assembly, api: Client, _owner: int, token: str) -> dict[str, str]:
    """A draft of theirs that could be handed in."""
    await CatalogueStore(assembly.db).publish_all([item(materials=[MATERIAL])], "test", "", assembly.now())
    form = {"item": "elder-allowance", "form": {"reason": "满八十岁"}}
    made = await api("POST", "/v1/applications", form, token=token)
    return {"application": made.json["id"]}


async def make_application_with_source(assembly: Assembly, api: Client, owner: int, token: str) -> dict[str, str]:
    """One whose material a source replaces."""
    return {**await make_application(assembly, api, owner, token), "source": "population"}


async def make_attachment(assembly: Assembly, api: Client, owner: int, token: str) -> dict[str, str]:
    """A file of theirs."""
    made = await make_application(assembly, api, owner, token)
    path = f"/v1/applications/{made['application']}/attachments?material=id_card"
    answer = await api("POST", path, PDF, token=token, Content_Type="application/pdf")
    return {**made, "attachment": answer.json["brought"][0]["ref"]}


async def make_rated(assembly: Assembly, api: Client, owner: int, token: str) -> dict[str, str]:
    """One that they have rated."""
    made = await make_application(assembly, api, owner, token)
    rating = Rating(
        secrets.token_hex(16), "sz-civil-affairs", "440300", "elder-allowance", 5, {}, (), "", 1, date(2026, 11, 24)
    )
    store = RatingStore(assembly.db, assembly.person_vault, assembly.vault)
    assert await store.insert(rating, made["application"], owner)
    return made


async def make_named(assembly: Assembly, api: Client, owner: int, token: str) -> dict[str, str]:
    """One in which somebody was named who has not answered yet."""
    made = await make_application(assembly, api, owner, token)
    at = assembly.now()
    named = {
        "citizen": 2**42 + 9, "account": "9" * 32, "role": "household", "id": "1", "asked_at": at, "asks": 1,
        "answer": "waiting", "answered_at": None,
    }  # fmt: skip
    await assembly.db["applications"].update_one({"_id": made["application"]}, {"$set": {"agreements": [named]}})
    return {**made, "invitation": "1"}
