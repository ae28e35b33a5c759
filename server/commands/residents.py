"""The invented people of `demo` and `run`: citizens of one district, half of them known to the point, and officers.

And what they can book: the resources of the city, those of the district's hospital and vehicle office with seats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice

from channels.sandbox.wechat import openid_of
from server.assemble import Assembly
from server.assemble_booking import booking
from server.domain.divisions import is_within
from server.domain.officers import SERVING, WARNING, NewOfficer, Role, Unit
from server.domain.resources import Kind, Resource, Wanted
from server.services import booking_seeding as seeding
from server.services.population import Recipe, people
from server.storage.catalogues import load_resources
from server.storage.citizens import NewCitizen
from server.storage.resources import ResourceStore

DISTRICT = "440305"  # Nanshan
BATCH = 2_000
POINT_SHARE = 0.5
NAMED = tuple(f"resident{n}" for n in range(1, 7))  # who somebody can log in as by the sandbox's WeChat
EVENTS = ("11", "12", "13", "14")  # all kinds of emergencies
UNIT = Unit(
    code="44030041600000", name="深圳市气象台", name_en="Shenzhen Observatory", sender="observatory@sz.example",
    division="440300", contact="12121",
)  # fmt: skip
HALL = Unit(
    code="44030041700000", name="深圳市政务服务数据管理局", name_en="Shenzhen Government Services",
    sender="services@sz.example", division="440300", contact="12345",
)  # fmt: skip
BOOKABLE_AT_ONCE = (Wanted(unit="sz-nanshan"), Wanted(kind=Kind.VEHICLE, division=DISTRICT))
OFFICERS: Mapping[Role, str] = {
    Role.AUTHOR: "王敏",
    Role.RELEASER: "陈静",
    Role.CHIEF: "李强",
    Role.AUDITOR: "赵磊",
    Role.ADMINISTRATOR: "周洁",
    Role.CLERK: "吴婷",
    Role.APPROVER: "郑涛",
    Role.EDITOR: "孙悦",
    Role.PLANNER: "何静",
}
INSTITUTIONS = (  # whose applications and bookings the clerk and the approver work on
    "civil-affairs", "public-security", "human-resources", "housing", "market", "education", "disabled",
    "social-insurance", "hall-440305", "sz-nanshan",
)  # fmt: skip


async def settle(assembly: Assembly, count: int, seed: int, tell: Callable[[int], None]) -> None:
    """Invent `count` people of the district. `tell` hears how many have moved in with each step."""
    divisions = assembly.divisions
    communities = [c for street in divisions.children(DISTRICT) for c in divisions.children(street)]
    crowd = people(count, Recipe(communities, seed, point_share=POINT_SHARE), divisions)
    named = iter(NAMED)
    while batch := list(islice(crowd, BATCH)):
        await assembly.citizens.add([_with_openid(one, next(named, None)) for one in batch])
        tell(len(batch))
    await assembly.counters.rebuild(assembly.now(), lambda _done, _of: None)


async def open_counters(assembly: Assembly) -> None:
    """Load what can be booked in the district, and lay out a little of it; the rest is the workers' duty.

    All of the city would keep them busy for minutes; `python -m server booking load` brings it.
    """
    schedules = booking(assembly).schedules
    await seeding.load(ResourceStore(assembly.db), _bookable(assembly), assembly.now(), lambda _more: None)
    chosen = [kept for wanted in BOOKABLE_AT_ONCE for kept in await seeding.all_of(schedules, wanted)]
    await seeding.lay_out(schedules, [kept for kept in chosen if not kept.is_laid], lambda _more: None)


def _bookable(assembly: Assembly) -> list[Resource]:
    """What the data says can be booked where the people of the demo live."""
    return [each for each in load_resources(assembly.divisions) if is_within(each.division, DISTRICT)]


async def known(assembly: Assembly) -> list[dict[str, str]]:
    """Those whom the sandbox's WeChat knows by name: a `wx.login` code is `<wechat>.<anything new>`; their phones."""
    told = []
    for name in NAMED:
        openid = openid_of(name)
        found = await assembly.citizens.find_by_address("wechat", [openid])
        if openid in found:
            phones = await assembly.citizens.addresses_of(found[openid], "sms")
            told.append({"wechat": name, "phone": phones[0] if phones else ""})
    return told


def _with_openid(citizen: NewCitizen, name: str | None) -> NewCitizen:
    """The same, reached by WeChat as `name`."""
    if name is None:
        return citizen
    return replace(citizen, addresses={**citizen.addresses, "wechat": (openid_of(name),)})


async def swear_in(assembly: Assembly, password: Callable[[], str]) -> list[dict[str, str]]:
    """One officer of each role with what it logs in with; those of an earlier run get new passwords and secrets."""
    known = {account.officer.name: account.officer.id for account in await assembly.officers.accounts(None)}
    told = []
    for role, name in OFFICERS.items():
        if name in known:
            link = await assembly.officers.recover(None, known[name])
        else:
            _, link = await assembly.officers.create(None, _sworn(role, name))
        chosen = password()
        activated = await assembly.officers.activate(link, chosen)
        told.append({"name": name, "password": chosen, "totp_secret": activated.totp_secret, "role": role.value})
    return told


def _sworn(role: Role, name: str) -> NewOfficer:
    """Who warns works for the observatory, who serves people for the hall, in the name of some units."""
    if role in SERVING:
        bounds = {"roles": frozenset({role}), "unit": HALL, "events": (), "institutions": INSTITUTIONS}
    else:
        roles = frozenset({role, Role.DRILL} if role in WARNING else {role})
        bounds = {"roles": roles, "unit": UNIT, "events": EVENTS}
    return NewOfficer.model_validate({"name": name, "person": f"demo-{role.value}", "division": "440300", **bounds})
