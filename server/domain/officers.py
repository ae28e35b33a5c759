"""An officer and the unit it works for: as much of them as the rules about alerts need. Logging in is another matter.

Two accounts may belong to one human being: `person` names the human, and every rule about "two persons" asks for it.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

DIVISION = r"^\d{6}(\d{3}){0,2}$"  # GB/T 2260, street, community


class Role(StrEnum):
    """What an officer has been trusted with. A role alone allows nothing: division and event have to fit too."""

    AUTHOR = "author"  # writes alerts and hands them in
    RELEASER = "releaser"  # releases, returns or rejects what another person wrote
    CHIEF = "chief"  # a releaser who may release red too
    DRILL = "drill"  # besides the others: may do the same with exercises and tests


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
    """Someone at the desk. `division` and `events` bound what the roles reach; no events reach nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=64, description="of the account")
    person: str = Field(min_length=1, max_length=64, description="of the human being; two accounts may share it")
    name: str = Field(min_length=1, max_length=60)
    roles: frozenset[Role]
    unit: Unit
    division: str = Field(pattern=DIVISION, description="root of the subtree of divisions this officer may act in")
    events: tuple[str, ...] = Field(description="prefixes of event codes: 11B is all weather, 11B01 only typhoons")
