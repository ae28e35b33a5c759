"""Facts over HTTP: departments state them signed, their person sees them and objects, officers answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import structlog

from handlers.bounds import listen
from handlers.facts import FACTS_BYTES
from handlers.routing import Route
from server import assemble, assemble_manners, assemble_public
from server.app import make_app
from server.assemble_facts import facts
from server.assemble_holdings import holdings
from server.domain.officers import Officer, Role
from server.domain.partners import Partner, signature
from server.domain.real_name import RealName
from server.services.partners import Registered
from server.storage.mongo import Session, in_transaction
from server.storage.real_names import RealNameStore
from tests.api.binding import Proofs, Town
from tests.api.client import Answer, Citizens, Client, Officers, client_of
from tests.api.conftest import LIMITS
from tests.domain.numbers import id_number
from tests.services.desk import AUTHOR

ID, OTHER_ID = id_number(), id_number("233", born="19850312")
LINES = "application/x-ndjson"
EDITOR: Officer = AUTHOR.model_copy(
    update={"id": "editor", "person": "e", "roles": frozenset({Role.EDITOR}), "division": "440300"}
)


@dataclass
class House:
    """A port with all doors, a registered department, and people."""

    assembly: assemble.Assembly
    api: Client
    department: Registered
    citizens: Citizens

    async def person(self, number: str = ID, name: str = "王小明", *consents: str) -> tuple[int, str]:
        """Somebody verified, with a home, who agreed to these purposes; id and token."""
        town = Town(self.assembly, self.citizens, self.api, Proofs())
        person = await town.person(sms=f"+86138{secrets.randbelow(10**8):08}")
        names = RealNameStore(self.assembly.db, self.assembly.vault, self.assembly.person_vault)
        sealed = await names.seal(person.id, RealName(name, number), self.assembly.now())
        assert await names.bind(person.id, sealed)
        for purpose in consents or ("service_offers",):
            await self.assembly.consents.give(person.id, purpose, 1)
        return person.id, person.token

    async def state(self, *rows: dict[str, Any] | bytes, **changed: Any) -> Answer:
        """Hand in lines, well signed unless `changed` says otherwise."""
        body = b"\n".join(row if isinstance(row, bytes) else orjson.dumps(row) for row in rows)
        at = changed.get("at", int(self.assembly.now().timestamp()))
        signed = signature(changed.get("secret", self.department.secret), "m1", at, changed.get("signs", body))
        headers = {"webhook_id": "m1", "webhook_timestamp": str(at), "webhook_signature": signed}
        token = changed.get("key", self.department.key)
        return await self.api("POST", "/v1/partners/facts", body, token=token, Content_Type=LINES, **headers)


def row(number: str = ID, fact: str = "id_card_until", value: Any = "2031-05-01", **more: Any) -> dict[str, Any]:
    return {"id_number": number, "fact": fact, "value": value, "as_of": "2026-01-20T09:00:00+08:00"} | more


@pytest.fixture
async def house(
    assembly: assemble.Assembly,
    routes: list[Route],
    officers: Officers,
    citizens: Citizens,
    readers: assemble_public.PublicParts,
) -> AsyncIterator[House]:
    gate = replace(officers.gate(citizens), partners=readers.partners)
    server, port = listen(make_app(routes, gate, manners=assemble_manners.manners(assembly)), 0, "127.0.0.1", LIMITS)
    partner = Partner(
        id="police", name="公安局", sources=("population",), division="440300", created_at=datetime.now(UTC)
    )
    yield House(assembly, client_of(port), await readers.partners.add(partner), citizens)
    server.stop()
    await server.close_all_connections()


async def test_a_department_states_and_the_person_sees_it(house: House):
    """Source, time, purpose and words in the caller's language; the same lines again change nothing."""
    _, token = await house.person()
    rows = (row(), row(fact="lives_alone", value=True), row(fact="residence", value="hukou"))
    answer = await house.state(*rows)
    assert (answer.status, answer.json["taken"], answer.json["refused"]) == (200, 3, [])
    assert (await house.state(*rows)).json == answer.json
    seen = (await house.api("GET", "/v1/me/facts", token=token, Accept_Language="en")).json["facts"]
    assert [(each["title"], each["value"], each["value_title"]) for each in seen] == [
        ("Kind of residence", "hukou", "Household register here"), ("Lives alone", True, ""),
        ("ID card valid until", "2031-05-01", ""),
    ]  # fmt: skip
    assert seen[2] | {"title": ""} == {
        "fact": "id_card_until", "title": "", "kind": "date", "value": "2031-05-01", "value_title": "", "holds": True,
        "thing": "", "source": "population", "source_title": "Population register",
        "as_of": "2026-01-20T01:00:00Z", "purpose": "service_offers", "is_used": True,
        "is_disputed": False, "is_in_conflict": False,
    }  # fmt: skip


async def test_each_line_is_answered_and_strangers_are_not_told_apart(house: House):
    """Bad lines with number and reason, of another's source too; a stranger's line is taken like any other."""
    await house.person()
    rows = (row(), b"\xff", row(OTHER_ID), row(value="2031-02-30"), row(fact="passport_until"), row(),
            row(source="vehicle", fact="inspection_until", thing="car"))  # fmt: skip
    answer = (await house.state(*rows)).json
    assert (answer["lines"], answer["taken"], answer["refused_count"]) == (7, 2, 5)
    assert [(each["line"], each["code"]) for each in answer["refused"]] == [
        (2, "encoding_wrong"), (4, "date_wrong"), (5, "source_denied"), (6, "line_duplicate"), (7, "source_denied"),
    ]  # fmt: skip
    [entry] = await house.assembly.audit.latest("facts", limit=1)
    assert (entry.actor, entry.details["kept"], entry.details["unknown"]) == ("partner/police", 1, 1)


async def test_who_is_not_signed_or_not_registered_for_facts_does_not_enter(
    house: House, readers: assemble_public.PublicParts
):
    weather = Partner(id="bureau", name="气象局", senders=("a@b",), division="440300", created_at=datetime.now(UTC))
    other = await readers.partners.add(weather)
    now = int(house.assembly.now().timestamp())
    for changed, status in (
        ({"key": ""}, 401), ({"key": "hmk_wrong"}, 401), ({"key": other.key}, 403), ({"secret": other.secret}, 401),
        ({"at": now - 400}, 401), ({"at": now + 400}, 401), ({"signs": b"else"}, 401),
    ):  # fmt: skip
        answer = await house.state(row(), **changed)
        assert (answer.status, bool(answer.code)) == (status, True), changed
    intake = await house.api("POST", "/v1/intake", b"<alert/>", token=house.department.key, Content_Type="text/xml")
    assert intake.status == 403


async def test_five_megabytes_are_taken_and_one_byte_more_is_not(house: House):
    line = orjson.dumps(row("x" * 5_000))
    many = [line] * (FACTS_BYTES // (len(line) + 1))
    answer = await house.state(*many)
    assert (answer.status, answer.json["lines"]) == (200, len(many))
    assert (await house.state(*many, line, line)).status == 413
    assert (await house.state(b"\n" * 50_001)).code == "lines_too_many"


async def test_an_objection_takes_the_fact_out_until_its_source_states_it_anew(house: House, officers: Officers):
    """Said, sealed, disputed; an officer of the division answers; the person is told and reads the answer."""
    citizen, token = await house.person()
    await house.state(row())
    path = "/v1/me/facts/id_card_until/objection"
    assert (await house.api("POST", path, {"text": " "}, token=token)).code == "text_missing"
    missing = await house.api("POST", "/v1/me/facts/passport_until/objection", {"text": "x"}, token=token)
    assert (missing.status, missing.code) == (404, "fact_unknown")
    made = await house.api("POST", path, {"text": "已换领CANARY"}, token=token)
    assert (made.status, made.json["is_open"]) == (201, True)
    assert (await house.api("POST", path, {"text": "again"}, token=token)).code == "objection_open"
    [seen] = (await house.api("GET", "/v1/me/facts", token=token)).json["facts"]
    assert (seen["is_disputed"], seen["is_used"]) == (True, False)
    assert "id_card_until" not in (await facts(house.assembly).store.find([citizen]))[citizen].values

    editor, list_ = officers.enter(EDITOR), "/v1/staff/fact-objections"
    [asked] = (await house.api("GET", list_, token=editor)).json["objections"]
    assert (asked["text"], asked["division"], asked["stated"][0]["value"]) == ("已换领CANARY", "440305", "2031-05-01")
    uses = (await house.api("GET", "/v1/me/uses", token=token)).json["uses"]
    assert uses[0]["about"] == f"objection/{asked['id']}"
    elsewhere = officers.enter(EDITOR.model_copy(update={"id": "far", "division": "440306"}))
    assert (await house.api("GET", list_, token=elsewhere)).json["objections"] == []
    answer = f"{list_}/{asked['id']}/answer"
    assert (await house.api("POST", answer, {"text": "x"}, token=elsewhere)).status == 404
    assert (await house.api("POST", answer, {"text": "x"}, token=officers.enter(AUTHOR))).status == 403
    for _ in "ab":
        done = await house.api("POST", answer, {"text": "已请公安核实CANARY"}, token=editor)
        assert (done.status, done.json["is_open"]) == (200, False)
    assert (await house.api("POST", answer, {"text": "else"}, token=editor)).code == "objection_answered"
    mine = (await house.api("GET", "/v1/me/facts", token=token)).json["objections"]
    assert [each["answer"] for each in mine] == ["已请公安核实CANARY"]
    assert len((await house.api("GET", "/v1/me/inbox", token=token)).json["items"]) == 1

    await house.state(row(value="2041-05-01", as_of="2026-02-20"))
    [seen] = (await house.api("GET", "/v1/me/facts", token=token)).json["facts"]
    assert (seen["is_used"], seen["value"], seen["is_disputed"]) == (True, "2041-05-01", False)
    names = await house.assembly.db.list_collection_names()
    assert "CANARY" not in repr([d for n in names for d in await house.assembly.db[n].find().to_list()])


async def test_what_is_taken_back_is_forgotten_and_what_is_given_is_looked_at_again(house: House):
    """Each consent has its own facts; who agrees to something is looked at again by the engine."""
    citizen, token = await house.person(ID, "王小明", "service_offers", "health_data")
    store = facts(house.assembly).store
    await house.state(row())
    before = (await store.changed_since(datetime(2020, 1, 1, tzinfo=UTC)))[0][0]
    await asyncio.sleep(0.002)  # the database's clock has milliseconds
    await house.api("PUT", "/v1/me/consents/location", {"version": 1}, token=token)
    assert (await store.changed_since(datetime(2020, 1, 1, tzinfo=UTC)))[0][0] > before
    await house.api("DELETE", "/v1/me/consents/health_data", token=token)
    assert "id_card_until" in (await store.find([citizen]))[citizen].values
    await house.api("DELETE", "/v1/me/consents/service_offers", token=token)
    assert await store.find([citizen]) == {}
    assert (await house.api("GET", "/v1/me/facts", token=token)).json["facts"] == []
    await house.state(row(as_of="2026-03-01"))
    assert await store.find([citizen]) == {}


async def test_facts_and_objections_are_exported_moved_and_erased(house: House):
    """A join gives both to the account that is left, and what counts is made anew; an erasure leaves nothing."""
    source, token = await house.person()
    target, _ = await house.person(OTHER_ID, "李四")
    await house.state(row(), row(OTHER_ID, "lives_alone", value=True))
    await house.api("POST", "/v1/me/facts/id_card_until/objection", {"text": "不对"}, token=token)
    await house.state(row(as_of="2026-05-01"))
    parts = facts(house.assembly)
    held = [h for h in holdings(house.assembly) if h.name in ("facts", "fact_objections")]

    async def move(session: Session) -> None:
        for holding in held:
            await holding.move(source, target, session)

    await in_transaction(house.assembly.db, move)
    await parts.settle(target)
    assert set((await parts.store.find([source, target]))[target].values) == {"id_card_until", "lives_alone"}
    rows = {holding.name: await holding.export(target) for holding in held}
    assert [each["text"] for each in rows["fact_objections"]] == ["不对"]
    assert {each["fact"] for each in rows["facts"]} == {"id_card_until", "lives_alone"}
    for holding in held * 2:
        await holding.erase(target)
        assert not await holding.export(target)
    assert await parts.store.find([source, target]) == {}


async def test_no_number_name_or_value_that_was_refused_is_stored_or_logged(house: House):
    """Raw documents and the log after a good and a bad request hold no number of a stranger, nothing of a bad line."""
    await house.person()
    with structlog.testing.capture_logs() as logs:
        await house.state(row(), row(OTHER_ID), row(value="CANARY"), b"CANARY " + OTHER_ID.encode())
    names = await house.assembly.db.list_collection_names()
    dump = repr([d for n in names for d in await house.assembly.db[n].find().to_list()]) + repr(logs)
    assert not [word for word in (ID, OTHER_ID, "CANARY", "王小明") if word in dump]
