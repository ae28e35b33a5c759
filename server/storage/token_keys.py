"""The keys that access tokens are signed with: Ed25519 private keys in a folder, `<key id>.pem`.

Rotation is putting a file there and, a quarter of an hour later, taking the oldest away. The two whose names sort last
are live: the last signs, both are believed. The folder is looked at once a second; a file that cannot be read leaves
the keys of before in use, so a slip of the operator logs nobody out.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from server.domain.errors import ConfigurationError

LIVE = 2
LOOK_EVERY_S = 1.0
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = structlog.get_logger()


class KeyFolder:
    """The keys of one folder. `clock` is monotonic. ConfigurationError `token_keys_missing` if there is none."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._looked_at = clock()
        self._seen = self._look()
        try:
            self._keys = self._read()
        except (OSError, ValueError, TypeError) as error:
            raise _missing(folder, str(error)) from None
        if not self._keys:
            raise _missing(folder, "no <name>.pem")

    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The id of the key that signs, and the key."""
        now = self._clock()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._refresh()
        return list(self._keys.items())[-1]

    def find(self, name: str) -> Ed25519PrivateKey | None:
        """The live key of this id. An unknown one may be new: another process has seen it first, so look again."""
        self.signing()
        if name not in self._keys:
            self._refresh()
        return self._keys.get(name)

    def _refresh(self) -> None:
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            keys = self._read()
        except (OSError, ValueError, TypeError) as error:
            log.warning("token_keys_unreadable", folder=self._folder.name, why=type(error).__name__)
            return
        if keys:
            self._keys = keys
            log.info("token_keys_changed", live=list(keys))

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        """What tells whether the folder has changed."""
        try:
            files = [(path.name, path.stat()) for path in sorted(self._folder.glob("*.pem"))]
        except OSError:
            return ()
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in files)

    def _read(self) -> Mapping[str, Ed25519PrivateKey]:
        keys: dict[str, Ed25519PrivateKey] = {}
        for path in sorted(p for p in self._folder.glob("*.pem") if NAME.fullmatch(p.stem))[-LIVE:]:
            key = load_pem_private_key(path.read_bytes(), password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise TypeError(f"{path.name} is no Ed25519 key")
            keys[path.stem] = key
        return keys


def make_key(folder: Path, name: str) -> None:
    """Write a new key, unless there is one of this name; of any number of processes at once one writes it."""
    path = folder / f"{name}.pem"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f".{name}.{os.getpid()}"
    draft.touch(mode=0o600)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft.write_bytes(pem)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _missing(folder: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        "token_keys_missing",
        zh=f"HUIMIN_TOKEN_KEYS 所指目录 {folder} 中没有可用的 Ed25519 私钥（<名称>.pem）：{why}",
        en=f"no Ed25519 private key (<name>.pem, openssl genpkey -algorithm ed25519) can be read in {folder}: {why}",
    )
