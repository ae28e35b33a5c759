"""An officer, the unit it works for and its account. Logging in is another matter: see `sessions`.

Two accounts may belong to one human being: `person` names the human, and every rule about "two persons" asks for it.
Powers are separate (GB/T 22239-2019, 三权分立): who manages accounts or reads the log does not warn, in any account.
Nor does who serves people at a counter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from server.domain.errors import InvalidInputError

DIVISION = r"^\d{6}(\d{3}){0,2}$"  # GB/T 2260, street, community


class Role(StrEnum):
    """What an officer has been trusted with. A role alone allows nothing: division and event have to fit too."""

    AUTHOR = "author"  # writes alerts and hands them in
    RELEASER = "releaser"  # releases, returns or rejects what another person wrote
    CHIEF = "chief"  # a releaser who may release red too
    DRILL = "drill"  # besides the others: may do the same with exercises and tests
    AUDITOR = "auditor"  # reads the log, and nothing else
    ADMINISTRATOR = "administrator"  # manages accounts, and cannot warn
    CLERK = "clerk"  # serves people at a counter: calls, books, excuses, closes a day, takes applications
    PLANNER = "planner"  # says what can be booked and when
    EDITOR = "editor"  # writes and publishes the catalogue of items; writes public notices
    APPROVER = "approver"  # 审批: decides applications, which a clerk takes and hands out; publishes notices
    SUPERVISOR = "supervisor"  # 效能监察: sees deadlines and ratings of applications, decides nothing


WARNING = frozenset({Role.AUTHOR, Role.RELEASER, Role.CHIEF, Role.DRILL})
SERVING = frozenset({Role.CLERK, Role.PLANNER, Role.EDITOR, Role.APPROVER, Role.SUPERVISOR})
# One person holds one of them.
POWERS = (WARNING, SERVING, frozenset({Role.AUDITOR}), frozenset({Role.ADMINISTRATOR}))
INSTITUTION = r"^[a-z0-9]+(-[a-z0-9]+)*$"  # as resources name their unit
Institution = Annotated[str, Field(pattern=INSTITUTION, max_length=60)]


class Unit(BaseModel):
    """An institution that may issue alerts.

    `code` is the senderCode of the China profile (国突): 6 digits GB/T 2260, 3 digits GB/T 4657, 3 unit, 2 extension.
    `sender` is CAP's globally unique name of the originator; it may hold no space, comma, `<` or `&`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[0-9A-Z]{14}$", description="44030041600000: Shenzhen, meteorology")
    name: str = Field(min_length=1, max_length=60, description="as headlines say it: 深圳市气象台")
    name_en: str = Field(default="", max_length=120)
    sender: str = Field(pattern=r"^[^\s,<&]{1,120}$")
    division: str = Field(pattern=DIVISION, description="the jurisdiction: alerts may not leave it")
    contact: str = Field(default="", max_length=120)


class Officer(BaseModel):
    """Someone at the desk. `division`, `events` (alerts), `institutions` (bookings, applications) bound the roles.

    No events reach no alert, and no institutions neither booking nor application.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64, description="of the account")
    person: str = Field(min_length=1, max_length=64, description="of the human being; two accounts may share it")
    name: str = Field(min_length=1, max_length=60)
    roles: frozenset[Role]
    unit: Unit
    division: str = Field(pattern=DIVISION, description="root of the subtree of divisions this officer may act in")
    events: tuple[str, ...] = Field(description="prefixes of event codes: 11B is all weather, 11B01 only typhoons")
    institutions: tuple[Institution, ...] = Field(
        default=(), description="units whose bookings and applications these are: sz-hall"
    )


class Mandated(Officer):
    """An officer who does not act in person: a standing order that bears the officer's name does.

    The rules are those for the officer. What it does is marked with the `order` and with the key of the partner's
    `message` that it acts on, of which there is one alert at most.
    """

    order: str = Field(min_length=1)
    message: str = Field(min_length=1)


class AccountState(StrEnum):
    """Of an account. Only an active one can log in."""

    INVITED = "invited"  # its one-time link has not been used
    ACTIVE = "active"
    LOCKED = "locked"  # by an administrator or operator, until unlocked


class Account(BaseModel):
    """An officer's account as administrators see it: no secret in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    officer: Officer
    state: AccountState
    created_at: datetime
    changed_at: datetime
    sessions_since: datetime = Field(description="sessions begun before the last lock or recovery are void")
    can_be_called: bool = Field(default=False, description="a citizen's account is bound, over which duty calls go")


NEW_OFFICER: JsonDict = {
    "name": "王敏",
    "person": "S-1024",
    "roles": ["releaser"],
    "unit": {
        "code": "44030041600000",
        "name": "深圳市气象台",
        "name_en": "Shenzhen Meteorological Observatory",
        "sender": "weather@sz.example",
        "division": "440300",
        "contact": "12121",
    },
    "division": "440300",
    "events": ["11B"],
}


class NewOfficer(BaseModel):
    """What an administrator says about an officer-to-be."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": NEW_OFFICER})

    name: str = Field(
        min_length=2,
        max_length=60,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="to log in with; unique",
        examples=["王敏"],
    )
    person: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$", description="a staff number: the human being, never an ID number"
    )
    roles: frozenset[Role] = Field(min_length=1)
    unit: Unit
    division: str = Field(pattern=DIVISION)
    events: tuple[str, ...] = Field(default=(), max_length=100, description="prefixes of event codes")
    institutions: tuple[Institution, ...] = Field(
        default=(), max_length=100, description="units whose bookings the officer serves or plans: sz-hall"
    )


def plain_name(name: str) -> str:
    """The name as it is compared: compatibility forms, case and outer spaces do not make another name.

    >>> plain_name(" Ｗang Min ") == plain_name("wang min")
    True
    """
    readable = name.encode("utf-8", "replace").decode()  # a lone surrogate is nobody's name
    return unicodedata.normalize("NFKC", readable).strip().casefold()


def is_mixed(held: Iterable[frozenset[Role]]) -> bool:
    """Whether these role sets, taken together, hold more than one of the separate powers."""
    together = frozenset[Role]().union(*held)
    return sum(bool(together & power) for power in POWERS) > 1


def refuse_mixed_powers(roles: frozenset[Role]) -> None:
    """InvalidInputError `roles_missing` or `roles_mixed`: an account has roles of exactly one power."""
    if not roles:
        raise InvalidInputError("roles_missing", zh="请至少指定一个角色", en="name at least one role", field="roles")
    if is_mixed([roles]):
        raise InvalidInputError(
            "roles_mixed",
            zh="管理账号、审计日志、发布预警与窗口服务须由不同的人担任",
            en="managing accounts, reading the log, warning and serving at a counter are for different people",
            field="roles",
        )
