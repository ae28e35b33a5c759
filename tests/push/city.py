"""What the proofs of the engine share: some people of a district, warnings for them, the journal by broadcast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from channels.sandbox.journal import Entry
from server.assemble import Assembly
from server.commands.town import CHANNEL_OF
from server.domain.broadcasts import Audience, Broadcast, Lane, Policy
from server.domain.divisions import Divisions
from server.domain.pages import Page
from server.domain.texts import Facts, render
from server.domain.wording import Kind, Words
from server.services.population import Recipe, people
from server.storage import catalogues
from server.storage.citizens import NewCitizen

DISTRICT = "440305"
WORDING = catalogues.load_texts()
DIVISIONS = catalogues.load_divisions()
ALL = (Lane.RED, Lane.ORANGE)
Notice = tuple[str, int]


def communities(divisions: Divisions = DIVISIONS, district: str = DISTRICT) -> list[str]:
    """The communities of the district that the proofs play in."""
    return [code for street in divisions.children(district) for code in divisions.children(street)]


def crowd(count: int, seed: int, *, has_all_channels: bool = True, district: str = DISTRICT) -> list[NewCitizen]:
    """Invented people of the district."""
    recipe = Recipe(communities(district=district), seed, has_all_channels=has_all_channels)
    return list(people(count, recipe, DIVISIONS))


def warning(id_: str, lane: Lane, now: datetime, **changes: Any) -> Broadcast:
    """A rainstorm warning for the district. Red is worded as an upgrade: the journal can tell the two apart."""
    kind = changes.pop("kind", Kind.UPGRADE if lane is Lane.RED else Kind.ALERT)
    facts = Facts(
        event="11B03",
        colour=lane.value,  # type: ignore[arg-type] - lanes of alerts are named after their colours
        kind=kind,
        areas=[DIVISIONS.area(DISTRICT)],
        sender=Words("深圳市气象台", "Shenzhen Observatory"),
        sent_at=now,
        expires_at=now + timedelta(hours=6),
        page="pages/alert/index?id=0123456789abcdef",
        previous="yellow",
    )
    fields: dict[str, Any] = {
        "id": id_,
        "subject": id_,
        "chain": id_,
        "lane": lane,
        "policy": Policy.ALL if lane in ALL else Policy.LADDER,
        "texts": render(facts, WORDING),
        "audience": Audience(divisions=(DISTRICT,)),
        "released_at": now,
        "expires_at": now + timedelta(hours=6),
    }
    return Broadcast(**(fields | changes))


async def pages_of(city: Assembly, broadcast: str) -> list[Page]:
    """The whole ledger of a broadcast, by page id: a page stands before its follow-ups."""
    found: list[Page] = []
    async for range_ in city.broadcast_store.ranges(broadcast):
        found += await city.pages.of_range(broadcast, range_.number)
    return sorted(found, key=lambda page: page.id)


def is_of(entry: Entry, broadcast: Broadcast) -> bool:
    """Whether an accept belongs to this broadcast: by template (WeChat), tag (push) or page id (SMS)."""
    match CHANNEL_OF[entry.provider]:
        case "wechat":
            return any(text["template_id"] == entry.template for text in broadcast.texts["wechat"].values())
        case "push":
            return entry.ours == broadcast.chain
        case _:
            return entry.ours.split("/")[0] == broadcast.id


def accepted(entries: Iterable[Entry], owners: Mapping[tuple[str, str], int]) -> Counter[Notice]:
    """The journal by (channel, citizen); an address that belongs to nobody is counted under citizen -1."""
    channels = [(CHANNEL_OF[entry.provider], entry.address) for entry in entries]
    return Counter((channel, owners.get((channel, address), -1)) for channel, address in channels)


def owners_of(citizens: Sequence[NewCitizen]) -> dict[tuple[str, str], int]:
    """(channel, address) -> citizen, as the test knows it: independent of the product's own tables."""
    return {(channel, value): c.id for c in citizens for channel, values in c.addresses.items() for value in values}
