"""What citizens send to log in and see of their log-ins: no internal id, no session key, no whole number."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.domain.citizens import Account, Client, Kind, LogIn
from server.domain.log_in import REFRESH_CHARACTERS, Device, Platform, ends_at
from server.services.log_in import LoggedIn, ProofNeeded
from server.services.means import Held

_ID = "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e"
_AT = "2026-11-24T01:30:00Z"
_LOG_IN = {
    "id": "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8",
    "client": "app",
    "label": "Pixel 9",
    "began_at": _AT,
    "seen_at": _AT,
    "ends_at": "2027-02-22T01:30:00Z",
    "is_this": True,
}
_MEANS = {"phone": "+86138****1234", "other_phones": [], "wechat": 1}
_REFRESH = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq83v"
_DEVICE = "b1946ac92492d2347c6235b4d2611184"
_OWN = {"client": "app", "label": "Pixel 9", "device": _DEVICE}
_LABEL = Field(default="", max_length=40, description="what the person may recognise the device by")
_KNOWN_DEVICE = Field(
    default=None,
    pattern=r"^[A-Za-z0-9_-]{22,64}$",
    description="128 random bits or more that this installation made up once and keeps for itself",
)
_CODE = Field(min_length=1, max_length=128)


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class WeChatForm(BaseModel):
    """A fresh code of `wx.login`."""

    model_config = _example({"code": "0a1b2c3d4e5f", "label": "iPhone 17"})

    code: str = _CODE
    label: str = _LABEL


class WeChatCodeForm(BaseModel):
    """A fresh code of WeChat: of `wx.login`, or of the button `getPhoneNumber`."""

    model_config = _example({"code": "0a1b2c3d4e5f"})

    code: str = _CODE


class PhoneCodeForm(BaseModel):
    """A one-time code, and the request that it was sent for."""

    model_config = _example({"request": _ID, "code": "492039"})

    request: str = Field(min_length=1, max_length=64)
    code: str = Field(min_length=1, max_length=12)


class PhoneForm(PhoneCodeForm):
    """The same, to log in."""

    model_config = _example({"request": _ID, "code": "492039", **_OWN})

    client: Client = Client.APP
    label: str = _LABEL
    device: str | None = _KNOWN_DEVICE


class IdentityProofForm(BaseModel):
    """A ticket, and the last four characters of the ID number that the account is bound to."""

    model_config = _example({"ticket": _ID + _ID, "id_tail": "123X", "device": _DEVICE})

    ticket: str = Field(pattern=r"^[0-9a-f]{64}$")
    id_tail: str = Field(pattern=r"^[0-9]{3}[0-9Xx]$")
    device: str | None = _KNOWN_DEVICE


class NewHolderForm(BaseModel):
    """A ticket of somebody who is not the person that the number's account belongs to."""

    model_config = _example({"ticket": _ID + _ID, "device": _DEVICE})

    ticket: str = Field(pattern=r"^[0-9a-f]{64}$")
    device: str | None = _KNOWN_DEVICE


class RefreshForm(BaseModel):
    """The newest refresh token."""

    model_config = _example({"refresh_token": _REFRESH})

    refresh_token: str = Field(min_length=REFRESH_CHARACTERS, max_length=REFRESH_CHARACTERS)


class DeviceForm(BaseModel):
    """The app's token at FCM."""

    model_config = _example({"token": "dXk3:APA91bHun4MxP5egoKMwt2KZFBaFUH", "platform": "android", "label": "Pixel 9"})

    token: str = Field(pattern=r"^[A-Za-z0-9:_.%-]{20,1024}$")
    platform: Platform
    label: str = _LABEL


class LogInView(BaseModel):
    """One log-in."""

    model_config = _example(_LOG_IN)

    id: str
    client: Client
    label: str
    began_at: datetime
    seen_at: datetime = Field(description="when its tokens were last refreshed")
    ends_at: datetime = Field(description="if it is not refreshed any more")
    is_this: bool = Field(description="whether the request was made with it")

    @classmethod
    def of(cls, log_in: LogIn, this: str) -> LogInView:
        """`this`: the id of the caller's own."""
        return cls(
            id=log_in.id,
            client=log_in.client,
            label=log_in.label,
            began_at=log_in.began_at,
            seen_at=log_in.seen_at,
            ends_at=ends_at(log_in.began_at, log_in.seen_at),
            is_this=log_in.id == this,
        )


class LogInsView(BaseModel):
    """Where one is logged in, what was used last first."""

    model_config = _example({"log_ins": [_LOG_IN]})

    log_ins: tuple[LogInView, ...]


class LogInsEnded(BaseModel):
    """How many log-ins were ended."""

    model_config = _example({"ended": 2})

    ended: int


class MeansView(BaseModel):
    """What one can log in with."""

    model_config = _example(_MEANS)

    phone: str | None = Field(description="the verified number, as its owner may recognise it")
    other_phones: tuple[str, ...] = Field(description="more of them, if accounts were joined: they log in here too")
    wechat: int = Field(description="how many WeChat accounts")

    @classmethod
    def of(cls, held: Held) -> MeansView:
        """Without the whole number."""
        phone = held.phones[-1] if held.phones else None
        return cls(phone=phone, other_phones=tuple(held.phones[:-1]), wechat=held.wechat)


class CallerView(BaseModel):
    """Who one is to the product."""

    model_config = _example(
        {"account": _ID, "kind": "person", "is_real_name": False, "means": _MEANS, "log_in": _LOG_IN}
    )

    account: str = Field(description="the public id")
    kind: Kind
    is_real_name: bool
    means: MeansView
    log_in: LogInView

    @classmethod
    def of(cls, account: Account, held: Held, this: str) -> CallerView:
        """Without the internal id."""
        own = next(one for one in account.log_ins if one.id == this)
        return cls(
            account=account.public,
            kind=account.kind,
            is_real_name=account.is_real_name,
            means=MeansView.of(held),
            log_in=LogInView.of(own, this),
        )


class TokensView(BaseModel):
    """Tokens, shown once. The access token goes into `Authorization: Bearer`; the refresh token works once."""

    model_config = _example(
        {
            "access_token": "eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtMTEiLCJ0eXAiOiJhdCtqd3QifQ.e30.c2lnbmF0dXJl",
            "token_type": "Bearer",
            "access_ends_at": "2026-11-24T01:45:00Z",
            "refresh_token": _REFRESH,
            "account": _ID,
            "log_in": "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8",
            "is_new": False,
        }
    )

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a word of RFC 6750
    access_ends_at: datetime
    refresh_token: str
    account: str
    log_in: str
    is_new: bool = Field(description="whether this was the first log-in: there are no places yet")

    @classmethod
    def of(cls, entered: LoggedIn) -> TokensView:
        """All of it."""
        return cls(
            access_token=entered.access,
            access_ends_at=entered.access_ends_at,
            refresh_token=entered.refresh,
            account=entered.account.public,
            log_in=entered.log_in,
            is_new=entered.is_new,
        )


class ProofView(BaseModel):
    """The number alone does not open this account on this device: prove more, or be somebody else."""

    model_config = _example({"state": "proof_needed", "ticket": _ID + _ID, "expires_at": "2026-11-24T01:40:00Z"})

    state: Literal["proof_needed"] = "proof_needed"
    ticket: str
    expires_at: datetime

    @classmethod
    def of(cls, needed: ProofNeeded) -> ProofView:
        """It does not say whose the account is."""
        return cls(ticket=needed.ticket, expires_at=needed.expires_at)


class DeviceView(BaseModel):
    """An app that gets push notices."""

    model_config = _example({"id": _ID, "platform": "android", "label": "Pixel 9", "registered_at": _AT})

    id: str
    platform: Platform
    label: str
    registered_at: datetime

    @classmethod
    def of(cls, device: Device) -> DeviceView:
        """Without its token."""
        return cls(id=device.id, platform=device.platform, label=device.label, registered_at=device.registered_at)


class DevicesView(BaseModel):
    """Those of one person, newest first."""

    model_config = _example({"devices": [DeviceView.model_config["json_schema_extra"]["example"]]})  # type: ignore[index]

    devices: tuple[DeviceView, ...]
