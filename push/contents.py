"""Texts as what a channel sends: a broadcast's frozen ones, or those of one personal notice, made when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from channels.base import Content, PushContent, SmsContent, SmsTemplate, WeChatContent
from push.parts import Subjects
from server.domain.broadcasts import Broadcast
from server.domain.pages import Page

WECHAT_LANGS = {"zh": "zh_CN", "en": "en_US"}
FRESH_S = 60.0  # a push notification's time to live is computed anew this often


class Contents:
    """Builds each content once: the same object for every window, so that channels can keep its encoding."""

    def __init__(self, now: Callable[[], datetime], miniprogram_state: str = "formal") -> None:
        self._now = now
        self._state = miniprogram_state
        self._built: dict[tuple[str, str, str], tuple[datetime, Content]] = {}

    def get(self, broadcast: Broadcast, channel: str, lang: str) -> Content:
        """What people with this language get; a language without texts falls back to zh."""
        key, now = (broadcast.id, channel, lang), self._now()
        known = self._built.get(key)
        if known and (now - known[0]).total_seconds() < FRESH_S:
            return known[1]
        if len(self._built) > 1_000:
            self._built.clear()
        content = self.build(broadcast, channel, lang)
        self._built[key] = (now, content)
        return content

    def build(self, broadcast: Broadcast, channel: str, lang: str) -> Content:
        """The content itself."""
        texts = broadcast.texts[channel]
        lang = lang if lang in texts else "zh"
        return _BUILD[channel](broadcast, texts[lang], lang, self._now(), self._state)


class PageContents:
    """What each person of one page gets in this turn."""

    def __init__(self, contents: Contents, page: Page, broadcast: Broadcast) -> None:
        self._contents = contents
        self._page = page
        self._broadcast = broadcast
        self._of: dict[str, Broadcast] = {}  # the thing's id -> the broadcast as the people concerned see it
        self._built: dict[tuple[str, str], Content] = {}

    async def load(self, subjects: Subjects, positions: Sequence[int]) -> set[int]:
        """Make the words of personal notices; returns the positions that are moot: nothing is left to be told."""
        page = self._page
        if not page.about:
            return set()
        rendered = await subjects.render(self._broadcast.subject, sorted({page.about[i] for i in positions}))
        for about, texts in rendered.items():
            own = {"texts": texts, "subject": about, "chain": f"{self._broadcast.subject}/{about}"}
            self._of[about] = self._broadcast.model_copy(update={**own, "expires_at": page.expires_at})
        return {i for i in positions if page.about[i] not in self._of}

    def get(self, position: int, lang: str) -> Content:
        """What the person at this position gets: the same object for all who get the same."""
        page = self._page
        about = page.about[position] if page.about else ""
        content = self._built.get((about, lang))
        if content is None:
            if about:
                content = self._contents.build(self._of[about], page.channel, lang)
            else:
                content = self._contents.get(self._broadcast, page.channel, lang)
            self._built[about, lang] = content
        return content


def _wechat(_broadcast: Broadcast, text: Mapping[str, Any], lang: str, _now: datetime, state: str) -> Content:
    return WeChatContent(
        template_id=text["template_id"],
        data=text["data"],
        page=text.get("page", ""),
        lang=WECHAT_LANGS[lang],
        miniprogram_state=state,
    )


def _push(broadcast: Broadcast, text: Mapping[str, Any], _lang: str, now: datetime, _state: str) -> Content:
    return PushContent(
        title=text["title"],
        body=text["body"],
        tag=broadcast.chain,
        ttl_s=max(0, int((broadcast.expires_at - now).total_seconds())),
        is_loud=broadcast.is_loud,
        channel_id=f"{broadcast.kind}_{broadcast.lane.value}",
        data={"broadcast": broadcast.id, "subject": broadcast.subject},
    )


def _sms(_broadcast: Broadcast, text: Mapping[str, Any], _lang: str, _now: datetime, _state: str) -> Content:
    return sms_content(text)


def sms_content(text: Mapping[str, Any]) -> SmsContent:
    """What `texts.sms_text` wrote, as channels take it."""
    return SmsContent(
        text=text["text"],
        templates={
            provider: SmsTemplate(t["template_id"], t["sign"], tuple((name, value) for name, value in t["params"]))
            for provider, t in text["templates"].items()
        },
    )


_BUILD: Mapping[str, Callable[[Broadcast, Mapping[str, Any], str, datetime, str], Content]] = {
    "wechat": _wechat,
    "push": _push,
    "sms": _sms,
}
