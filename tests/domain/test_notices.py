"""The words of a notice to one person."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from server.domain.notices import Notice, frame_of, notice_texts
from server.domain.templates import segments, units, wechat_limit
from server.domain.texts import LIMITS
from server.domain.wording import LANGUAGES, Words
from server.storage.catalogues import load_texts

FRAME = frame_of(load_texts().templates)
AT = datetime(2026, 7, 1, 4, tzinfo=UTC)
WORDS = st.builds(Words, st.text(min_size=1), st.text())


@given(WORDS, WORDS)
def test_whatever_is_told_fits_every_channel(title: Words, body: Words):
    texts = notice_texts(Notice(title, body, "pages/x", AT), FRAME)
    for language in LANGUAGES:
        for key, value in texts["wechat"][language]["data"].items():
            assert units(value) <= wechat_limit(key)
        assert all(units(texts["push"][language][part]) <= LIMITS[f"push_{part}"] for part in ("title", "body"))
        assert texts["wechat"][language]["template_id"] == FRAME.wechat.id


@given(WORDS, WORDS)
def test_an_sms_says_only_that_something_waits(title: Words, body: Words):
    sms = [
        notice_texts(Notice(*words, "", AT), FRAME)["sms"] for words in ((title, body), (Words("", ""), Words("", "")))
    ]
    assert sms[0] == sms[1]
    assert segments(sms[0]["zh"]["text"]) == 1


def test_english_readers_get_english_words_where_there_are_some():
    texts = notice_texts(Notice(Words("标题", "Title"), Words("内容", ""), "", AT), FRAME)
    assert texts["push"]["en"] == {"title": "Title", "body": "内容"}
    assert texts["push"]["zh"] == {"title": "标题", "body": "内容"}
    assert texts["wechat"]["zh"]["data"] == {"thing1": "标题", "time2": "2026年7月1日 12:00", "thing3": "内容"}
