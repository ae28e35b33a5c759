"""The office of public notices: an editor drafts and hands in, another person publishes, returns or withdraws.

Promises. Two persons: nobody publishes what they had a hand in. What is published is what was handed in, by its digest;
any change voids that. Publication is one write that holds the version and its frozen broadcast; the broadcast leaves
after it, once, and `finish_interrupted` sends it if the process died in between. After a withdrawal none is on its way:
one that never left is stored as stopped. Each step is in the audit log before its effect is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from server.domain.access import Deed, may, refuse
from server.domain.audit import Detail, Event
from server.domain.broadcasts import Broadcast
from server.domain.broadcasts import State as BroadcastState
from server.domain.bulletins import (
    MAX_VERSIONS,
    Bulletin,
    Content,
    Draft,
    State,
    Topics,
    Version,
    Withdrawal,
    broadcast_of,
    digest,
    fitted,
    source_of,
)
from server.domain.bulletins_json import After
from server.domain.divisions import Divisions, normal
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.notices import Frame
from server.domain.officers import Officer
from server.services.audit import Audit
from server.services.finishing import finish_each
from server.storage.bulletins import BulletinStore


class Publisher(Protocol):
    """What puts broadcasts on their way and stops them. Both may be repeated."""

    async def publish(self, broadcast: Broadcast) -> None:
        """Return when it is durable."""
        ...

    async def stop(self, id_: str, state: BroadcastState) -> None:
        """Return when nothing more is planned."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """What a bulletin has to fit, and what its notices look like."""

    topics: Topics
    divisions: Divisions
    frame: Frame


class BulletinOffice:
    """The officers' verbs. `new_id` gives 128 random bits in hexadecimal."""

    def __init__(
        self,
        store: BulletinStore,
        publisher: Publisher,
        ground: Ground,
        audit: Audit,
        *,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._ground = ground
        self._audit = audit
        self._clock = now
        self._new_id = new_id

    async def get(self, by: Officer, id_: str) -> Bulletin:
        """One with its draft and history; NotFoundError, also for one out of the officer's reach."""
        found = await self._store.find(id_)
        if found is None or not may(by, Deed.BULLETIN_READ, found.areas):
            raise unknown()
        return found

    async def page(self, by: Officer, after: After | None, limit: int) -> tuple[list[Bulletin], After | None]:
        """Those within reach, last edited first, and where the next page begins."""
        found = await self._store.office(normal(by.division), after, limit)
        last = After(found[-1].edited_at, found[-1].id) if len(found) == limit else None
        return [each for each in found if may(by, Deed.BULLETIN_READ, each.areas)], last

    async def draft(self, by: Officer, content: Content) -> Bulletin:
        """Begin one; its source is the officer's unit."""
        content = self._fit(content)
        refuse(by, Deed.BULLETIN_WRITE, content.areas)
        begun = Bulletin(
            id=self._new_id(),
            source=source_of(by),
            edit=1,
            edited_at=self._now(),
            draft=Draft(content=content, persons=(by.person,), by=by.id),
        )
        await self._record(by, "draft", begun)
        if not await self._store.insert(begun):
            raise _changed()
        return begun

    async def edit(self, by: Officer, id_: str, content: Content, edit: int) -> Bulletin:
        """Write over the draft, or begin a correction of what is published; what was handed in is void."""
        before = await self._seen(by, id_, edit)
        content = self._fit(content)
        refuse(by, Deed.BULLETIN_WRITE, (*before.areas, *content.areas))
        if before.state is State.WITHDRAWN:
            raise _state("公告已撤回", "it was withdrawn")
        persons = tuple(sorted({by.person, *(before.draft.persons if before.draft else ())}))
        return await self._move(by, "edit", before, draft=Draft(content=content, persons=persons, by=by.id))

    async def submit(self, by: Officer, id_: str, edit: int) -> Bulletin:
        """Hand the draft in: its digest is what the second person confirms."""
        before = await self._seen(by, id_, edit)
        refuse(by, Deed.BULLETIN_WRITE, before.areas)
        draft = _drafted(before)
        self._refuse_over(draft.content)
        if before.versions and not draft.content.note:
            raise InvalidInputError("note_missing", zh="请说明更正内容", en="say what is corrected", field="note")
        signed = digest(draft.content, before.source.code)
        return await self._move(by, "submit", before, draft=draft.model_copy(update={"submitted": signed}))

    async def return_(self, by: Officer, id_: str, edit: int, reason: str) -> Bulletin:
        """Give it back to be changed."""
        before = await self._seen(by, id_, edit)
        refuse(by, Deed.BULLETIN_PUBLISH, before.areas)
        draft = _drafted(before)
        if not draft.submitted:
            raise _state("公告尚未提交", "it has not been handed in")
        return await self._move(by, "return", before, reason, draft=draft.model_copy(update={"submitted": ""}))

    async def publish(self, by: Officer, id_: str, signed: str) -> Bulletin:
        """Make the draft the next version and tell those who follow. `signed` is the digest that the officer saw.

        ConflictError `digest_changed` if it is not what was handed in; ForbiddenError `same_person`. A second call by
        the same officer finishes what the first may have left undone.
        """
        before = await self.get(by, id_)
        refuse(by, Deed.BULLETIN_PUBLISH, before.areas)
        if before.versions and before.draft is None and _is_repeat(before.versions[-1], by, signed):
            return await self._settle(before)
        draft = _drafted(before)
        if not signed == draft.submitted == digest(draft.content, before.source.code):
            raise ConflictError(
                "digest_changed",
                zh="内容与提交时不同，请重新提交",
                en="the content is not what was handed in; hand it in again",
                field="digest",
            )
        if by.person in draft.persons:
            raise ForbiddenError("same_person", zh="须由另一人发布", en="somebody else has to publish it")
        if len(before.versions) >= MAX_VERSIONS:
            raise _state("更正次数过多，请另发公告", "corrected too often: write a new one")
        self._refuse_over(draft.content)
        at = max([self._now(), *(version.published_at for version in before.versions)])
        number = len(before.versions) + 1
        version = Version(number=number, content=draft.content, digest=signed, published_at=at, by=by.id)
        topic = self._ground.topics.get(draft.content.topic)
        told = broadcast_of(before, version, topic, self._ground.divisions, self._ground.frame)
        changes = {"draft": None, "versions": (*before.versions, version), "pending": (*before.pending, told)}
        return await self._settle(await self._write(before, changes))

    async def withdraw(self, by: Officer, id_: str, reason: str) -> Bulletin:
        """Say that it does not hold any more, and stop telling it. A second call changes nothing."""
        before = await self.get(by, id_)
        refuse(by, Deed.BULLETIN_WITHDRAW, before.areas)
        if before.withdrawal is not None:
            return await self._settle(before)
        if not before.versions:
            raise _state("公告尚未发布", "it was never published")
        at = max(self._now(), before.versions[-1].published_at)
        gone = Withdrawal(at=at, by=by.id, reason=reason)
        return await self._settle(await self._write(before, {"withdrawal": gone, "draft": None, "stops": True}))

    async def finish_interrupted(self) -> list[str]:
        """Do what processes died before: log, tell, stop. And take what is over out of the readers' index."""
        await self._store.hide_over(self._now())
        left = await self._store.find_unsettled()
        finished = await finish_each(left, self._settle, "public notices could not be told")
        return [each.id for each in finished]

    async def _settle(self, bulletin: Bulletin) -> Bulletin:
        """Log what was published or withdrawn, then let its broadcasts leave, or stop. All may be repeated."""
        await self._audit.record(*_public_steps(bulletin))
        for told in bulletin.pending:
            # A withdrawn one is stored as stopped: another process that still holds it finds it there.
            state = BroadcastState.CANCELLED if bulletin.withdrawal else told.state
            await self._publisher.publish(told.model_copy(update={"state": state}))
            if not bulletin.stops:
                await self._store.mark_told(bulletin.id, told.id)
        if bulletin.stops:
            for id_ in bulletin.broadcasts:
                await self._publisher.stop(id_, BroadcastState.CANCELLED)
            for told in bulletin.pending:
                await self._store.mark_told(bulletin.id, told.id)
            await self._store.mark_stopped(bulletin.id)
        await self._store.mark_settled(bulletin.id)
        return bulletin

    async def _seen(self, by: Officer, id_: str, edit: int) -> Bulletin:
        found = await self.get(by, id_)
        if found.edit != edit:
            raise _changed()
        return found

    async def _move(self, by: Officer, action: str, before: Bulletin, reason: str = "", *, draft: Draft) -> Bulletin:
        """A step that the public does not see."""
        await self._record(by, action, before, reason)
        return await self._write(before, {"draft": draft})

    async def _write(self, before: Bulletin, changes: Mapping[str, object]) -> Bulletin:
        after = before.model_copy(update={**changes, "edit": before.edit + 1, "edited_at": self._now()})
        if not await self._store.apply(before, after):
            raise _changed()
        return after

    async def _record(self, by: Officer, action: str, bulletin: Bulletin, reason: str = "") -> None:
        details: dict[str, Detail] = {"edit": bulletin.edit} | ({"reason": reason} if reason else {})
        await self._audit.record(Event(by.id, f"bulletin.{action}", _object(bulletin), details=details))

    def _fit(self, content: Content) -> Content:
        return fitted(content, self._ground.topics, self._ground.divisions)

    def _refuse_over(self, content: Content) -> None:
        if content.valid_until <= self._now():
            raise InvalidInputError(
                "bulletin_over", zh="有效期已过", en="its time is already over", field="valid_until"
            )

    def _now(self) -> datetime:
        """To the millisecond, as the database keeps it."""
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def unknown() -> NotFoundError:
    """There is no such bulletin, or not for the one who asks."""
    return NotFoundError("bulletin_unknown", zh="没有这条公告", en="there is no such public notice")


def _public_steps(bulletin: Bulletin) -> Sequence[Event]:
    """What the public saw, under keys that make each one entry."""
    what = _object(bulletin)
    steps = [
        Event(
            each.by, "bulletin.publish", what, key=f"{what}/{each.number}",
            details={"version": each.number, "digest": each.digest},
        )
        for each in bulletin.versions[-1:]
    ]  # fmt: skip
    if (gone := bulletin.withdrawal) is not None:
        steps.append(
            Event(gone.by, "bulletin.withdraw", what, details={"reason": gone.reason}, key=f"{what}/withdrawn")
        )
    return steps


def _object(bulletin: Bulletin) -> str:
    return f"bulletin/{bulletin.id}"


def _drafted(bulletin: Bulletin) -> Draft:
    if bulletin.draft is None:
        raise _state("没有待发布的修改", "there is no draft")
    return bulletin.draft


def _is_repeat(version: Version, by: Officer, signed: str) -> bool:
    return version.by == by.id and version.digest == signed


def _changed() -> ConflictError:
    return ConflictError(
        "bulletin_changed", zh="公告刚被他人改动，请刷新", en="someone changed the public notice; load it again"
    )


def _state(zh: str, en: str) -> ConflictError:
    return ConflictError("bulletin_state", zh=zh, en=en)
