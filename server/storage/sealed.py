"""Every sealed field of the database, in one list, so that a change of the data key forgets none.

`SEALED` are the fields under the city's key: `path` with `[]` for a list's elements, `owner` as the store builds it.
What stands under a person's key (`BY_PERSON`) need not be sealed anew: that key itself is in the list. A test reads the
code for owners that stand in none of the lists.

A value is replaced only if it is still the one that was read, in its place: a write in between is never lost, and what
moved is found by the next pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from pymongo import ASCENDING, UpdateOne

from server.storage.mongo import Database, Document
from server.storage.vault import Vault

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class SealedField:
    """One field of one collection. `owner` is a template over the document's own fields."""

    collection: str
    path: str
    owner: str

    @property
    def projection(self) -> Mapping[str, int]:
        """The parts of a document that are needed to seal it anew."""
        names = {name for _, name, _, _ in Formatter().parse(self.owner) if name}
        return dict.fromkeys(names | {self.path.replace("[]", "").split(".")[0]}, 1)

    def values(self, document: Document) -> Iterator[tuple[str, bytes]]:
        """Each value with its exact place: ("sms.0.value", b"...")."""
        return _walk(document, self.path.split("."), "")


SEALED = (
    *(
        SealedField("addresses", f"{channel}[].value", f"addresses|{{_id}}|{channel}")
        for channel in ("wechat", "push", "sms")
    ),
    SealedField("idempotency", "answer", "idempotency|{_id}|answer"),
    SealedField("officers", "name", "officers|{_id}|name"),
    SealedField("officers", "totp", "officers|{_id}|totp"),
    SealedField("partners", "secret", "partners|{_id}|secret"),
    SealedField("person_keys", "key", "person_keys|{_id}|key"),
    SealedField("sessions", "origin", "sessions|{id}|origin"),
    SealedField("wechat_sessions", "key", "wechat_sessions|{_id}|key"),
)
BY_PERSON = (  # owners under a person's key, as "collection|field"
    "accounts|name",
    "accounts|id_number",
    "accounts|uscc",
    "accounts|{}",
    "applications|code",
    "applications|form",
    "applications|note.{}",
    "acknowledgements|said",
    "fact_objections|{}",
    "attachments|data",
    "attachments|name",
    "citizens|places.{}.{}",
    "notices|words",
    "ratings|comment",
    "relations|label",
)
PASSING = (  # gone within minutes, not in the database, or under a key that only the caller has
    "tokens|value",
    "unreached|after",
    "log_ins|successor",
    "proofs|phone",
    "one_time_codes|phone",
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some documents of a collection, in the order of their ids."""

    documents: Sequence[Document]

    @property
    def last(self) -> Any:
        """The id to go on after."""
        return self.documents[-1]["_id"]


class SealedValues:
    """Reads and replaces sealed values, whichever feature they belong to."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def size(self, field: SealedField) -> int:
        """About how many documents have to be looked at."""
        return await self._db[field.collection].estimated_document_count()

    async def batch(self, field: SealedField, after: Any = None) -> Batch | None:
        """The next documents; None at the end."""
        # By $expr, for a plain $gt only finds ids of the same type: none may be passed over for having another one.
        query = {} if after is None else {"$expr": {"$gt": ["$_id", {"$literal": after}]}}
        cursor = self._db[field.collection].find(query, field.projection).sort("_id", ASCENDING).limit(AT_ONCE)
        documents = await cursor.to_list()
        return Batch(documents) if documents else None

    def versions(self, field: SealedField, batch: Batch) -> Counter[int]:
        """How many values there are per key version."""
        return Counter(value[0] for document in batch.documents for _, value in field.values(document) if value)

    async def reseal(self, field: SealedField, batch: Batch) -> int:
        """Seal what is not under the current key anew; how many were replaced. Lost races are left to the next pass.

        SealedError for a value that does not open.
        """
        changes = []
        for document in batch.documents:
            owner = field.owner.format_map(document)
            for place, value in field.values(document):
                if value and value[0] != self._vault.current:
                    fresh = self._vault.seal(self._vault.open(value, owner=owner), owner=owner)
                    changes.append(UpdateOne({"_id": document["_id"], place: value}, {"$set": {place: fresh}}))
        if not changes:
            return 0
        return (await self._db[field.collection].bulk_write(changes, ordered=False)).modified_count


def _walk(value: Any, steps: Sequence[str], place: str) -> Iterator[tuple[str, bytes]]:
    if not steps:
        if isinstance(value, bytes):
            yield place, value
        return
    step, is_list = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    found = value.get(step) if isinstance(value, Mapping) else None
    here = f"{place}.{step}" if place else step
    if not is_list:
        yield from _walk(found, steps[1:], here)
    elif isinstance(found, list):
        for number, element in enumerate(found):
            yield from _walk(element, steps[1:], f"{here}.{number}")
