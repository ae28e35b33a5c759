"""The invented people of `demo` and `run`: citizens of one district, half of them known to the point, and officers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from server.assemble import Assembly
from server.domain.officers import WARNING, NewOfficer, Role, Unit
from server.services.population import Recipe, people

DISTRICT = "440305"  # Nanshan
BATCH = 2_000
POINT_SHARE = 0.5
EVENTS = ("11", "12", "13", "14")  # all kinds of emergencies
UNIT = Unit(
    code="44030041600000", name="深圳市气象台", name_en="Shenzhen Observatory", sender="observatory@sz.example",
    division="440300", contact="12121",
)  # fmt: skip
OFFICERS: Mapping[Role, str] = {
    Role.AUTHOR: "王敏",
    Role.RELEASER: "陈静",
    Role.CHIEF: "李强",
    Role.AUDITOR: "赵磊",
    Role.ADMINISTRATOR: "周洁",
}


async def settle(assembly: Assembly, count: int, seed: int, tell: Callable[[int], None]) -> None:
    """Invent `count` people of the district. `tell` hears how many have moved in with each step."""
    divisions = assembly.divisions
    communities = [c for street in divisions.children(DISTRICT) for c in divisions.children(street)]
    crowd = people(count, Recipe(communities, seed, point_share=POINT_SHARE), divisions)
    while batch := list(islice(crowd, BATCH)):
        await assembly.citizens.add(batch)
        tell(len(batch))
    await assembly.counters.rebuild(assembly.now(), lambda _done, _of: None)


async def swear_in(assembly: Assembly, password: Callable[[], str]) -> list[dict[str, str]]:
    """One officer of each role with what it logs in with; those of an earlier run get new passwords and secrets."""
    known = {account.officer.name: account.officer.id for account in await assembly.officers.accounts(None)}
    told = []
    for role, name in OFFICERS.items():
        if name in known:
            link = await assembly.officers.recover(None, known[name])
        else:
            roles = frozenset({role, Role.DRILL} if role in WARNING else {role})
            fields = {"roles": roles, "unit": UNIT, "division": UNIT.division, "events": EVENTS}
            new = NewOfficer(name=name, person=f"demo-{role.value}", **fields)
            _, link = await assembly.officers.create(None, new)
        chosen = password()
        activated = await assembly.officers.activate(link, chosen)
        told.append({"name": name, "password": chosen, "totp_secret": activated.totp_secret, "role": role.value})
    return told
