"""The rules of logging in: refresh tokens, ends of log-ins, the tail of a number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.log_in import ABSOLUTE, IDLE, RefreshToken, ends_at, is_same_tail, masked

BEGAN = datetime(2026, 11, 24, tzinfo=UTC)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
def test_a_refresh_token_reads_back_as_it_was_written(family: bytes, secret: bytes):
    token = RefreshToken(family, secret)
    assert len(token.text) == 64
    assert RefreshToken.read(token.text) == token


@given(st.text(max_size=70) | st.text("AZaz09-_+/=", min_size=64, max_size=64))
def test_any_text_is_a_whole_token_or_none(text: str):
    token = RefreshToken.read(text)
    assert token is None or (len(token.family), len(token.secret)) == (16, 32)


def test_nothing_of_a_token_shows_when_it_is_printed():
    assert repr(RefreshToken(b"f" * 16, b"s" * 32)) == "RefreshToken()"


@given(st.timedeltas(timedelta(0), timedelta(days=800)))
def test_a_log_in_ends_at_the_sooner_of_idle_and_absolute(after: timedelta):
    ends = ends_at(BEGAN, BEGAN + after)
    assert ends == min(BEGAN + after + IDLE, BEGAN + ABSOLUTE)


@pytest.mark.parametrize(
    ("known", "given_", "is_same"),
    [
        ("11010519491231002X", "002X", True),
        ("11010519491231002X", "002x", True),
        ("11010519491231002x", "002X", True),
        ("11010519491231002X", "0021", False),
        ("11010519491231002X", "", False),
        (None, "", False),
        (None, "002X", False),
        ("02X", "02X", False),
        ("11010519491231002X", "\udc80", False),
    ],
)
def test_the_tail_of_a_number_is_its_last_four_characters(known: str | None, given_: str, *, is_same: bool):
    assert is_same_tail(known, given_) is is_same


@pytest.mark.parametrize("phone", ["+8613800001234", "+85261234567", "+12025550123", "1234"])
def test_a_masked_number_tells_at_most_its_last_four_digits_and_its_network(phone: str):
    assert phone not in masked(phone)
    assert "****" in masked(phone)
