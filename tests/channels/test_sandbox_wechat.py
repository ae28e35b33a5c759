"""The sandbox's WeChat: tokens, grants, quotas and typed fields are those of the vendor's pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from channels.sandbox import templates, wechat_fields
from channels.sandbox.accounts import APP_SECRET, APPID
from channels.sandbox.book import Book
from channels.sandbox.http import Request
from channels.sandbox.journal import Journal
from channels.sandbox.wechat import WeChat, WeChatLimits, openid_of
from server.commands.sandbox import TEMPLATES
from tests.channels.sandbox_world import ONE_TIME_TEMPLATE, message, openid

RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


class Phone:
    """A WeChat with a clock that the test moves, asked without a network."""

    def __init__(self, journal: Journal) -> None:
        self.now = datetime(2026, 11, 24, 4, 0, tzinfo=UTC).timestamp()
        book = Book("wechat", APPID, journal, lambda: self.now)
        self.wechat = WeChat(book, templates.load(TEMPLATES).wechat, seed=1)

    def stable_token(self, *, is_forced: bool = False, secret: str = APP_SECRET) -> dict[str, Any]:
        """The answer of getStableAccessToken."""
        asked = {"grant_type": "client_credential", "appid": APPID, "secret": secret, "force_refresh": is_forced}
        return _body(self.wechat.stable_token(_request(b"/cgi-bin/stable_token", orjson.dumps(asked))).data)

    def send(self, asked: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        """The answer of subscribeMessage.send."""
        token = self.stable_token()["access_token"] if token is None else token
        return _body(self.wechat.send(_request(f"/x?access_token={token}".encode(), orjson.dumps(asked))).data)


def _request(target: bytes, body: bytes = b"") -> Request:
    return Request(b"POST", target, b"", b"", body)


def _body(answer: bytes) -> dict[str, Any]:
    return dict(orjson.loads(answer.partition(b"\r\n\r\n")[2]))


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    journal = Journal(tmp_path / "journal.tsv", asyncio.get_running_loop())
    yield Phone(journal)
    await journal.close()


async def test_a_stable_token_stays_the_same_until_its_last_five_minutes(phone: Phone):
    first = phone.stable_token()
    phone.now += 6_800
    assert phone.stable_token() == {"access_token": first["access_token"], "expires_in": 400}
    phone.now += 101
    assert phone.stable_token()["access_token"] != first["access_token"]


async def test_a_token_expires_with_42001_and_an_invented_one_is_40001(phone: Phone):
    token = phone.stable_token()["access_token"]
    assert phone.send(message(openid(1)), token)["errcode"] == 0
    phone.now += 7_200
    assert phone.send(message(openid(1)), token)["errcode"] == 42001
    assert phone.send(message(openid(1)), "invented")["errcode"] == 40001


async def test_a_forced_refresh_kills_the_old_token_and_works_once_in_thirty_seconds(phone: Phone):
    old = phone.stable_token()["access_token"]
    assert phone.stable_token(is_forced=True)["access_token"] != old
    assert phone.send(message(openid(1)), old)["errcode"] == 40001
    assert phone.stable_token(is_forced=True)["errcode"] == 45011
    phone.now += 30
    assert "access_token" in phone.stable_token(is_forced=True)


async def test_a_token_can_be_forced_twenty_times_a_day(phone: Phone):
    answers = []
    for _ in range(21):
        answers.append(phone.stable_token(is_forced=True))
        phone.now += 30
    assert all("access_token" in answer for answer in answers[:20])
    assert answers[20]["errcode"] == 45009
    phone.now += 86_400
    assert "access_token" in phone.stable_token(is_forced=True)


async def test_a_wrong_secret_buys_no_token(phone: Phone):
    assert phone.stable_token(secret="guess")["errcode"] == 40125


async def test_a_one_time_grant_buys_exactly_one_message(phone: Phone):
    asked = message(openid(1), ONE_TIME_TEMPLATE, thing3="橙色")
    assert phone.send(asked)["errcode"] == 43101
    phone.wechat.grants.accept(openid(1), ONE_TIME_TEMPLATE, 1)
    assert [phone.send(asked)["errcode"] for _ in range(2)] == [0, 43101]


async def test_a_long_term_grant_lasts_until_it_is_withdrawn_and_no_one_else_is_touched(phone: Phone):
    assert [phone.send(message(openid(1)))["errcode"] for _ in range(3)] == [0, 0, 0]
    phone.wechat.grants.revoke(openid(1), "WX_ALERT")
    assert phone.send(message(openid(1)))["errcode"] == 43101
    assert phone.send(message(openid(2)))["errcode"] == 0


async def test_the_daily_quota_comes_back_at_midnight_in_china(phone: Phone):
    phone.wechat.limits = WeChatLimits(per_day=2)
    assert [phone.send(message(openid(n)))["errcode"] for n in range(3)] == [0, 0, 45009]
    phone.now = datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC).timestamp()
    assert phone.send(message(openid(1)))["errcode"] == 45009
    phone.now = datetime(2026, 11, 24, 16, 0, tzinfo=UTC).timestamp()
    assert phone.send(message(openid(1)))["errcode"] == 0


async def test_the_quota_of_a_minute_comes_back_with_the_next_minute(phone: Phone):
    phone.wechat.limits = WeChatLimits(per_minute=1)
    assert [phone.send(message(openid(n)))["errcode"] for n in range(2)] == [0, 45011]
    phone.now += 60
    assert phone.send(message(openid(1)))["errcode"] == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"touser": "me"}, 40003),
        ({"template_id": "none"}, 40037),
        ({"page": "pages with spaces"}, 41030),
        ({"lang": "fr_FR"}, 47003),
        ({"miniprogram_state": "beta"}, 47003),
        ({"data": {}}, 47003),
        ({"data": "x"}, 47001),
        ({"touser": 5}, 47001),
    ],
)
async def test_a_wrong_message_gets_its_code_with_a_rid_and_is_not_accepted(phone: Phone, change: Any, code: int):
    answer = phone.send(message(openid(1)) | change)
    assert answer["errcode"] == code
    assert RID.search(answer["errmsg"])
    assert phone.wechat.book.counts["accepted"] == 0


async def test_a_field_that_is_wrong_is_named_in_the_vendors_words(phone: Phone):
    empty = phone.send(message(openid(1), thing1=""))
    assert empty["errmsg"].startswith("argument invalid! data.thing1.value is empty rid: ")
    long = phone.send(message(openid(1), thing1="长" * 21))
    assert long["errmsg"].startswith("argument invalid! data.thing1.value invalid rid: ")


async def test_escaped_unicode_is_refused_with_40033(phone: Phone):
    token = phone.stable_token()["access_token"]
    body = orjson.dumps(message(openid(1))).replace("暴".encode(), b"\\u66b4")
    answer = _body(phone.wechat.send(_request(f"/x?access_token={token}".encode(), body)).data)
    assert answer["errcode"] == 40033


async def test_a_login_code_works_once_and_a_citizen_keeps_one_openid(phone: Phone):
    def login(code: str) -> dict[str, Any]:
        target = f"/x?appid={APPID}&secret={APP_SECRET}&js_code={code}&grant_type=authorization_code"
        return _body(phone.wechat.session(_request(target.encode())).data)

    assert login("citizen7.a")["openid"] == login("citizen7.b")["openid"] == openid_of("citizen7")
    assert login("citizen7.a")["errcode"] == 40163


async def test_a_phone_number_code_works_once_and_tells_whose_mini_program_asked(phone: Phone):
    token = phone.stable_token()["access_token"]

    def ask(body: bytes, token: str = token) -> dict[str, Any]:
        return _body(phone.wechat.phone(_request(f"/x?access_token={token}".encode(), body)).data)

    good = orjson.dumps({"code": "13800000001.a"})
    info = ask(good)["phone_info"]
    assert (info["countryCode"], info["purePhoneNumber"], info["watermark"]["appid"]) == ("86", "13800000001", APPID)
    assert ask(good)["errcode"] == 40029
    assert ask(orjson.dumps({"code": "42.a"}))["errcode"] == 40029
    assert ask(b"[]")["errcode"] == 47001
    assert ask(orjson.dumps({"code": "13800000001.b"}), "stale")["errcode"] == 40001


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("thing", ["长" * 20, "a b,c", "1"], ["长" * 21, "两\n行"]),
        ("number", ["12", "3.14", "9" * 32], ["9" * 33, "1,5", "十", "1."]),
        ("letter", ["abc", "Z" * 32], ["a1", "Z" * 33]),
        ("symbol", ["!@#", "。"], ["a", "!" * 6]),
        ("character_string", ["A-1 b", "x" * 32], ["中", "x" * 33]),
        ("time", ["15:01", "2019年10月1日 15:01", "15:01 ~ 16:00", "2026年11月24日"], ["25:00", "soon", "15:1"]),
        ("date", ["2019年10月1日", "2026-11-24", "2026/1/2 15:01"], ["15:01", "24.11.2026"]),
        ("amount", ["¥100", "10.50元", "3"], ["¥" + "1" * 11, "ten"]),
        ("phone_number", ["+86-0755-12345", "12345"], ["1" * 18, "call me"]),
        ("car_number", ["粤B12345"], ["粤B1234567"]),
        ("name", ["张三", "John Smith"], ["张" * 11, "John 张", "a" * 21]),
        ("phrase", ["红色预警"], ["红色预警吗啊", "red"]),
    ],
)
def test_each_type_of_field_has_the_limits_of_its_page(kind: str, good: list[str], bad: list[str]):
    assert [wechat_fields.fault(kind, value) for value in good] == [""] * len(good)
    assert [wechat_fields.fault(kind, value) for value in bad] == ["invalid"] * len(bad)
