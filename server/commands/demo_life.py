"""The demo's residents: three people open the app after the warning, and an officer sees how they are.

They speak to the demo's own API as phones do, when the report is already made: what they do changes none of its
figures. One of them is new in town and was warned by nobody; the inbox tells today's truth all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console

from server.commands.resident import Resident
from server.commands.residents import DISTRICT
from server.domain.errors import UnavailableError
from server.domain.officers import Role
from server.domain.totp import code_at

NEW_PHONE = "+8613912340007"  # outside the numbers of the invented people
TRIES, AGAIN_S = 50, 0.1
PARENTS = {"lat": 22.5306, "lon": 113.9304, "datum": "gcj02"}  # a point of a Chinese map, in the district
OPENED = {"wechat": "opens the mini-program 打开小程序", "phone": "is new here, logs in by SMS 新来，短信登录"}


@dataclass(frozen=True, slots=True)
class Story:
    """What one of them does. `where`: what is said of the place with the answer."""

    name: str
    entry: str
    enter: Callable[[Resident], Awaitable[Any]]
    state: str
    where: Mapping[str, Any] | None = None
    note: str = ""


STORIES = (
    Story("resident1", "wechat", lambda one: one.enter_by_wechat("resident1"), "safe"),
    Story(
        "resident2", "wechat", lambda one: one.enter_by_wechat("resident2"), "help",
        {"point": PARENTS, "text": "3栋1201"}, "老人行动不便，需要转移",
    ),
    Story("newcomer", "phone", lambda one: one.enter_by_phone(NEW_PHONE), "safe", {"division": DISTRICT}),
)  # fmt: skip


async def live(
    doors: tuple[str, str], alert: str, officers: Sequence[Mapping[str, str]], now: datetime, console: Console
) -> dict[str, Any]:
    """Let them live a little; what came of it, printed too. `doors`: the addresses of the API and of the sandbox.

    UnavailableError `demo_stuck` if something is refused.
    """
    lives = list(await asyncio.gather(*(_live(Resident(*doors), alert, story) for story in STORIES)))
    chief = next(each for each in officers if each["role"] == Role.CHIEF)
    shown = {"name": chief["name"], "password": chief["password"], "code": code_at(chief["totp_secret"], now)}
    tally = await _counted(Resident(*doors), alert, shown)
    console.print("Three residents answer 三位居民回应:")
    for story, life in zip(STORIES, lives, strict=True):
        said = (
            "[green]I am safe 我平安[/]" if story.state == "safe" else f"[red]I need help 我需要帮助[/]：{story.note}"
        )
        console.print(f"  {life['name']:<9} {OPENED[story.entry]}: {life['headline']} → {said}", soft_wrap=True)
    console.print(f"the officer counts 值班员看到: {tally['safe']} safe 平安, {tally['help']} in need of help 求助")
    return {"lives": lives, "tally": tally}


async def _live(one: Resident, alert: str, story: Story) -> dict[str, Any]:
    entered = await story.enter(one)
    await one.agree("location")
    await one.add_place("home", division=DISTRICT)
    await one.add_place("parents", point=PARENTS)
    found = await _find(one, alert)
    await one.read_alert(alert)
    said = await one.answer(alert, story.state, place=story.where, note=story.note)
    return {
        "name": story.name,
        "by": story.entry,
        "is_new": entered["is_new"],
        "headline": found["alert"]["texts"]["zh"]["headline"],
        "places": len(found["places"]),
        "said": said["state"],
        "unread": (await one.inbox())["unread"]["alerts"],
    }


async def _find(one: Resident, alert: str) -> Any:
    """The alert in the inbox: the API process hears of it a moment after the desk."""
    for _ in range(TRIES):
        for each in (await one.inbox())["alerts"]:
            if each["alert"]["identifier"] == alert:
                return each
        await asyncio.sleep(AGAIN_S)
    raise UnavailableError("demo_stuck", zh="收件箱里没有这条预警", en="the alert is not in the inbox")


async def _counted(officer: Resident, alert: str, shown: Mapping[str, str]) -> dict[str, int]:
    """How many are safe and how many need help, as an officer sees it who logs in with what is `shown`."""
    officer.access = (await officer.tell("POST", "/v1/staff/session", shown))["token"]
    total: dict[str, int] = (await officer.tell("GET", f"/v1/staff/alerts/{alert}/acknowledgements"))["total"]
    return total
