"""The plan's figures against the catalogue: how many items carry each mode, and whether what it names is there.

The plan is data (`data/catalogue/plan.yaml`). The same reckoning serves the command line and the reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from server.domain.catalogue import Item, Mode
from server.domain.resources import Named, Slug


class NamedItems(BaseModel):
    """Items that the plan names. `is_paperless`: nothing may have to be brought for them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Slug
    name: Named
    is_paperless: bool = False
    items: tuple[Slug, ...] = Field(min_length=1)


class Plan(BaseModel):
    """What a city has promised."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = ""
    modes: Mapping[Mode, int] = {}
    items: int = 0
    named: tuple[NamedItems, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the plan, with what is short of it."""

    name: str
    target: int
    count: int
    missing: tuple[str, ...] = ()

    @property
    def gap(self) -> int:
        """How many are missing; 0: none."""
        return max(0, self.target - self.count)

    @property
    def is_reached(self) -> bool:
        """Whether it is."""
        return self.count >= self.target


def figures(items: Iterable[Item], plan: Plan, proactive: frozenset[str] = frozenset()) -> list[Figure]:
    """Each figure of the plan, counted over the items that are offered.

    `proactive`: items that a rule in force offers to people, whatever their own flag says (主动服务 counts both).
    """
    offered = {item.id: item for item in items if item.is_offered}
    counted = Counter(mode for item in offered.values() for mode in item.modes)
    counted[Mode.PROACTIVE] = sum(Mode.PROACTIVE in each.modes or each.id in proactive for each in offered.values())
    told = [Figure("items", plan.items, len(offered))]
    told += [Figure(mode.value, plan.modes.get(mode, 0), counted[mode]) for mode in Mode]
    for named in plan.named:
        missing = tuple(
            each
            for each in named.items
            if each not in offered or (named.is_paperless and not offered[each].is_paperless)
        )
        told.append(Figure(named.id, len(named.items), len(named.items) - len(missing), missing))
    return told
