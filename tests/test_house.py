"""The house itself: floors, homes of libraries, sizes, forbidden words, pins, and pages that keep up."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("server", "channels", "handlers", "push")
MAX_LINES = 450
MAX_FUNCTION_LINES = 60
TARGETS = ("help", "setup", "demo", "run", "mini", "test", "check", "docs", "bench", "chaos", "lock", "clean")

ASSEMBLY = ("server.assemble", "channels.sandbox")

# Each outside library has one home: the packages or modules that may import it. The same holds for each channel, so
# that services and the engine know only the contract (channels.base), and channels do not know each other.
HOMES = {
    "pymongo": ("server.storage", "server.embedded", "handlers.base"),  # the edge tells a broken database from a bug
    "gridfs": ("server.storage",),
    "PIL": ("server.services.pictures",),
    "bson": ("server.storage", "server.embedded"),
    "redis": ("server.storage", "server.embedded", "server.assemble", "server.app"),
    "pycurl": ("channels.transport",),
    "wechatpy": ("channels.wechat", "channels.sandbox"),
    "firebase_admin": ("channels.fcm",),
    "jwt": ("server.services.access_tokens", "server.services.papers", "channels.sandbox.fcm"),
    "argon2": ("server.services.passwords",),
    "icalendar": ("server.domain.calendar",),
    "pyotp": ("server.domain.totp",),
    "jsonschema_rs": ("server.domain.catalogue_forms",),
    "pypinyin": ("server.domain.catalogue_spelling",),
    "zxcvbn": ("server.domain.passwords",),
    "prometheus_client": ("server.telemetry", "server.app", "push", "handlers"),
    "typer": ("server.__main__", "server.commands"),
    "rich": ("server.__main__", "server.commands"),
    "channels.wechat": ("channels.wechat", *ASSEMBLY),
    "channels.fcm": ("channels.fcm", *ASSEMBLY),
    "channels.sms_aliyun": ("channels.sms_aliyun", *ASSEMBLY),
    "channels.sms_tencent": ("channels.sms_tencent", *ASSEMBLY),
    "tornado": ("server.app", "server.assemble", "server.commands", "handlers"),
}

# (what no file of the product may hold, why)
FORBIDDEN_CODE = {
    r"\bmock\.patch\b|\bunittest\.mock\b": "an argument is missing",
    r"\bTYPE_CHECKING\b": "imports are real",
    r"\btime\.sleep\(": "it stops the loop",
    r"\bTODO\b|\bFIXME\b|\bXXX\b": "do it or drop it",
    r"pytest\.mark\.(skip|xfail)|pytest\.skip\(": "a test that does not run proves nothing",
    r"\bdatetime\.utcnow\(|\bdatetime\.now\(\)": "time is aware and an argument",
}
# Where `except Exception` may stand: the three edges (a worker's are the engine and its duties), and the rules, of
# which one's bug must not stop a warning.
EDGES = {
    "server/__main__.py",
    "handlers/base.py",
    "push/worker.py",
    "push/duties.py",
    "server/domain/alerts/rules.py",
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


def _files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _module(path: Path) -> str:
    return _name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _imports(path: Path) -> list[str]:
    found: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def _pins() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    return {re.split(r"[=<>~!;\s]", line)[0]: line for line in listed}


def _error_codes() -> set[str]:
    """The first argument of every call of an error of our tree, in all of the product."""
    tree = ast.parse((ROOT / "server/domain/errors.py").read_text())
    errors = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    codes = set()
    for path in _files(*PRODUCT):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name | ast.Attribute):
                called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if called in errors and isinstance(node.args[0], ast.Constant):
                    codes.add(str(node.args[0].value))
    return codes


def test_the_floors_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    ran = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stdout[-3000:]


@pytest.mark.parametrize("library", HOMES)
def test_a_library_or_channel_is_imported_only_where_it_belongs(library: str) -> None:
    homes = HOMES[library]
    strangers = {
        _module(path)
        for path in _files(*PRODUCT)
        if any(name == library or name.startswith(f"{library}.") for name in _imports(path))
        and not any(_module(path) == home or _module(path).startswith((f"{home}.", f"{home}_")) for home in homes)
    }
    assert strangers == set()


def test_no_file_is_too_long() -> None:
    long = {
        _name(path): n
        for path in _files(*PRODUCT, "tests", "bench")
        if (n := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


def test_no_function_is_too_long() -> None:
    long = {
        f"{_name(path)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in _files(*PRODUCT)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize("pattern", FORBIDDEN_CODE)
def test_no_file_holds_a_forbidden_word(pattern: str) -> None:
    sinners = [
        f"{_name(path)}:{number}"
        for path in _files(*PRODUCT, "tests", "bench")
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert sinners == [], FORBIDDEN_CODE[pattern]


def test_everything_is_caught_only_at_the_edges() -> None:
    catchers = {
        _name(path)
        for path in _files(*PRODUCT)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    }
    assert catchers <= EDGES


def test_imports_stand_at_the_top_of_the_file() -> None:
    inner = {
        f"{_name(path)}:{inside.lineno}"
        for path in _files(*PRODUCT)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inside in ast.walk(node)
        if isinstance(inside, ast.Import | ast.ImportFrom)
    }
    assert inner == set()


def test_no_name_says_nothing() -> None:
    assert [_name(path) for path in _files(*PRODUCT) if VAGUE & set(path.with_suffix("").parts[-2:])] == []


def test_every_module_says_why_it_exists() -> None:
    assert [
        _name(p) for p in _files(*PRODUCT, "tests", "bench") if not ast.get_docstring(ast.parse(p.read_text()))
    ] == []


def test_every_package_is_pinned_and_the_locks_follow() -> None:
    assert [line for line in _pins().values() if not re.match(r"[\w.-]+==[\w.]+(; .*)?$", line)] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for lock, listed in {
        "requirements.lock": project["dependencies"],
        "requirements-embedded.lock": project["dependencies"] + extras["embedded"],
        "requirements-dev.lock": project["dependencies"] + extras["embedded"] + extras["dev"],
    }.items():
        text = (ROOT / lock).read_text().lower()
        stale = [p for line in listed if f"\n{(p := line.split(';')[0].strip().lower())} " not in f"\n{text}"]
        assert stale == [], f"{lock} is older than pyproject.toml: make lock"
        assert text.count("==") <= text.count("--hash=sha256:")


def test_the_readme_leads_to_a_list_of_every_stable_error_code() -> None:
    assert "(docs/errors.md)" in (ROOT / "README.md").read_text()
    listed = (ROOT / "docs/errors.md").read_text()
    assert sorted(code for code in _error_codes() if f"`{code}`" not in listed) == [], "make docs"


def test_make_help_lists_every_target() -> None:
    told = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607
    assert [target for target in TARGETS if f"make {target} " not in told] == []


def test_nothing_names_a_machine() -> None:
    folders = (*PRODUCT, "tests", "bench", "data", "docs", ".ci", "miniprogram_stub", "console")
    made = {"node_modules", "dist"}  # not ours, and not committed
    inside = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"]
    inside = [path for path in inside if made.isdisjoint(path.parts)]
    files = [
        path for path in (*ROOT.iterdir(), *inside) if path.is_file() and path.name != ".git" and path != Path(__file__)
    ]
    assert len(files) > 50
    assert [_name(p) for p in files if re.search(rb"(?<![\w.])/(work|home|root|Users)/", p.read_bytes())] == []
