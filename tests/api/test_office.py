"""The office over HTTP: in by a link, a password and a code; out at once; who may enter is the table's to say."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyotp
import pytest

from handlers.bounds import listen
from handlers.gate import Gate
from handlers.routing import PARAMETERS, Route, Who
from server.app import make_app
from server.assemble import Assembly
from server.domain.access import Deed, may_ask
from server.domain.officers import NewOfficer, Role
from tests.api.client import Answer, Client, Officers, client_of
from tests.services.desk import UNIT, officer
from tests.services.office import PASSWORD

SESSION = "/v1/staff/session"
ACCOUNTS = "/v1/staff/officers"


@dataclass(frozen=True, slots=True)
class Insider:
    """Someone with an account, who knows the secrets of it."""

    id: str
    name: str
    secret: str

    def code(self, at: datetime, *, steps: int = 0) -> str:
        """What the authenticator shows, or will show some steps later."""
        return pyotp.TOTP(self.secret).at(at + timedelta(seconds=30 * steps))


@pytest.fixture
async def office(routes: list[Route], assembly: Assembly) -> AsyncIterator[Client]:
    """The public port, with the real door."""
    server, port = listen(make_app(routes, Gate(assembly.officers, None, assembly.now)), 0, "127.0.0.1")
    yield client_of(port)
    server.stop()
    await server.close_all_connections()


def form(name: str, person: str, *roles: str) -> dict[str, Any]:
    unit = UNIT.model_dump()
    return {"name": name, "person": person, "roles": roles, "unit": unit, "division": "440300", "events": ["11B"]}


async def insider(assembly: Assembly, name: str, *roles: Role) -> Insider:
    new = NewOfficer.model_validate(form(name, f"p-{name.encode().hex()}", *roles))
    account, link = await assembly.officers.create(None, new)
    activation = await assembly.officers.activate(link, PASSWORD)
    return Insider(account.officer.id, name, activation.totp_secret)


async def log_in(office: Client, who: Insider, at: datetime, *, steps: int = 0, **other: str) -> Answer:
    given = {"name": who.name, "password": PASSWORD, "code": who.code(at, steps=steps)} | other
    return await office("POST", SESSION, given)


async def test_a_new_officer_gets_in_looks_around_and_leaves_with_nothing_but_http(office: Client, assembly: Assembly):
    boss = await insider(assembly, "管理员甲", Role.ADMINISTRATOR)
    admin = (await log_in(office, boss, assembly.now())).json["token"]
    made = await office("POST", ACCOUNTS, form("王敏", "S-1024", "releaser"), token=admin)
    assert (made.status, made.json["officer"]["state"]) == (201, "invited")
    activated = await office("POST", made.json["path"], {"link": made.json["link"], "password": PASSWORD})
    wang = Insider(made.json["officer"]["id"], "王敏", activated.json["totp_secret"])
    entered = await log_in(office, wang, assembly.now())
    token = entered.json["token"]
    assert entered.status == 201
    me = await office("GET", SESSION, token=token)
    assert me.json["officer"]["name"] == "王敏"
    confirmed = await office("POST", f"{SESSION}/totp", {"code": wang.code(assembly.now(), steps=1)}, token=token)
    assert confirmed.json["totp_fresh_until"] > me.json["totp_fresh_until"]
    (listed,) = (await office("GET", "/v1/staff/sessions", token=token)).json["sessions"]
    assert (listed["id"], listed["origin"]) == (me.json["id"], "127.0.0.1")
    assert (await office("DELETE", SESSION, token=token)).status == 204
    assert (await office("GET", SESSION, token=token)).code == "session_unknown"


async def test_a_wrong_log_in_is_answered_alike_for_known_and_unknown_names_and_then_slowed_down(
    office: Client, assembly: Assembly
):
    wang = await insider(assembly, "王敏", Role.AUTHOR)
    told = []
    for other in ({"password": "wrong"}, {"name": "无名氏"}, {"code": "000000"}):
        answer = await log_in(office, wang, assembly.now(), **other)
        told.append((answer.status, {k: v for k, v in answer.json.items() if k != "request_id"}))
    assert told[0] == told[1] == told[2]
    assert told[0][0] == 401
    answers = [await log_in(office, wang, assembly.now(), name="无名氏") for _ in range(4)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429]


async def test_a_link_works_once_and_a_weak_password_names_the_field(office: Client, assembly: Assembly):
    _, link = await assembly.officers.create(None, NewOfficer.model_validate(form("王敏", "p1", "author")))
    weak = await office("POST", "/v1/staff/activation", {"link": link, "password": "passwordpassword"})
    assert (weak.status, weak.code, weak.json["field"]) == (422, "password_guessable", "password")
    assert (await office("POST", "/v1/staff/activation", {"link": link, "password": PASSWORD})).status == 200
    again = await office("POST", "/v1/staff/activation", {"link": link, "password": PASSWORD})
    assert (again.status, again.code) == (401, "link_unknown")


async def test_what_an_administrator_changes_holds_on_the_next_request(office: Client, assembly: Assembly):
    boss = await insider(assembly, "管理员甲", Role.ADMINISTRATOR)
    wang = await insider(assembly, "王敏", Role.AUTHOR)
    admin = (await log_in(office, boss, assembly.now())).json["token"]
    token = (await log_in(office, wang, assembly.now())).json["token"]
    one = f"{ACCOUNTS}/{wang.id}"
    assert (await office("PUT", f"{one}/roles", {"roles": ["releaser"]}, token=admin)).json["roles"] == ["releaser"]
    assert (await office("GET", SESSION, token=token)).json["officer"]["roles"] == ["releaser"]
    assert (await office("PUT", f"{one}/lock", token=admin)).json["state"] == "locked"
    assert (await office("GET", SESSION, token=token)).status == 401
    assert (await office("DELETE", f"{one}/lock", token=admin)).json["state"] == "active"
    link = (await office("POST", f"{one}/recover", token=admin)).json["link"]
    assert (await log_in(office, wang, assembly.now(), steps=1)).status == 401
    assert (await office("POST", "/v1/staff/activation", {"link": link, "password": PASSWORD})).status == 200
    assert (await office("DELETE", f"{one}/sessions", token=admin)).json == {"ended": 0}
    assert [found["name"] for found in (await office("GET", ACCOUNTS, token=admin)).json["officers"]] == [
        "管理员甲",
        "王敏",
    ]


async def test_a_stranger_cannot_choose_the_address_that_failures_are_counted_under(office: Client, assembly: Assembly):
    wang = await insider(assembly, "王敏", Role.AUTHOR)
    given = {"name": wang.name, "password": PASSWORD, "code": wang.code(assembly.now())}
    entered = await office("POST", SESSION, given, X_Forwarded_For="198.51.100.7", X_Real_Ip="198.51.100.7")
    assert entered.json["session"]["origin"] == "127.0.0.1"


async def test_somebody_elses_session_is_as_unknown_as_none(office: Client, assembly: Assembly):
    wang = await insider(assembly, "王敏", Role.AUTHOR)
    li = await insider(assembly, "李强", Role.AUTHOR)
    mine = (await log_in(office, wang, assembly.now())).json
    theirs = (await log_in(office, li, assembly.now())).json
    for session in (theirs["session"]["id"], secrets.token_hex(16)):
        answer = await office("DELETE", f"/v1/staff/sessions/{session}", token=mine["token"])
        assert (answer.status, answer.code) == (404, "session_unknown")
    assert (await office("DELETE", "/v1/staff/sessions", token=theirs["token"])).json == {"ended": 1}
    assert (await office("GET", SESSION, token=mine["token"])).status == 200


async def test_changing_accounts_needs_a_fresh_code(api: Client, officers: Officers):
    token = officers.enter(officer("boss", Role.ADMINISTRATOR), totp_age=timedelta(minutes=6))
    answer = await api("POST", ACCOUNTS, form("王敏", "p1", "author"), token=token)
    assert (answer.status, answer.code) == (403, "totp_stale")
    assert (await api("GET", ACCOUNTS, token=token)).status == 200


async def test_a_knock_at_a_door_that_stays_shut_is_in_the_log(office: Client, assembly: Assembly):
    wang = await insider(assembly, "王敏", Role.AUTHOR)
    token = (await log_in(office, wang, assembly.now())).json["token"]
    assert (await office("GET", "/v1/staff/audit", token=token)).status == 403
    (entry,) = await assembly.audit.latest("audit")
    assert (entry.actor, entry.action, entry.result) == (wang.id, "audit.read", "role_missing")


async def test_an_auditor_reads_the_log_page_by_page_and_sees_whether_it_is_whole(
    api: Client, assembly: Assembly, officers: Officers
):
    await insider(assembly, "王敏", Role.AUTHOR)
    auditor = officers.enter(officer("auditor", Role.AUDITOR))
    first = (await api("GET", "/v1/staff/audit?stream=officer&limit=2", token=auditor)).json
    rest = (await api("GET", f"/v1/staff/audit?stream=officer&limit=2&before={first['next']}", token=auditor)).json
    actions = [entry["action"] for entry in (*first["entries"], *rest["entries"])]
    assert (actions, rest["next"]) == (["officer.activate", "officer.create", "officer.create"], None)
    assert (await api("POST", "/v1/staff/audit/verify", token=auditor)).json == {"is_whole": True, "findings": []}
    await assembly.db["audit"].update_one({"action": "officer.activate"}, {"$set": {"actor": "nobody"}})
    found = (await api("POST", "/v1/staff/audit/verify", token=auditor)).json
    assert [finding["code"] for finding in found["findings"]] == ["audit_altered"]
    looked = (await api("GET", "/v1/staff/audit?stream=audit", token=auditor)).json["entries"]
    assert [entry["action"] for entry in looked[-4:]] == ["audit.verify", "audit.verify", "audit.read", "audit.read"]


async def test_an_auditor_of_a_district_does_not_read_the_citys_log(api: Client, officers: Officers):
    token = officers.enter(officer("auditor", Role.AUDITOR, division="440305"))
    for method, path in (("GET", "/v1/staff/audit"), ("POST", "/v1/staff/audit/verify")):
        answer = await api(method, path, token=token)
        assert (answer.status, answer.code) == (403, "outside_division")


async def test_every_route_for_officers_lets_in_the_roles_of_the_table_and_no_other(
    api: Client, officers: Officers, routes: list[Route]
):
    tokens = {role: officers.enter(officer(f"all-{role}", role)) for role in Role}
    cells = 0
    for route in routes:
        path = re.sub(r"\{(\w+)\}", lambda found: PARAMETERS[found[1]].example, route.path)
        for method, operation in route.operations.items():
            if operation.entry.who is not Who.OFFICER:
                continue
            assert (await api(method, path)).status == 401, path
            for role, token in tokens.items():
                if may_ask(officer("x", role), Deed(operation.entry.action)):
                    continue  # what happens inside is for the tests of the thing itself
                answer = await api(method, path, token=token)
                assert (answer.status, answer.code) == (403, "role_missing"), (role, method, path)
                cells += 1
    assert cells > 100
