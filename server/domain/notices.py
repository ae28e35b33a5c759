"""A notice to one person: its words, ready for every channel. Pure.

An SMS is read by whoever holds the phone, and its provider reads it too: it only says that something waits. The words
themselves go over WeChat and push, within their limits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.domain.outbox import Texts
from server.domain.templates import Key, Registry, WeChatTemplate, fit, wechat_limit
from server.domain.texts import LIMITS, WECHAT_LANGUAGE, sms_text, wechat_time
from server.domain.wording import LANGUAGES, Words

EVENT = "notice"  # its rows in data/templates.yaml


@dataclass(frozen=True, slots=True)
class Notice:
    """What one person is told. `page`: the mini-program's page with its query. English may be empty."""

    title: Words
    body: Words
    page: str
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Frame:
    """What all notices have in common: the filed WeChat template, and the SMS by language."""

    wechat: WeChatTemplate
    sms: Mapping[str, Mapping[str, Any]]


def frame_of(registry: Registry, event: str = EVENT) -> Frame:
    """The frame of this event's rows, made once; LookupError if nothing is filed for it, or only with values."""
    wanted = registry.choose(_key("zh", event)).wechat
    return Frame(
        wechat=next(template for template in registry.wechat if template.id == wanted),
        sms={language: sms_text(registry, registry.choose(_key(language, event)), {}) for language in LANGUAGES},
    )


def frames_of(registry: Registry) -> Mapping[str, Frame]:
    """The frames that a notice may have, by event: with the WeChat template of notices, which people subscribed to."""
    found: dict[str, Frame] = {}
    wanted = frame_of(registry).wechat.id
    for event in sorted({row.event for row in registry.rows}):
        try:
            frame = frame_of(registry, event)
        except LookupError:  # filed with values
            continue
        if frame.wechat.id == wanted:
            found[event] = frame
    return found


def notice_texts(notice: Notice, frame: Frame) -> Texts:
    """The texts by channel and language, in the shape of `texts.render`."""
    push = _by_language(notice, _push)
    data = _by_language(notice, lambda notice, language: _wechat_data(notice, frame.wechat, language))
    shared = {"template_id": frame.wechat.id, "page": notice.page}
    wechat = {language: {**shared, "data": data[language], "lang": WECHAT_LANGUAGE[language]} for language in LANGUAGES}
    return {"wechat": wechat, "push": push, "sms": frame.sms}


def _by_language(notice: Notice, make: Callable[[Notice, str], Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """Both languages; without English words they are the same and made once."""
    chinese = make(notice, "zh")
    return {"zh": chinese, "en": make(notice, "en") if notice.title.en or notice.body.en else chinese}


def _push(notice: Notice, language: str) -> Mapping[str, str]:
    return {
        "title": fit(notice.title.get(language), LIMITS["push_title"]),
        "body": fit(notice.body.get(language), LIMITS["push_body"]),
    }


def _wechat_data(notice: Notice, template: WeChatTemplate, language: str) -> Mapping[str, str]:
    said = {
        "event": notice.title.get(language),
        "advice": notice.body.get(language),
        "sent": wechat_time(notice.told_at),
    }
    return {key: fit(said[name], wechat_limit(key)) for key, name in template.fields.items()}


def _key(language: str, event: str) -> Key:
    return Key(event, "*", "alert", exercise=False, language=language)
