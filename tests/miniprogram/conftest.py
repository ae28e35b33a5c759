"""The mini-program in a real Chromium against a city of real processes: API, worker, sandbox, mongod, Valkey.

The city and the browser are started once for this folder. Its database and its Valkey database are not those of other
tests. Citizens of a test are people of its own: `telephones("anna")` is somebody new, `resident1` lives in 南山区.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.api.test_main_job import City, city
from tests.miniprogram.clinics import Clinics
from tests.miniprogram.desk import Desk
from tests.miniprogram.harness import MINI, node
from tests.miniprogram.telephone import Hand, Telephone, telephone

PEOPLE = 300
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the program, built from the source as it is now."""
    ran = node("harness/build.mjs")
    assert ran.returncode == 0, f"{ran.stderr}\nWithout its packages: make setup"
    return MINI / "dist"


@pytest.fixture(scope="package")
async def town(
    built: Path, mongo_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[City]:
    """The city: `make run`, with few people."""
    assert (built / "index.html").exists()
    own = redis_url.removesuffix("/0") + "/1"
    async with city(tmp_path_factory.mktemp("mini"), mongo_url, own, PEOPLE, "huimin_mini") as found:
        yield found


@pytest.fixture(scope="package")
async def desk(town: City) -> Desk:
    """The emergency office."""
    return Desk(town)


@pytest.fixture(scope="package")
async def clinics(town: City) -> Clinics:
    """What can be booked at the hospital of 南山区."""
    return Clinics(town)


def _browser() -> tuple[str, dict[str, Any]]:
    """The pinned Chromium and what it needs around it; elsewhere than on Linux x86-64 the one on PATH."""
    folder = node("harness/chromium.mjs").stdout.strip()
    if folder:
        libraries = f"{folder}/lib:{os.environ.get('LD_LIBRARY_PATH', '')}"
        return f"{folder}/chromium", {**os.environ, "LD_LIBRARY_PATH": libraries}
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "a Chromium is needed on PATH: apt-get install chromium (macOS: brew install chromium)"
    return found, dict(os.environ)


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium; each telephone has a context of its own in it."""
    path, environ = _browser()
    async with async_playwright() as driver:
        # No sandbox of its own: tests run as root in containers, and the only page is ours.
        found = await driver.chromium.launch(executable_path=path, env=environ, args=["--no-sandbox", "--disable-gpu"])
        yield found
        await found.close()


@pytest.fixture
async def telephones(town: City, browser: Browser) -> AsyncIterator[Hand]:
    """Hands out telephones; a name that is no resident's is somebody new in each test."""
    nonce = secrets.token_hex(4)
    async with AsyncExitStack() as stack:

        async def hand(who: str, *, is_touch: bool = False, locale: str = "zh-CN") -> Telephone:
            name = who if who.startswith("resident") else f"{who}-{nonce}"
            held = telephone(browser, town.facts["api"], name, is_touch=is_touch, locale=locale)
            return await stack.enter_async_context(held)

        yield hand
