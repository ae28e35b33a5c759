"""What a release would mean, measured: counters for whole divisions, a sample at once for shapes, a count if asked.

Promises. Whole divisions are answered from the counters, whatever the size of the city. Anything else is first counted
in so small a share of the random ids that the answer is there at once; `is_exact` counts everybody, in the database, a
few counts at a time. Rates are what providers have really taken of late, else the accounts' limits; it says which.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.domain import preview, ranks
from server.domain.access import Deed, refuse
from server.domain.alerts.desk import DeskAlert
from server.domain.broadcasts import CHANNELS, ID_SPACE, Broadcast
from server.domain.divisions import Divisions
from server.domain.officers import Officer
from server.domain.preview import Overlap, People, Preview, RatePreview, Source
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.services.broadcasts import Broadcasts
from server.storage.alerts import AlertStore
from server.storage.counters import Counters, Headcount
from server.storage.rates import Rates

SAMPLED = 8_000  # people looked at for the first figure
LANES = 4  # parts of the id space that are counted side by side
COUNTS_AT_ONCE = 2  # of one process: a count reads the whole audience
COUNT_WITHIN_S = 60.0

Keys = Counter[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Channels:
    """What the settings say about the channels: messages a second at most, and the price of one in fen."""

    rates_per_s: Mapping[str, float]
    fees_fen: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from."""

    alerts: Alerts
    broadcasts: Broadcasts
    store: AlertStore
    counters: Counters
    rates: Rates
    divisions: Divisions
    channels: Channels


class Previews:
    """Figures before a release."""

    def __init__(self, sources: Sources, now: Callable[[], datetime], sampled: int = SAMPLED) -> None:
        self._from = sources
        self._now = now
        self._sampled = sampled
        self._counting = asyncio.Semaphore(COUNTS_AT_ONCE)

    async def of_alert(self, officer: Officer, identifier: str, *, is_exact: bool = False) -> Preview:
        """Of an alert that is not released yet; NotFoundError, ForbiddenError, ConflictError, InvalidInputError."""
        desk = await self._from.alerts.get(identifier)
        refuse(officer, Deed.ALERT_PREVIEW, desk.facts.divisions)
        found = await self._from.alerts.preview(identifier)
        return await self.of_broadcast(found.broadcast, is_exact=is_exact)

    async def of_broadcast(self, broadcast: Broadcast, *, is_exact: bool = False) -> Preview:
        """What would happen if this left now."""
        found = await self._people(broadcast, is_exact=is_exact)
        rates = {channel: await self._rate(channel) for channel in broadcast.order}
        texts = preview.texts(broadcast)
        return Preview(
            people=found,
            texts=texts,
            rates={channel: rate for channel, rate in rates.items() if rate},
            expected_finish_s=preview.finish_s(found, {c: r for c, r in rates.items() if r}),
            fee_fen_at_most=preview.fee_fen(found, broadcast, texts, self._from.channels.fees_fen),
            overlaps=await self._overlaps(broadcast),
        )

    async def _people(self, broadcast: Broadcast, *, is_exact: bool) -> People:
        audience = broadcast.audience
        if broadcast.is_all_clear:
            return await self._holders(broadcast)
        if preview.is_by_division(audience) and not is_exact:
            built_at = await self._from.counters.find_built_at()
            if built_at is not None:
                return await self._by_division(broadcast, built_at)
        population = await self._from.counters.population()
        share = 1 if is_exact or audience.citizens is not None else max(1, population // self._sampled)
        counted = await (self._count(broadcast) if share == 1 else self._sample(broadcast, share))
        heads = Counter(counted.exact) + Counter(counted.loose)
        source = Source.COUNT if share == 1 else Source.SAMPLE
        found = preview.tally(preview.scaled(heads, share), broadcast, source, self._now(), self._name)
        loose = counted.loose.total() * share
        return found.model_copy(update={"loose": loose, "margin": preview.margin(heads.total(), share)})

    async def _by_division(self, broadcast: Broadcast, built_at: datetime) -> People:
        """From the counters: a city by its districts, else the divisions that are named."""
        divisions = self._from.divisions
        named = preview.roots(broadcast.audience.divisions)
        shown = [
            part
            for code in named
            for part in (divisions.districts(code) if divisions.get(code).level == "city" else (code,))
        ]
        counted = await self._from.counters.find(shown)
        heads = {(code, channels): n for code, by in counted.items() for channels, n in by.items()}
        return preview.tally(heads, broadcast, Source.COUNTERS, built_at, self._name)

    async def _sample(self, broadcast: Broadcast, share: int) -> Headcount:
        return await self._from.counters.count(broadcast.audience, 0, ID_SPACE // share - 1)

    async def _count(self, broadcast: Broadcast) -> Headcount:
        """Everybody, some parts of the id space side by side."""
        total = Headcount()
        async with self._counting, asyncio.timeout(COUNT_WITHIN_S), asyncio.TaskGroup() as group:
            parts = [
                group.create_task(
                    self._from.counters.count(
                        broadcast.audience, n * ID_SPACE // LANES, (n + 1) * ID_SPACE // LANES - 1
                    )
                )
                for n in range(LANES)
            ]
        for part in parts:
            total.exact.update(part.result().exact)
            total.loose.update(part.result().loose)
        return total

    async def _holders(self, broadcast: Broadcast) -> People:
        """Those who have or may have what an all-clear lifts, by the channel: a person with two may count twice."""
        heads: Keys = Counter()
        for replaced in broadcast.replaces:
            for channel, statuses in (await self._from.broadcasts.progress(replaced)).by_channel.items():
                for status, districts in statuses.items():
                    if channel in CHANNELS and status in ("unknown", *(ranks.status(r) for r in ranks.HANDED_OVER)):
                        for district, people in districts.items():
                            heads[self._from.divisions.code_at(int(district)), (channel,)] += people
        return preview.tally(heads, broadcast, Source.LEDGER, self._now(), self._name)

    async def _rate(self, channel: str) -> RatePreview | None:
        measured = await self._from.rates.find(channel)
        if measured is not None:
            return RatePreview(per_s=measured.per_s, is_measured=True, as_of=measured.at)
        limit = self._from.channels.rates_per_s.get(channel)
        return RatePreview(per_s=limit, is_measured=False) if limit else None

    async def _overlaps(self, broadcast: Broadcast) -> list[Overlap]:
        """Alerts in force that meet the same districts. Those of the same chain are replaced, so they do not count."""
        mine = self._districts(broadcast)
        found = []
        for desk in await self._from.store.find_in_force(self._now()):
            is_other_kind = desk.kind is Kind.CANCEL or desk.is_exercise != broadcast.is_exercise
            if desk.broadcast is None or desk.chain == broadcast.chain or is_other_kind:
                continue
            if common := sorted(mine & self._districts(desk.broadcast)):
                found.append(_overlap(desk, common))
        return found

    def _districts(self, broadcast: Broadcast) -> set[str]:
        divisions = self._from.divisions
        found = set(broadcast.audience.shape_districts)
        for code in broadcast.audience.divisions:
            is_city = divisions.get(code).level == "city"
            found.update(divisions.districts(code) if is_city else (divisions.get(code).code[:6],))
        return found

    def _name(self, code: str) -> str:
        return self._from.divisions.get(code).name


def _overlap(desk: DeskAlert, common: list[str]) -> Overlap:
    texts: Mapping[str, Any] = desk.broadcast.texts if desk.broadcast else {}
    headline = str(texts.get("headline", {}).get("zh", ""))
    return Overlap(identifier=desk.identifier, headline=headline, colour=desk.colour.value, divisions=common)
