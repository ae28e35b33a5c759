"""What is told about a broadcast afterwards: its figures as a table, and who has to be telephoned.

Pure. The table can be opened in a spreadsheet without harm: no cell begins as a formula does.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import StringIO
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from server.domain import ranks
from server.domain.broadcasts import CHANNELS, UNREACHABLE, State
from server.domain.pages import MOVED, Page, effective
from server.domain.progress import ChannelStanding, Counts, by_division

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what spreadsheets take for the beginning of one
BOM = "\ufeff"  # without it Excel takes Chinese for something else


EXAMPLE: dict[str, Any] = {
    "broadcast": "44030041600000_20261124093000",
    "subject": "44030041600000_20261124093000",
    "chain": "44030041600000_20261124093000",
    "state": "finished",
    "lane": "red",
    "policy": "all",
    "is_exercise": False,
    "is_all_clear": False,
    "released_at": "2026-11-24T01:30:00Z",
    "expires_at": "2026-11-24T07:30:00Z",
    "at": "2026-11-24T02:00:00Z",
    "digest": "9f2c4f0d5b1e",
    "replaces": [],
    "channels": {"sms": {"audience": 19_012, "left": 0, "statuses": {"delivered": 18_800, "refused": 212}}},
    "unreachable": 63,
    "divisions": {"440305": {"sms": {"delivered": 18_800, "refused": 212}}},
}


class Report(BaseModel):
    """One broadcast, for the file."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"example": EXAMPLE})

    broadcast: str
    subject: str
    chain: str
    state: State
    lane: str
    policy: str
    is_exercise: bool
    is_all_clear: bool
    released_at: datetime
    expires_at: datetime
    at: datetime = Field(description="as of when: receipts may still come in")
    digest: str
    replaces: list[str]
    channels: dict[str, ChannelStanding]
    unreachable: int
    divisions: dict[str, dict[str, dict[str, int]]] = Field(description="district -> channel -> status -> people")


class Unreached(BaseModel):
    """Somebody whom no channel has reached, as far as is known."""

    model_config = ConfigDict(frozen=True)

    division: str = Field(description="where the place is that the warning was about")
    division_name: str
    phones: list[str] = Field(description="verified numbers; none: only a visit will do")
    lang: str = Field(description="zh or en; empty: not known")
    channels: dict[str, str] = Field(description="channel -> what became of it: status, and why")


class UnreachedPage(BaseModel):
    """Part of the list, perhaps empty. `next` goes into `after` for the rest; null: this was the last part."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "example": {
                "people": [
                    {
                        "division": "440305001003",
                        "division_name": "大新社区",
                        "phones": ["+8613900000017"],
                        "lang": "zh",
                        "channels": {"sms": "undelivered", "wechat": "refused: 43101"},
                    }
                ],
                "next": "Af1yN0",
            }
        },
    )

    people: list[Unreached]
    next: str | None = None


def table(counts: Counts, code_of: Callable[[str], str], name_of: Callable[[str], str]) -> str:
    """The counts as CSV (RFC 4180, UTF-8 with a mark for Excel): a line per district and channel, a column per status.

    >>> table({}, str, str).splitlines()[0][1:22]
    'division,name,channel'
    """
    out = StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(["division", "name", "channel", "audience", *ranks.STATUSES])
    for division, channels in by_division(counts, code_of).items():
        for channel in (*CHANNELS, UNREACHABLE):
            if statuses := channels.get(channel):
                figures = [statuses.get(status, 0) for status in ranks.STATUSES]
                lines.writerow([safe(division), safe(name_of(division)), channel, sum(figures), *figures])
    return BOM + out.getvalue()


def safe(cell: str) -> str:
    """A text that no spreadsheet runs.

    >>> safe("=1+1"), safe("南山区")
    ("'=1+1", '南山区')
    """
    return f"'{cell}" if cell.startswith(FORMULA) else cell


@dataclass(slots=True)
class Person:
    """What the pages of a range say about one person."""

    division: int
    best: int = -1  # rank over all channels
    channels: dict[str, tuple[int, str]] = field(default_factory=dict)  # channel -> rank and why


def people(pages: Iterable[Page]) -> dict[int, Person]:
    """Everybody on these pages, by id, in the order of ids. Who moved to a later page counts there."""
    found: dict[int, Person] = {}
    for page in pages:
        for i, rank in enumerate(effective(page)):
            why = page.why.get(i, page.reason)
            if rank == ranks.SUPPRESSED and why == MOVED:
                continue
            person = found.setdefault(page.to[i], Person(page.divisions[i]))
            if page.channel == UNREACHABLE:
                continue
            person.best = max(person.best, rank)
            if rank >= person.channels.get(page.channel, (-1, ""))[0]:
                person.channels[page.channel] = (rank, why)
    return dict(sorted(found.items()))


def is_unreached(person: Person, *, counts_unconfirmed: bool) -> bool:
    """Whether to telephone: nothing is on its way any more, and no provider took the notice, or it did not arrive.

    `counts_unconfirmed`: everybody of whom no receipt says that it arrived.
    """
    if counts_unconfirmed:
        return person.best < ranks.DELIVERED
    known = [rank for rank, _ in person.channels.values()]
    return not any(not ranks.is_final(rank) or rank in ranks.HANDED_OVER - {ranks.UNDELIVERED} for rank in known)


def told(person: Person) -> dict[str, str]:
    """The channels in words."""
    return {
        channel: f"{ranks.status(rank)}: {why}" if why and rank < ranks.ACCEPTED else ranks.status(rank)
        for channel, (rank, why) in sorted(person.channels.items())
    }


def names(found: Sequence[Unreached]) -> str:
    """The list as CSV, for the people who make the calls."""
    out = StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(["division", "name", "phones", "lang", *CHANNELS])
    for each in found:
        cells = [each.division, each.division_name, " ".join(each.phones), each.lang]
        lines.writerow([safe(cell) for cell in (*cells, *(each.channels.get(channel, "") for channel in CHANNELS))])
    return BOM + out.getvalue()
