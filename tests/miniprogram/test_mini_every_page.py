"""Every page of app.json opens, is free of what axe finds, and is small enough for WeChat."""

from __future__ import annotations

import json

import pytest

from tests.api.test_contract import operations
from tests.api.test_main_job import City, eventually
from tests.miniprogram.clinics import Clinics
from tests.miniprogram.desk import Desk
from tests.miniprogram.harness import MINI, asked
from tests.miniprogram.telephone import Hand

PAGES: tuple[str, ...] = tuple(json.loads((MINI / "miniprogram" / "app.json").read_text("utf-8"))["pages"])
NEEDED = {
    "pages/item/item": {"id": "elderly-allowance"},
    "pages/apply/apply": {"item": "housing-list"},
    "pages/place/place": {"label": "parents"},
}
# What WeChat's own audit asks of a page: more makes a cheap telephone slow.
MAX_NODES, MAX_DEPTH, MAX_CHILDREN = 1_000, 30, 60


@pytest.mark.parametrize("is_elder", [False, True], ids=["usual", "elder"])
async def test_axe_finds_nothing_on_any_page_and_none_is_too_large(
    telephones: Hand, desk: Desk, clinics: Clinics, town: City, *, is_elder: bool
):
    phone = await telephones("resident4")  # of whom departments know something
    await phone.log_in()
    session = await phone.page.evaluate("() => wx.getStorageSync('session')")
    mine = await eventually(
        lambda: town.api("GET", "/v1/me/offers", token=session["access"]), lambda answer: answer.json["offers"]
    )
    await phone.page.evaluate("(isOn) => wx.setStorageSync('elder', isOn)", is_elder)
    found, large = [], []
    async with desk.warned("Blue") as identifier:
        queries = NEEDED | await clinics.queries(phone, is_held=is_elder)
        queries |= {"pages/alert/alert": {"id": identifier}, "pages/offer/offer": {"id": mine.json["offers"][0]["id"]}}
        for path in PAGES:
            await phone.open(path, **queries.get(path, {}))
            await phone.shown().locator("hm-page").wait_for()
            await phone.page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
            found += [f"{path}: {each}" for each in await phone.axe()]
            size = await phone.size()
            if size["nodes"] > MAX_NODES or size["depth"] > MAX_DEPTH or size["children"] > MAX_CHILDREN:
                large.append((path, size))
    assert found == []
    assert large == []


async def test_every_operation_that_the_program_names_is_in_the_contract(town: City):
    contract = {name for name, _ in operations((await town.api("GET", "/openapi.json")).json)}
    named = asked()
    assert len(named) > 50
    assert sorted(name for name in named.values() if name not in contract) == []
