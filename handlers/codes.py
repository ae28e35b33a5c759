"""One-time codes over HTTP: /v1/codes. Everybody may ask; the answer tells nobody who is known here."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.one_time_codes import Purpose
from server.services.one_time_codes import Asking, OneTimeCodes, Proof

MAX_DEVICE = 64  # characters of X-Install-Id that count


class ProofForm(BaseModel):
    """A solved puzzle: SHA-256 of `<challenge>.<solution>` begins with as many zero bits as it asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    challenge: str = Field(max_length=120)
    solution: str = Field(max_length=40)


class CodeAsked(BaseModel):
    """Who wants a code, and what for."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"phone": "13800138000", "purpose": "log_in"}}
    )

    phone: str = Field(min_length=5, max_length=24, description='a mobile number; one without "+" is of this country')
    purpose: Purpose
    proof: ProofForm | None = Field(default=None, description="only after proof_of_work_needed: its `work`, solved")


class CodeSent(BaseModel):
    """A code is on its way. `request` has to be given together with the code."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "request": "9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d",
                "expires_at": "2026-11-24T01:35:00Z",
                "retry_after_s": 60,
            }
        },
    )

    request: str
    expires_at: datetime
    retry_after_s: int = Field(description="when this number may get the next one")


class CodesHandler(ApiHandler):
    """Codes by SMS."""

    def initialize(self, codes: OneTimeCodes) -> None:
        """`codes` sends and counts."""
        self.codes = codes

    async def post(self) -> None:
        """Send one."""
        form = self.given(CodeAsked)
        sent = await self.codes.send(
            Asking(
                phone=form.phone,
                purpose=form.purpose,
                language=self.language,
                origin=self.origin,
                device=self.request.headers.get("X-Install-Id", "")[:MAX_DEVICE],
                proof=Proof(form.proof.challenge, form.proof.solution) if form.proof else None,
            )
        )
        self.respond(CodeSent(request=sent.request, expires_at=sent.expires_at, retry_after_s=sent.retry_after_s), 202)
