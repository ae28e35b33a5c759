"""Tell one person something: the plainest subject of personal notices. The words are given, not derived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from server.domain.broadcasts import Lane
from server.domain.errors import InvalidInputError
from server.domain.notices import Notice, frame_of, notice_texts
from server.domain.outbox import KEPT, Entry, Standing, Texts
from server.domain.templates import Registry, clean
from server.domain.wording import Words
from server.storage.notices import NoticeStore
from server.storage.outbox import Outbox
from server.storage.person_keys import ShreddedError

TEMPLATE = "notice.told"

log = structlog.get_logger()


class Notices:
    """The verbs. Also a `Subject` of the engine."""

    def __init__(self, store: NoticeStore, outbox: Outbox, registry: Registry, now: Callable[[], datetime]) -> None:
        self._store = store
        self._outbox = outbox
        self._frame = frame_of(registry)
        self._now = now
        told = Standing(TEMPLATE, Lane.TRANSACTIONAL, topic="notice", wechat_template=self._frame.wechat.id)
        self._standing = (told,)

    @property
    def standing(self) -> Sequence[Standing]:
        """One template for all."""
        return self._standing

    async def tell(
        self, citizen: int, title: Words, body: Words, *, key: str, page: str = "", lasts: timedelta = timedelta(days=1)
    ) -> bool:
        """Durable when it returns; sent within seconds, unless the person's quiet hours are on. A key happens once.

        False if the key is known already, or the person was erased. InvalidInputError: nothing is left of title or body
        on one line.
        """
        for field, words in (("title", title), ("body", body)):
            if not clean(words.zh):
                raise InvalidInputError("notice_empty", zh="通知内容为空", en="the notice says nothing", field=field)
        now = self._now()
        expires_at = now + lasts
        try:  # the words stay as long as the inbox may show them
            await self._store.put(key, citizen, Notice(title, body, page, now), expires_at + KEPT)
        except ShreddedError:
            log.info("notice_to_nobody", key=key)
            return False
        entry = Entry(key, TEMPLATE, citizen, key, Lane.TRANSACTIONAL, due_at=now, expires_at=expires_at)
        return await self._outbox.put([entry]) == 1

    async def withdraw(self, key: str) -> None:
        """Whatever of it has not left yet does not leave any more, and the inbox does not show it."""
        now = self._now()
        await self._outbox.withdraw(key, now)
        await self._store.withdraw(key, now)

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:  # noqa: ARG002 - there is one
        """The words of these notices; those that were withdrawn are left out."""
        found = await self._store.find(abouts)
        return {key: notice_texts(notice, self._frame) for key, notice in found.items()}
