"""The file of a broadcast: its report, and the list of people who have to be telephoned.

The list shows an officer phone numbers in clear: a purpose has to be given, and the look is in
the audit log before the first number is opened. Pages of the list are cut by a sealed mark, so that no internal id
leaves, and nobody is skipped or doubled when receipts come in between. Each person on the list finds the look among the
uses of their data.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from server.domain.access import Deed
from server.domain.audit import Event
from server.domain.broadcasts import Broadcast, bounds, range_of
from server.domain.divisions import Divisions, is_within
from server.domain.errors import InvalidInputError
from server.domain.officers import Officer
from server.domain.progress import Seen, standing
from server.domain.report import Person, Report, Unreached, UnreachedPage, is_unreached, people, table, told
from server.services.audit import Audit
from server.services.broadcasts import Broadcasts
from server.services.uses import Uses, user_of
from server.storage.broadcasts import Broadcasts as Store
from server.storage.citizens import Citizens
from server.storage.pages import Pages
from server.storage.vault import SealedError, Vault

MAX_LIST = 500
MAX_RANGES = 64  # read by one call: a list of a large city comes in many short parts, some of them empty
SHOWN = ("phone", "division", "delivery")  # what the list tells of a person, as the person reads it
PURPOSE_LENGTH = (4, 200)  # characters


@dataclass(frozen=True, slots=True)
class Wanted:
    """Part of a list: in which division, after which mark, how many, and what for."""

    division: str
    purpose: str
    after: str = ""
    limit: int = 100
    counts_unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Shelves:
    """The stores that a report is read from."""

    broadcasts: Store
    pages: Pages
    citizens: Citizens
    vault: Vault


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of a look at people's data before it is given: the log, and the people themselves."""

    audit: Audit
    uses: Uses


class Reports:
    """What can be told about a broadcast."""

    def __init__(
        self,
        counter: Broadcasts,
        shelves: Shelves,
        divisions: Divisions,
        watchers: Watchers,
        now: Callable[[], datetime],
    ) -> None:
        self._counter = counter
        self._shelves = shelves
        self._divisions = divisions
        self._watchers = watchers
        self._now = now

    async def report(self, id_: str) -> Report:
        """The figures as of now; NotFoundError."""
        broadcast = await self._shelves.broadcasts.get(id_)
        found = await self._counter.progress(id_)
        seen = Seen(id_, found.version, found.state, found.ranges, found.ranges_planned, found.by_channel)
        now = standing(seen, (), self._now(), self._code_of)
        return Report(
            broadcast=id_,
            subject=broadcast.subject,
            chain=broadcast.chain,
            state=found.state,
            lane=broadcast.lane.value,
            policy=broadcast.policy.value,
            is_exercise=broadcast.is_exercise,
            is_all_clear=broadcast.is_all_clear,
            released_at=broadcast.released_at,
            expires_at=broadcast.expires_at,
            at=now.at,
            digest=broadcast.digest,
            replaces=list(broadcast.replaces),
            channels=now.channels,
            unreachable=now.unreachable,
            divisions=now.divisions,
        )

    async def table(self, id_: str) -> str:
        """The figures as CSV; NotFoundError."""
        found = await self._counter.progress(id_)
        return table(found.by_channel, self._code_of, lambda code: self._divisions.get(code).name)

    async def unreached(self, officer: Officer, id_: str, wanted: Wanted) -> UnreachedPage:
        """People of a division whom the broadcast did not reach, with their phones, in the order of their ids.

        InvalidInputError: no purpose, an unknown division, a mark that is not ours. NotFoundError.
        """
        if not PURPOSE_LENGTH[0] <= len(wanted.purpose.strip()) <= PURPOSE_LENGTH[1]:
            raise InvalidInputError(
                "purpose_missing", zh="请说明用途（4至200字）", en="say what for (4 to 200 characters)", field="purpose"
            )
        root = self._divisions.get(wanted.division).code
        broadcast = await self._shelves.broadcasts.get(id_)
        after = self._opened(id_, wanted.after) if wanted.after else -1
        await self._watchers.audit.record(
            Event(
                officer.id, Deed.BROADCAST_UNREACHED, id_, details={"division": root, "purpose": wanted.purpose.strip()}
            )
        )
        found, last = await self._people(broadcast, wanted, root, after)
        seen = [id_ for id_, _ in found]
        await self._watchers.uses.note(seen, user_of(officer), wanted.purpose.strip(), SHOWN, about=id_)
        mark = None if last is None else self._sealed(id_, last)
        return UnreachedPage(people=await self._rows(found), next=mark)

    async def _people(
        self, broadcast: Broadcast, wanted: Wanted, root: str, after: int
    ) -> tuple[list[tuple[int, Person]], int | None]:
        """The next (id, person) up to the limit, and the id up to which everybody was looked at; None: that is all.

        A range is read as a whole (at most 8,000 people), and a call reads at most MAX_RANGES of them.
        """
        limit = max(1, min(MAX_LIST, wanted.limit))
        first = range_of(after, broadcast.ranges) if after >= 0 else 0
        end = min(broadcast.ranges, first + MAX_RANGES)
        found: list[tuple[int, Person]] = []
        for number in range(first, end):
            for id_, person in people(await self._shelves.pages.of_range(broadcast.id, number)).items():
                is_wanted = id_ > after and is_unreached(person, counts_unconfirmed=wanted.counts_unconfirmed)
                if is_wanted and is_within(self._divisions.code_at(person.division), root):
                    found.append((id_, person))
            if len(found) > limit:
                return found[:limit], found[limit - 1][0]
        return found, None if end == broadcast.ranges else bounds(end - 1, broadcast.ranges)[1] - 1

    async def _rows(self, found: list[tuple[int, Person]]) -> list[Unreached]:
        reach = await self._shelves.citizens.reach("sms", [id_ for id_, _ in found])
        rows = []
        for id_, person in found:
            known = reach.get(id_)
            code = self._divisions.code_at(person.division)
            rows.append(
                Unreached(
                    division=code,
                    division_name=self._divisions.get(code).name,
                    phones=[address.value for address in known.addresses] if known else [],
                    lang=known.lang if known else "",
                    channels=told(person),
                )
            )
        return rows

    def _sealed(self, broadcast: str, id_: int) -> str:
        return urlsafe_b64encode(self._shelves.vault.seal(str(id_), owner=_owner(broadcast))).decode().rstrip("=")

    def _opened(self, broadcast: str, mark: str) -> int:
        try:
            padded = mark + "=" * (-len(mark) % 4)
            return int(self._shelves.vault.open(urlsafe_b64decode(padded.encode("ascii")), owner=_owner(broadcast)))
        except (SealedError, Base64Error, ValueError, IndexError):
            raise InvalidInputError(
                "mark_invalid", zh="续页标记无效", en="this mark is not one of ours", field="after"
            ) from None

    def _code_of(self, index: str) -> str:
        return self._divisions.code_at(int(index))


def _owner(broadcast: str) -> str:
    return f"unreached|{broadcast}|after"
