"""Access tokens: JWTs (RFC 9068) that say which account asks, by which log-in. The only home of pyjwt beside a sandbox.

Promises (RFC 8725). One algorithm, EdDSA with Ed25519, whatever a header says. The header holds `alg`, `typ`, `kid` and
nothing else: what points to a key elsewhere (`jku`, `x5u`, `jwk`) is refused unread. Every claim is required and
checked, times against the database's clock. No claim tells who a person is.

To take a token apart and to verify it costs a third of a small request and comes out the same each time: what was found
good is remembered, by its digest, for as long as the key that signed it is in use. Whether it is over is asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from server.domain.errors import UnauthenticatedError
from server.domain.log_in import ACCESS_LIFE

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
AUDIENCE = "urn:huimin:citizens"
LEEWAY = timedelta(seconds=5)  # between two processes' ideas of the database's clock
CLAIMS = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp", "sv", "lid")
TIMES = ("iat", "nbf", "exp")
MOST_KNOWN = 20_000  # good tokens that are remembered, some 20 MB


class Keys(Protocol):
    """The keys in use."""

    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The id of the key that signs, and the key."""
        ...

    def find(self, name: str) -> Ed25519PrivateKey | None:
        """The live key of this id."""
        ...


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: the public id of an account, its session version, the log-in."""

    account: str
    session_version: int
    log_in: str


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was found good: who signed it, and its claims."""

    kid: str
    key: Ed25519PrivateKey
    payload: Mapping[str, Any]


class AccessTokens:
    """Writes and reads them. `issuer` is this city; `random` names tokens."""

    def __init__(
        self, keys: Keys, issuer: str, *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:  # fmt: skip
        self._keys = keys
        self._issuer = issuer
        self._now = now
        self._random = random
        self._known: dict[bytes, _Known] = {}

    def write(self, claims: Claims) -> tuple[str, datetime]:
        """A token, and when it ends."""
        kid, key = self._keys.signing()
        at = int(self._now().timestamp())
        ends = at + int(ACCESS_LIFE.total_seconds())
        payload = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": claims.account,
            "jti": self._random(16).hex(),
            "iat": at,
            "nbf": at,
            "exp": ends,
            "sv": claims.session_version,
            "lid": claims.log_in,
        }
        token = jwt.encode(payload, key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": kid})
        return token, datetime.fromtimestamp(ends, self._now().tzinfo)

    def read(self, token: str) -> Claims:
        """What a good token says; UnauthenticatedError `token_expired`, or `token_invalid` for any other."""
        payload = self._good(token)
        at, leeway_s = self._now().timestamp(), LEEWAY.total_seconds()
        if payload["iat"] > at + leeway_s or payload["nbf"] > at + leeway_s:
            raise token_invalid()
        if at >= payload["exp"] + leeway_s:
            raise UnauthenticatedError("token_expired", zh="访问令牌已过期，请刷新", en="the access token has expired")
        return Claims(payload["sub"], payload["sv"], payload["lid"])

    def _good(self, token: str) -> Mapping[str, Any]:
        """The claims of a good token, remembered or found so now."""
        digest = sha256(token.encode("utf-8", "replace")).digest()  # what is not UTF-8 is never good, so never known
        known = self._known.get(digest)
        if known is not None and self._keys.find(known.kid) is known.key:
            return known.payload
        found = self._verified(token)
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[digest] = found
        return found.payload

    def _verified(self, token: str) -> _Known:
        """The claims of a token whose signature, issuer and audience are right and whose claims have their types."""
        try:
            header = jwt.get_unverified_header(token)
            if set(header) != {"alg", "typ", "kid"} or header["typ"] != TYPE or header["alg"] != ALGORITHM:
                raise token_invalid()
            key = self._keys.find(header["kid"])
            if key is None:
                raise token_invalid()
            payload: Mapping[str, Any] = jwt.decode(
                token,
                key.public_key(),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=self._issuer,
                # Times are checked by `read`: pyjwt would ask this machine's clock.
                options={
                    "require": list(CLAIMS), "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                    "strict_aud": True,
                },
            )  # fmt: skip
        except (jwt.InvalidTokenError, ValueError):
            raise token_invalid() from None
        is_sound = all(type(payload[name]) is int for name in (*TIMES, "sv"))
        if not is_sound or type(payload["sub"]) is not str or type(payload["lid"]) is not str:
            raise token_invalid()
        return _Known(header["kid"], key, payload)


def token_invalid() -> UnauthenticatedError:
    """For a token that is none, is not for this API, or whose log-in has ended."""
    return UnauthenticatedError(
        "token_invalid", zh="登录已失效，请重新登录", en="log in again: this token is not valid"
    )
