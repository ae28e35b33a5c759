"""Passwords, second factors, the life of a session and how failures slow down."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain import totp
from server.domain.errors import ForbiddenError, InvalidInputError
from server.domain.officers import Officer, Role, Unit, plain_name
from server.domain.passwords import refuse_weak
from server.domain.sessions import (
    ABSOLUTE,
    ACCOUNT_DELAYS_S,
    FRESH,
    IDLE,
    ORIGIN_DELAYS_S,
    Session,
    delay_s,
    is_fresh,
    is_over,
    refuse_stale,
)

AT = datetime(2026, 9, 1, 1, 30, tzinfo=UTC)
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
UNIT = Unit(code="44030041600000", name="深圳市气象台", sender="weather@sz.example", division="440300")
OFFICER = Officer(id="o", person="p", name="张", roles=frozenset({Role.CHIEF}), unit=UNIT, division="440300", events=())
SESSION = Session("s", OFFICER, AT, AT, AT, "192.0.2.1")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "kX9#mmqo2LpWz",
        "红树林边的自行车修理铺子开门了",
        "purple otters juggle " * 4,  # 84 characters
    ],
)
def test_a_password_that_is_hard_to_guess_is_taken_whatever_its_characters(password: str):
    refuse_weak(password, ())


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "qwertyuiop123",
        "123456789012",
        "aaaaaaaaaaaaaaaaaaaa",
        "Huimin2026!!",
        "p@ssw0rdp@ssw0rd",
        "shenzhen20260901",
        "深圳气象预警深圳气象预警",
        "woaini5201314",
        "iloveyou123456",
    ],
)
def test_a_password_of_common_or_context_words_is_refused(password: str):
    with pytest.raises(InvalidInputError, match="password_guessable"):
        refuse_weak(password, ())


def test_the_own_name_makes_no_password():
    refuse_weak("zhangweiguo-liaoning", ())
    with pytest.raises(InvalidInputError, match="password_guessable"):
        refuse_weak("zhangweiguo-liaoning", ("zhangweiguo", "liaoning"))


@pytest.mark.parametrize(("password", "code"), [("kX9#mmqo2Lp", "password_short"), ("kX9#" * 65, "password_long")])
def test_a_password_has_12_to_256_characters(password: str, code: str):
    with pytest.raises(InvalidInputError, match=code):
        refuse_weak(password, ())


@pytest.mark.parametrize(("off_s", "is_taken"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_is_good_one_step_around_its_own(off_s: int, is_taken: bool):  # noqa: FBT001
    code = pyotp.TOTP(SECRET).at(AT + timedelta(seconds=off_s))
    step = totp.step_of(SECRET, code, AT)
    assert step == ((int(AT.timestamp()) + off_s) // 30 if is_taken else None)


def test_the_code_is_that_of_rfc_6238():
    secret = totp.secret_of(b"12345678901234567890")  # appendix B, cut to six digits
    assert totp.step_of(secret, "287082", datetime.fromtimestamp(59, UTC)) == 1
    assert totp.step_of(secret, "005924", datetime.fromtimestamp(1234567890, UTC)) == 41152263


@given(st.text(max_size=12))
def test_no_text_but_six_digits_is_ever_a_code(text: str):
    if not (len(text) == 6 and text.isascii() and text.isdigit()):
        assert totp.step_of(SECRET, text, AT) is None


def test_an_authenticator_can_scan_the_address():
    parsed = pyotp.parse_uri(totp.uri(SECRET, "王敏"))
    assert (parsed.secret, parsed.name, parsed.issuer) == (SECRET, "王敏", totp.ISSUER)


def test_a_session_ends_after_half_an_hour_of_silence_or_twelve_hours_of_work():
    assert not is_over(SESSION, AT + IDLE - timedelta(seconds=1))
    assert is_over(SESSION, AT + IDLE)
    busy = replace(SESSION, seen_at=AT + ABSOLUTE - timedelta(minutes=1))
    assert not is_over(busy, AT + ABSOLUTE - timedelta(seconds=1))
    assert is_over(busy, AT + ABSOLUTE)


def test_the_second_factor_is_fresh_for_five_minutes():
    refuse_stale(SESSION, AT + FRESH)
    assert not is_fresh(SESSION, AT + FRESH + timedelta(seconds=1))
    with pytest.raises(ForbiddenError, match="totp_stale"):
        refuse_stale(SESSION, AT + FRESH + timedelta(seconds=1))


def test_the_wait_grows_with_failures_and_is_hard_at_the_tenth():
    waits = [delay_s(failures, ACCOUNT_DELAYS_S) for failures in range(1, 13)]
    assert waits == [0, 0, 0, 2, 4, 8, 16, 32, 64, 900, 900, 900]
    assert list(ORIGIN_DELAYS_S) == sorted(ORIGIN_DELAYS_S)
    assert delay_s(10_000, ORIGIN_DELAYS_S) == 900


@given(st.text(max_size=60))
def test_a_name_is_compared_the_same_after_a_second_look(name: str):
    assert plain_name(name).encode().decode() == plain_name(name)
    assert plain_name(f"  {name} ") == plain_name(name)
