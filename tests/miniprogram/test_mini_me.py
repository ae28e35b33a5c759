"""What a person does about themselves: telephone, words, consents, who looked, taking away, leaving; no network."""

from __future__ import annotations

import re
import secrets
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from playwright.async_api import expect

from tests.api.client import Answer, Client
from tests.api.test_main_job import City, eventually
from tests.miniprogram.desk import Desk
from tests.miniprogram.telephone import Hand, Telephone

SIX = re.compile(r"\d{6}")


async def api_of(town: City, phone: Telephone, method: str, path: str, body: Any = None) -> Answer:
    """What the citizen of this telephone has done elsewhere; it has to be answered well."""
    session = await phone.page.evaluate("() => wx.getStorageSync('session')")
    answer = await town.api(method, path, body, token=session["access"])
    assert answer.status < 300, answer.body
    return answer


async def code_for(town: City, number: str) -> str:
    """The newest code that the sandbox's SMS took for this number."""
    sandbox = Client(urlsplit(town.facts["sandbox"]).port or 0)
    query = urlencode({"phone": f"+86{number}"})
    found = await eventually(
        lambda: sandbox("GET", f"/_sandbox/texts?{query}"), lambda answer: bool(answer.json["texts"])
    )
    code = SIX.search(found.json["texts"][0]["text"])
    assert code
    return code.group()


async def prove(town: City, phone: Telephone, number: str, action: str) -> None:
    """Ask for a code, wait for the message, type it in."""
    await phone.fill("手机号", number)
    await phone.tap("获取验证码")
    await phone.see("验证码已发送")
    await phone.fill("短信验证码", await code_for(town, number))
    await phone.tap(action)


async def book(town: City, phone: Telephone) -> None:
    """A seat at the district's hospital, confirmed."""
    found = (await town.api("GET", "/v1/resources?kind=hospital&division=440305")).json["resources"]
    resource = next(each["id"] for each in found if each["unit"] == "sz-nanshan")
    slots = (await town.api("GET", f"/v1/slots?resource={resource}&days=7")).json["slots"]
    slot = next(each["id"] for each in slots if each["free"].get("online", 0) > 0)
    held = (await api_of(town, phone, "POST", "/v1/bookings", {"slot": slot})).json["id"]
    await api_of(town, phone, "POST", f"/v1/bookings/{held}/confirm")


def new_number() -> str:
    return f"139{secrets.randbelow(10**8):08d}"


async def test_a_person_binds_a_phone_and_has_words_and_letters_as_they_want_them(telephones: Hand, town: City):
    anna, number = await telephones("anna", is_touch=True), new_number()
    await anna.log_in()
    await anna.tab("我的")
    await anna.see("未绑定手机")
    await anna.tap("登录与手机号 未绑定手机")
    await anna.tap("用短信验证码绑定")
    await prove(town, anna, number, "绑定")
    await anna.see(f"{number[:3]}****{number[-4:]}")

    await anna.open("pages/me/me")
    await anna.tap("语言 中文")
    await anna.see("Log-in and phone")
    await expect(anna.page.locator("#tabs")).to_contain_text("Services")
    await anna.tap("Elder mode off")
    await anna.see("More settings")
    await anna.see_nothing_of("Who used my data")
    me = (await api_of(town, anna, "GET", "/v1/me")).json
    assert (me["language"], me["is_elder_mode"]) == ("en", True)
    await anna.tap("More settings")
    await anna.see("Who used my data")


async def test_consent_is_given_and_taken_back_in_its_own_words(telephones: Hand, town: City):
    anna = await telephones("anna")
    await anna.log_in()
    await anna.open("pages/consents/consents")
    await anna.see("不跟踪您的行踪")

    async def may_use_the_location() -> bool:
        consents = (await api_of(town, anna, "GET", "/v1/me/consents")).json["consents"]
        return bool(next(each for each in consents if each["purpose"] == "location")["is_given"])

    await anna.tap("同意 · 使用我的位置")
    await anna.see("已同意")
    assert await may_use_the_location()
    await anna.tap("撤回 · 使用我的位置")
    await anna.see("已撤回")
    assert not await may_use_the_location()


async def test_the_look_of_an_officer_is_on_the_list_with_its_purpose(telephones: Hand, town: City, desk: Desk):
    lives_there = await telephones("resident2")
    await lives_there.log_in()
    async with desk.warned() as identifier:
        said = {"state": "help", "note": "老人行动不便"}
        await api_of(town, lives_there, "POST", f"/v1/alerts/{identifier}/acknowledgement", said)
        purpose = f"电话回访{secrets.token_hex(3)}"
        path = f"/v1/staff/alerts/{identifier}/acknowledgements/help?{urlencode({'purpose': purpose})}"
        looked = await town.api("GET", path, token=await desk.token("chief"))
        assert (looked.status, len(looked.json["people"])) == (200, 1), looked.body
    await lives_there.tab("我的")
    await lives_there.tap("谁用了我的数据")
    await lives_there.see(purpose)
    await lives_there.see("值班首长")


async def test_everything_arrives_as_a_file_and_then_the_account_is_gone(telephones: Hand, town: City, tmp_path: Path):
    anna, number = await telephones("anna"), new_number()
    await anna.log_in()
    await anna.open("pages/account/account")
    await anna.tap("用微信手机号绑定")
    await anna.page.get_by_label("手机号 Phone").fill(number)
    await anna.tap("允许")
    await anna.see("****")
    account = (await api_of(town, anna, "GET", "/v1/me")).json["id"]

    await anna.open("pages/leave/leave")
    await anna.tap("生成文件")
    await anna.see(re.compile(r"huimin-.*\.zip"))
    async with anna.page.expect_download() as download:
        await anna.tap("转发到微信保存")
    await (await download.value).save_as(tmp_path / "mine.zip")
    with zipfile.ZipFile(tmp_path / "mine.zip") as file:
        assert file.testzip() is None
        assert any(account in file.read(name).decode("utf-8", "replace") for name in file.namelist())

    await anna.answer("showModal", {"confirm": True, "cancel": False})
    await anna.tap("注销账号")
    await prove(town, anna, number, "确认注销")
    await anna.see("账号已锁定")
    await anna.tap("回到首页")
    await anna.see("全市生效预警")
    await anna.log_in()
    assert (await api_of(town, anna, "GET", "/v1/me")).json["id"] != account


async def test_one_telephone_logs_the_other_out(telephones: Hand):
    first, second = await telephones("anna"), await telephones("anna", is_touch=True)
    for each in (first, second):
        await each.log_in()
    await first.open("pages/account/account")
    await first.tap("退出该设备")
    await expect(first.shown().get_by_role("button", name="退出该设备")).to_have_count(0)
    await second.tab("我的")
    await second.see("微信一键登录")
    await first.open("pages/me/me")
    await first.see("未绑定手机")


async def test_without_a_network_the_inbox_shows_what_was_kept_and_marks_it_as_read_later(
    telephones: Hand, town: City, desk: Desk
):
    phone = await telephones("resident3", is_touch=True)
    await phone.log_in()
    await book(town, phone)
    await eventually(
        lambda: api_of(town, phone, "GET", "/v1/me/inbox"), lambda answer: answer.json["unread"]["items"] > 0
    )
    async with desk.warned("Yellow"):
        await phone.tab("消息")
        await phone.see("黄色预警")
        await phone.see(re.compile("我的消息（.* 条未读）"))
        await phone.tab("首页")
        await phone.see("黄色预警")
        await phone.see("接下来")

        await phone.go_offline()
        await phone.tab("消息")
        await phone.see("离线内容，更新于")
        await phone.see("黄色预警")
        await phone.tap("全部标为已读")
        await phone.see_nothing_of("全部标为已读")
        await phone.tab("首页")
        await phone.see("离线内容，更新于")
        await phone.see("接下来")
        await phone.see("网络恢复后将自动发送（1 项）")
        await phone.go_online()
        await phone.see_nothing_of("离线内容")
        await eventually(
            lambda: api_of(town, phone, "GET", "/v1/me/inbox"), lambda answer: answer.json["unread"]["items"] == 0
        )
    await phone.tab("消息")
    await phone.see_nothing_of("黄色预警")


async def test_an_offer_is_read_with_its_reason_and_taken_or_left_with_one_tap(telephones: Hand, town: City):
    child_came = await telephones("resident4", is_touch=True)
    await child_came.log_in()
    found = await eventually(
        lambda: api_of(town, child_came, "GET", "/v1/me/offers"),
        lambda answer: any(each["item"] for each in answer.json["offers"]),
    )
    taken = next(each for each in found.json["offers"] if each["item"])
    await child_came.tab("消息")
    await child_came.tab("首页")
    await child_came.see("为您推荐")
    await child_came.open("pages/offers/offers")
    await child_came.tap(taken["title"])
    await child_came.see("为什么告诉我")
    await child_came.tap("一键申领" if taken["is_one_tap"] else "去办理")
    await eventually(
        lambda: api_of(town, child_came, "GET", f"/v1/me/offers/{taken['id']}"),
        lambda answer: answer.json["state"] == "accepted",
    )
    left = next(each for each in found.json["offers"] if each["id"] != taken["id"])
    await child_came.open("pages/offer/offer", id=left["id"])
    await child_came.tap("暂不需要" if left["item"] else "知道了")
    await child_came.see("已忽略")


async def test_what_a_department_states_is_shown_and_objected_to(telephones: Hand):
    has_a_car = await telephones("resident5")
    await has_a_car.log_in()
    await has_a_car.open("pages/known/known")
    await has_a_car.tap(has_a_car.shown().get_by_role("button", name="信息有误").first)
    await has_a_car.fill("哪里不对", "车已卖掉")
    await has_a_car.tap("提交异议")
    await has_a_car.see("您已提出异议，核实前不使用")
    await has_a_car.see("等待核实")
