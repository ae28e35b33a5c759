"""The first two pages, end to end: who logs in, and what is in force for their places while they look at it."""

from __future__ import annotations

import time

from playwright.async_api import expect

from tests.miniprogram.desk import Desk
from tests.miniprogram.telephone import Hand

WITHIN_S = 2.0


async def test_somebody_new_logs_in_by_touch_and_stays_in_on_the_next_start(telephones: Hand):
    anna = await telephones("anna", is_touch=True)
    await anna.open()
    await anna.see("全市生效预警")
    await anna.tap("登录")
    await anna.tap("微信一键登录")
    await anna.see("我关注的地点")
    await anna.open()
    await anna.see("我关注的地点")
    assert await anna.calls("login") == [], "the refresh token is enough"


async def test_who_opens_a_page_of_ones_own_logs_in_first_and_comes_back_to_it(telephones: Hand):
    anna = await telephones("anna")
    await anna.open("pages/bookings/bookings")
    await anna.tap("微信一键登录")
    await expect(anna.page.locator("#bar h1")).to_have_text("我的预约")
    await anna.see("没有接下来的预约")


async def test_an_alert_that_officers_release_is_on_the_open_page_within_two_seconds(telephones: Hand, desk: Desk):
    lives_there, lives_elsewhere = await telephones("resident1"), await telephones("anna", is_touch=True)
    for each in (lives_there, lives_elsewhere):
        await each.log_in()
        await each.see("您关注的地点目前没有生效的预警")
    async with desk.warned() as identifier:
        released = time.monotonic()
        await lives_there.see("橙色预警", timeout_ms=WITHIN_S * 1000)
        assert time.monotonic() - released < WITHIN_S
        await lives_elsewhere.see("您关注的地点目前没有生效的预警")
        await lives_there.tap(lives_there.shown().get_by_role("link"))
        await lives_there.see("阵风10级。")
        assert identifier in lives_there.page.url
    await lives_there.page.go_back()
    await lives_there.see("您关注的地点目前没有生效的预警")


async def test_without_a_network_home_shows_what_was_in_force_and_when_that_was(telephones: Hand, desk: Desk):
    phone = await telephones("resident2", is_touch=True)
    async with desk.warned("Yellow"):
        await phone.log_in()
        await phone.see("黄色预警")
        await phone.go_offline()
        await phone.tab("我的")
        await phone.tab("首页")
        await phone.see("离线内容，更新于")
        await phone.see("黄色预警")
    await phone.go_online()
    await phone.see_nothing_of("黄色预警")
    await phone.see_nothing_of("离线内容")


async def test_words_are_english_for_whoever_has_an_english_telephone(telephones: Hand):
    anna = await telephones("anna", locale="en-GB")
    await anna.open()
    await anna.see("Nothing is in force")
    await anna.tap("Log in")
    await anna.tap("Log in with WeChat")
    await anna.see("My places")
    await expect(anna.page.locator("#tabs")).to_contain_text("Services")
