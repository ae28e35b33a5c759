"""Alerts, what one is told of, public notices and the weather: whole stories between offices and telephones."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from playwright.async_api import expect
from tornado.httpclient import AsyncHTTPClient

from channels.sandbox.wechat import openid_of
from server.domain.datum import gcj02_to_wgs84
from tests.api.test_main_job import City, eventually
from tests.miniprogram.desk import Desk
from tests.miniprogram.harness import node
from tests.miniprogram.telephone import Hand, Telephone

WITHIN_S = 2.0
NOTICES = "/v1/staff/bulletins"
GATE = {"latitude": 22.5405, "longitude": 113.9345, "name": "南头古城", "address": "南头街"}  # as WeChat's map gives it
ALL = ("WX_ALERT", "WX_UPDATE", "WX_CANCEL", "WX_NOTICE", "WX_BOOKING")


async def set_grant(town: City, who: str, template: str, *, is_accepted: bool) -> None:
    """Somebody's leave as WeChat knows it, and WeChat's event about it."""
    body = {"template_id": template, "openids": [openid_of(who)], "is_accepted": is_accepted, "notify": True}
    url = f"{town.facts['sandbox']}/_sandbox/grants"
    await AsyncHTTPClient().fetch(url, method="PUT", body=json.dumps(body))


async def allow_all(phone: Telephone) -> None:
    """Allow whatever WeChat asks."""
    await phone.answer("requestSubscribeMessage", dict.fromkeys(ALL, "accept"))


async def test_an_alert_is_on_the_open_page_within_two_seconds_and_says_where_it_is_and_what_to_do(
    telephones: Hand, desk: Desk
):
    phone = await telephones("resident1", is_touch=True)
    await phone.log_in()
    await phone.tab("预警")
    await phone.see("您关注的地点目前没有生效的预警")
    async with desk.warned():
        released = time.monotonic()
        await phone.see("橙色预警", timeout_ms=WITHIN_S * 1000)
        assert time.monotonic() - released < WITHIN_S
        await phone.tap(phone.shown().get_by_role("region", name="我关注的地点").get_by_role("link"))
        await phone.see("阵风10级。")
        await phone.see("怎么做")
        await phone.see(re.compile("：在范围内"))
        drawing = phone.shown().get_by_role("img", name=re.compile("地图：.*南山区"))
        await expect(drawing.locator("polygon").first).to_be_visible()
        await phone.tap("分享给家人")
        assert len(await phone.calls("shareAppMessage")) == 1
    await phone.page.go_back()
    await phone.see(re.compile("已解除"))


async def test_what_was_answered_without_a_network_reaches_the_office_when_it_is_back(
    telephones: Hand, desk: Desk, town: City
):
    phone = await telephones("resident2")
    await phone.log_in()
    async with desk.warned() as identifier:
        chief = await desk.token("chief")

        async def counted() -> Any:
            answer = await town.api("GET", f"/v1/staff/alerts/{identifier}/acknowledgements", token=chief)
            return answer.json["total"]

        await phone.open("pages/alert/alert", id=identifier)
        await phone.see("您现在安全吗？")
        await phone.go_offline()
        await phone.tap("我安全")
        await phone.see(re.compile("您已报平安.*网络恢复后自动发送"))
        assert await counted() == {"safe": 0, "help": 0}
        await phone.go_online()
        await phone.see_nothing_of(re.compile("网络恢复后"))
        await phone.see(re.compile("您已报平安"))
        assert await counted() == {"safe": 1, "help": 0}
        await phone.tap("我需要帮助")
        await phone.fill("需要什么帮助", "老人行动不便")
        await phone.answer("chooseLocation", GATE)
        await phone.tap("在地图上选择")
        await phone.tap("发送求助")
        await phone.see(re.compile("您已求助"))
        assert await counted() == {"safe": 0, "help": 1}


async def test_when_leave_to_send_is_used_up_the_pages_ask_again_in_a_tap(telephones: Hand, town: City):
    phone = await telephones("resident3", is_touch=True)
    await phone.log_in()
    for template in ALL:
        await set_grant(town, "resident3", template, is_accepted=True)
    token = await phone.page.evaluate("() => wx.getStorageSync('session').access")

    async def granted() -> set[str]:
        answer = await town.api("GET", "/v1/me/grants", token=token)
        return {each["template"] for each in answer.json["templates"] if each["is_granted"]}

    async def told(*, is_accepted: bool) -> set[str]:
        """WeChat's events tell whole seconds: one of the same second as the last is told again."""
        await set_grant(town, "resident3", "WX_ALERT", is_accepted=is_accepted)
        return await granted()

    await eventually(granted, lambda found: found >= set(ALL))
    await eventually(partial(told, is_accepted=False), lambda found: "WX_ALERT" not in found)
    await phone.open("pages/alerts/alerts")
    await phone.see(re.compile("微信现在不会把部分通知发给您"))
    await phone.tap("允许微信通知")
    await phone.page.get_by_label("WX_ALERT").wait_for()
    await phone.tap(phone.page.get_by_role("button", name="允许", exact=True))
    await phone.see_nothing_of(re.compile("微信现在不会"))
    await eventually(partial(told, is_accepted=True), lambda found: "WX_ALERT" in found)  # WeChat's own word of it
    [asked] = await phone.calls("requestSubscribeMessage")
    assert asked["tmplIds"] == ["WX_ALERT"]


async def published(town: City, desk: Desk, title: str) -> str:
    """A notice on water for 南山区 that one person wrote and another published; its id."""
    editor, approver = await desk.token("editor"), await desk.token("approver")
    now = datetime.now(UTC)
    said = {
        "topic": "water", "title": {"zh": title}, "body": {"zh": "请提前储水。"}, "areas": ["440305"],
        "valid_from": now.isoformat(), "valid_until": (now + timedelta(days=1)).isoformat(),
    }  # fmt: skip
    drafted = await town.api("POST", NOTICES, said, token=editor)
    assert drafted.status == 201, drafted.body
    path = f"{NOTICES}/{drafted.json['id']}"
    handed = await town.api("POST", f"{path}/submit", b"", token=editor, If_Match=drafted.headers["Etag"])
    digest = handed.json["draft"]["submitted"]
    told = await town.api("POST", f"{path}/publish", {"digest": digest}, token=approver)
    assert told.status == 200, told.body
    return str(drafted.json["id"])


async def test_a_follow_shows_the_notice_that_two_officers_publish(telephones: Hand, desk: Desk, town: City):
    anna = await telephones("anna")
    await anna.log_in()
    await allow_all(anna)
    await anna.open("pages/bulletins/bulletins")
    await anna.see("关注的主题和地区暂无公告")
    await anna.tap("管理关注")
    await anna.shown().get_by_label("主题").select_option(label="停水停电停气 · 停水")
    await anna.shown().get_by_label("所在地区 1").select_option(label="深圳市")
    await anna.shown().get_by_label("所在地区 2").select_option(label="南山区")
    await anna.tap(anna.shown().get_by_role("button", name="关注", exact=True))
    await anna.tap("允许")
    await anna.see("停水 · 南山区")
    title = f"南山区计划停水 {time.monotonic_ns()}"
    identifier = await published(town, desk, title)
    await anna.open("pages/bulletins/bulletins")
    await anna.see("我关注的")
    await anna.tap(anna.shown().get_by_role("button", name=re.compile(f"{title}.*新")))
    await anna.see("请提前储水。")
    assert identifier in anna.page.url
    await anna.page.go_back()
    await expect(anna.shown().get_by_role("button", name=re.compile(f"{title}.*新"))).to_have_count(0)


async def test_somebody_new_adds_the_parents_home_on_a_map_and_is_told_of_its_weather(telephones: Hand):
    anna = await telephones("anna", is_touch=True)
    await anna.log_in()
    await anna.answer("requestSubscribeMessage", dict.fromkeys(ALL, "accept"))
    await anna.open("pages/subscribe/subscribe")
    await anna.tap("添加父母家")
    await anna.answer("chooseLocation", GATE)
    await anna.answer("requestSubscribeMessage", dict.fromkeys(ALL, "accept"))
    await anna.tap("在地图上选择")
    await anna.tap("同意")
    await anna.see(re.compile("已选择："))
    await anna.tap("保存")
    await anna.see("南头古城")
    assert len(await anna.calls("requestSubscribeMessage")) == 1
    await anna.tap("定时天气")
    await anna.shown().get_by_label("时间").fill("06:40")
    await anna.tap("可能下雨", role="switch")
    await anna.fill("降雨概率高于（%）", "70")
    await anna.tap("开始接收")
    await anna.see(re.compile("06:40 南头古城"))
    await anna.see(re.compile("仅当 降雨概率高于70%"))
    await anna.tap("取消 06:40")
    await anna.see("还没有定时天气")


async def test_what_is_switched_off_stays_off_and_what_saves_lives_has_no_switch(telephones: Hand):
    anna = await telephones("anna", locale="en-GB")
    await anna.open("pages/topics/topics")
    await anna.tap("Log in with WeChat")
    await anna.tap("Weather on")
    await anna.see(re.compile("Red alert, Orange alert: always sent"))
    await expect(anna.shown().get_by_role("switch", name=re.compile("^(Red|Orange)"))).to_have_count(0)
    await anna.tap("Yellow alert · Text message", role="switch")
    await anna.tap("Weather partly on")
    await anna.open("pages/topics/topics")
    await anna.tap("Weather partly on")
    await expect(anna.shown().get_by_role("switch", name="Yellow alert · Text message")).not_to_be_checked()
    await expect(anna.shown().get_by_role("switch", name="Blue alert · Text message")).to_be_checked()


async def test_quiet_hours_are_set_and_kept(telephones: Hand):
    anna = await telephones("anna")
    await anna.log_in()
    await anna.open("pages/subscribe/subscribe")
    await anna.tap("免打扰", role="switch")
    await anna.shown().get_by_label("结束时间").fill("06:30")
    await anna.see("06:30")
    await anna.open("pages/subscribe/subscribe")
    await anna.see("06:30")


async def test_the_forecast_of_the_districts_and_the_way_of_a_typhoon_stand_in_words_and_in_a_drawing(telephones: Hand):
    phone = await telephones("resident1")
    await phone.log_in()
    await phone.open("pages/forecasts/forecasts")
    await phone.see("未来几天")
    await phone.see("逐小时")
    drawing = phone.shown().get_by_role("img", name=re.compile("台风路径"))
    await expect(drawing.locator("polyline").first).to_be_attached()
    assert await phone.shown().get_by_role("table").get_by_role("row").count() > 2


def test_a_point_on_the_map_is_where_the_server_knows_it():
    answer = node("-p", "JSON.stringify(require('./miniprogram/core/datum').toMap(22.5333, 113.9305))")
    point = json.loads(answer.stdout)
    lon, lat = gcj02_to_wgs84(point["longitude"], point["latitude"])
    assert max(abs(lat - 22.5333), abs(lon - 113.9305)) < 1e-5  # a metre
