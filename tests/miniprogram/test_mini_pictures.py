"""`make screenshots`: pictures of the program for those who have not opened it, in docs/mini/, made of a living city.

Not one of the tests of every day: it writes files. What it shows is what the server answered, never a drawing.
"""

from __future__ import annotations

import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser

from tests.api.test_main_job import City, eventually
from tests.miniprogram.desk import Desk
from tests.miniprogram.telephone import Telephone, telephone
from tests.miniprogram.test_mini_me import api_of, book

OUT = Path(__file__).parents[2] / "docs" / "mini"
MAX_BYTES = 120 * 1024
SCALE = 1.5
SHOWN = {
    "home": "pages/home/home",
    "services": "pages/services/services",
    "inbox": "pages/inbox/inbox",
    "me": "pages/me/me",
    "consents": "pages/consents/consents",
}
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
LOG_IN = {"zh": "微信一键登录", "en": "Log in with WeChat"}

pytestmark = pytest.mark.pictures


def has_chinese_letters() -> bool:
    """Whether a font of this machine has them: without one Chromium draws boxes."""
    found = shutil.which("fc-list")
    return bool(found and subprocess.run([found, ":lang=zh-cn"], capture_output=True, check=False).stdout)  # noqa: S603


async def take(phone: Telephone, name: str) -> None:
    """The window as it is, once the page has what it asked for."""
    await phone.shown().locator("hm-page").wait_for()
    await phone.page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    out, shot = BytesIO(), Image.open(BytesIO(await phone.page.screenshot()))
    size = (round(shot.width * SCALE / 2), round(shot.height * SCALE / 2))
    shot.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(out, "WEBP", quality=82, method=6)
    assert len(out.getvalue()) <= MAX_BYTES, f"{name}: {len(out.getvalue())} bytes"
    (OUT / f"{name}.webp").write_bytes(out.getvalue())


async def live(town: City, phone: Telephone, identifier: str) -> str:
    """So that there is something to see: a seat, an offer, an answer to the alert. The id of the offer."""
    await book(town, phone)
    await api_of(town, phone, "POST", f"/v1/alerts/{identifier}/acknowledgement", {"state": "safe"})
    await api_of(town, phone, "PUT", "/v1/me/consents/location", {"version": 1})
    offers = await eventually(
        lambda: api_of(town, phone, "GET", "/v1/me/offers"), lambda answer: bool(answer.json["offers"])
    )
    await eventually(
        lambda: api_of(town, phone, "GET", "/v1/me/inbox"), lambda answer: answer.json["unread"]["items"] > 0
    )
    return str(offers.json["offers"][0]["id"])


async def test_pictures_are_taken_in_both_languages_and_in_elder_mode(town: City, browser: Browser, desk: Desk):
    assert has_chinese_letters(), "a font with Chinese letters is missing: apt-get install fonts-noto-cjk"
    OUT.mkdir(parents=True, exist_ok=True)
    offer, base = "", town.facts["api"]
    async with desk.warned("Orange") as identifier:
        for language, locale in LOCALES.items():
            async with telephone(browser, base, "resident4", is_touch=True, locale=locale, scale=2) as phone:
                await phone.log_in(LOG_IN[language])
                offer = offer or await live(town, phone, identifier)
                await phone.page.evaluate("(which) => wx.setStorageSync('language', which)", language)
                for name, path in SHOWN.items():
                    await phone.open(path)
                    await take(phone, f"{name}-{language}")
                await phone.open("pages/alert/alert", id=identifier)
                await take(phone, f"alert-{language}")
                await phone.open("pages/offer/offer", id=offer)
                await take(phone, f"offer-{language}")
                if language == "zh":
                    await phone.page.evaluate("() => wx.setStorageSync('elder', true)")
                    await phone.open()
                    await take(phone, "home-elder")
                    await phone.page.evaluate("() => wx.setStorageSync('elder', false)")
