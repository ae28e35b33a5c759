"""The vendors' own SDKs as oracles: they work against the sandbox, unchanged but for the address.

The SDKs block, and may: the sandbox is another process. The tests are coroutines all the same, for a test that is not
does not share the run's loop, nor what was started on it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import firebase_admin
import pytest
from alibabacloud_dysmsapi20170525 import models as aliyun_models
from alibabacloud_dysmsapi20170525.client import Client as AliyunClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from firebase_admin import credentials, exceptions, messaging
from google.auth.exceptions import RefreshError
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models as tencent_models
from tencentcloud.sms.v20210111.sms_client import SmsClient
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException

from channels.sandbox.process import SandboxProcess
from tests.channels.sandbox_world import (
    ALIYUN_TEMPLATE,
    COMMAND,
    FIELDS,
    PARAMS,
    SIGN,
    TENCENT_TEMPLATE,
    WECHAT_TEMPLATE,
    device,
    openid,
    phone,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # in the vendors' code


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    process = await SandboxProcess.start(COMMAND, tmp_path_factory.mktemp("sandbox"))
    yield process
    assert await process.stop() == 0


def journaled(sandbox: SandboxProcess, provider: str) -> set[tuple[str, str, str]]:
    """(address, our reference, the provider's reference) of every accept of one provider."""
    return {(e.address, e.ours, e.theirs) for e in sandbox.journal() if e.provider == provider}


# -- Tencent


def tencent(sandbox: SandboxProcess, key: str | None = None) -> SmsClient:
    account: Any = sandbox.accounts()["sms"][1]
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=f"127.0.0.1:{sandbox.port}"))
    return SmsClient(
        Credential(account.secret_id, key or account.secret_key.get_secret_value()), account.region, profile
    )


def tencent_request(sandbox: SandboxProcess, numbers: list[str], template: str = TENCENT_TEMPLATE) -> Any:
    account: Any = sandbox.accounts()["sms"][1]
    request = tencent_models.SendSmsRequest()
    request.PhoneNumberSet = numbers
    request.SmsSdkAppId = account.sdk_app_id
    request.SignName = SIGN
    request.TemplateId = template
    request.TemplateParamSet = list(PARAMS.values())
    request.SessionContext = "page-1"
    return request


async def test_tencent_sdk_sends_and_a_bad_number_does_not_stop_the_others(sandbox: SandboxProcess):
    answer = tencent(sandbox).SendSms(tencent_request(sandbox, [phone(1), "+8612", phone(2)]))
    assert [row.Code for row in answer.SendStatusSet] == ["Ok", "InvalidParameterValue.IncorrectPhoneNumber", "Ok"]
    taken = {(row.PhoneNumber, row.SessionContext, row.SerialNo) for row in answer.SendStatusSet if row.Code == "Ok"}
    assert taken == journaled(sandbox, "sms_tencent")


async def test_tencent_sdk_with_a_wrong_key_is_refused_by_signature(sandbox: SandboxProcess):
    with pytest.raises(TencentCloudSDKException) as caught:
        tencent(sandbox, "not-the-key").SendSms(tencent_request(sandbox, [phone(1)]))
    assert caught.value.code == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    ("numbers", "template", "code"),
    [
        ([phone(n) for n in range(201)], TENCENT_TEMPLATE, "LimitExceeded.PhoneNumberCountLimit"),
        (
            [phone(1), "+85291234567"],
            TENCENT_TEMPLATE,
            "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
        ),
    ],
)
async def test_tencent_sdk_hears_what_is_wrong_with_the_request(
    sandbox: SandboxProcess, numbers: list[str], template: str, code: str
):
    with pytest.raises(TencentCloudSDKException) as caught:
        tencent(sandbox).SendSms(tencent_request(sandbox, numbers, template))
    assert caught.value.code == code


async def test_tencent_sdk_hears_of_an_unknown_template_for_each_number(sandbox: SandboxProcess):
    answer = tencent(sandbox).SendSms(tencent_request(sandbox, [phone(3), phone(4)], "9999999"))
    assert {row.Code for row in answer.SendStatusSet} == {"FailedOperation.TemplateIncorrectOrUnapproved"}


# -- Aliyun


def aliyun(sandbox: SandboxProcess, secret: str | None = None) -> AliyunClient:
    account: Any = sandbox.accounts()["sms"][0]
    return AliyunClient(
        Config(
            access_key_id=account.access_key_id,
            access_key_secret=secret or account.access_key_secret.get_secret_value(),
            endpoint=f"127.0.0.1:{sandbox.port}",
            protocol="http",
        )
    )


def aliyun_send(client: AliyunClient, numbers: str, template: str = ALIYUN_TEMPLATE, param: str = "") -> dict[str, str]:
    request = aliyun_models.SendSmsRequest(
        phone_numbers=numbers,
        sign_name=SIGN,
        template_code=template,
        template_param=param or json.dumps(PARAMS),
        out_id="page-2",
    )
    return dict(client.send_sms(request).body.to_map())


async def test_aliyun_sdk_sends_and_one_bizid_stands_for_all_numbers(sandbox: SandboxProcess):
    answer = aliyun_send(aliyun(sandbox), "13800000001,+8613800000002")
    assert answer["Code"] == "OK"
    assert journaled(sandbox, "sms_aliyun") == {(phone(n), "page-2", answer["BizId"]) for n in (1, 2)}


async def test_aliyun_sdk_with_a_wrong_secret_is_refused_by_signature(sandbox: SandboxProcess):
    with pytest.raises(ClientException) as caught:
        aliyun_send(aliyun(sandbox, "not-the-secret"), "13800000001")
    assert caught.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("numbers", "template", "param", "code"),
    [
        ("13800000001", "SMS_1", "", "isv.SMS_TEMPLATE_ILLEGAL"),
        ("12345", ALIYUN_TEMPLATE, "", "isv.MOBILE_NUMBER_ILLEGAL"),
        ("13800000001", ALIYUN_TEMPLATE, '{"area":"南山区"}', "isv.TEMPLATE_MISSING_PARAMETERS"),
        ("13800000001", ALIYUN_TEMPLATE, json.dumps(PARAMS | {"area": 440305}), "isv.INVALID_JSON_PARAM"),
        ("13800000001", ALIYUN_TEMPLATE, json.dumps(PARAMS | {"area": "http://a"}), "isv.PARAM_NOT_SUPPORT_URL"),
        (",".join(["13800000001"] * 1001), ALIYUN_TEMPLATE, "", "isv.MOBILE_COUNT_OVER_LIMIT"),
    ],
)
async def test_aliyun_sdk_hears_what_is_wrong(
    sandbox: SandboxProcess, numbers: str, template: str, param: str, code: str
):
    assert aliyun_send(aliyun(sandbox), numbers, template, param)["Code"] == code


# -- FCM


@pytest.fixture
async def fcm_app(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[firebase_admin.App]:
    monkeypatch.setattr(messaging._MessagingService, "FCM_URL", sandbox.base_url + "/v1/projects/{0}/messages:send")  # noqa: SLF001 - its only way to another address
    certificate = credentials.Certificate(json.loads(sandbox.accounts()["fcm"].credentials.get_secret_value()))
    app = firebase_admin.initialize_app(certificate, name="sandbox")
    yield app
    await asyncio.to_thread(firebase_admin.delete_app, app)  # it runs a loop of its own


def fcm_message(token: str, **data: str) -> messaging.Message:
    return messaging.Message(
        token=token,
        notification=messaging.Notification("暴雨红色预警", "请勿外出"),
        data=data or None,
        android=messaging.AndroidConfig(
            priority="high", ttl=600, notification=messaging.AndroidNotification(tag="chain-1", channel_id="alert_red")
        ),
        apns=messaging.APNSConfig(headers={"apns-collapse-id": "chain-1"}),
    )


async def test_firebase_admin_buys_a_token_and_sends(sandbox: SandboxProcess, fcm_app: firebase_admin.App):
    name = messaging.send(fcm_message(device(1)), app=fcm_app)
    project, _, theirs = name.rpartition("/")
    assert project == "projects/huimin-sandbox/messages"
    assert journaled(sandbox, "fcm") == {(device(1), "chain-1", theirs)}


async def test_firebase_admin_hears_of_a_device_that_is_gone(sandbox: SandboxProcess, fcm_app: firebase_admin.App):
    before = journaled(sandbox, "fcm")
    await sandbox.control("PUT", "faults", {"fcm": {"dead": 1}})
    with pytest.raises(messaging.UnregisteredError):
        messaging.send(fcm_message(device(2)), app=fcm_app)
    await sandbox.control("PUT", "faults", {})
    assert journaled(sandbox, "fcm") == before


async def test_firebase_admin_hears_of_a_payload_over_4096_bytes(fcm_app: firebase_admin.App):
    with pytest.raises(exceptions.InvalidArgumentError, match="too big"):
        messaging.send(fcm_message(device(3), text="长" * 1400), app=fcm_app)


async def test_firebase_admin_hears_of_a_malformed_token(fcm_app: firebase_admin.App):
    with pytest.raises(exceptions.InvalidArgumentError, match="not a valid FCM registration token"):
        messaging.send(fcm_message("no token"), app=fcm_app)


async def test_firebase_admin_with_another_key_gets_no_access_token(
    sandbox: SandboxProcess, fcm_app: firebase_admin.App
):
    account = json.loads(sandbox.accounts()["fcm"].credentials.get_secret_value())
    forged = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account["private_key"] = forged.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    app = firebase_admin.initialize_app(credentials.Certificate(account), name="forged")
    with pytest.raises((RefreshError, exceptions.FirebaseError), match="invalid_grant"):
        messaging.send(fcm_message(device(4)), app=app)
    await asyncio.to_thread(firebase_admin.delete_app, app)
    assert fcm_app.name == "sandbox"


# -- WeChat


def wechat(sandbox: SandboxProcess, secret: str | None = None) -> WeChatClient:
    account = sandbox.accounts()["wechat"]
    client = WeChatClient(account.appid, secret or account.secret.get_secret_value())
    client.API_BASE_URL = f"{sandbox.base_url}/cgi-bin/"
    return client


async def test_wechatpy_sends_with_a_token_it_fetched(sandbox: SandboxProcess):
    client = wechat(sandbox)
    token = client._http.get(  # noqa: SLF001 - wechatpy's own session; its token URL is fixed to the vendor
        f"{sandbox.base_url}/cgi-bin/token", params={"appid": client.appid, "secret": client.secret}
    ).json()["access_token"]
    client.session.set(client.access_token_key, token)
    client.expires_at = 2**31
    data = {key: {"value": value} for key, value in FIELDS.items()}
    body = {"touser": openid(1), "template_id": WECHAT_TEMPLATE, "data": data}
    answer = client.post("message/subscribe/send", data=body)
    assert journaled(sandbox, "wechat") == {(openid(1), WECHAT_TEMPLATE, str(answer["msgid"]))}
    with pytest.raises(WeChatClientException) as caught:
        client.post("message/subscribe/send", data=body | {"template_id": "nobody-knows-it"})
    assert caught.value.errcode == 40037
