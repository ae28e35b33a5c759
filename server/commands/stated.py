"""What departments state of a few of the invented people, so that proactive service can be seen: a feed made by code.

The people are verified with numbers that are well formed and nobody's, and have agreed. The dates follow the day it is:
a card that runs out, a car that has to be inspected, a child that was just born. It is imported as any other feed.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from stdnum.cn import ric

from channels.sandbox.wechat import openid_of
from server.assemble import Assembly
from server.assemble_facts import facts
from server.domain.china import china_day
from server.domain.citizens import Kind
from server.domain.real_name import RealName
from server.services.facts import Feed
from server.storage.real_names import RealNameStore

REGION = "440305"
CONSENTS = ("service_offers", "health_data")


@dataclass(frozen=True, slots=True)
class Persona:
    """One of them. `states`: by source and fact, in how many days (a date), or a value; `thing` tells cars apart."""

    wechat: str
    name: str
    born: date
    order: str
    states: Mapping[str, Mapping[str, int | str]]
    thing: str = ""


PERSONAS: Sequence[Persona] = (
    Persona(
        "resident4", "何丽", date(1992, 3, 14), "104",
        {"population": {"id_card_until": 25, "child_birth_date": -20}, "vehicle": {"driving_licence_until": 60}},
        "demo-child",
    ),
    Persona(
        "resident5", "梁国强", date(1974, 8, 2), "105",
        {
            "vehicle": {"inspection_until": 30, "vehicle_insurance_until": 12},
            "residence": {"residence_permit_until": 20},
        },
        "demo-car",
    ),
    Persona(
        "resident3", "吴秀兰", date(1947, 1, 20), "106",
        {"population": {"id_card_until": 80, "lives_alone": "true"}, "social_insurance": {"alive_confirmed_on": -350}},
    ),
)  # fmt: skip


async def state_facts(assembly: Assembly, personas: Sequence[Persona] = PERSONAS) -> int:
    """Verify those of the personas who live here, and import what is stated of them; how many there are.

    May be repeated: who is verified stays so, and the feed of a new day only says what is newer.
    """
    found = await assembly.citizens.find_by_address("wechat", [openid_of(each.wechat) for each in personas])
    here = [(each, found[openid_of(each.wechat)]) for each in personas if openid_of(each.wechat) in found]
    today = china_day(assembly.now())
    for persona, citizen in here:
        await _introduce(assembly, persona, citizen)
    parts = facts(assembly)
    await parts.store.prepare()
    people = [persona for persona, _ in here]
    with TemporaryDirectory(prefix="huimin-facts-") as folder:
        for source in sorted({source for persona in people for source in persona.states}):
            path = Path(folder) / f"{source}.csv"
            path.write_text(feed_of(people, source, today), "utf-8")
            await parts.importing.run(Feed(path, source), lambda _: None)
    return len(here)


def feed_of(people: Sequence[Persona], source: str, today: date) -> str:
    """What a source states of these people today, in the long form."""
    rows: list[tuple[str, ...]] = [("id_number", "fact", "value", "as_of", "thing")]
    for persona in people:
        stated = dict(persona.states.get(source, {}))
        if source == "population":
            rows.append((number_of(persona), "birth_date", persona.born.isoformat(), str(today), ""))
        for fact, value in stated.items():
            told = value if isinstance(value, str) else (today + timedelta(days=value)).isoformat()
            thing = persona.thing if fact in ("child_birth_date", "inspection_until", "vehicle_insurance_until") else ""
            rows.append((number_of(persona), fact, told, str(today), thing))
    return "".join(",".join(row) + "\n" for row in rows)


def number_of(persona: Persona) -> str:
    """Their ID number: well formed, and nobody's."""
    bare = f"{REGION}{persona.born:%Y%m%d}{persona.order}"
    return bare + str(ric.calc_check_digit(bare + "0"))


async def _introduce(assembly: Assembly, persona: Persona, citizen: int) -> None:
    now = assembly.now()
    names = RealNameStore(assembly.db, assembly.vault, assembly.person_vault)
    await assembly.accounts.open(citizen, secrets.token_hex(16), kind=Kind.PERSON, now=now)
    if await names.find(citizen) is None:
        sealed = await names.seal(citizen, RealName(persona.name, number_of(persona)), now)
        await names.bind(citizen, sealed)
    for standing in await assembly.consents.standings(citizen):
        if standing.purpose.purpose in CONSENTS and standing.latest is None:
            await assembly.consents.give(citizen, standing.purpose.purpose, standing.purpose.current.version)
