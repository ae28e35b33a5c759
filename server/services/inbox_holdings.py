"""What the inbox and "I am safe" hold about one person: see `holdings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.acknowledgements import acknowledged
from server.services.inbox import Inbox
from server.storage.acknowledgements import AcknowledgementStore
from server.storage.inbox import InboxStore
from server.storage.mongo import Session
from server.storage.notices import NoticeStore


class InboxHolding:
    """News, the words that were written for this person alone, and what was opened."""

    name = "inbox"
    collections = ("outbox", "notices", "marks")

    def __init__(self, news: InboxStore, notices: NoticeStore, inbox: Inbox) -> None:
        self._news = news
        self._notices = notices
        self._inbox = inbox

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Items with their words, then which alerts were opened."""
        entries, marks = await self._news.all_of(citizen)
        items = [item.model_dump(mode="json") for item in await self._inbox.render(entries)]
        opened = [{"alert": mark["alert"], "chain": mark["chain"], "read_at": mark["at"].isoformat()} for mark in marks]
        return [*items, *opened]

    async def move(self, source: int, target: int, session: Session) -> None:
        """News goes along, with its words."""
        await self._news.move(source, target, session)
        await self._notices.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """Nothing of it has to stay."""
        await self._news.erase(citizen)
        await self._notices.erase(citizen)


class AcknowledgementHolding:
    """What this person answered to alerts."""

    name = "acknowledgements"
    collections = ("acknowledgements",)

    def __init__(self, answers: AcknowledgementStore) -> None:
        self._answers = answers

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Every word."""
        return [acknowledged(each).model_dump(mode="json") for each in await self._answers.all_of(citizen)]

    async def move(self, source: int, target: int, session: Session) -> None:
        """Answers go along; where both have answered, the target's stay."""
        await self._answers.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """Counts of the past go down by one: better than a person who cannot be forgotten."""
        await self._answers.erase(citizen)
