"""A citizen's rights over HTTP: consents, who used my data, taking it away, being forgotten."""

from __future__ import annotations

import csv
import json
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest

from server.assemble import Assembly
from server.assemble_privacy import erasure
from server.domain import ranks
from server.domain.broadcasts import Audience, Lane, page_id
from server.domain.citizens import AccountState
from server.domain.erasure import SETTLE
from server.domain.officers import Officer, Role, Unit
from server.domain.one_time_codes import Purpose
from server.domain.pages import Page, PageState
from server.domain.uses import User
from server.domain.wording import Words
from server.services.erasure import Erasure
from server.services.export import Export
from server.storage.citizens import NewCitizen
from server.storage.mongo import Session
from server.storage.one_time_codes import CodeStore, NewCode
from server.storage.person_keys import ShreddedError
from tests.api.client import Answer, Citizens, Client, Officers
from tests.push.city import DIVISIONS, crowd, warning

UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
DESK = User("of-1", "深圳市气象台", ("值班首长", "duty chief"))
ME, OTHER = 4711, 4712


@pytest.fixture
async def me(citizens: Citizens) -> str:
    return await citizens.enter(ME)


async def consent(api: Client, token: str, purpose: str) -> dict[str, Any]:
    found = (await api("GET", "/v1/me/consents", token=token)).json["consents"]
    one: dict[str, Any] = next(each for each in found if each["purpose"] == purpose)
    return one


async def test_a_consent_is_given_and_taken_back_and_holds_at_once(
    api: Client, assembly: Assembly, citizens: Citizens, me: str
):
    assert not await assembly.consents.has(ME, "location")
    given = await api("PUT", "/v1/me/consents/location", {"version": 1}, token=me)
    assert (given.status, given.json["is_given"], given.json["said_version"]) == (200, True, 1)
    assert await assembly.consents.has(ME, "location")
    assert await assembly.consents.given_by([ME, OTHER], "location") == {ME}
    assert (await consent(api, me, "location"))["is_given"]
    assert not (await consent(api, me, "health_data"))["is_given"]
    other = await citizens.enter(OTHER)
    assert not (await consent(api, other, "location"))["is_given"]
    assert (await api("DELETE", "/v1/me/consents/location", token=other)).status == 200
    assert await assembly.consents.has(ME, "location")  # nobody speaks for another
    taken = await api("DELETE", "/v1/me/consents/location", token=me)
    assert (taken.status, taken.json["is_given"]) == (200, False)
    assert not await assembly.consents.has(ME, "location")
    assert await assembly.consents.given_by([ME], "location") == set()


async def test_saying_it_again_adds_nothing_and_the_history_is_never_changed(api: Client, assembly: Assembly, me: str):
    for method, body in (("PUT", {"version": 1}), ("PUT", {"version": 1}), ("DELETE", None), ("DELETE", None)):
        assert (await api(method, "/v1/me/consents/profile", body, token=me)).status == 200
    await api("PUT", "/v1/me/consents/profile", {"version": 1}, token=me)
    rows = await assembly.consents.export(ME)
    assert [row["is_given"] for row in rows] == [True, False, True]
    assert [row["at"] for row in rows] == sorted({row["at"] for row in rows})


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (("PUT", "location", {"version": 2}), (409, "consent_outdated")),
        (("PUT", "astrology", {"version": 1}), (404, "purpose_unknown")),
        (("DELETE", "astrology", None), (404, "purpose_unknown")),
        (("PUT", "location", {"version": "1"}), (422, "input_invalid")),
        (("PUT", "location", {"version": 1, "citizen": OTHER}), (422, "input_invalid")),
        (("PUT", "$where", {"version": 1}), (404, "path_unknown")),
    ],
)
async def test_what_is_no_purpose_or_no_text_in_force_is_refused(
    ask: tuple[str, str, Any], told: tuple[int, str], api: Client, assembly: Assembly, me: str
):
    method, purpose, body = ask
    answer = await api(method, f"/v1/me/consents/{purpose}", body, token=me)
    assert (answer.status, answer.code) == told
    assert await assembly.db["consents"].count_documents({}) == 0


@pytest.mark.parametrize("path", ["consents", "uses", "export"])
async def test_nobody_reads_it_without_a_log_in(path: str, api: Client, officers: Officers):
    for token in ("", "nobody", officers.enter(officer())):
        assert (await api("GET", f"/v1/me/{path}", token=token)).status == 401


def officer() -> Officer:
    fields: dict[str, Any] = {"id": "of-1", "person": "p1", "name": "王敏", "unit": UNIT, "events": ("11",)}
    return Officer(**fields, roles=frozenset({Role.CHIEF}), division="440300")


async def test_who_is_on_the_officers_list_sees_that_unit_and_office_and_not_the_name(
    api: Client, assembly: Assembly, officers: Officers, citizens: Citizens
):
    made = sorted(crowd(2, 7), key=lambda citizen: citizen.id)
    await assembly.citizens.add(made)
    broadcast = warning("storm", Lane.RED, assembly.now())
    await assembly.broadcasts.publish(broadcast)
    here = DIVISIONS.index_of(made[0].places[0].division)
    page = Page(
        id=page_id("storm", "sms", 0, 0), broadcast="storm", channel="sms", number=0, lane=Lane.RED,
        state=PageState.DONE, to=[made[0].id], divisions=[here], not_before=assembly.now(),
        expires_at=broadcast.expires_at, outcomes=[ranks.UNDELIVERED],
    )  # fmt: skip
    await assembly.pages.insert([page])
    path = "/v1/staff/broadcasts/storm/unreached?division=440305&purpose=telephone%20them&unconfirmed=true"
    shown = await api("GET", path, token=officers.enter(officer()))
    assert len(shown.json["people"]) == 1
    used = await api("GET", "/v1/me/uses", token=await citizens.enter(made[0].id), Accept_Language="en")
    [use] = used.json["uses"]
    assert (use["unit"], use["office"], use["purpose"]) == (UNIT.name, "duty chief", "telephone them")
    assert (use["about"], "phone" in use["fields"]) == ("storm", True)
    assert "王敏".encode() not in used.body
    assert b"of-1" not in used.body
    assert (await api("GET", "/v1/me/uses", token=await citizens.enter(made[1].id))).json["uses"] == []


async def test_the_list_of_uses_comes_in_pages_without_a_gap_or_a_double(api: Client, assembly: Assembly, me: str):
    for number in range(7):
        await assembly.uses.note([ME, OTHER], DESK, f"purpose {number}", ["phone"])
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api("GET", f"/v1/me/uses?limit=3&cursor={cursor}", token=me)).json
        seen += [use["purpose"] for use in page["uses"]]
        if not (cursor := page["next"]):
            break
    assert sorted(seen) == [f"purpose {number}" for number in range(7)]
    for bad in ("x", "1-zz", "-1-0a1b2c3d4e5f60718293a4b5", "ffffffffffffffff-0a1b2c3d4e5f60718293a4b5"):
        assert (await api("GET", f"/v1/me/uses?cursor={bad}", token=me)).code == "cursor_invalid"


def opened(answer: Answer) -> dict[str, str]:
    with zipfile.ZipFile(BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_an_export_holds_all_that_is_mine_and_nothing_of_others_nor_an_internal_id(
    api: Client, assembly: Assembly, me: str
):
    for who, mark in ((ME, "=cmd|'mine'"), (OTHER, "=cmd|'theirs'")):
        await assembly.uses.note([who], DESK, mark, ["phone", "name"], about="storm")
        await assembly.consents.give(who, "location", 1)
    await assembly.consents.withdraw(ME, "location")
    answer = await api("GET", "/v1/me/export", token=me)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    files = opened(answer)
    assert {"README.txt", "data.json", "consents.csv", "uses.csv"} <= set(files)
    everything = json.loads(files["data.json"])
    assert [row["is_given"] for row in everything["consents"]] == [True, False]
    assert [row["purpose"] for row in everything["uses"]] == ["=cmd|'mine'"]
    rows = list(csv.DictReader(StringIO(files["uses.csv"].removeprefix("\ufeff"))))
    assert [row["purpose"] for row in rows] == ["'=cmd|'mine'"]
    assert files["uses.csv"].startswith("\ufeff")
    for name in files:
        assert name in files["README.txt"] or name == "README.txt"
    for text in files.values():
        assert "theirs" not in text
        assert str(ME) not in text
        assert DESK.account not in text
    [entry] = await assembly.db["audit"].find({"action": "citizen.export"}).to_list()
    assert entry["actor"] == entry["object"] == f"{ME:032x}"


async def test_taking_everything_away_or_leaving_needs_a_fresh_log_in(api: Client, assembly: Assembly, me: str):
    old = assembly.now() - timedelta(minutes=16)
    await assembly.db["accounts"].update_one({"_id": ME}, {"$set": {"log_ins.0.began_at": old}})
    assert (await api("GET", "/v1/me/export", token=me)).code == "log_in_stale"
    assert (await api("POST", "/v1/me/erasure", {"confirm": "erase"}, token=me)).code == "log_in_stale"
    assert (await assembly.accounts.get(ME)).state is AccountState.ACTIVE
    assert await assembly.db["audit"].count_documents({}) == 0


class Long:
    """A holding with more than one piece can hold."""

    name = "long"
    collections: Sequence[str] = ()

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Much."""
        return [{"row": number, "text": f"{citizen * number * 7919:060x}"} for number in range(20_000)]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Nobody asks for it here."""

    async def erase(self, citizen: int) -> None:
        """Nor for this."""


async def test_a_long_export_leaves_in_pieces(assembly: Assembly, citizens: Citizens, me: str):
    export = Export([Long()], assembly.audit, assembly.now)
    pieces = [piece async for piece in await export.begin(await citizens.caller(me))]
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 200_000
    with zipfile.ZipFile(BytesIO(b"".join(pieces))) as archive:
        assert len(json.loads(archive.read("data.json"))["long"]) == 20_000


async def settled(assembly: Assembly, *holdings: Any) -> None:
    """The duty of a worker runs now, and again after a while."""
    case = erasure(assembly)
    await case.finish_open()
    later = Erasure(case._shelves, [*case._holdings, *holdings], assembly.audit, lambda: assembly.now() + SETTLE)  # noqa: SLF001
    await later.finish_open()


async def sent_code(assembly: Assembly, phone: str, purpose: Purpose = Purpose.ERASE) -> dict[str, str]:
    """What somebody types in who got a code on this phone."""
    store, now = CodeStore(assembly.db, assembly.vault), assembly.now()
    new = NewCode(secrets.token_hex(16), purpose, phone, "123456", now)
    keys = store.keys(phone, {}, [], now)
    assert await store.add(new, keys, await store.standing(keys), {})
    return {"request": new.request, "code": new.code}


@pytest.mark.parametrize(
    ("phone", "purpose", "told"),
    [
        (None, None, (403, "erase_code_needed")),
        ("+8613711110002", Purpose.ERASE, (422, "code_wrong")),  # somebody else's phone
        ("+8613711110001", Purpose.LOG_IN, (422, "code_wrong")),
        ("+8613711110001", Purpose.ERASE, (202, "")),
    ],
)
async def test_who_has_a_phone_leaves_with_a_code_that_was_sent_to_it(
    phone: str | None, purpose: Purpose, told: tuple[int, str], api: Client, assembly: Assembly, me: str
):
    await assembly.citizens.add([NewCitizen(ME, (), {"sms": ("+8613711110001",), "wechat": ("o-me",)})])
    shown = await sent_code(assembly, phone, purpose) if phone else {}
    answer = await api("POST", "/v1/me/erasure", {"confirm": "erase", **shown}, token=me)
    assert (answer.status, answer.code) == told
    is_out = (await assembly.accounts.get(ME)).state is AccountState.LOCKED
    assert is_out is (told[0] == 202)


async def test_who_leaves_is_out_at_once_and_everything_goes_soon(api: Client, assembly: Assembly, citizens: Citizens):
    [person, other] = [replace(c, id=i) for c, i in zip(crowd(2, 9), (ME, OTHER), strict=True)]
    person = replace(person, addresses={**person.addresses, "sms": ("+8613711110001",)})
    await assembly.citizens.add([person, other])
    token = await citizens.enter(ME)
    sealed = (await assembly.person_vault.of(ME)).seal("王小明", owner="x")
    await assembly.uses.note([ME, OTHER], DESK, "telephone", ["phone"])
    await assembly.consents.give(ME, "location", 1)
    await assembly.notices.tell(ME, Words("取件", ""), Words("请取证件", ""), key="n1")

    leave = {"confirm": "erase", **await sent_code(assembly, "+8613711110001")}
    answer = await api("POST", "/v1/me/erasure", leave, token=token, Accept_Language="en")
    assert (answer.status, [each["name"] for each in answer.json["kept_by_law"]]) == (202, ["applications"])
    assert {each["name"]: each["days"] for each in answer.json["fading"]} == {"delivery_ledger": 30, "audit_log": None}
    locked = await assembly.accounts.get(ME)
    assert (locked.state, locked.log_ins, locked.session_version) == (AccountState.LOCKED, (), 2)
    audience = Audience(divisions=("440305",))
    assert [m.id async for m in assembly.citizens.members(audience, 0, 2**63 - 1)] == [OTHER]
    assert await assembly.db["outbox"].count_documents({"citizen": ME}) == 0

    await settled(assembly)
    gone = await assembly.accounts.get(ME)
    assert (gone.state, gone.public) == (AccountState.ERASED, f"{ME:032x}")
    for name in ("citizens", "addresses", "uses", "consents", "outbox", "notices"):
        assert await assembly.db[name].count_documents({"$or": [{"_id": ME}, {"citizen": ME}]}) == 0, name
    with pytest.raises(ShreddedError):
        await assembly.person_vault.of(ME)
    assert sealed
    assert await assembly.db["addresses"].count_documents({"_id": OTHER}) == 1
    assert await assembly.db["uses"].count_documents({"citizen": OTHER}) == 1
    log = await assembly.db["audit"].find({"stream": "citizen"}).sort("seq").to_list()
    assert [(e["action"], e["object"]) for e in log] == [
        ("citizen.erase", f"{ME:032x}"),
        ("citizen.erased", f"{ME:032x}"),
    ]


class Brittle:
    """A holding that breaks the first time, as a killed worker leaves it."""

    name = "brittle"
    collections: Sequence[str] = ()

    def __init__(self) -> None:
        self.erased: list[int] = []

    async def export(self, _citizen: int) -> Sequence[Mapping[str, Any]]:
        """Nothing."""
        return []

    async def move(self, source: int, target: int, session: Session) -> None:
        """Nobody asks for it here."""

    async def erase(self, citizen: int) -> None:
        """Break the first time."""
        self.erased.append(citizen)
        if len(self.erased) == 1:
            raise ConnectionError


async def test_what_a_killed_worker_left_is_finished_by_the_next(assembly: Assembly, citizens: Citizens, me: str):
    shelves, brittle = erasure(assembly)._shelves, Brittle()  # noqa: SLF001
    leaving = Erasure(shelves, [brittle], assembly.audit, assembly.now)
    await leaving.ask(await citizens.caller(me), None)
    with pytest.raises(ConnectionError):
        await leaving.finish_open()
    assert (await assembly.accounts.get(ME)).state is AccountState.LOCKED
    await leaving.finish_open()
    assert (await assembly.accounts.get(ME)).state is AccountState.ERASED
    assert await leaving.finish_open() == 0  # nothing to do before the second sweep
    later = Erasure(shelves, [brittle], assembly.audit, lambda: assembly.now() + SETTLE)
    assert await later.finish_open() == 1
    assert await later.finish_open() == 0
    assert brittle.erased == [ME] * 3


async def test_what_was_written_while_the_account_was_locked_goes_with_the_second_sweep(
    assembly: Assembly, citizens: Citizens, me: str
):
    leaving = erasure(assembly)
    await leaving.ask(await citizens.caller(me), None)
    await leaving.finish_open()
    await assembly.consents.give(ME, "location", 1)  # a request that was under way
    await settled(assembly)
    assert await assembly.db["consents"].count_documents({}) == 0


@pytest.mark.parametrize("body", [{}, {"confirm": "yes"}, {"confirm": "erase", "citizen": OTHER}])
async def test_leaving_has_to_be_meant(body: dict[str, Any], api: Client, assembly: Assembly, me: str):
    assert (await api("POST", "/v1/me/erasure", body, token=me)).status == 422
    assert (await assembly.accounts.get(ME)).state is AccountState.ACTIVE
