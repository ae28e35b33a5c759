"""Receipts and results that anybody can verify: signed, with nothing personal in them, made to fit into a QR code.

A paper is a JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037), so every JOSE library reads it with the city's public
key (`jwks`). The same application gives the same paper each time. It says what was so when it was made; `Verified` also
says whether that still stands. The key is derived from the one that signs the log (HKDF, RFC 5869): two purposes never
share a key.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.domain.applications import Application, unknown
from server.domain.citizens import Caller
from server.domain.errors import ConflictError, InvalidInputError
from server.domain.workflow import Workflow
from server.services.application_steps import Ground
from server.services.applications import Applications

ALGORITHM = "EdDSA"
TYPE = "huimin-paper+jwt"
INFO = b"huimin papers 1"
MAX_PAPER = 2_000  # characters; a QR code takes 2,331 of these at level M


class PaperKind(StrEnum):
    """What a paper says."""

    RECEIPT = "receipt"  # handed in
    RESULT = "result"  # decided


@dataclass(frozen=True, slots=True)
class Verified:
    """A paper of ours: what it says, and whether it still stands. `state` is where the application is now."""

    kind: PaperKind
    content: Mapping[str, Any]
    is_current: bool
    state: str


class Papers:
    """Writes and reads them. `seed` are 32 secret bytes, `city` the issuer, `public_url` what a QR code leads to."""

    def __init__(self, ground: Ground, counter: Applications, seed: bytes, city: str, public_url: str) -> None:
        secret = HKDF(algorithm=SHA256(), length=32, salt=None, info=INFO).derive(seed)
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        public = self._key.public_key().public_bytes_raw()
        self._kid = public.hex()[:16]
        self.jwks = {
            "keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM, "kid": self._kid,
                      "x": urlsafe_b64encode(public).decode().rstrip("=")}]
        }  # fmt: skip
        self._ground = ground
        self._counter = counter
        self._issuer = f"urn:huimin:{city}"
        self._public_url = public_url

    async def of(self, caller: Caller, application: str, kind: PaperKind) -> str:
        """The paper of one of the caller's applications. ConflictError `paper_early`: there is nothing to say yet."""
        found = (await self._counter.get(caller, application)).application
        return self.write(found, kind)

    def write(self, application: Application, kind: PaperKind) -> str:
        """The signed paper."""
        content = self._content(application, kind)
        headers = {"typ": TYPE, "kid": self._kid}
        return jwt.encode({"iss": self._issuer, **content}, self._key, algorithm=ALGORITHM, headers=headers)

    def address(self, paper: str) -> str:
        """What the QR code holds."""
        return f"{self._public_url}/v1/papers/verify?paper={paper}"

    async def verify(self, paper: str) -> Verified:
        """What a paper says; InvalidInputError `paper_invalid`: it is not ours, or was altered."""
        try:
            if jwt.get_unverified_header(paper) != {"alg": ALGORITHM, "typ": TYPE, "kid": self._kid}:
                raise _invalid()
            content = jwt.decode(
                paper, self._key.public_key(), algorithms=[ALGORITHM], issuer=self._issuer,
                options={"require": ["iss", "iat", "sub", "kind"], "verify_iat": False},
            )  # fmt: skip
            kind = PaperKind(content["kind"])
        except (jwt.InvalidTokenError, ValueError):
            raise _invalid() from None
        found = await self._ground.store.find_numbered(content["sub"])
        if found is None:
            raise unknown()
        says = self._content(found, kind, is_lenient=True)
        is_current = {**content, "iss": ""} == {**says, "iss": ""}
        return Verified(kind, content, is_current, found.standing.state)

    def _content(self, application: Application, kind: PaperKind, *, is_lenient: bool = False) -> dict[str, Any]:
        """What is so, with nothing about the person. `is_lenient`: of one that has nothing to say, {}."""
        workflow = self._ground.workflows[application.workflow]
        at = application.submitted_at if kind is PaperKind.RECEIPT else application.ended_at
        if at is None:
            if is_lenient:
                return {}
            raise ConflictError("paper_early", zh="办件尚无此凭证", en="there is nothing to certify yet")
        common = {
            "kind": kind.value,
            "sub": application.number,
            "iat": int(at.timestamp()),
            "item": application.item,
            "version": application.item_version,
            "name": application.item_name.zh,
            "unit": application.unit,
        }
        return common | (_outcome(application, workflow) if kind is PaperKind.RESULT else {})


def _outcome(application: Application, workflow: Workflow) -> dict[str, Any]:
    """What was decided; of parallel work, each task."""
    row = workflow.by_name[application.standing.state]
    tasks = dict(application.standing.tasks)
    return {"is_granted": row.is_granted} | ({"tasks": tasks} if tasks else {})


def _invalid() -> InvalidInputError:
    return InvalidInputError(
        "paper_invalid", zh="凭证无效或被改动", en="this is no paper of ours, or it was altered", field="paper"
    )
