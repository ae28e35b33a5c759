"""A small town for the tests of who is who: its own port, codes and WeChat log-ins that the test decides."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from server.assemble import Assembly
from server.domain.citizens import Kind as AccountKind
from server.domain.divisions import prefix
from server.domain.errors import InvalidInputError
from server.domain.joining import Join, JoinState, Means
from server.domain.real_name import RealName
from server.domain.relations import Kind, Relation, Role, Scope, State
from server.storage.citizens import NewCitizen, Place
from server.storage.joins import JoinStore
from server.storage.notices import NoticeStore
from server.storage.real_names import RealNameStore
from server.storage.relations import Question, RelationStore
from tests.api.client import Answer, Citizens, Client
from tests.domain.numbers import id_number, uscc_of

HOME = Place("440305", ("440000", "440300", "440305"), (22.54, 113.93))
assert prefix(HOME.division) == "440305"


@dataclass(slots=True)
class Proofs:
    """One-time codes and `wx.login` codes: each good once."""

    phones: dict[tuple[str, str, str], str] = field(default_factory=dict)
    openids: dict[str, str] = field(default_factory=dict)

    def send(self, phone: str, purpose: str) -> dict[str, str]:
        """Send a code; what its holder types in."""
        request, code = secrets.token_hex(16), "492039"
        self.phones[request, code, purpose] = phone
        return {"request": request, "code": code}

    def log_in(self, openid: str) -> dict[str, str]:
        """A fresh `wx.login` code."""
        code = secrets.token_hex(8)
        self.openids[code] = openid
        return {"wechat_code": code}

    async def check(self, request: str, code: str, purpose: str) -> str:
        """Implements `Codes`."""
        try:
            return self.phones.pop((request, code, purpose))
        except KeyError:
            raise InvalidInputError("code_wrong", zh="验证码错误", en="wrong code", field="code") from None

    async def openid(self, code: str) -> str:
        """Implements `OpenIds`."""
        try:
            return self.openids.pop(code)
        except KeyError:
            raise InvalidInputError("code_wrong", zh="登录码无效", en="wrong code", field="code") from None


@dataclass(slots=True)
class Person:
    """Somebody who is logged in."""

    id: int
    token: str
    api: Client

    @property
    def public(self) -> str:
        """The public id that the tests' door gives."""
        return f"{self.id:032x}"

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Ask as this person."""
        return await self.api(method, f"/v1{path}", body, token=self.token, **headers)


@dataclass(slots=True)
class Town:
    """People come by `person`."""

    assembly: Assembly
    citizens: Citizens
    api: Client
    proofs: Proofs

    async def person(self, name: str = "", order: str = "101", *, born: str = "19900101", **addresses: str) -> Person:
        """Somebody with a log-in and these addresses; verified if there is a name."""
        citizen = secrets.randbits(63)
        given = {channel: [value] for channel, value in addresses.items()}
        await self.assembly.citizens.add([NewCitizen(citizen, [HOME], given)])
        person = Person(citizen, await self.citizens.enter(citizen), self.api)
        if name:
            answer = await person("PUT", "/me/real-name", {"name": name, "id_number": id_number(order, born=born)})
            assert answer.status == 200, answer.json
        return person

    async def told(self, person: Person) -> list[str]:
        """The titles of what somebody was told, oldest first."""
        db = self.assembly.db
        keys = [d["_id"] async for d in db["outbox"].find({"citizen": person.id}).sort("due_at", 1)]
        found = await NoticeStore(db, self.assembly.person_vault).find(keys)
        return [found[key].title.en for key in keys]


async def make_relation(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """Somebody for whom the owner acts."""
    relation = _relation(Kind.RELATIVE, owner, secrets.randbits(63), Role.PARENT)
    assert await RelationStore(assembly.db, assembly.person_vault).insert(relation)
    return {"relation": relation.id}


async def make_request(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """Somebody would act for the owner, who has to say yes or no."""
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    await names.bind(owner, await names.seal(owner, RealName("张秀英", id_number(born="19480312")), assembly.now()))
    indexes = await names.find_indexes(owner)
    assert indexes is not None
    asked = replace(_relation(Kind.RELATIVE, secrets.randbits(63), owner, Role.CHILD), subject=None, state=State.ASKED)
    await RelationStore(assembly.db, assembly.person_vault).insert(asked, question=Question(*indexes))
    return {"relation": asked.id}


async def make_invitation(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """Somebody else's firm would have the owner act for it."""
    firm = await assembly.accounts.find_public((await _firm(assembly, secrets.randbits(63)))["organisation"])
    assert firm is not None
    asked = replace(_relation(Kind.ORGANISATION, owner, firm.id, Role.HANDLER), state=State.ASKED)
    await RelationStore(assembly.db, assembly.person_vault).insert(asked)
    return {"relation": asked.id}


async def make_organisation(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """A firm that the owner represents."""
    return {"organisation": (await _firm(assembly, owner))["organisation"]}


async def make_handler(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """Their relation to it."""
    return await _firm(assembly, owner)


async def make_join(assembly: Assembly, _api: Client, owner: int, _token: str) -> dict[str, str]:
    """A join of the owner's account with another."""
    now, join, other = assembly.now(), secrets.token_hex(16), secrets.randbits(63)
    await assembly.accounts.open(other, secrets.token_hex(16), kind=AccountKind.PERSON, now=now)
    later = now + timedelta(hours=1)
    await JoinStore(assembly.db).insert(Join(join, owner, other, Means.PHONE, b"", JoinState.PROVED, now, now, later))
    return {"join": join}


async def _firm(assembly: Assembly, owner: int) -> dict[str, str]:
    public, firm, now = secrets.token_hex(16), secrets.randbits(63), assembly.now()
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    real_name = RealName(
        "示范公司", uscc_of(f"{secrets.randbelow(1000):03}", serial=f"{secrets.randbelow(100_000):05}")
    )
    assert await names.open(firm, public, AccountKind.ORGANISATION, real_name, now)
    relation = _relation(Kind.ORGANISATION, owner, firm, Role.REPRESENTATIVE)
    await RelationStore(assembly.db, assembly.person_vault).appoint(relation)
    return {"organisation": public, "relation": relation.id}


def _relation(kind: Kind, actor: int, subject: int, role: Role) -> Relation:
    now = datetime.now(UTC)
    return Relation(
        secrets.token_hex(16), kind, actor, subject, role, frozenset(Scope), State.ACTIVE, now, now + timedelta(days=1)
    )
