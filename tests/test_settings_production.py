"""What production refuses to start with, told as a mistake of the settings and without the secret."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest

from server.settings import SANDBOX_AES_KEY

KEY = base64.b64encode(b"d" * 32).decode()
WECHAT = {"appid": "wx1", "secret": "s" * 32, "callback_token": "t" * 16, "callback_aes_key": "a" * 43}
GOOD = {
    "HUIMIN_MODE": "production",
    "HUIMIN_DATA_KEY": KEY,
    "HUIMIN_INDEX_KEY": base64.b64encode(b"i" * 32).decode(),
    "HUIMIN_AUDIT_KEY": base64.b64encode(b"a" * 32).decode(),
    "HUIMIN_MONGO_URL": "mongodb://127.0.0.1:1",
    "HUIMIN_REDIS_URL": "redis://127.0.0.1:1",
    "HUIMIN_TOKEN_KEYS": "/run/token-keys",
    "HUIMIN_WECHAT": json.dumps(WECHAT),
}
CHECK = "import os; from server.settings import load; load(os.environ)"


def told(**changes: str) -> str:
    """What a process with these settings says when it reads them; "" if it is content."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HUIMIN_")}
    told = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", CHECK],
        env=plain | {name: value for name, value in (GOOD | changes).items() if value},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stderr


def test_real_values_are_accepted():
    assert told() == ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"HUIMIN_WECHAT": json.dumps(WECHAT | {"callback_aes_key": SANDBOX_AES_KEY})}, "callback_aes_key"),
        ({"HUIMIN_WECHAT": json.dumps(WECHAT | {"base_url": "http://127.0.0.1:9"})}, "https"),
        ({"HUIMIN_INDEX_KEY": KEY}, "HUIMIN_INDEX_KEY"),
        ({"HUIMIN_TOKEN_KEYS": ""}, "HUIMIN_TOKEN_KEYS"),
        ({"HUIMIN_SMS": "not json"}, '"sms"'),
    ],
    ids=["sandbox-aes-key", "plain-http", "one-key-for-both", "no-token-keys", "not-json"],
)
def test_a_dangerous_value_is_named_and_refused(changes: dict[str, str], named: str):
    text = told(**changes).strip().splitlines()[-1]
    assert "settings_invalid" in text
    assert named in text
    assert not any(secret in text for secret in (KEY, WECHAT["secret"], SANDBOX_AES_KEY))
