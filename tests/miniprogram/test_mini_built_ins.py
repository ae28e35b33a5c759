"""WeChat's own components in the browser: a page with all of them, built like any other, under mouse and touch."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from handlers.bounds import listen
from handlers.gate import Gate
from handlers.mini import mini_routes
from server.app import make_app
from server.domain.china import CHINA
from tests.miniprogram.harness import MINI, node
from tests.miniprogram.telephone import Telephone, telephone

WXML = """
<wxs module="w">module.exports = { up: function (s) { return s.toUpperCase() + getRegExp('a').test(s) } }</wxs>
<view id="wide" class="box" style="width: {{250}}rpx">{{w.up('ab')}}</view>
<view wx:if="{{said}}" class="said">{{said}}</view>
<form bindsubmit="submit" bindreset="reset">
  <input name="name" aria-label="名字" model:value="{{name}}" bindconfirm="confirm" />
  <textarea name="note" aria-label="备注" />
  <switch name="loud" aria-label="响铃" />
  <checkbox-group name="days" bindchange="heard">
    <label wx:for="{{days}}" wx:key="*this"><checkbox value="{{item}}" />{{item}}</label>
  </checkbox-group>
  <radio-group name="colour">
    <label wx:for="{{colours}}" wx:key="*this"><radio value="{{item}}" />{{item}}</label>
  </radio-group>
  <picker name="unit" range="{{units}}" range-key="zh" value="{{unit}}" bindchange="pick" aria-label="单位">
    <view>{{units[unit].zh}}</view>
  </picker>
  <picker name="day" mode="date" value="2026-11-24" bindchange="heard" aria-label="日期"><view>日</view></picker>
  <button form-type="submit">交</button>
  <button form-type="reset">清</button>
</form>
<view bindtap="outer"><button disabled bindtap="inner">灰</button><button catchtap="inner">停</button></view>
<button open-type="getPhoneNumber" bindgetphonenumber="heard">手机</button>
<button bindtap="grants">通知</button>
<button bindtap="modal">问</button>
<map style="width: 300px" markers="{{[{ id: 1, latitude: 22.5, longitude: 113.9 }]}}" aria-label="地图" />
<view>{{name}}</view>
"""

JS = """
Page({
  data: { said: '', name: '初', days: ['一', '二'], colours: ['红', '蓝'], units: [{ zh: '甲' }, { zh: '乙' }],
    unit: 0 },
  say(what) { this.setData({ said: JSON.stringify(what) }) },
  submit(event) { this.say(event.detail.value) },
  reset() { this.say('reset') },
  heard(event) { this.say(event.detail) },
  confirm(event) { this.say(event.detail.value) },
  pick(event) { this.setData({ unit: event.detail.value }) },
  inner() { this.say('inner') },
  outer() { this.say('outer') },
  async grants() { this.say(await wx.requestSubscribeMessage({ tmplIds: ['A', 'B'] })) },
  modal() { wx.showModal({ title: '真的？', success: ({ confirm }) => this.say({ confirm }) }) },
})
"""


@pytest.fixture(scope="module")
async def base(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The program with one more page, and the server that shows it under the product's own policy."""
    folder = tmp_path_factory.mktemp("built-ins") / "mini"
    shutil.copytree(MINI, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (folder / "node_modules").symlink_to(MINI / "node_modules")
    source = folder / "miniprogram"
    app = json.loads((source / "app.json").read_text("utf-8"))
    (source / "app.json").write_text(json.dumps(app | {"pages": [*app["pages"], "pages/try/try"]}), "utf-8")
    (source / "pages/try").mkdir()
    files = {"try.wxml": WXML, "try.js": JS, "try.json": "{}", "try.wxss": ".box { height: 10rpx }"}
    for name, text in files.items():
        (source / "pages/try" / name).write_text(text, "utf-8")
    ran = node("harness/build.mjs", "dist", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    nobody: Any = None
    gate = Gate(nobody, None, lambda: datetime.now(CHINA))
    server, port = listen(make_app(mini_routes(folder / "dist"), gate), 0, "127.0.0.1")
    yield f"http://127.0.0.1:{port}"
    server.stop()
    await server.close_all_connections()


@pytest.fixture(params=[False, True], ids=["mouse", "touch"])
async def phone(request: pytest.FixtureRequest, base: str, browser: Browser) -> AsyncIterator[Telephone]:
    """A telephone that shows the page."""
    async with telephone(browser, base, "anna", is_touch=request.param, locale="zh-CN") as held:
        await held.open("pages/try/try")
        yield held


async def said(phone: Telephone) -> Any:
    """What the page heard last."""
    return json.loads(await phone.shown().locator(".said").inner_text())


async def test_a_form_hands_in_what_was_filled_in(phone: Telephone):
    await phone.fill("名字", "张三")
    await phone.see(re.compile("^张三$"))  # model:value goes both ways
    await phone.fill("备注", "急")
    await phone.tap("响铃", role="switch")
    for word in ("二", "蓝"):
        await phone.tap(phone.shown().locator("wx-label", has_text=word))
    await phone.shown().get_by_label("单位").select_option("乙")
    await phone.shown().get_by_label("日期").fill("2026-12-01")
    await phone.tap("交")
    filled = {
        "name": "张三",
        "note": "急",
        "loud": True,
        "days": ["二"],
        "colour": "蓝",
        "unit": 1,
        "day": "2026-12-01",
    }
    await phone.see(re.compile("张三.*急"))
    assert await said(phone) == filled | {"unit": 1, "day": "2026-12-01"}
    await phone.tap("清")
    await phone.see("reset")


async def test_a_disabled_button_is_silent_and_a_caught_tap_goes_no_further(phone: Telephone):
    grey = phone.shown().get_by_role("button", name="灰")
    await expect(grey).to_have_attribute("aria-disabled", "true")
    await (grey.tap(force=True) if phone.is_touch else grey.click(force=True))
    await phone.see_nothing_of("inner")
    await phone.tap("停")
    await phone.see("inner")
    assert await said(phone) == "inner"


async def test_keys_press_and_confirm(phone: Telephone):
    await phone.shown().get_by_role("button", name="停").press("Enter")
    await phone.see("inner")
    await phone.shown().get_by_label("名字").press("Enter")
    await phone.see('"初"')


async def test_wechat_asks_the_person_and_the_page_hears_the_answer(phone: Telephone):
    await phone.tap("通知")
    await phone.page.get_by_label("B").uncheck()
    await phone.tap("允许")
    await phone.see("accept")
    told = await said(phone)
    assert (told["A"], told["B"], told["errMsg"]) == ("accept", "reject", "requestSubscribeMessage:ok")
    await phone.tap("问")
    await phone.tap("取消")
    await phone.see(re.compile("false"))
    assert await said(phone) == {"confirm": False}
    await phone.tap("手机")
    await phone.page.get_by_role("textbox", name="手机号").fill("13900000001")
    await phone.tap("允许")
    await phone.see("getPhoneNumber:ok")
    assert (await said(phone))["code"].startswith("13900000001.")


async def test_sizes_follow_the_screen_and_scripts_in_templates_run(phone: Telephone):
    box = await phone.shown().locator("#wide").bounding_box()
    assert box is not None
    assert (box["width"], round(box["height"], 1)) == (130, 5.2)  # 250 and 10 of 750 on a screen of 390
    await phone.see("ABtrue")
    await expect(phone.shown().get_by_role("img", name="地图")).to_be_visible()
