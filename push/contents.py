"""The frozen texts of a broadcast as what a channel sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from channels.base import Content, PushContent, SmsContent, SmsTemplate, WeChatContent
from server.domain.broadcasts import Broadcast

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
        texts = broadcast.texts[channel]
        lang = lang if lang in texts else "zh"
        key, now = (broadcast.id, channel, lang), self._now()
        known = self._built.get(key)
        if known and (now - known[0]).total_seconds() < FRESH_S:
            return known[1]
        if len(self._built) > 1_000:
            self._built.clear()
        content = _BUILD[channel](broadcast, texts[lang], lang, now, self._state)
        self._built[key] = (now, content)
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
        channel_id=f"alert_{broadcast.lane.value}",
        data={"broadcast": broadcast.id, "subject": broadcast.subject},
    )


def _sms(_broadcast: Broadcast, text: Mapping[str, Any], _lang: str, _now: datetime, _state: str) -> Content:
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
