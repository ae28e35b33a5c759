"""No log line holds a person or a secret, and no input can forge a line."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from server import telemetry

OPENID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
CANARIES = {
    "a mobile number": "13812345678",
    "a mobile number with country code": "+8613812345678",
    "a mobile number in groups": "138 1234 5678",
    "a mobile number in full-width digits": "１３８１２３４５６７８",
    "a number from abroad": "+447911123456",
    "an openid": OPENID,
    "an ID number": "11010519491231002X",
    "an ID number in groups": "110105 19491231 0021",
    "an ID number of the old kind": "110105491231002",
    "a JWT": JWT,
    "an FCM token": "cT9-abcd_efg:" + "APA91b" * 20,
}
SURROUNDINGS = (
    "{}",
    "sent to {} now",
    "发给{}了",
    "tel:{}",
    '{{"to": ["{}"]}}',
    "GET /cgi?x=1&q={}&y=2",
    "a=%20{}",
    "x\n{}\r\ny",
    "phone{}",
)


@pytest.fixture
def log(restored_logging: None) -> io.StringIO:  # noqa: ARG001 - it acts
    """What the process writes while the test runs."""
    stream = io.StringIO()
    telemetry.configure(console=False, stream=stream)
    return stream


def _lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES.keys())
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_a_canary_is_masked_wherever_it_stands(canary: str, surroundings: str) -> None:
    if canary == OPENID and surroundings == "phone{}":
        surroundings = "phone {}"  # glued to a word an openid has another shape
    said = telemetry.masked(surroundings.format(canary))
    assert canary not in said
    assert telemetry.MASK in said


@pytest.mark.parametrize(
    "secret",
    [
        "https://api.example/cgi-bin/send?access_token=CANARY-1&x=1",
        "Authorization: Bearer CANARY-12",
        '{"appsecret":"CANARY-1"}',
        "mongodb://huimin:CANARY-1@db.example/",
        "redis://:CANARY-1@db.example/0",
        "-----BEGIN PRIVATE KEY-----\nCANARY-1\n-----END PRIVATE KEY-----",
        "js_code=CANARY-1",
    ],
)
def test_a_secret_is_masked_by_what_stands_around_it(secret: str) -> None:
    assert "CANARY" not in telemetry.masked(secret)


@pytest.mark.parametrize(
    "key",
    ["password", "app_secret", "access_token", "phone", "openid", "id_number", "data_key", "address", "Set-Cookie"],
)
def test_a_value_is_masked_by_the_name_of_its_key_at_any_depth(log: io.StringIO, key: str) -> None:
    structlog.get_logger().info("asked", **{key: "CANARY"}, body={"inner": [{key: "CANARY"}]})
    assert "CANARY" not in log.getvalue()
    assert len(_lines(log)) == 1


def test_what_an_operator_needs_stays_readable(log: io.StringIO) -> None:
    told = {
        "broadcast": "b7f3c2d1e0a94f5b8c7d6e5f4a3b2c1d",
        "page": "b7f3c2d1/sms/12/3",
        "status": 429,
        "at_ms": 1795516800123,
        "citizen_id": 6917529027641081856,
        "token_count": 3,
        "took_s": 0.138,
        "where": "440305001",
        "what": "深圳市台风红色预警",
    }
    structlog.get_logger().info("page sent", **told)
    line = _lines(log)[0]
    assert told.items() <= line.items()
    assert (line["event"], line["level"]) == ("page sent", "info")
    assert line["at"].endswith("Z")


def test_a_line_of_another_library_is_masked_too(log: io.StringIO) -> None:
    logging.getLogger("somebody").warning("sending to %s", "13812345678")
    assert _lines(log)[0]["event"] == "sending to ***"
    assert _lines(log)[0]["logger"] == "somebody"


def test_a_traceback_is_logged_without_its_secrets(log: io.StringIO) -> None:
    try:
        int("13812345678 is no number")
    except ValueError:
        logging.getLogger("somebody").exception("failed")
        structlog.get_logger().exception("failed")
    foreign, own = _lines(log)
    for line in (foreign, own):
        assert "ValueError: invalid literal for int() with base 10: '*** is no number'" in line["exception"]
        assert all(text.startswith("    ") for text in line["exception"].split("\n"))
    assert "13812345678" not in log.getvalue()


@given(st.text())
def test_no_text_can_begin_a_new_line(text: str) -> None:
    said = telemetry.masked(text)
    assert said == "" or len(said.splitlines()) == 1


@given(st.from_regex(r"\A1[3-9]\d{9}\Z"), st.text(alphabet="abc 发:=&\"'/,.(", max_size=5))
def test_any_mobile_number_is_masked_in_any_text(number: str, text: str) -> None:
    said = telemetry.masked(f"{text}{number}{text}")
    assert number not in said
    assert telemetry.MASK in said


@pytest.mark.parametrize(
    "part", ["x", "eyJ", "o", "://:", ":", "token", "token=", "-----BEGIN ", "1", "+1 ", "bearer ", "\0"]
)
def test_a_huge_hostile_value_costs_a_short_line_and_little_time(part: str) -> None:
    began = time.perf_counter()
    said = telemetry.masked(part * (10_000_000 // len(part)))
    assert time.perf_counter() - began < 0.5
    assert len(said) <= 4 * telemetry.MAX_TEXT + 3  # an escaped control character takes four


async def test_lines_of_two_requests_at_once_carry_their_own_ids(log: io.StringIO) -> None:
    async def serve(request_id: str) -> None:
        with telemetry.request(request_id, officer="o1"):
            await asyncio.sleep(0)
            structlog.get_logger().info("served")

    await asyncio.gather(serve("r1"), serve("r2"))
    structlog.get_logger().info("idle")
    assert [line.get("request_id") for line in _lines(log)] == ["r1", "r2", None]


def test_two_registries_do_not_know_each_other() -> None:
    first, second = telemetry.metrics_registry(), telemetry.metrics_registry()
    assert first is not second
    assert first.get_sample_value("process_start_time_seconds") == second.get_sample_value("process_start_time_seconds")
