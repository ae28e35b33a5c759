"""Officers' accounts in MongoDB: names and second factors sealed, passwords as argon2id, links as SHA-256.

Promises. A name is unique, by its blind index. A one-time link and a code's step are taken by compare-and-set, so each
works once. What lists accounts gives out no secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.errors import NotFoundError
from server.domain.officers import Account, AccountState, Officer, Role, Unit, plain_name
from server.storage.mongo import Database, Document
from server.storage.sessions import hashed
from server.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a log-in is compared with."""

    account: Account
    password: str | None
    totp_secret: str | None


class OfficerStore:
    """The collection `officers`."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._officers = db["officers"]
        self._vault = vault

    async def insert(self, account: Account, link: str, link_until: datetime) -> bool:
        """Put a new account in, with its one-time link; False if the name is taken."""
        officer = account.officer
        document = {
            "_id": officer.id,
            "index": self._index(officer.name),
            "name": self._vault.seal(officer.name, owner=f"officers|{officer.id}|name"),
            "person": officer.person,
            "roles": sorted(officer.roles),
            "unit": officer.unit.model_dump_json().encode(),
            "division": officer.division,
            "events": list(officer.events),
            "institutions": list(officer.institutions),
            "is_locked": False,
            "created_at": account.created_at,
            "changed_at": account.changed_at,
            "sessions_since": account.sessions_since,
            "link": hashed(link),
            "link_until": link_until,
        }
        try:
            await self._officers.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def withdraw(self, officer_id: str, link: str) -> None:
        """Take an account back whose link nobody has seen."""
        await self._officers.delete_one({"_id": officer_id, "link": hashed(link)})

    async def get(self, officer_id: str) -> Account:
        """One account; NotFoundError `officer_unknown`."""
        found = await self.find(officer_id)
        if found is None:
            raise officer_unknown()
        return found

    async def find(self, officer_id: str) -> Account | None:
        """One account or None."""
        document = await self._officers.find_one({"_id": str(officer_id)}, {"totp": 0, "link": 0})
        return self._account(document) if document else None

    async def find_many(self, officer_ids: Iterable[str]) -> list[Account]:
        """Those of these that exist."""
        found = self._officers.find({"_id": {"$in": list(officer_ids)}}, {"totp": 0, "link": 0})
        return [self._account(d) async for d in found]

    async def find_credentials(self, name: str) -> Credentials | None:
        """By the name to log in with."""
        return self._credentials(await self._officers.find_one({"index": self._index(name)}))

    async def get_credentials(self, officer_id: str) -> Credentials:
        """By id; NotFoundError `officer_unknown`."""
        found = self._credentials(await self._officers.find_one({"_id": officer_id}))
        if found is None:
            raise officer_unknown()
        return found

    async def find_link(self, link: str, at: datetime) -> Account | None:
        """Whose one-time link this is, if it is still good."""
        document = await self._officers.find_one({"link": hashed(link), "link_until": {"$gt": at}})
        return self._account(document) if document else None

    async def list_all(self, persons: Iterable[str] = ()) -> list[Account]:
        """All accounts, or those of these human beings, oldest first."""
        query = {"person": {"$in": chosen}} if (chosen := list(persons)) else {}
        found = self._officers.find(query, {"totp": 0, "link": 0}).sort("created_at", ASCENDING).limit(10_000)
        return [self._account(d) async for d in found]

    async def activate(self, officer_id: str, link: str, password: str, totp_secret: str, at: datetime) -> bool:
        """Set password (hashed) and second factor, and use up the link; False if somebody was faster."""
        sealed = self._vault.seal(totp_secret, owner=f"officers|{officer_id}|totp")
        result = await self._officers.update_one(
            {"_id": officer_id, "link": hashed(link), "link_until": {"$gt": at}},
            {
                "$set": {"password": password, "totp": sealed, "totp_step": 0, "changed_at": at},
                "$unset": {"link": "", "link_until": ""},
            },
        )
        return bool(result.matched_count)

    async def invite_again(self, officer_id: str, link: str, link_until: datetime, at: datetime) -> None:
        """A new one-time link; what was known before no longer logs in."""
        await self._officers.update_one(
            {"_id": officer_id},
            {
                "$set": {"link": hashed(link), "link_until": link_until, "changed_at": at, "sessions_since": at},
                "$unset": {"password": "", "totp": "", "totp_step": ""},
            },
        )

    async def use_step(self, officer_id: str, step: int) -> bool:
        """Take this step of the second factor; False if it, or a later one, was taken before."""
        result = await self._officers.update_one(
            {"_id": officer_id, "totp_step": {"$lt": step}}, {"$set": {"totp_step": step}}
        )
        return bool(result.matched_count)

    async def lock(self, officer_id: str, at: datetime, *, is_locked: bool) -> Account:
        """Lock or unlock, both of which void what was begun before; NotFoundError."""
        return await self._change(officer_id, {"is_locked": is_locked, "changed_at": at, "sessions_since": at})

    async def change_roles(self, officer_id: str, roles: Iterable[Role], at: datetime) -> Account:
        """Give other roles; NotFoundError."""
        return await self._change(officer_id, {"roles": sorted(roles), "changed_at": at})

    async def _change(self, officer_id: str, fields: dict[str, Any]) -> Account:
        document = await self._officers.find_one_and_update(
            {"_id": officer_id}, {"$set": fields}, return_document=ReturnDocument.AFTER
        )
        if document is None:
            raise officer_unknown()
        return self._account(document)

    def _index(self, name: str) -> bytes:
        return self._vault.index(plain_name(name), field="officers.name")

    def _credentials(self, document: Document | None) -> Credentials | None:
        if document is None:
            return None
        sealed = document.get("totp")
        secret = self._vault.open(sealed, owner=f"officers|{document['_id']}|totp") if sealed else None
        return Credentials(self._account(document), document.get("password"), secret)

    def _account(self, document: Document) -> Account:
        state = AccountState.ACTIVE if document.get("password") else AccountState.INVITED
        return Account(
            officer=Officer(
                id=document["_id"],
                person=document["person"],
                name=self._vault.open(document["name"], owner=f"officers|{document['_id']}|name"),
                roles=frozenset(Role(role) for role in document["roles"]),
                unit=Unit.model_validate_json(document["unit"]),
                division=document["division"],
                events=tuple(document["events"]),
                institutions=tuple(document.get("institutions", ())),
            ),
            state=AccountState.LOCKED if document["is_locked"] else state,
            created_at=document["created_at"],
            changed_at=document["changed_at"],
            sessions_since=document["sessions_since"],
            can_be_called="phone" in document,
        )


def officer_unknown() -> NotFoundError:
    """No such account, or not for the one who asks."""
    return NotFoundError("officer_unknown", zh="没有这个账号", en="there is no such account", field="officer")
