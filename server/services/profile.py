"""What people can do with their own profile: settings, places, opt-outs, and what is known of their grants.

Settings and opt-outs share one version, the profile's; places have a version of their own. Every change is durable and
in force for the engine when it returns: the engine reads the same documents.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from server.domain.broadcasts import Lane
from server.domain.citizens import Account, Caller
from server.domain.delivery import quiet_until
from server.domain.divisions import Divisions
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.notices import frame_of
from server.domain.outbox import Standing
from server.domain.preferences import MAX_OPT_OUTS, Grant, OptOut, Told, Topics, Way, parsed, refuse_unknown, tidy, ways
from server.domain.profile import (
    MAX_PLACES,
    Kept,
    NewPlace,
    OwnPlace,
    ProfileChange,
    full_order,
    locate,
    with_change,
    with_place,
)
from server.domain.templates import Key, Registry
from server.storage.accounts import Accounts
from server.storage.mongo import Session
from server.storage.profiles import Profiles

LOCATION = "location"  # the consent that coordinates of places are kept by
TRIES = 5  # a change of places against others' at the same time


@dataclass(frozen=True, slots=True)
class City:
    """What the profile depends on besides the person. `standing`: the templates of personal notices."""

    divisions: Divisions
    topics: Topics
    templates: Registry
    standing: Sequence[Standing]


@dataclass(frozen=True, slots=True)
class LaneReach:
    """How one lane would reach somebody now. `templates`: those WeChat would need a grant for, with what is left."""

    lane: Lane
    ways: Sequence[Way]
    templates: Mapping[str, int]
    deferred_until: datetime | None


class Profile:
    """The verbs. `new_id` gives a place its public id: 128 random bits in hexadecimal."""

    def __init__(
        self,
        accounts: Accounts,
        store: Profiles,
        city: City,
        has_consent: Callable[[int, str], Awaitable[bool]],
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._has_consent = has_consent
        self.now = now
        self._new_id = new_id
        self.city = city

    async def settings(self, caller: Caller) -> Kept:
        """What is kept beside the account."""
        return await self._store.find(caller.id)

    async def change(self, caller: Caller, version: int, change: ProfileChange) -> tuple[Account, Kept]:
        """Set what is named; ConflictError `profile_changed` if it is not of this version any more."""
        named = change.model_fields_set
        of_account: dict[str, Any] = {n: getattr(change, n) for n in ("language", "is_elder_mode") if n in named}
        kept: dict[str, Any] = {"is_tester": change.is_tester} if "is_tester" in named else {}
        if "language" in named:
            kept["lang"] = change.language  # the sender reads it where the addresses are
        if "quiet_hours" in named:
            kept["quiet"] = change.quiet_hours and change.quiet_hours.minutes
        if "channels" in named:
            kept["order"] = full_order(change.channels) if change.channels else None
        account = await self._write(caller, version, of_account, kept)
        return account, await self._store.find(caller.id)

    async def set_off(self, caller: Caller, version: int, wanted: Sequence[OptOut]) -> tuple[Account, Sequence[OptOut]]:
        """Switch off these and nothing else; the fewest words for it are kept. As `change`; InvalidInputError."""
        refuse_unknown(wanted, self.city.topics)
        off = tidy(wanted)
        if len(off) > MAX_OPT_OUTS:
            raise InvalidInputError("input_invalid", zh="项目太多", en="too many opt-outs", field="off")
        account = await self._write(caller, version, {}, {"off": tuple(each.text for each in off)})
        return account, off

    async def off(self, caller: Caller) -> Sequence[OptOut]:
        """What is switched off."""
        return [parsed(text) for text in (await self._store.find(caller.id)).off]

    async def _write(
        self, caller: Caller, version: int, of_account: Mapping[str, Any], kept: Mapping[str, Any]
    ) -> Account:
        changed: list[Account] = []

        async def work(session: Session) -> bool:
            account = await self._accounts.change(caller.id, {**of_account}, version=version, session=session)
            if account is None:
                return False
            changed[:] = [account]
            await self._store.change(caller.id, kept, session)
            return True

        if not await self._store.together(work):
            raise ConflictError("profile_changed", zh="资料已被更改", en="the profile has been changed meanwhile")
        return changed[0]

    async def places(self, caller: Caller) -> tuple[int, Sequence[OwnPlace]]:
        """Their version and the places."""
        for _ in range(TRIES):
            version, places = await self._store.places(caller.id)
            if all(place.id for place in places):
                return version, places
            places = [place if place.id else replace(place, id=self._new_id()) for place in places]
            await self._store.set_places(caller.id, places, version=version)
        raise _busy()

    async def add_place(self, caller: Caller, given: NewPlace) -> tuple[OwnPlace, bool]:
        """Add it, and whether it is new: one that is there already only takes the new words. `places_full` (409).

        ForbiddenError `consent_needed` for a point without the consent to it.
        """
        new = self._place(self._new_id(), given)
        for _ in range(TRIES):
            version, places = await self.places(caller)
            await self._refuse_point(caller, given)
            after, place = with_place(places, new)
            if len(after) > max(MAX_PLACES, len(places)):
                raise ConflictError("places_full", zh=f"最多{MAX_PLACES}个地点", en=f"there may be {MAX_PLACES} places")
            if await self._store.set_places(caller.id, after, version=version):
                return place, place.id == new.id
        raise _busy()

    async def set_place(self, caller: Caller, place: str, given: NewPlace) -> OwnPlace:
        """Write over one; another one that is the same now is merged into it. NotFoundError `place_unknown`.

        ForbiddenError as `add_place`.
        """
        changed = self._place(place, given)
        for _ in range(TRIES):
            version, places = await self.places(caller)
            _known(places, place)
            await self._refuse_point(caller, given)
            if await self._store.set_places(caller.id, with_change(places, changed), version=version):
                return changed
        raise _busy()

    async def drop_place(self, caller: Caller, place: str) -> None:
        """Take one away: from now on nobody is warned for its sake. NotFoundError `place_unknown`."""
        for _ in range(TRIES):
            version, places = await self.places(caller)
            _known(places, place)
            if await self._store.set_places(caller.id, [p for p in places if p.id != place], version=version):
                return
        raise _busy()

    async def grants(self, caller: Caller) -> tuple[Mapping[str, Grant], Sequence[LaneReach]]:
        """What is known of every template that the city has filed, and how every lane would reach this person now."""
        kept = await self._store.find(caller.id)
        filed = {template.id: kept.grants.get(template.id, Grant()) for template in self.city.templates.wechat}
        return filed, [self._reach(kept, lane) for lane in self.city.topics.lanes]

    async def tell_grants(self, caller: Caller, id_: str, answers: Mapping[str, bool]) -> None:
        """Keep what a mini-program tells of one question; InvalidInputError `template_unknown`. A second call: nothing.

        It is a forecast until WeChat's own event comes, counts for an hour, and for at most five messages.
        """
        filed = {template.id for template in self.city.templates.wechat}
        if strange := sorted(set(answers) - filed):
            raise InvalidInputError(
                "template_unknown",
                zh="没有这个订阅消息模板",
                en="no such subscribe-message template",
                field=f"answers.{strange[0][:60]}",
            )
        now = self.now()
        for template, is_accepted in sorted(answers.items()):
            await self._store.tell(caller.id, template, Told(id_, now, is_accepted))

    def _reach(self, kept: Kept, lane: Lane) -> LaneReach:
        now = self.now()
        templates = {id_: kept.grants.get(id_, Grant()).forecast(now) for id_ in self._templates(lane)}
        reached = ways(
            lane, self.city.topics, kept.off, kept.has,
            has_grant=any(templates.values()), order=full_order(kept.order),
        )  # fmt: skip
        return LaneReach(lane, reached, templates, quiet_until(kept.quiet, lane, now))

    def _templates(self, lane: Lane) -> Sequence[str]:
        """The filed templates that notices of this lane use."""
        if lane in (Lane.RED, Lane.ORANGE, Lane.YELLOW, Lane.BLUE):
            chosen = self.city.templates.choose(Key("*", lane.value, "alert", exercise=False, language="zh")).wechat
            return [chosen] if chosen else []
        used = sorted({each.wechat_template for each in self.city.standing if each.lane is lane})
        return used or [frame_of(self.city.templates).wechat.id]

    async def _refuse_point(self, caller: Caller, given: NewPlace) -> None:
        """To be asked after the places were read: a consent that is taken back later makes their version old."""
        if given.point is not None and not await self._has_consent(caller.id, LOCATION):
            raise ForbiddenError(
                "consent_needed",
                zh="保存坐标需先同意“使用我的位置”；不同意可只填行政区划",
                en="to keep a point, agree to `location` first; or give the division alone",
                field="point",
            )

    def _place(self, id_: str, given: NewPlace) -> OwnPlace:
        at = given.point
        point = (at.lat, at.lon) if at else None
        where = locate(self.city.divisions, given.division, point, at.datum if at else None)
        return OwnPlace(id_, given.label, where, given.name, given.address)


def _known(places: Sequence[OwnPlace], place: str) -> None:
    if all(each.id != place for each in places):
        raise NotFoundError("place_unknown", zh="没有这个地点", en="there is no such place")


def _busy() -> ConflictError:
    return ConflictError("places_busy", zh="地点正被同时修改，请重试", en="the places are being changed; try again")
