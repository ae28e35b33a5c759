"""What notices of applications say: the words stand in the timeline and are told as they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.domain.applications import Application, Line
from server.domain.broadcasts import Lane
from server.domain.notices import Notice, frame_of, notice_texts
from server.domain.outbox import Standing, Texts
from server.domain.templates import Registry
from server.domain.wording import Words
from server.services.application_steps import TEMPLATE
from server.storage.applications import ApplicationStore

PAGE = "pages/application/application?id="


class ApplicationNotices:
    """A `Subject` of the engine."""

    def __init__(self, store: ApplicationStore, registry: Registry) -> None:
        self._store = store
        self._frame = frame_of(registry)
        moved = Standing(TEMPLATE, Lane.TRANSACTIONAL, topic="application", wechat_template=self._frame.wechat.id)
        self._standing = (moved,)

    @property
    def standing(self) -> Sequence[Standing]:
        """One template: every step is told alike."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:  # noqa: ARG002 - there is one
        """The words of these lines; what does not exist (any more) is left out."""
        wanted = {about: about.rpartition(".") for about in abouts}
        found = await self._store.find_many(list({application for application, _, _ in wanted.values()}))
        lines = {
            about: (found[application], line)
            for about, (application, _, seq) in wanted.items()
            if application in found and (line := _line(found[application], seq))
        }
        return {about: notice_texts(_notice(*each), self._frame) for about, each in lines.items()}


def _line(application: Application, seq: str) -> Line | None:
    return next((line for line in application.timeline if str(line.seq) == seq), None)


def _notice(application: Application, line: Line) -> Notice:
    name, words = application.item_name, line.words
    zh, en = f"{words.zh}（{application.number}）", f"{words.en} ({application.number})"
    return Notice(Words(name.zh, name.en), Words(zh, en), f"{PAGE}{application.id}", line.at)
