"""The cursors and words of an inbox."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import InvalidInputError
from server.domain.inbox import After, read_after, read_since, sync_of, words_of, write_after, write_moment
from server.domain.outbox import item_of, template_of

moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - aware by `timezones`
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
items = st.text(max_size=30).map(item_of)


@given(sync=moments, due_at=moments, item=items)
def test_a_cursor_is_read_as_it_was_written(sync: datetime, due_at: datetime, item: str) -> None:
    assert read_after(write_after(After(sync, due_at, item))) == After(sync, due_at, item)
    assert read_since(write_moment(sync)) == sync


@given(st.text(max_size=60))
def test_any_text_is_a_cursor_or_refused_as_input(text: str) -> None:
    for read in (read_after, read_since):
        with suppress(InvalidInputError):
            read(text)


@given(moments)
def test_a_walk_asks_again_for_longer_than_a_transaction_may_take(now: datetime) -> None:
    assert now - sync_of(now) > timedelta(seconds=60)


def test_words_come_from_push_else_from_the_sms_and_the_page_from_wechat() -> None:
    push = {"zh": {"title": "题", "body": "文"}}
    words, page = words_of({"push": push, "wechat": {"zh": {"page": "pages/x?id=1"}}})
    assert ({k: (w.title, w.body) for k, w in words.items()}, page) == ({"zh": ("题", "文")}, "pages/x?id=1")
    words, page = words_of({"sms": {"zh": {"text": "短信"}, "en": {"text": "SMS"}}})
    assert ({k: (w.title, w.body) for k, w in words.items()}, page) == ({"zh": ("", "短信"), "en": ("", "SMS")}, "")


@pytest.mark.parametrize(
    ("broadcast", "template"),
    [("booking.confirmed-20261124", "booking.confirmed"), ("44030041600000_20261124093000", ""), ("-20261124", ""),
     ("a-b-20261124", "a-b"), ("a-2026112", ""), ("", ""), ("a-2026112４", "")],
)  # fmt: skip
def test_the_name_of_a_standing_broadcast_tells_its_template(broadcast: str, template: str) -> None:
    assert template_of(broadcast) == template
