"""What departments have stated about somebody: shown to that person, who may object; officers answer.

Promises. A fact that is objected to is used for nothing from then on, until its source states it anew. The words of an
objection and of its answer are sealed with the person's key. Who reads an objection has that noted for the person
before it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.access import Deed, may, refuse
from server.domain.audit import Event
from server.domain.citizens import Caller
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.fact_objections import Objection
from server.domain.facts import Fact, Facts, Statement, winner
from server.domain.officers import Officer
from server.domain.wording import Words
from server.services.audit import Audit
from server.services.uses import Uses, user_of
from server.storage.citizens import Citizens
from server.storage.fact_objections import FactObjectionStore, unknown
from server.storage.facts import FactStore

PURPOSE = "答复对事实的异议"
FIELDS = ("fact", "objection")


class Tells(Protocol):
    """The post: a notice to one person. The same key happens once."""

    async def tell(self, citizen: int, title: Words, body: Words, *, key: str, page: str = "") -> bool:
        """Durable when it returns."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """One statement as its person sees it. `is_used`: rules are asked by it now."""

    fact: Fact
    statement: Statement
    source: Words
    is_used: bool
    is_disputed: bool
    is_in_conflict: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """An objection and what is stated of its fact, for the officer who answers."""

    objection: Objection
    known: Sequence[Known]


@dataclass(frozen=True, slots=True)
class Shelves:
    """What these counters stand on. `random` gives so many random bytes; `city` is the whole city's division."""

    facts: FactStore
    objections: FactObjectionStore
    citizens: Citizens
    known: Facts
    sources: Mapping[str, Words]  # what people call them
    uses: Uses
    audit: Audit
    post: Tells
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    city: str

    async def known_of(self, citizen: int, fact: str | None = None) -> Sequence[Known]:
        """What is stated of somebody, in the order of the list of facts, one fact only or all."""
        marks, stated = await self.facts.marks_of(citizen), await self.facts.statements_of(citizen)
        found = []
        for each in stated:
            known = self.known.by_id.get(each.fact)
            if known is None or fact not in (None, each.fact):
                continue
            is_disputed = (each.fact, each.source, each.thing) in marks.disputed
            rivals = [
                one
                for one in stated
                if (one.fact, one.thing) == (each.fact, each.thing)
                and (one.fact, one.source, one.thing) not in marks.disputed
            ]
            is_used = winner(rivals, known) is each and each.value is not None
            source = self.sources.get(each.source, Words(each.source, ""))
            found.append(Known(known, each, source, is_used, is_disputed, (each.fact, each.thing) in marks.conflicts))
        order = {each.id: number for number, each in enumerate(self.known.facts)}
        return sorted(found, key=lambda each: (order[each.fact.id], each.statement.thing, each.statement.source))


class OwnFacts:
    """For the person."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def show(self, citizen: int) -> tuple[Sequence[Known], Sequence[Objection]]:
        """Everything that is stated of somebody, and their objections, oldest first."""
        return await self._shelves.known_of(citizen), await self._shelves.objections.of(citizen)

    async def object(self, caller: Caller, fact: str, text: str) -> Objection:
        """Say that a fact is wrong; nothing is done by it any more when this returns.

        NotFoundError `fact_unknown`: nothing of it is stated of the caller; ConflictError `objection_open`: the one
        before has not been answered (what was stated since is left out too).
        """
        shelves, citizen = self._shelves, caller.id
        words = _text(text)
        if not await shelves.facts.dispute(citizen, fact):
            raise NotFoundError(
                "fact_unknown", zh="没有您的这项记录", en="nothing of it is stated of you", field="fact"
            )
        places = (await shelves.citizens.whereabouts(citizen)).places
        division = places[0].division if places else shelves.city
        objection = Objection(shelves.random(16).hex(), citizen, fact, words, division, shelves.now())
        if not await shelves.objections.insert(objection):
            zh, en = "此前的异议尚未答复", "your objection to it has not been answered yet"
            raise ConflictError("objection_open", zh=zh, en=en, field="fact")
        public = caller.account.public
        await shelves.audit.record(
            Event(public, "facts.object", f"account/{public}", details={"fact": fact}, key=f"objection/{objection.id}")
        )
        return objection


class ObjectionDesk:
    """For officers."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def page(self, officer: Officer, after: str | None, limit: int, *, is_open: bool) -> Sequence[Asked]:
        """Objections of people in the officer's division, longest waiting first; each look is noted for its person."""
        found = await self._shelves.objections.page(officer.division, after, limit, is_open=is_open)
        for each in found:
            await self._note(officer, each)
        return [Asked(each, await self._shelves.known_of(each.citizen, each.fact)) for each in found]

    async def answer(self, officer: Officer, id_: str, text: str) -> Objection:
        """Answer once; the person is told. NotFoundError `objection_unknown`; ConflictError `objection_answered`.

        The same words by the same officer again are answered the same.
        """
        shelves, words = self._shelves, _text(text)
        found = await shelves.objections.get(id_)
        if not may(officer, Deed.FACT_OBJECTION_READ, [found.division]):
            raise unknown()
        refuse(officer, Deed.FACT_OBJECTION_ANSWER, [found.division])
        await shelves.objections.answer(found, words, officer.id, shelves.now())
        done = await shelves.objections.get(id_)
        if (done.answer, done.officer) != (words, officer.id):
            raise ConflictError("objection_answered", zh="此异议已答复", en="it has been answered")
        key = f"objection/{id_}/answer"
        await shelves.audit.record(Event(officer.id, "facts.answer", f"objection/{id_}", key=key))
        fact = shelves.known.by_id.get(done.fact)
        zh, en = (fact.zh, fact.en) if fact else (done.fact, done.fact)
        body = Words(f"关于“{zh}”：{words}", f"About “{en}”: {words}")
        await shelves.post.tell(done.citizen, Words("您的异议已答复", "Your objection was answered"), body, key=key)
        return done

    async def _note(self, officer: Officer, each: Objection) -> None:
        await self._shelves.uses.note([each.citizen], user_of(officer), PURPOSE, FIELDS, about=f"objection/{each.id}")


def _text(text: str) -> str:
    words = text.strip()
    if not words:
        raise InvalidInputError("text_missing", zh="请填写说明", en="say why", field="text")
    return words
