"""The second factor: RFC 6238 codes of six digits, thirty seconds a step, one step of grace either way."""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime

import pyotp

STEP_S = 30
WINDOW = 1
SECRET_BYTES = 20  # RFC 4226: 160 bits
ISSUER = "惠民 Huimin"
_CODE = re.compile(r"\d{6}", re.ASCII)


def secret_of(random: bytes) -> str:
    """A secret in base32, as authenticators want it."""
    return base64.b32encode(random).decode()


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """The number of the step that this code belongs to, or None. A step may be used once: the caller remembers it."""
    now = int(at.timestamp()) // STEP_S
    given = code if _CODE.fullmatch(code) else "      "
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(now - WINDOW, now + WINDOW + 1):  # all of them, so that time tells nothing
        if hmac.compare_digest(totp.generate_otp(max(step, 0)), given):
            found = step
    return found


def code_at(secret: str, at: datetime) -> str:
    """What an authenticator shows then."""
    return str(pyotp.TOTP(secret).at(at))


def uri(secret: str, name: str) -> str:
    """The otpauth:// address that an authenticator scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)
