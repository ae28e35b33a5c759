"""The generated pages are up to date, and say of every operation and every error what the source says."""

from __future__ import annotations

import re
from pathlib import Path

from handlers.routing import Route
from server.commands.docs import FOLDER, ROOT, pages_of
from server.error_codes import error_codes


async def test_the_generated_pages_are_up_to_date(routes: list[Route]):
    stale = [name for name, text in pages_of(routes).items() if (ROOT / FOLDER / name).read_text("utf-8") != text]
    assert stale == [], "make docs"


async def test_every_operation_has_its_line(routes: list[Route], admin: list[Route]):
    page = pages_of(routes)["api.md"]
    listed = re.findall(r"^\| `([A-Z]+ /\S*)`", page, re.MULTILINE)
    assert sorted(listed) == sorted(f"{method} {r.path}" for r in [*routes, *admin] for method in r.operations)


def _codes_of(folder: Path, source: str) -> dict[str, tuple[set[int], list[tuple[str, str]]]]:
    (folder / "server").mkdir()
    (folder / "server" / "made.py").write_text(source, "utf-8")
    return {code: (about.statuses, list(about.texts)) for code, about in error_codes(folder).items()}


def test_a_code_is_found_wherever_an_error_is_made_with_it(tmp_path: Path):
    found = _codes_of(
        tmp_path,
        """
from server.domain import errors
from server.domain.errors import ConfigurationError, ConflictError, InvalidInputError

class OddError(InvalidInputError):
    pass

def one(n):
    text = f"超过{n}个"
    raise errors.NotFoundError("plain", zh=text, en=f"more than {n}" if n else "none")

def _given(code, zh, en):
    return ConflictError(code, zh=zh, en=en)

def _told(zh, en):
    return OddError("odd", zh=zh, en=en)

def two():
    raise _given("by_maker", "忙", "busy")
    raise _told("一", "one")
    raise _told(zh="二", en="two")
    raise ConfigurationError("at_start", zh="错" + "误", en="wrong")
    raise ValueError("no_code")
    {}.get("no_code_either")
""",
    )
    assert found["plain"] == ({404}, [("超过…个", "more than … / none")])
    assert found["by_maker"] == ({409}, [("忙", "busy")])
    assert found["odd"] == ({422}, [("一", "one"), ("二", "two")])
    assert found["at_start"] == ({0}, [("错误", "wrong")])
    assert not {"no_code", "no_code_either", "code"} & set(found)
    assert {"unexpected", "database_away", "origin_foreign"} <= set(found)


def test_every_code_of_the_product_has_a_text_or_a_next_step_in_both_languages():
    lines = (ROOT / FOLDER / "errors.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if len(row) != 4 or row[2] in ("", "…") or row[3] in (" |", "… |")] == []
