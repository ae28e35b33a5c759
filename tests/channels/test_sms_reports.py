"""Delivery reports of both SMS providers: the key, the carrier codes, hostile bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channels.base import CallbackRequest, Fault, ForgedCallbackError, Kind, Receipt, ReceiptReader, ReceiptVerdict
from channels.carriers import CODES, fault_of, report
from channels.sms_aliyun import AliyunReceiptReader
from channels.sms_tencent import TencentReceiptReader
from server.settings import AliyunSmsAccount, TencentSmsAccount

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
AT = datetime(2026, 11, 24, 6, 59, 30, tzinfo=UTC)
KEY = "sandbox-receipts"
ALIYUN = AliyunReceiptReader(
    AliyunSmsAccount(access_key_id="AK", access_key_secret=SecretStr("sandbox-x"), receipt_key=SecretStr(KEY))
)
TENCENT = TencentReceiptReader(
    TencentSmsAccount(secret_id="AKID", secret_key=SecretStr("sandbox-x"), sdk_app_id="14", receipt_key=SecretStr(KEY))
)
READERS = [ALIYUN, TENCENT]


def post(body: object, key: str = KEY) -> CallbackRequest:
    return CallbackRequest("POST", {"key": key}, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def aliyun(code: str, *, success: object) -> dict[str, object]:
    return {
        "phone_number": "13800138000", "send_time": "2026-11-24 14:59:00", "report_time": "2026-11-24 14:59:30",
        "success": success, "err_code": code, "err_msg": "x", "sms_size": "1", "biz_id": "9006^0", "out_id": "page-1",
    }  # fmt: skip


def tencent(code: str, *, success: bool) -> dict[str, object]:
    return {
        "user_receive_time": "2026-11-24 14:59:30", "nationcode": "86", "mobile": "13800138000",
        "report_status": "SUCCESS" if success else "FAIL", "errmsg": code, "description": "x", "sid": "9006^0",
    }  # fmt: skip


PROVIDERS = pytest.mark.parametrize(("reader", "item"), [(ALIYUN, aliyun), (TENCENT, tencent)])
Item = Callable[..., dict[str, object]]


@PROVIDERS
def test_one_post_carries_many_reports(reader: ReceiptReader, item: Item):
    callback = reader.read(post([item("DELIVRD", success=True), item("MK:0001", success=False)]), NOW)
    assert list(callback.receipts) == [
        Receipt("+8613800138000", ReceiptVerdict.DELIVERED, "DELIVRD", "9006^0", AT),
        Receipt("+8613800138000", ReceiptVerdict.UNDELIVERED, "MK:0001", "9006^0", AT, Fault(Kind.ADDRESS_DEAD)),
    ]


def test_each_provider_gets_the_answer_it_wants():
    assert json.loads(ALIYUN.read(post([]), NOW).answer) == {"code": 0, "msg": "接收成功"}
    assert json.loads(TENCENT.read(post([]), NOW).answer) == {"result": 0, "errmsg": "OK"}


@PROVIDERS
@pytest.mark.parametrize("code", [*CODES, "CA:0054", "MA:0026", "ID:0076", "NEW:1", ""])
def test_no_failure_code_is_ever_delivered_whatever_the_flag(reader: ReceiptReader, item: Item, code: str):
    for success in (True, False):
        (receipt,) = reader.read(post([item(code, success=success)]), NOW).receipts
        assert (receipt.verdict, receipt.fault) == (ReceiptVerdict.UNDELIVERED, fault_of(code))


def test_codes_are_in_their_classes():
    kinds = {
        Kind.ADDRESS_DEAD: "MK:0001 MK:0000 MK:0075 CB:0001 DB:0101 MBBLACK DBBLACK DB:0144",
        Kind.RETRY: "MK:0005 MK:0013 DB:0102 UNDELIV EXPIRED MK:0010 MK:0023 IB:0008 CA:1 CB:0022 MA:1 ID:9 NOROUTER "
        "TIMEOUT",
        Kind.CONFIG: "MK:0014 MK:0115 KEYWORD REJECTD",
        Kind.UNLISTED: "XX:1 delivrd",
    }
    for kind, codes in kinds.items():
        assert {fault_of(code).kind for code in codes.split()} == {kind}


def test_a_code_that_says_delivered_needs_the_providers_word_too():
    assert report("+861", "DELIVRD", "r", NOW, is_success=False).verdict is ReceiptVerdict.UNDELIVERED


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("key", ["", "sandbox-receipt", KEY + "x", "密钥"])
def test_a_wrong_key_is_forged(reader: ReceiptReader, key: str):
    with pytest.raises(ForgedCallbackError, match="key"):
        reader.read(post([], key), NOW)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"null", b"[NaN]", b"[" * 100_000, b"<xml/>", b"[" + b"1," * 20_000 + b"1]"]
)
def test_a_body_that_is_no_array_of_reports_is_forged(reader: ReceiptReader, body: bytes):
    with pytest.raises(ForgedCallbackError):
        reader.read(post(body), NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["phone_number", "mobile", "biz_id", "sid", "err_code", "errmsg", "report_time", "success"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from(READERS), st.lists(json_values, max_size=5))
def test_damaged_reports_are_left_out_and_never_stop_the_others(reader: ReceiptReader, items: list[object]):
    good = aliyun("DELIVERED", success=True) if reader is ALIYUN else tencent("DELIVRD", success=True)
    receipts = reader.read(post([*items, good]), NOW).receipts
    assert receipts[-1].verdict is ReceiptVerdict.DELIVERED
    assert all(receipt.at.tzinfo is not None for receipt in receipts)
