"""Who used a citizen's data, when, what for and which fields: what the citizen may read. Pure.

A use names the unit and the office of whoever looked, never the officer: the log knows which officer it was, and the
unit answers for it (谁使用、谁负责).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from server.domain.errors import InvalidInputError
from server.domain.officers import Role

OFFICES = {
    Role.CHIEF: ("值班首长", "duty chief"),
    Role.RELEASER: ("预警发布岗", "release desk"),
    Role.AUTHOR: ("预警制作岗", "drafting desk"),
    Role.DRILL: ("演练岗", "exercise desk"),
    Role.APPROVER: ("审批岗", "deciding desk"),
    Role.SUPERVISOR: ("效能监察岗", "supervision"),
    Role.AUDITOR: ("审计岗", "audit"),
    Role.ADMINISTRATOR: ("账号管理岗", "administration"),
    Role.PLANNER: ("号源管理岗", "schedules"),
    Role.EDITOR: ("事项管理岗", "catalogue"),
    Role.CLERK: ("窗口服务岗", "counter"),
}


@dataclass(frozen=True, slots=True)
class User:
    """Who looks: the account (for the log only), its unit and its office in both languages."""

    account: str
    unit: str
    office: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """One look at one person's data. `about` is what it was for: the alert of a broadcast, a booking."""

    unit: str
    office: tuple[str, str]
    purpose: str
    fields: tuple[str, ...]  # stable names: "phone", "division", "name"
    about: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page of the list ended. On the wire: <time in ms>-<id>, both of no meaning to anybody else."""

    at_ms: int
    id: str

    def __str__(self) -> str:
        """As the caller gets it."""
        return f"{self.at_ms:x}-{self.id}"


def office_of(roles: Iterable[Role]) -> tuple[str, str]:
    """The office of somebody with these roles: the highest one names it."""
    held = frozenset(roles)
    return next((words for role, words in OFFICES.items() if role in held), ("工作人员", "officer"))


def mark_of(text: str) -> Mark:
    """What `str` gave; InvalidInputError `cursor_invalid`.

    >>> mark_of(str(Mark(1764, "0a1b2c3d4e5f60718293a4b5")))
    Mark(at_ms=1764, id='0a1b2c3d4e5f60718293a4b5')
    """
    at, _, id_ = text.partition("-")
    try:
        mark = Mark(int(at, 16), id_)
        is_ours = 0 <= mark.at_ms < 2**43 and len(bytes.fromhex(id_)) == 12
    except ValueError:
        is_ours = False
    if not is_ours:
        raise InvalidInputError(
            "cursor_invalid", zh="续页标记无效", en="this cursor is not one of ours", field="cursor"
        )
    return mark
