"""A small town for the tests of who is who: its own port, codes and WeChat log-ins that the test decides."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from server.assemble import Assembly
from server.domain.divisions import prefix
from server.domain.errors import InvalidInputError
from server.storage.citizens import NewCitizen, Place
from tests.api.client import Answer, Citizens, Client
from tests.domain.numbers import id_number

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
        by_key = {d["_id"]: d["title"][1] async for d in db["notices"].find({"_id": {"$in": keys}})}
        return [by_key[key] for key in keys]
