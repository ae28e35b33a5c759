"""Change the key that personal data is sealed with, while the city works.

Three steps, each a restart or a command: (1) every process knows the new key among HUIMIN_OLD_DATA_KEYS, and opens with
it; (2) every process seals with it, and the old one stands among the old keys; (3) `keys rotate` seals anew what is
still under an old key. Then the old key may go, and with it whatever was copied under it.

Promises. A value is readable at every moment, for it is replaced in one write by one that every process can open. A
write in between is never lost. A run that was killed is repeated: it skips what is done. Nothing is said to be over
before a pass has found nothing left.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from server.storage.sealed import SEALED, Batch, SealedField, SealedValues
from server.storage.vault import SealedError

PASSES = 5  # a pass that lost races is followed by another; under any real load the second finds nothing

log = structlog.get_logger()
Told = Callable[[SealedField, int], None]  # a field, and how many more of its documents were looked at


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a run did. `left` values are still under an old key, `spoilt` do not open with any known key."""

    resealed: int
    left: int
    spoilt: int

    @property
    def is_over(self) -> bool:
        """Whether the old keys may go."""
        return not self.left and not self.spoilt


class KeyRotation:
    """The verbs. `sleep` paces it."""

    def __init__(
        self, values: SealedValues, current: int, clock: Callable[[], float], fields: Sequence[SealedField] = SEALED
    ) -> None:
        self._values = values
        self._current = current
        self._clock = clock
        self._fields = fields

    async def sizes(self) -> Mapping[SealedField, int]:
        """About how many documents there are to look at, field by field."""
        return {field: await self._values.size(field) for field in self._fields}

    async def status(self, told: Told = lambda _field, _count: None) -> Mapping[SealedField, Counter[int]]:
        """How many values of each field are under which key version. Reads all of them."""
        counted = {}
        for field in self._fields:
            versions: Counter[int] = Counter()
            after = None
            while (batch := await self._values.batch(field, after)) is not None:
                versions += self._values.versions(field, batch)
                after = batch.last
                told(field, len(batch.documents))
            counted[field] = versions
        return counted

    async def rotate(self, rate_per_s: float, told: Told = lambda _field, _count: None) -> Rotated:
        """Seal everything under the current key, looking at `rate_per_s` documents a second at most."""
        resealed = spoilt = left = 0
        for _ in range(PASSES):
            done, spoilt = await self._pass(rate_per_s, told)
            resealed += done
            left = self._old(await self.status()) - spoilt
            if left <= 0:
                break
        return Rotated(resealed, max(0, left), spoilt)

    async def _pass(self, rate_per_s: float, told: Told) -> tuple[int, int]:
        resealed = spoilt = 0
        for field in self._fields:
            after = None
            while True:
                began = self._clock()
                batch = await self._values.batch(field, after)
                if batch is None:
                    break
                done, bad = await self._reseal(field, batch)
                resealed, spoilt, after = resealed + done, spoilt + bad, batch.last
                told(field, len(batch.documents))
                await asyncio.sleep(max(0.0, len(batch.documents) / rate_per_s - (self._clock() - began)))
        return resealed, spoilt

    async def _reseal(self, field: SealedField, batch: Batch) -> tuple[int, int]:
        """The batch at once; if a value of it does not open, document by document: one must not hold up the others."""
        try:
            return await self._values.reseal(field, batch), 0
        except SealedError:
            resealed = spoilt = 0
        for document in batch.documents:
            try:
                resealed += await self._values.reseal(field, Batch([document]))
            except SealedError:
                spoilt += 1
                log.warning("sealed_value_spoilt", collection=field.collection, field=field.path)
        return resealed, spoilt

    def _old(self, counted: Mapping[SealedField, Counter[int]]) -> int:
        return sum(n for versions in counted.values() for version, n in versions.items() if version != self._current)
