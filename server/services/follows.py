"""What a citizen follows: topics of public notices in areas. And what of it an export, a join and an erasure take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.bulletins import Topics
from server.domain.divisions import Divisions
from server.domain.errors import ConflictError, NotFoundError
from server.domain.follows import MAX_FOLLOWS, Follow, follows_in, marks_of
from server.storage.follows import FollowStore
from server.storage.mongo import Session

TRIES = 5  # against other devices of the same person


class Follows:
    """The citizens' verbs. A change is in force for every bulletin that is published after it."""

    def __init__(self, store: FollowStore, topics: Topics, divisions: Divisions) -> None:
        self.topics = topics
        self.divisions = divisions
        self._store = store

    async def of(self, citizen: int) -> Sequence[Follow]:
        """All of them, by topic and division."""
        return follows_in(await self._store.find(citizen))

    async def put(self, citizen: int, topic: str, division: str) -> Sequence[Follow]:
        """Follow this too; a second call changes nothing. InvalidInputError, ConflictError `follows_full`."""
        follow = Follow(self.topics.get(topic).id, self.divisions.get(division).code)
        for _ in range(TRIES):
            before = await self._store.find(citizen)
            own = follows_in(before)
            if follow in own:
                return own
            if len(own) >= MAX_FOLLOWS:
                raise ConflictError(
                    "follows_full", zh=f"最多关注{MAX_FOLLOWS}项", en=f"there may be {MAX_FOLLOWS} follows"
                )
            after = self.marks([*own, follow])
            if await self._store.set(citizen, before, after):
                return follows_in(after)
        raise _busy()

    async def drop(self, citizen: int, id_: str) -> None:
        """Do not follow this any more; NotFoundError `follow_unknown`."""
        for _ in range(TRIES):
            before = await self._store.find(citizen)
            own = follows_in(before)
            rest = [each for each in own if each.id != id_]
            if len(rest) == len(own):
                raise NotFoundError("follow_unknown", zh="没有关注此项", en="this is not followed")
            if await self._store.set(citizen, before, self.marks(rest)):
                return
        raise _busy()

    def marks(self, follows: Sequence[Follow]) -> tuple[str, ...]:
        """What is kept of them; a division that the map has lost stays under its own code."""
        return marks_of((each, self._lineage(each.division)) for each in follows)

    def _lineage(self, code: str) -> Sequence[str]:
        return self.divisions.lineage(code) if self.divisions.is_known(code) else (code,)


class FollowsHolding:
    """What somebody follows. A join keeps all of both, more than one may add if need be."""

    name = "follows"
    collections = ("citizens",)

    def __init__(self, store: FollowStore, follows: Follows) -> None:
        self._store = store
        self._follows = follows

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """One row a follow."""
        return [{"topic": each.topic, "division": each.division} for each in await self._follows.of(citizen)]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Add them to the target's. ConflictError `follows_busy` if somebody changes them meanwhile."""
        given, own = await self._store.find(source, session), await self._store.find(target, session)
        if not given:
            return
        both = self._follows.marks(sorted({*follows_in(given), *follows_in(own)}))
        is_done = await self._store.set(target, own, both, session) and await self._store.set(
            source, given, (), session
        )
        if not is_done:
            raise _busy()

    async def erase(self, citizen: int) -> None:
        """Take them away."""
        while before := await self._store.find(citizen):
            await self._store.set(citizen, before, ())


def _busy() -> ConflictError:
    return ConflictError("follows_busy", zh="关注正被同时修改，请重试", en="the follows are being changed; try again")
