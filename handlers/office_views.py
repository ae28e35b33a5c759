"""What officers send to log in and manage accounts, and what they see: allow-lists without a secret in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.domain.audit import AuditFinding, Entry
from server.domain.officers import Account, AccountState, Officer, Role, Unit
from server.domain.passwords import MAX_CHARACTERS
from server.domain.sessions import FRESH, Session

_UNIT = {
    "code": "44030041600000",
    "name": "深圳市气象台",
    "name_en": "Shenzhen Meteorological Observatory",
    "sender": "weather@sz.example",
    "division": "440300",
    "contact": "12121",
}
_OFFICER = {
    "id": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e",
    "name": "王敏",
    "roles": ["releaser"],
    "unit": _UNIT,
    "division": "440300",
    "events": ["11B"],
    "institutions": [],
}
_SESSION = {
    "id": "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8",
    "officer": _OFFICER,
    "origin": "192.0.2.10",
    "created_at": "2026-11-24T01:30:00Z",
    "seen_at": "2026-11-24T01:42:00Z",
    "expires_at": "2026-11-24T02:12:00Z",
    "totp_fresh_until": "2026-11-24T01:35:00Z",
}
_TOKEN = "3q2-7wEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJo"  # noqa: S105 - the shape of one, for the contract
_ACCOUNT = _OFFICER | {
    "person": "S-1024",
    "state": "invited",
    "created_at": "2026-11-24T01:30:00Z",
    "changed_at": "2026-11-24T01:30:00Z",
    "can_be_called": False,
}
_ENTRY = {
    "seq": 4711,
    "at": "2026-11-24T01:31:00Z",
    "actor": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e",
    "action": "alert.release",
    "object": "alert/44030041600000_20261124093000",
    "result": "done",
    "details": {"step": 3},
    "hash": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e6a8b0c2d4e6f8a0b1c3d5e7f9a1b3c5d",
}
_FINDING = {
    "code": "audit_altered",
    "stream": "alert",
    "seq": 3,
    "text": "内容或位置与哈希不符",
    "text_en": "content or place does not fit the hash chain",
}
STREAM = r"^[a-z]{1,20}$"


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class LogInForm(BaseModel):
    """Name, password and the authenticator's code."""

    model_config = _example({"name": "王敏", "password": "seven purple otters juggle", "code": "492039"})

    name: str = Field(max_length=60)
    password: str = Field(max_length=MAX_CHARACTERS)
    code: str = Field(max_length=12)


class CodeForm(BaseModel):
    """A code that has not been used yet."""

    model_config = _example({"code": "492039"})

    code: str = Field(max_length=12)


class ActivationForm(BaseModel):
    """The token of a one-time link, and the password of one's own choice."""

    model_config = _example({"link": _TOKEN, "password": "seven purple otters juggle"})

    link: str = Field(max_length=128)
    password: str = Field(max_length=10 * MAX_CHARACTERS, description="12 to 256 characters, hard to guess")


class RolesForm(BaseModel):
    """All roles that an officer is to have from now on."""

    model_config = _example({"roles": ["releaser", "chief"]})

    roles: frozenset[Role]


class OfficerView(BaseModel):
    """An officer, as everybody at the desk may know it."""

    model_config = _example(_OFFICER)

    id: str
    name: str
    roles: tuple[Role, ...]
    unit: Unit
    division: str
    events: tuple[str, ...]
    institutions: tuple[str, ...]

    @classmethod
    def of(cls, officer: Officer) -> OfficerView:
        """Without the staff number."""
        return cls(**_told(officer))


class SessionView(BaseModel):
    """A session: whose, from where, until when if nothing more happens."""

    model_config = _example(_SESSION)

    id: str
    officer: OfficerView
    origin: str = Field(description="network address it was begun from")
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    totp_fresh_until: datetime = Field(description="until then a release needs no new code")

    @classmethod
    def of(cls, session: Session) -> SessionView:
        """Without its token, which nobody knows but its holder."""
        return cls(
            id=session.id,
            officer=OfficerView.of(session.officer),
            origin=session.origin,
            created_at=session.created_at,
            seen_at=session.seen_at,
            expires_at=session.expires_at,
            totp_fresh_until=session.totp_at + FRESH,
        )


class LoggedIn(BaseModel):
    """The token to send as `Authorization: Bearer`, shown once."""

    model_config = _example({"token": _TOKEN, "session": _SESSION})

    token: str
    session: SessionView


class SessionsView(BaseModel):
    """Where one is logged in, newest first."""

    model_config = _example({"sessions": [_SESSION]})

    sessions: tuple[SessionView, ...]


class Ended(BaseModel):
    """How many sessions were ended."""

    model_config = _example({"ended": 2})

    ended: int


class ActivationView(BaseModel):
    """The second factor, shown once: scan it, then log in."""

    model_config = _example(
        {
            "name": "王敏",
            "totp_secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
            "otpauth_uri": "otpauth://totp/Huimin:wangmin?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Huimin",
        }
    )

    name: str
    totp_secret: str
    otpauth_uri: str


class AccountView(OfficerView):
    """An account, as administrators see it."""

    model_config = _example(_ACCOUNT)

    person: str
    state: AccountState
    created_at: datetime
    changed_at: datetime
    can_be_called: bool = Field(description="whether duty calls reach a telephone; else they are lines of a log")

    @classmethod
    def about(cls, account: Account) -> AccountView:
        """Without a secret."""
        return cls(
            **_told(account.officer),
            person=account.officer.person,
            state=account.state,
            created_at=account.created_at,
            changed_at=account.changed_at,
            can_be_called=account.can_be_called,
        )


class AccountsView(BaseModel):
    """The accounts within reach, oldest first."""

    model_config = _example({"officers": [_ACCOUNT]})

    officers: tuple[AccountView, ...]


class Invitation(BaseModel):
    """An account and the token of its one-time link, shown once and good for a day."""

    model_config = _example({"officer": _ACCOUNT, "path": "/v1/staff/activation", "link": _TOKEN})

    officer: AccountView
    path: Literal["/v1/staff/activation"] = "/v1/staff/activation"
    link: str


class Recovery(BaseModel):
    """The token of a new one-time link, shown once and good for a day."""

    model_config = _example({"path": "/v1/staff/activation", "link": _TOKEN})

    path: Literal["/v1/staff/activation"] = "/v1/staff/activation"
    link: str


class AuditQuery(BaseModel):
    """Which part of the log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: str = Field(default="alert", pattern=STREAM, description="alert, officer, audit, ...", examples=["alert"])
    before: int | None = Field(default=None, ge=1, description="number that the last page ended with", examples=[4711])
    limit: int = Field(default=100, ge=1, le=500, examples=[100])


class EntryView(BaseModel):
    """One entry of the log."""

    model_config = _example(_ENTRY)

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    result: str
    details: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, entry: Entry) -> EntryView:
        """As it is stored."""
        return cls(
            seq=entry.seq,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            object=entry.object,
            result=entry.result,
            details=dict(entry.details),
            hash=entry.hash.hex(),
        )


class AuditPage(BaseModel):
    """Entries, newest first; `next` is the `before` of the following page."""

    model_config = _example({"entries": [_ENTRY], "next": 4711})

    entries: tuple[EntryView, ...]
    next: int | None


class AuditFindingView(BaseModel):
    """Something that is not as it was written."""

    model_config = _example(_FINDING)

    code: str
    stream: str
    seq: int
    text: str
    text_en: str

    @classmethod
    def of(cls, finding: AuditFinding) -> AuditFindingView:
        """In both languages."""
        return cls(code=finding.code, stream=finding.stream, seq=finding.seq, text=finding.zh, text_en=finding.en)


class Verification(BaseModel):
    """Whether the log is whole."""

    model_config = _example({"is_whole": False, "findings": [_FINDING]})

    is_whole: bool
    findings: tuple[AuditFindingView, ...]


def _told(officer: Officer) -> dict[str, Any]:
    return {
        "id": officer.id,
        "name": officer.name,
        "roles": tuple(sorted(officer.roles)),
        "unit": officer.unit,
        "division": officer.division,
        "events": officer.events,
        "institutions": officer.institutions,
    }
