"""How people can be reached, read from a real mongod."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from server.storage.citizens import Citizens, NewCitizen, Place
from server.storage.mongo import Database
from server.storage.vault import KeyMissingError, SealedError, Vault

HOME = Place("440305001001", ("440300", "440305", "440305001", "440305001001"))
AT = datetime(2026, 7, 18, tzinfo=UTC)


def vault(version: int = 1, key: bytes = b"k" * 32) -> Vault:
    return Vault({version: key}, b"i" * 32, os.urandom)


def citizens(db: Database, with_: Vault) -> Citizens:
    return Citizens(db, with_, lambda _code: 0)


def two() -> list[NewCitizen]:
    return [NewCitizen(id_, (HOME,), {"sms": (f"+861390000000{id_}",)}) for id_ in (1, 2)]


async def test_an_address_that_does_not_open_is_left_out_and_the_others_are_reached(db: Database):
    people = citizens(db, vault())
    await people.add(two())
    await db["addresses"].update_one({"_id": 1}, {"$set": {"sms.0.value": b"\x01" + b"x" * 50}})
    reach = await people.reach("sms", [1, 2])
    assert not reach[1].addresses
    assert [a.value for a in reach[2].addresses] == ["+8613900000002"]


async def test_with_the_wrong_key_nobody_is_written_off(db: Database):
    await citizens(db, vault()).add(two())
    with pytest.raises(SealedError):
        await citizens(db, vault(key=b"w" * 32)).reach("sms", [1, 2])
    with pytest.raises(KeyMissingError):
        await citizens(db, vault(version=2)).reach("sms", [1, 2])


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"x" * 20])
def test_what_is_too_short_to_be_sealed_does_not_open(sealed: bytes):
    with pytest.raises(SealedError):
        vault().open(sealed, owner="o")


async def test_no_changes_of_grants_are_no_error(db: Database):
    people = citizens(db, vault())
    await people.add(two())
    await people.set_grants([])
    await people.set_grants([(1, "T", True, AT)])
    stored = await db["addresses"].find_one({"_id": 1})
    assert stored
    assert stored["grants"]["T"]["left"] == 1
