"""The mini-program's source: WeChat's compilers, the types of its API and the linter take it; notices lead into it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.miniprogram.harness import MINI, asked, node

ROOT = MINI.parent
SOURCE = MINI / "miniprogram"
PACKAGE_BYTES = 2 * 1024 * 1024  # of a main package, as WeChat uploads it
PICTURE_BYTES = 200 * 1024  # what DevTools' audit asks of pictures in the package
ICON_BYTES = 40 * 1024
TABS = range(2, 6)

TOOLS: Mapping[str, tuple[str, ...]] = {
    "build": ("harness/build.mjs", "made"),
    "compilers": ("harness/compilers.mjs",),
    "types": ("node_modules/typescript/bin/tsc", "-p", "tsconfig.json"),
    "lint": ("node_modules/eslint/bin/eslint.js", "miniprogram"),
}
HOME = "miniprogram/pages/home/home"
# What a writer gets wrong -> the file, what stands there then, and the tool that says so.
FAULTS = {
    "an end tag is missing": ("build", f"{HOME}.wxml", "</hm-page>", ""),
    "a style names a class of nobody's grammar": ("compilers", f"{HOME}.wxss", ".calm {", ".calm { {"),
    "a template WeChat cannot read": ("compilers", f"{HOME}.wxml", "</hm-page>", "</view>"),
    "a component styles tags": ("build", "miniprogram/components/hm-card/hm-card.wxss", ".card {", "view {"),
    "an API that WeChat lacks": ("types", f"{HOME}.js", "wx.navigateTo", "wx.navigateTwo"),
    "a component that nobody made": ("build", "miniprogram/app.json", "hm-card/hm-card", "hm-cart/hm-cart"),
    "a list without a key": ("lint", f"{HOME}.wxml", 'wx:key="id"', ""),
    "an attribute twice": ("lint", f"{HOME}.wxml", 'class="alert"', 'class="alert" class="alert"'),
}


def ran(tool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return node(*TOOLS[tool], cwd=folder)


def copied(into: Path) -> Path:
    """The source and the tools, to spoil."""
    shutil.copytree(MINI, into, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (into / "node_modules").symlink_to(MINI / "node_modules")
    return into


@pytest.mark.parametrize("tool", TOOLS)
def test_the_source_is_without_a_fault(tool: str, tmp_path: Path):
    folder = copied(tmp_path / "mini")
    answer = ran(tool, folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, tmp_path: Path):
    tool, name, right, wrong = FAULTS[fault]
    folder = copied(tmp_path / "mini")
    path = folder / name
    text = path.read_text("utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), "utf-8")
    assert ran(tool, folder).returncode != 0


def test_every_call_of_the_program_has_a_name_that_is_known():
    named = {
        (path.name, name)
        for path in SOURCE.rglob("*.js")
        for name in re.findall(r"""\b(?:ask|post)\(\s*'([\w.]+)'""", path.read_text("utf-8"))
    }
    assert named
    assert sorted(each for each in named if each[1] not in asked()) == []


def test_only_one_place_makes_requests():
    makes = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.js") if "wx.request(" in path.read_text("utf-8")]
    assert makes == [Path("core/api.js")]


def words(folder: Path) -> Mapping[str, Any]:
    answer = node("-p", f"JSON.stringify(require({json.dumps(str(folder / 'texts.js'))}))")
    found: Mapping[str, Any] = json.loads(answer.stdout)
    return found


def keys(texts: Any, above: str = "") -> set[str]:
    if not isinstance(texts, Mapping):
        return {above}
    return {key for name, value in texts.items() for key in keys(value, f"{above}.{name}")}


@pytest.mark.parametrize("folder", sorted(path.parent for path in SOURCE.rglob("texts.js")), ids=lambda path: path.name)
def test_a_page_says_the_same_in_both_languages_and_has_every_word_that_it_uses(folder: Path):
    texts = words(folder)
    assert keys(texts["zh"]) == keys(texts["en"])
    used = {
        name
        for path in folder.glob("*.wxml")
        for name in re.findall(r"(?<![\w.])t\.(\w+)", path.read_text("utf-8"))
        if name != "common"
    }
    assert sorted(used - set(texts["zh"])) == []


def test_no_page_holds_words_of_its_own_outside_its_texts():
    written = [
        (str(path.relative_to(SOURCE)), line.strip())
        for path in SOURCE.glob("pages/*/*.wxml")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"[一-鿿]", re.sub(r"aria-hidden[^>]*>[^<]*|'中文'", "", line))
    ]
    assert written == []


def test_the_package_is_small_enough_for_wechat():
    files = [path for path in SOURCE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < PACKAGE_BYTES
    pictures = [path for path in files if path.suffix in {".png", ".jpg", ".gif", ".svg"}]
    assert [path for path in pictures if path.stat().st_size > PICTURE_BYTES] == []
    tabs = json.loads((SOURCE / "app.json").read_text("utf-8"))["tabBar"]["list"]
    assert len(tabs) in TABS
    icons = [SOURCE / tab[name] for tab in tabs for name in ("iconPath", "selectedIconPath") if name in tab]
    assert [path for path in icons if path.stat().st_size > ICON_BYTES] == []


def test_devtools_finds_the_source():
    project = json.loads((MINI / "project.config.json").read_text("utf-8"))
    assert (MINI / project["miniprogramRoot"] / "app.json").exists()
    assert project["compileType"] == "miniprogram"


def test_every_page_that_a_notice_leads_to_exists():
    pages = set(json.loads((SOURCE / "app.json").read_text("utf-8"))["pages"])
    product = [path for folder in ("server", "push", "handlers") for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in product for name in re.findall(r'"(pages/[\w/-]+)', path.read_text("utf-8"))}
    assert len(named) > 3
    assert sorted(named - pages) == []
