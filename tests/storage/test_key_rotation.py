"""The data key changes while the city works: nothing is lost, nothing is forgotten, nothing is unreadable meanwhile."""

from __future__ import annotations

import ast
import asyncio
import os
import re
from collections import Counter
from pathlib import Path
from time import monotonic

import pytest

from server.services.key_rotation import KeyRotation
from server.storage.citizens import Citizens
from server.storage.mongo import Database
from server.storage.person_keys import PersonVault, ShreddedError
from server.storage.sealed import BY_PERSON, PASSING, SEALED, SealedField, SealedValues
from server.storage.vault import KeyMissingError, Vault
from tests.push.city import DIVISIONS, crowd

ROOT = Path(__file__).parents[2]
OLD, NEW, INDEX = bytes([1]) * 32, bytes([2]) * 32, bytes([9]) * 32
PEOPLE = 1_200
QUICK = 1e9


def vault(*, current: int, **keys: bytes) -> Vault:
    """Knows v1 and v2 as named, seals with `current`."""
    return Vault({int(name[1:]): key for name, key in keys.items()}, INDEX, os.urandom, current)


BEFORE = vault(current=1, v1=OLD)
DURING = vault(current=2, v1=OLD, v2=NEW)
AFTER = vault(current=2, v2=NEW)


def rotation(db: Database, sealing: Vault = DURING) -> KeyRotation:
    return KeyRotation(SealedValues(db, sealing), sealing.current, monotonic)


def people_of(db: Database, sealing: Vault) -> Citizens:
    return Citizens(db, sealing, DIVISIONS.index_of)


async def of_all_fields(db: Database, sealing: Vault) -> None:
    """One value in every field of the list, beside whatever is there: as their stores write them."""
    for number, field in enumerate(SEALED):
        id_ = f"sample-{number}"
        document: dict[str, object] = {"_id": id_, "id": id_}
        sealed = sealing.seal(f"value of {field.path}", owner=field.owner.format_map(document))
        root, _, rest = field.path.partition("[].")
        document[root] = [{rest: sealed, "index": os.urandom(16)}] if rest else sealed
        unique = {"index": os.urandom(16), "key": os.urandom(16)} | document
        await db[field.collection].insert_one(unique)


async def opened(db: Database, opening: Vault) -> dict[str, str]:
    """Those samples, opened."""
    found = {}
    for number, field in enumerate(SEALED):
        document = await db[field.collection].find_one({"_id": f"sample-{number}"})
        assert document
        [(_, value)] = field.values(document)
        found[f"{field.collection}.{field.path}"] = opening.open(value, owner=field.owner.format_map(document))
    return found


async def test_after_a_rotation_everything_opens_with_the_new_key_alone(db: Database):
    await of_all_fields(db, BEFORE)
    made = crowd(PEOPLE, 3)
    await people_of(db, BEFORE).add(made)
    persons = PersonVault(db, BEFORE, os.urandom)
    sealed = (await persons.of(made[0].id)).seal("王小明", owner="accounts|1|name")
    values = sum(len(v) for c in made for v in c.addresses.values()) + len(SEALED) + 1
    done = await rotation(db).rotate(QUICK)
    assert (done.resealed, done.left, done.spoilt, done.is_over) == (values, 0, 0, True)
    assert set(await opened(db, AFTER)) == {f"{field.collection}.{field.path}" for field in SEALED}
    ids = sorted(c.id for c in made)
    for channel in ("wechat", "push", "sms"):
        reach = await people_of(db, AFTER).reach(channel, ids)
        assert {i: [a.value for a in r.addresses] for i, r in reach.items()} == {
            c.id: list(c.addresses[channel]) for c in made if c.addresses.get(channel)
        }
    # What is under a person's key was not touched, and opens.
    assert (await PersonVault(db, AFTER, os.urandom).of(made[0].id)).open(sealed, owner="accounts|1|name") == "王小明"
    assert (await rotation(db).rotate(QUICK)).resealed == 0


async def test_a_run_that_was_killed_is_finished_by_the_next_under_writes_and_reads(db: Database):
    made = crowd(PEOPLE, 4)
    ids = sorted(c.id for c in made)
    writer = people_of(db, DURING)
    await people_of(db, BEFORE).add(made)
    over = asyncio.Event()
    written: dict[int, str] = {}

    async def write() -> None:
        """People change their phones all the time, wherever the rotation is."""
        for number, id_ in enumerate((ids * 2)[:: len(ids) // 150]):
            phone = f"+86199{number:08d}"
            value = DURING.seal(phone, owner=f"addresses|{id_}|sms")
            entry = [{"value": value, "index": DURING.index(phone, field="sms")}]
            await db["addresses"].update_one({"_id": id_}, {"$set": {"sms": entry}})
            written[id_] = phone
        over.set()

    async def read() -> None:
        """A sender with both keys opens every address at every moment."""
        while not over.is_set():
            reach = await writer.reach("sms", ids[:500])
            assert all(person.addresses for person in reach.values())

    seen: Counter[SealedField] = Counter()

    def killed(field: SealedField, count: int) -> None:
        seen[field] += count
        if seen.total() > PEOPLE * 3 // 2:
            raise KeyboardInterrupt

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())
        with pytest.raises(KeyboardInterrupt):
            await rotation(db).rotate(QUICK, killed)
        half = (await rotation(db).status())[SEALED[2]]
        assert half[1]
        assert (await rotation(db).rotate(QUICK)).is_over
        await over.wait()
        assert (await rotation(db).rotate(QUICK)).is_over
    reach = await people_of(db, AFTER).reach("sms", ids)
    assert {id_: reach[id_].addresses[0].value for id_ in written} == written
    assert len(written) > 100
    untouched = {c.id: c.addresses["sms"][0] for c in made if c.id not in written and c.addresses.get("sms")}
    assert {id_: reach[id_].addresses[0].value for id_ in untouched} == untouched


async def test_a_write_between_reading_and_replacing_wins(db: Database):
    [person] = crowd(1, 5)
    await people_of(db, BEFORE).add([person])
    values, field = SealedValues(db, DURING), SEALED[2]
    batch = await values.batch(field)
    assert batch
    mine = DURING.seal("+8613900000000", owner=f"addresses|{person.id}|sms")
    await db["addresses"].update_one({"_id": person.id}, {"$set": {"sms.0.value": mine}})
    assert await values.reseal(field, batch) == 0
    assert (await people_of(db, AFTER).reach("sms", [person.id]))[person.id].addresses[0].value == "+8613900000000"


async def test_an_erasure_during_a_rotation_stays_an_erasure(db: Database):
    persons = PersonVault(db, BEFORE, os.urandom)
    await persons.of(7)
    values = SealedValues(db, DURING)
    field = next(each for each in SEALED if each.collection == "person_keys")
    batch = await values.batch(field)
    assert batch
    await persons.shred(7)
    assert await values.reseal(field, batch) == 0
    with pytest.raises(ShreddedError):
        await PersonVault(db, DURING, os.urandom).of(7)


async def test_a_spoilt_value_is_counted_and_holds_nobody_up(db: Database):
    made = crowd(3, 6)
    await people_of(db, BEFORE).add(made)
    strange = BEFORE.seal("x", owner="somebody else's")
    await db["addresses"].update_one({"_id": made[1].id}, {"$set": {"sms.0.value": strange}})
    done = await rotation(db).rotate(QUICK)
    assert (done.left, done.spoilt, done.is_over) == (0, 1, False)
    assert len(await people_of(db, AFTER).reach("wechat", sorted(c.id for c in made))) == 3


async def test_the_next_key_may_be_known_before_it_is_used():
    knows = vault(current=1, v1=OLD, v2=NEW)
    assert knows.seal("x", owner="o")[0] == 1
    assert knows.open(DURING.seal("x", owner="o"), owner="o") == "x"
    with pytest.raises(KeyMissingError):
        AFTER.open(BEFORE.seal("x", owner="o"), owner="o")


def test_every_owner_in_the_code_stands_in_the_list() -> None:
    """An owner is an f-string `collection|{id}|field`; a field that is sealed and not listed would be left behind."""
    listed = {(f.collection, f.owner.rsplit("|", 1)[1]) for f in SEALED}
    listed |= {(name.split("|")[0], name.split("|")[1]) for name in (*BY_PERSON, *PASSING)}
    found = set()
    for path in sorted((ROOT / "server").rglob("*.py")):
        if path.name == "sealed.py" or ".seal(" not in (text := path.read_text()):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.JoinedStr):
                shape = "".join(v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)  # type: ignore[misc]
                if match := re.fullmatch(r"(\w+)\|\{\}\|([\w.{}]+)", shape):
                    found.add((match[1], match[2]))
    fields = {collection for collection, _ in listed}
    assert len(found) >= 7
    assert {(c, f) for c, f in found if f != "{}" and (c, f) not in listed} == set()
    assert {c for c, f in found if f == "{}" and c not in fields} == set()
