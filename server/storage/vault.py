"""Personal data at rest: AES-256-GCM for the value, HMAC-SHA256 for looking it up.

The additional data binds a ciphertext to its owner and field, so a value copied into another person's document does not
open. The blind index is cut to 16 bytes: enough to be unique over a city, and it tells nothing without its own key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
SHORTEST = 1 + NONCE_BYTES + 16  # version, nonce, tag


class SealedError(Exception):
    """The value does not open: wrong key, wrong owner, or it was altered."""


class KeyMissingError(SealedError):
    """The value was sealed with a data key that this process does not have: the settings are wrong, not the value."""


class Vault:
    """Seals and opens values. `keys` are 32-byte data keys by version; new values use `current`, else the highest.

    A key that is not current is opened only: a process may know the next key before any process seals with it.
    """

    def __init__(
        self, keys: Mapping[int, bytes], index_key: bytes, random: Callable[[int], bytes], current: int | None = None
    ) -> None:
        self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
        self._current = max(keys) if current is None else current
        self._index_key = index_key
        self._random = random

    @property
    def current(self) -> int:
        """The version of the key that new values are sealed with."""
        return self._current

    def with_keys(self, keys: Mapping[int, bytes]) -> Vault:
        """Another vault with these data keys and the same blind indexes."""
        return Vault(keys, self._index_key, self._random)

    def seal(self, text: str, *, owner: str) -> bytes:
        """Version (1 byte) + nonce (12) + ciphertext and tag. `owner` is collection|id|field."""
        return self.seal_bytes(text.encode(), owner=owner)

    def seal_bytes(self, data: bytes, *, owner: str) -> bytes:
        """The same for what is no text. Ten megabytes take some milliseconds: in a thread."""
        nonce = self._random(NONCE_BYTES)
        associated = f"{owner}|{self._current}".encode()
        return bytes([self._current]) + nonce + self._ciphers[self._current].encrypt(nonce, data, associated)

    def open(self, sealed: bytes, *, owner: str) -> str:
        """The text; SealedError if it is not this owner's or was altered, KeyMissingError if its key is not here."""
        return self.open_bytes(sealed, owner=owner).decode()

    def open_bytes(self, sealed: bytes, *, owner: str) -> bytes:
        """What `seal_bytes` got; the errors of `open`."""
        if len(sealed) < SHORTEST:
            raise SealedError(f"{owner} is no sealed value")
        version = sealed[0]
        cipher = self._ciphers.get(version)
        if cipher is None:
            raise KeyMissingError(f"no data key of version {version}")
        try:
            return cipher.decrypt(sealed[1:13], sealed[13:], f"{owner}|{version}".encode())
        except InvalidTag:
            raise SealedError(f"{owner} does not open") from None

    def index(self, text: str, *, field: str) -> bytes:
        """The blind index of a value: equal values of one field have equal indexes."""
        return hmac.new(self._index_key, f"{field}|{text}".encode(), hashlib.sha256).digest()[:16]
