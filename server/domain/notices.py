"""A notice to one person: its words, ready for every channel. Pure.

An SMS is read by whoever holds the phone, and its provider reads it too: it only says that something waits. The words
themselves go over WeChat and push, within their limits.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def frame_of(registry: Registry) -> Frame:
    """The frame, made once; LookupError if nothing is filed for notices."""
    wanted = registry.choose(_key("zh")).wechat
    return Frame(
        wechat=next(template for template in registry.wechat if template.id == wanted),
        sms={language: sms_text(registry, registry.choose(_key(language)), {}) for language in LANGUAGES},
    )


def notice_texts(notice: Notice, frame: Frame) -> Texts:
    """The texts by channel and language, in the shape of `texts.render`."""
    return {
        "wechat": {language: _wechat(notice, frame.wechat, language) for language in LANGUAGES},
        "push": {
            language: {
                "title": fit(notice.title.get(language), LIMITS["push_title"]),
                "body": fit(notice.body.get(language), LIMITS["push_body"]),
            }
            for language in LANGUAGES
        },
        "sms": frame.sms,
    }


def _wechat(notice: Notice, template: WeChatTemplate, language: str) -> Mapping[str, Any]:
    said = {
        "event": notice.title.get(language),
        "advice": notice.body.get(language),
        "sent": wechat_time(notice.told_at),
    }
    data = {key: fit(said[name], wechat_limit(key)) for key, name in template.fields.items()}
    return {"template_id": template.id, "data": data, "page": notice.page, "lang": WECHAT_LANGUAGE[language]}


def _key(language: str) -> Key:
    return Key(EVENT, "*", "alert", exercise=False, language=language)
