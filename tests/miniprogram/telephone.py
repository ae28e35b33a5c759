"""A citizen's telephone: one page of a real Chromium that runs the mini-program, and the hand that holds it.

A test says what a person sees and does: `see`, `tap`, `fill`. Everything that waits has a bound. What the program
writes to the console as an error or a warning fails the test that made it.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.miniprogram.harness import MINI

PATIENCE_MS = 8_000
SCREEN = {"width": 390, "height": 780}
NETWORK = re.compile(r"Failed to load resource")  # Chromium's own word for a refusal: the page tells it in better words
MEASURE = """() => {
  const page = [...document.querySelectorAll('wx-page')].find((each) => !each.hidden)
  const depth = (node) => 1 + Math.max(0, ...[...node.children].map(depth))
  const all = [page, ...page.querySelectorAll('*')]
  return { nodes: all.length, depth: depth(page), children: Math.max(...all.map((each) => each.children.length)) }
}"""
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass(slots=True)
class Telephone:
    """Who holds it is named when it is made; `errors` are the program's."""

    base: str
    who: str
    page: Page
    context: BrowserContext
    is_touch: bool
    errors: list[str] = field(default_factory=list)

    async def open(self, path: str = "pages/home/home", **query: str) -> None:
        """Start the program at a page, as from a notice."""
        words = f"?{urlencode(query)}" if query else ""
        await self.page.goto("about:blank")  # another page after the # alone would not start it anew
        await self.page.goto(f"{self.base}/mini/?{urlencode({'as': self.who})}#/{path}{words}")

    def shown(self) -> Locator:
        """The page on top."""
        return self.page.locator("wx-page:not([hidden])")

    async def see(self, text: str | re.Pattern[str], timeout_ms: float = PATIENCE_MS) -> Locator:
        """Wait for words on the page on top; where they stand."""
        found = self.shown().get_by_text(text).filter(visible=True).first
        await expect(found).to_be_visible(timeout=timeout_ms)
        return found

    async def see_nothing_of(self, text: str | re.Pattern[str]) -> None:
        """Wait until words are gone."""
        await expect(self.shown().get_by_text(text).filter(visible=True)).to_have_count(0, timeout=PATIENCE_MS)

    async def tap(self, what: str | Locator, role: Any = "button") -> None:
        """Touch or click what has this name for a screen reader: on the page, in a dialog, in the tabs."""
        found = self.page.get_by_role(role, name=what).filter(visible=True).first if isinstance(what, str) else what
        await (found.tap(timeout=PATIENCE_MS) if self.is_touch else found.click(timeout=PATIENCE_MS))

    async def tab(self, name: str) -> None:
        """Another of the tabs at the bottom."""
        await self.tap(self.page.locator("#tabs").get_by_role("button", name=name))

    async def fill(self, label: str, value: str) -> None:
        """Write into the field with this label."""
        await self.shown().get_by_label(label).fill(value, timeout=PATIENCE_MS)

    async def log_in(self, button: str = "微信一键登录") -> None:
        """Through the page, as a person does."""
        await self.open("pages/log-in/log-in")
        await self.tap(button)
        await expect(self.page.locator("wx-page[is='pages/home/home']")).to_be_visible(timeout=PATIENCE_MS)

    async def answer(self, api: str, value: Mapping[str, Any]) -> None:
        """What an API of WeChat answers from now on, instead of asking: `{"errMsg": ...}` and more."""
        await self.page.evaluate("([api, value]) => { wx.__answers[api] = value }", [api, dict(value)])

    async def calls(self, api: str) -> list[dict[str, Any]]:
        """With what an API of WeChat was called."""
        asked = "(api) => wx.__calls.filter((call) => call.name === api).map(({ options }) => JSON.stringify(options))"
        return [json.loads(each) for each in await self.page.evaluate(asked, api)]

    async def go_offline(self) -> None:
        """Airplane mode; the program stays on the screen."""
        await self.context.set_offline(True)

    async def go_online(self) -> None:
        """And back."""
        await self.context.set_offline(False)

    async def size(self) -> Mapping[str, int]:
        """Of the page on top: nodes, how deep, and the most children of one."""
        found: Mapping[str, int] = await self.page.evaluate(MEASURE)
        return found

    async def axe(self) -> list[str]:
        """What axe finds wrong: rule, and where."""
        if not await self.page.evaluate("() => 'axe' in window"):
            await self.page.evaluate((MINI / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8"))
        run = "(tags) => axe.run(document, { runOnly: { type: 'tag', values: tags } })"
        found = await self.page.evaluate(run, AXE_TAGS)
        return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]

    def hear(self, message: ConsoleMessage) -> None:
        """Note what the program complains of."""
        if message.type in ("error", "warning") and not NETWORK.search(message.text):
            self.errors.append(f"{message.type}: {message.text}")


@asynccontextmanager
async def telephone(browser: Browser, base: str, who: str, *, is_touch: bool, locale: str) -> AsyncIterator[Telephone]:
    """A telephone of somebody, in a context of its own. AssertionError if the program wrote errors."""
    context = await browser.new_context(viewport=SCREEN, has_touch=is_touch, locale=locale, is_mobile=is_touch)
    held = Telephone(base, who, await context.new_page(), context, is_touch)
    held.page.on("console", lambda message: held.hear(message))  # noqa: PLW0108 - a slot cannot be hung on to
    held.page.on("pageerror", lambda error: held.errors.append(f"uncaught: {error}"))
    yield held
    await context.close()
    assert held.errors == [], held.errors


Hand = Callable[..., Awaitable[Telephone]]  # (who, is_touch=False, locale="zh-CN") -> a telephone
