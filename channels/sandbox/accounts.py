"""The accounts that fit the sandbox: what a provider's console would have given to the city.

Two processes must agree on them, so all are constants, except the key of the FCM service account: it is made on first
use below the home folder and reused. Every secret carries the prefix that production refuses.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from channels.sandbox import weather
from server.settings import (
    SANDBOX_AES_KEY,
    SANDBOX_KEY,
    SANDBOX_PREFIX,
    AlertFilesFeed,
    AliyunSmsAccount,
    FcmAccount,
    TencentSmsAccount,
    WeatherApiFeed,
    WeChatAccount,
)

APPID = "wx5a4d8c0de5a4d8c0"
APP_SECRET = f"{SANDBOX_PREFIX}app-secret"
CALLBACK_TOKEN = f"{SANDBOX_PREFIX}callback-token"
ORIGINAL_ID = "gh_5a4d8c0de5a4"  # the mini-program's account name in events
PROJECT = "huimin-sandbox"
CLIENT_EMAIL = f"warnings@{PROJECT}.iam.gserviceaccount.com"
ACCESS_KEY_ID = "LTAI5tSandboxSandboxHuim"
ACCESS_KEY_SECRET = f"{SANDBOX_PREFIX}access-key-secret"
ALIYUN_RECEIPT_KEY = f"{SANDBOX_PREFIX}receipts-aliyun"
SECRET_ID = "AKIDSandboxSandboxSandboxSandboxHuim"  # noqa: S105 - the public half
SECRET_KEY = f"{SANDBOX_PREFIX}secret-key"
SDK_APP_ID = "1400006666"
WEATHER_PARTNER = "sandbox-weather"  # to be registered; senders of its warnings and of its files:
WEATHER_SENDERS = ("weather-api", "sandbox-weather@weather.example")
TENCENT_RECEIPT_KEY = f"{SANDBOX_PREFIX}receipts-tencent"
DEPARTMENT_KEY = f"whsec_{SANDBOX_KEY}"


class Accounts(TypedDict):
    """The account part of `server.settings.Settings`."""

    wechat: WeChatAccount
    fcm: FcmAccount
    sms: tuple[AliyunSmsAccount | TencentSmsAccount, ...]
    weather: tuple[AlertFilesFeed | WeatherApiFeed, ...]


def accounts(base_url: str, home: Path) -> Accounts:
    """Settings of the accounts and feeds of the sandbox that listens at `base_url` and keeps its files in `home`."""
    base_url = base_url.rstrip("/")
    return {
        "wechat": WeChatAccount(
            base_url=base_url,
            appid=APPID,
            secret=SecretStr(APP_SECRET),
            callback_token=SecretStr(CALLBACK_TOKEN),
            callback_aes_key=SecretStr(SANDBOX_AES_KEY),
        ),
        "fcm": FcmAccount(
            base_url=base_url,
            http2=base_url.startswith("https://"),
            project_id=PROJECT,
            credentials=SecretStr(service_account(base_url, home)),
        ),
        "sms": (
            AliyunSmsAccount(
                base_url=base_url,
                access_key_id=ACCESS_KEY_ID,
                access_key_secret=SecretStr(ACCESS_KEY_SECRET),
                receipt_key=SecretStr(ALIYUN_RECEIPT_KEY),
            ),
            TencentSmsAccount(
                base_url=base_url,
                secret_id=SECRET_ID,
                secret_key=SecretStr(SECRET_KEY),
                sdk_app_id=SDK_APP_ID,
                receipt_key=SecretStr(TENCENT_RECEIPT_KEY),
            ),
        ),
        "weather": (
            AlertFilesFeed(
                name="sandbox-alerts", partner=WEATHER_PARTNER, url=f"{base_url}/cap/index.json", every_s=5.0
            ),
            WeatherApiFeed(
                kind="api",
                name="sandbox-weather",
                partner=WEATHER_PARTNER,
                base_url=base_url,
                key=SecretStr(weather.KEY),
                sender=WEATHER_SENDERS[0],
                every_s=30.0,
            ),
        ),
    }


class Aids(TypedDict):
    """The part of `server.settings.Settings` about whom applications need."""

    departments: Path
    department_keys: Mapping[str, SecretStr]
    clamd_url: str


def aids(base_url: str, clamd_port: int, home: Path, sources: Iterable[str]) -> Aids:
    """Settings of the department that serves these sources, its file written into `home`, and of the scanner."""
    served = {"base_url": f"{base_url.rstrip('/')}/registers", "sources": sorted(sources), "key": "sandbox"}
    path = home / "departments.yaml"
    path.write_text(json.dumps({"departments": [served]}))  # JSON is YAML
    return {
        "departments": path,
        "department_keys": {"sandbox": SecretStr(DEPARTMENT_KEY)},
        "clamd_url": f"tcp://127.0.0.1:{clamd_port}",
    }


def service_account(base_url: str, home: Path) -> str:
    """The JSON text of the FCM service account whose token endpoint is the sandbox at `base_url`."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": f"{SANDBOX_PREFIX}key",
            "private_key": private_key_pem(home),
            "client_email": CLIENT_EMAIL,
            "client_id": "100000000000000000000",
            "token_uri": f"{base_url}/token",
        }
    )


def private_key_pem(home: Path) -> str:
    """The throw-away RSA key of the service account; made once, whichever process comes first."""
    path = home / "fcm_key.pem"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        draft = home / f"fcm_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # atomic: the first process wins, the other reads its key
        draft.unlink()
    return path.read_text()


def public_key_pem(home: Path) -> bytes:
    """The public half, against which the sandbox checks assertions."""
    key = load_pem_private_key(private_key_pem(home).encode(), password=None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
