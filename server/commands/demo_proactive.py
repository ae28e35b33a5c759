"""The demo's proactive part: somebody turns eighty, is offered the allowance, taps once, and a clerk grants it.

All of it goes its usual way: the rule and the item are the city's own, two officers release the rule, a feed states the
birthday, the workers find it, and citizen and clerk speak to the public port. Then what else the city tells without
being asked: the forecast at half past seven, and a notice of the district.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Console

from server.assemble import Assembly
from server.commands.bulletins import post_bulletins
from server.commands.catalogue import open_catalogue
from server.commands.resident import Resident
from server.commands.residents import DISTRICT
from server.commands.rules import open_rules
from server.commands.stated import Persona, state_facts
from server.domain.china import china_day
from server.domain.errors import UnavailableError
from server.domain.officers import Role
from server.domain.totp import code_at

RULE, ITEM, YEARS = "elderly-allowance-80", "elderly-allowance", 80
TRIES, AGAIN_S = 100, 0.2


async def prepare(assembly: Assembly) -> None:
    """The item, its rule in force, and the notices, before the birthday is stated. The officers are sworn in."""
    await open_catalogue(assembly, {ITEM})
    await open_rules(assembly, {RULE})
    await post_bulletins(assembly)


async def serve(
    assembly: Assembly, doors: tuple[str, str], officers: Sequence[Mapping[str, str]], console: Console
) -> dict[str, Any]:
    """What came of it, printed too. `doors`: the addresses of the API and of the sandbox.

    UnavailableError `demo_stuck` if something is refused or does not come.
    """
    one, clerk = Resident(*doors), Resident(*doors)
    await one.enter_by_wechat("resident4")
    await state_facts(assembly, [_celebrated(china_day(assembly.now()))])
    await one.agree("use_department_data")
    console.print("What the city does before it is asked 主动服务:")
    offer = await _offered(one)
    console.print(f"  林秀英 turns 80 年满八十: {offer['title']}，{offer['body']}", soft_wrap=True)
    path = f"/v1/me/offers/{offer['id']}"
    filed = (await one.tell("POST", f"{path}/accept", {}))["application"]
    shown = next(each for each in officers if each["role"] == Role.CLERK)
    code = code_at(shown["totp_secret"], assembly.now())
    said = {"name": shown["name"], "password": shown["password"], "code": code}
    clerk.access = (await clerk.tell("POST", "/v1/staff/session", said))["token"]
    await clerk.tell("POST", f"/v1/staff/applications/{filed['id']}/steps", {"action": "complete"})
    done = await _until(lambda: one.tell("GET", path), lambda answer: answer["state"] == "done")
    granted = f"{shown['name']} grants it 办结 → the offer is {done['state']} 已办成"
    console.print(f"  one bare tap 一次点击 → {filed['number']} → {granted}", soft_wrap=True)
    return {"offer": offer["rule"], "number": filed["number"], "state": done["state"], **await _told(one, console)}


async def _told(one: Resident, console: Console) -> dict[str, Any]:
    """The forecast that is asked for once, and what is in force of public notices."""
    place = await one.add_place("home", division=DISTRICT)
    wish = {"places": [place["id"]], "at": "07:30"}
    kept = await one.tell("POST", "/v1/me/weather-subscriptions", wish)
    forecast = await _until(lambda: one.tell("GET", f"/v1/forecasts/{DISTRICT}"), lambda answer: bool(answer["days"]))
    today = forecast["days"][0]
    notice = (await one.tell("GET", f"/v1/bulletins?division={DISTRICT}&limit=1"))["bulletins"][0]
    sky = f"{forecast['name']} {forecast['skies'][today['sky']]} {today['low_c']}~{today['high_c']}°C"
    console.print(f"  every day at 7:30 每天7:30: {sky}", soft_wrap=True)
    console.print(f"  public notice 便民公告: {notice['title']['zh']}", soft_wrap=True)
    return {"forecast_next_at": kept["next_at"], "bulletin": notice["id"]}


def _celebrated(today: date) -> Persona:
    """Eighty today; who is born on a leap day is so on the 28th of February."""
    day = min(today.day, 28) if today.month == 2 else today.day
    born = today.replace(year=today.year - YEARS, day=day)
    return Persona("resident4", "林秀英", born, "103", {"population": {"residence": "hukou"}})


async def _offered(one: Resident) -> Any:
    listed = await _until(lambda: one.tell("GET", "/v1/me/offers"), lambda answer: bool(answer["offers"]))
    return listed["offers"][0]


async def _until(ask: Callable[[], Awaitable[Any]], is_there: Callable[[Any], bool]) -> Any:
    """The answer that is waited for: workers take some seconds."""
    for _ in range(TRIES):
        answer = await ask()
        if is_there(answer):
            return answer
        await asyncio.sleep(AGAIN_S)
    raise UnavailableError("demo_stuck", zh="主动服务没有等到结果", en="proactive service does not come to an end")
