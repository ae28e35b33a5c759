"""An access token says who asks, and nothing that was not signed here for this is believed."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from server.domain.errors import ConfigurationError, UnauthenticatedError
from server.services.access_tokens import AUDIENCE, AccessTokens, Claims
from server.storage.token_keys import KeyFolder, make_key

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CITY = "urn:huimin:440300"
CLAIMS = Claims("6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e", 1, "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8")
PEM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Watch:
    """Two clocks that a test moves: the database's, and the monotonic one of the folder."""

    def __init__(self) -> None:
        self.at = NOW
        self.seconds = 0.0

    def now(self) -> datetime:
        """The time."""
        return self.at

    def clock(self) -> float:
        """Seconds since some moment."""
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_key(tmp_path, "2026-11")
    return tmp_path


@pytest.fixture
def tokens(folder: Path, watch: Watch) -> AccessTokens:
    return of(folder, watch)


def of(folder: Path, watch: Watch, issuer: str = CITY) -> AccessTokens:
    return AccessTokens(KeyFolder(folder, watch.clock), issuer, now=watch.now, random=secrets.token_bytes)


def code_of(tokens: AccessTokens, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        tokens.read(token)
    return caught.value.code


def payload(**changes: Any) -> dict[str, Any]:
    at = int(NOW.timestamp())
    good = {
        "iss": CITY, "aud": AUDIENCE, "sub": CLAIMS.account, "jti": "1", "iat": at, "nbf": at, "exp": at + 900,
        "sv": 1, "lid": CLAIMS.log_in,
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(folder: Path, claims: dict[str, Any], *, key: Any = None, alg: str = "EdDSA", **header: Any) -> str:
    """What somebody who has a key signs; by default the city's own."""
    own = (folder / "2026-11.pem").read_text()
    head = {"typ": "at+jwt", "kid": "2026-11"} | header
    return jwt.encode(claims, own if key is None else key, algorithm=alg, headers=head)


def test_what_is_written_is_read(tokens: AccessTokens, folder: Path):
    token, ends_at = tokens.write(CLAIMS)
    assert tokens.read(token) == CLAIMS
    assert ends_at == NOW + timedelta(minutes=15)
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "at+jwt", "kid": "2026-11"}
    assert tokens.read(signed(folder, payload())) == CLAIMS  # so the tests below refuse for the reason they name


def test_a_token_ends_after_fifteen_minutes_and_a_leeway_of_seconds(tokens: AccessTokens, watch: Watch):
    token, _ = tokens.write(CLAIMS)
    watch.at = NOW + timedelta(minutes=15, seconds=4)
    assert tokens.read(token) == CLAIMS
    watch.at = NOW + timedelta(minutes=15, seconds=30)
    assert code_of(tokens, token) == "token_expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "urn:huimin:110000"}, {"aud": "urn:huimin:officers"}, {"aud": [AUDIENCE, "urn:other"]},
        {"nbf": int(NOW.timestamp()) + 60}, {"iat": int(NOW.timestamp()) + 60}, {"sv": "1"}, {"sv": True}, {"sv": 1.0},
        {"sub": 7}, {"lid": ["a"]}, {"exp": "2099"}, {"exp": 4e9}, {"nbf": "now"}, {"iat": True},
    ],
    ids=str,
)  # fmt: skip
def test_a_claim_that_is_not_right_is_refused(tokens: AccessTokens, folder: Path, changes: dict[str, Any]):
    assert code_of(tokens, signed(folder, payload(**changes))) == "token_invalid"


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "iat", "nbf", "exp", "sv", "lid"])
def test_no_claim_may_be_missing(tokens: AccessTokens, folder: Path, name: str):
    assert code_of(tokens, signed(folder, payload(**{name: None}))) == "token_invalid"


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"}, {"typ": "AT+JWT"}, {"typ": None}, {"kid": "2026-12"}, {"kid": "../2026-11"},
        {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/cert"}, {"jwk": {"kty": "OKP"}},
        {"crit": ["exp"], "exp": 1}, {"x5c": ["MII"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_header_that_says_anything_else_is_refused(tokens: AccessTokens, folder: Path, header: dict[str, Any]):
    assert code_of(tokens, signed(folder, payload(), **header)) == "token_invalid"


def test_no_other_algorithm_is_believed(tokens: AccessTokens, folder: Path):
    public = Ed25519PrivateKey.generate().public_key()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    theirs = {
        "HS256": raw + raw,
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*PEM),
        "ES256": ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM),
        "EdDSA": Ed25519PrivateKey.generate().private_bytes(*PEM),
    }
    for alg, key in theirs.items():
        assert code_of(tokens, signed(folder, payload(), key=key, alg=alg)) == "token_invalid", alg


def test_the_public_key_is_no_shared_secret(tokens: AccessTokens, folder: Path):
    key = jwt.algorithms.OKPAlgorithm().prepare_key((folder / "2026-11.pem").read_text())
    assert isinstance(key, Ed25519PrivateKey)
    secret = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert code_of(tokens, signed(folder, payload(), key=secret, alg="HS256")) == "token_invalid"


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


HEAD = {"alg": "EdDSA", "typ": "at+jwt", "kid": "2026-11"}
Bend = Callable[[str], str]
BENT: list[Bend] = [
    lambda _: f"{b64(HEAD | {'alg': 'none'})}.{b64(payload())}.",
    lambda _: f"{b64(HEAD | {'alg': 'None'})}.{b64(payload())}.{b64(b'x' * 64)}",
    lambda _: f"{b64(HEAD)}.{b64(payload())}.",
    lambda good: f"{good.rpartition('.')[0]}.{b64(b'x' * 64)}",
    lambda good: f"{good.split('.')[0]}.{b64(payload(sv=2))}.{good.split('.')[2]}",
    lambda _: f"{b64([1])}.{b64(payload())}.{b64(b'x' * 64)}",
    lambda _: f"{b64(HEAD)}.{b64([1])}.{b64(b'x' * 64)}",
    lambda _: f"{b64(HEAD | {'kid': 7})}.{b64(payload())}.{b64(b'x' * 64)}",
    lambda good: good[:-8],
    lambda good: f"{good}.{good}",
    lambda _: "x",
    lambda _: "..",
    lambda _: "",
    lambda _: "é.é.é",
    lambda _: "{" * 2_000,
]


@pytest.mark.parametrize("bend", BENT)
def test_what_was_not_signed_here_is_refused(tokens: AccessTokens, bend: Bend):
    assert code_of(tokens, bend(tokens.write(CLAIMS)[0])) == "token_invalid"


@pytest.mark.parametrize("bend", BENT)
def test_a_token_that_was_read_before_makes_no_other_one_believed(tokens: AccessTokens, bend: Bend):
    good, _ = tokens.write(CLAIMS)
    assert tokens.read(good) == CLAIMS
    assert code_of(tokens, bend(good)) == "token_invalid"


def test_a_token_that_was_read_before_ends_all_the_same(tokens: AccessTokens, watch: Watch):
    good, ends_at = tokens.write(CLAIMS)
    assert tokens.read(good) == tokens.read(good) == CLAIMS
    watch.at = ends_at + timedelta(seconds=5)
    assert code_of(tokens, good) == "token_expired"


def test_a_token_that_was_read_before_is_void_when_another_key_has_its_keys_name(
    tokens: AccessTokens, folder: Path, watch: Watch
):
    good, _ = tokens.write(CLAIMS)
    assert tokens.read(good) == CLAIMS
    (folder / "2026-11.pem").unlink()
    make_key(folder, "2026-11")
    watch.seconds += 1.0
    assert code_of(tokens, good) == "token_invalid"


def test_a_token_of_another_city_is_refused_though_the_key_were_the_same(
    tokens: AccessTokens, folder: Path, watch: Watch
):
    theirs, _ = of(folder, watch, "urn:huimin:110000").write(CLAIMS)
    assert code_of(tokens, theirs) == "token_invalid"


def test_a_new_key_signs_within_a_second_and_the_one_before_is_still_believed(
    tokens: AccessTokens, folder: Path, watch: Watch
):
    old, _ = tokens.write(CLAIMS)
    make_key(folder, "2026-12")
    watch.seconds += 1.0
    new, _ = tokens.write(CLAIMS)
    assert jwt.get_unverified_header(new)["kid"] == "2026-12"
    assert tokens.read(old) == tokens.read(new) == CLAIMS
    make_key(folder, "2027-01")
    watch.seconds += 1.0
    assert code_of(tokens, old) == "token_invalid"
    assert tokens.read(new) == CLAIMS


def test_a_key_that_another_process_saw_first_is_believed_at_once(tokens: AccessTokens, folder: Path, watch: Watch):
    make_key(folder, "2026-12")
    new, _ = of(folder, watch).write(CLAIMS)
    assert tokens.read(new) == CLAIMS


@pytest.mark.parametrize("slip", ["spoilt", "gone", "foreign"])
def test_a_slip_in_the_folder_logs_nobody_out(tokens: AccessTokens, folder: Path, watch: Watch, slip: str):
    token, _ = tokens.write(CLAIMS)
    match slip:
        case "spoilt":
            (folder / "2026-12.pem").write_text("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n")
        case "gone":
            (folder / "2026-11.pem").unlink()
        case "foreign":
            (folder / "2026-12.pem").write_bytes(ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM))
    watch.seconds += 5.0
    assert tokens.read(token) == CLAIMS
    assert jwt.get_unverified_header(tokens.write(CLAIMS)[0])["kid"] == "2026-11"


@pytest.mark.parametrize("content", [None, b"", b"no key"])
def test_without_a_key_nothing_starts(tmp_path: Path, watch: Watch, content: bytes | None):
    if content is not None:
        (tmp_path / "a.pem").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        KeyFolder(tmp_path, watch.clock)
    assert caught.value.code == "token_keys_missing"


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path):
    for _ in range(2):
        make_key(tmp_path / "keys", "one")
    (made,) = (tmp_path / "keys").iterdir()
    content = made.read_bytes()
    make_key(tmp_path / "keys", "one")
    assert made.read_bytes() == content
    assert made.stat().st_mode & 0o077 == 0
