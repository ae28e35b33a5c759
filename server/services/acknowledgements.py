"""What people answer to an alert, "I am safe" or "I need help", and what officers see of it at once.

Promises. An answer is durable when it is given, may be changed, and stays with the chain when an Update follows. Where
somebody is and what they say is sealed with their own key. Officers see counts of their division; whoever looks at the
list of people gives a purpose, and the look is in the audit log and in the people's own lists of uses before anybody is
shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server.domain.access import Deed, may, refuse
from server.domain.acknowledgements import (
    OPEN_AFTER_END,
    Acknowledged,
    Acknowledgement,
    AcknowledgementForm,
    Answer,
    Count,
    DistrictCount,
    HelpPage,
    InNeed,
    Tally,
    Word,
    acknowledged,
    common,
    masked,
    point_view,
    said_of,
)
from server.domain.alerts.desk import DeskAlert
from server.domain.audit import Detail, Event
from server.domain.divisions import Divisions, normal
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.services.reports import PURPOSE_LENGTH, Watchers
from server.services.uses import user_of
from server.storage.acknowledgements import AcknowledgementStore
from server.storage.alerts import AlertStore
from server.storage.citizens import Citizens, Whereabouts

MAX_LIST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER = re.compile(r"(\d{1,14})\.([0-9a-f]{24})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Part of the list: of which division ("" = the officer's own), what for, with full numbers or masked ones."""

    purpose: str
    division: str = ""
    shows_numbers: bool = False
    after: str = ""
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Cabinet:
    """The stores that answers and people are in."""

    citizens: Citizens
    answers: AcknowledgementStore
    alerts: AlertStore


class Acknowledgements:
    """The verbs of citizens and officers."""

    def __init__(self, cabinet: Cabinet, divisions: Divisions, watchers: Watchers, now: Callable[[], datetime]) -> None:
        self._cabinet = cabinet
        self._divisions = divisions
        self._watchers = watchers
        self._now = now

    async def answer(self, citizen: int, identifier: str, form: AcknowledgementForm) -> Acknowledged:
        """Take a person's word; the same word again is a new one. All words as they stand now.

        NotFoundError `alert_unknown`; ConflictError `alert_over`; InvalidInputError `division_unknown`.
        """
        now = self._now()
        whereabouts = await self._cabinet.citizens.whereabouts(citizen)
        desk = await self._alert(identifier, whereabouts)
        if desk.alert.expires_at is None or desk.alert.expires_at + OPEN_AFTER_END <= now:
            raise ConflictError("alert_over", zh="该预警早已结束", en="this alert has been over for days")
        division = self._division(form, whereabouts, desk)
        word = Word(Answer(form.state), now, division, said_of(form))
        return acknowledged(await self._cabinet.answers.add(citizen, desk.chain, word))

    async def mine(self, citizen: int, identifier: str) -> Acknowledged:
        """What this person has answered; NotFoundError `alert_unknown`, `acknowledgement_unknown`."""
        desk = await self._alert(identifier, await self._cabinet.citizens.whereabouts(citizen))
        found = await self._cabinet.answers.find(citizen, desk.chain)
        if found is None:
            raise NotFoundError("acknowledgement_unknown", zh="您还没有报平安", en="you have not answered yet")
        return acknowledged(found)

    async def tally(self, officer: Officer, identifier: str) -> Tally:
        """The counts of the officer's division; NotFoundError `alert_unknown` outside of it."""
        desk = await self._within_reach(officer, identifier)
        counts = await self._cabinet.answers.count(desk.chain, officer.division)
        districts = sorted({district for district, _ in counts})
        rows = [
            DistrictCount(
                division=district,
                name=self._name(district),
                safe=counts.get((district, Answer.SAFE), 0),
                help=counts.get((district, Answer.HELP), 0),
            )
            for district in districts
        ]
        total = Count(safe=sum(row.safe for row in rows), help=sum(row.help for row in rows))
        return Tally(chain=desk.chain, at=self._now(), total=total, divisions=tuple(rows))

    async def in_need(self, officer: Officer, identifier: str, wanted: Wanted) -> HelpPage:
        """Who needs help in a division of the officer's own.

        InvalidInputError `purpose_missing`, `division_unknown`, `mark_invalid`; ForbiddenError; NotFoundError.
        """
        purpose = wanted.purpose.strip()
        if not PURPOSE_LENGTH[0] <= len(purpose) <= PURPOSE_LENGTH[1]:
            raise InvalidInputError(
                "purpose_missing", zh="请说明用途（4至200字）", en="say what for (4 to 200 characters)", field="purpose"
            )
        after = _read_mark(wanted.after) if wanted.after else None
        root = self._divisions.get(wanted.division or officer.division).code
        desk = await self._within_reach(officer, identifier)
        refuse(officer, Deed.ACKNOWLEDGEMENT_HELP, [root])
        details: dict[str, Detail] = {"division": root, "purpose": purpose, "numbers": wanted.shows_numbers}
        await self._watchers.audit.record(Event(officer.id, Deed.ACKNOWLEDGEMENT_HELP, identifier, details=details))
        limit = max(1, min(MAX_LIST, wanted.limit))
        found = await self._cabinet.answers.find_in_need(desk.chain, root, after, limit + 1)
        shown = ("answer", "place", "phone" if wanted.shows_numbers else "phone_masked")
        seen = {each.citizen for each in found[:limit]}
        await self._watchers.uses.note(sorted(seen), user_of(officer), purpose, shown, about=identifier)
        people = await self._people(found[:limit], shows_numbers=wanted.shows_numbers)
        return HelpPage(people=tuple(people), next=_mark(found[limit - 1]) if len(found) > limit else None)

    async def _alert(self, identifier: str, whereabouts: Whereabouts) -> DeskAlert:
        """A released alert that this person may see: a public one, or as a tester an exercise."""
        desk = await self._cabinet.alerts.get(identifier)
        if desk.released_at is None or (desk.is_exercise and not whereabouts.is_tester):
            raise _unknown(identifier)
        return desk

    async def _within_reach(self, officer: Officer, identifier: str) -> DeskAlert:
        desk = await self._cabinet.alerts.get(identifier)
        if not may(officer, Deed.ACKNOWLEDGEMENT_READ, desk.facts.divisions):
            raise _unknown(identifier)
        return desk

    def _division(self, form: AcknowledgementForm, whereabouts: Whereabouts, desk: DeskAlert) -> str:
        """Where the answer counts: as it says, else the person's first place in the area, else where the area is."""
        place = form.place
        if place and place.division:
            return normal(self._divisions.get(place.division).code)
        point = said_of(form).point
        if point and (district := self._divisions.district_at(point[1], point[0])):
            return district
        named = [normal(code) for code in desk.facts.divisions]
        for known in whereabouts.places:
            if any(known.division.startswith(code) or code.startswith(known.division) for code in named):
                return known.division
        return common(named)

    async def _people(self, found: Sequence[Acknowledgement], *, shows_numbers: bool) -> list[InNeed]:
        reach = await self._cabinet.citizens.reach("sms", sorted({each.citizen for each in found}))
        people = []
        for each in found:
            known, said = reach.get(each.citizen), each.last.said
            phones = [address.value for address in known.addresses] if known else []
            people.append(
                InNeed(
                    id=each.id,
                    since=each.since,
                    at=each.last.at,
                    division=each.last.division,
                    division_name=self._name(each.last.division),
                    point=point_view(said),
                    place=said.text,
                    note=said.note,
                    phones=tuple(phone if shows_numbers else masked(phone) for phone in phones),
                    lang=known.lang if known else "",
                )
            )
        return people

    def _name(self, code: str) -> str:
        found = self._divisions.find(code)
        return found.name if found else ""


def _unknown(identifier: str) -> NotFoundError:
    return NotFoundError("alert_unknown", zh="没有这条预警", en=f"no such alert: {identifier[:80]}", field="identifier")


def _mark(last: Acknowledgement) -> str:
    return f"{(last.since - _EPOCH) // timedelta(milliseconds=1)}.{last.id}"


def _read_mark(text: str) -> tuple[datetime, str]:
    match = _AFTER.fullmatch(text)
    if match is None:
        raise InvalidInputError("mark_invalid", zh="续页标记无效", en="this mark is not one of ours", field="after")
    return _EPOCH + timedelta(milliseconds=int(match[1])), match[2]
