"""Applying, from the search to the rating: on one telephone, without a network, and on two telephones at once."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Locator, expect
from stdnum.cn import ric

from tests.api.application_doors import PDF
from tests.api.client import Answer
from tests.api.test_main_job import City
from tests.miniprogram.desk import Desk
from tests.miniprogram.telephone import Hand, Telephone

CARD = "6222020200112230004"
STREET = ("深圳市", "南山区", "粤海街道")


def png() -> bytes:
    """A picture, small and real."""
    out = BytesIO()
    Image.new("RGB", (64, 40), "#0b57b0").save(out, "PNG")
    return out.getvalue()


def somebody() -> dict[str, str]:
    """A person of eighty-five whom the departments know; somebody else each time."""
    body = f"11010519410105{secrets.randbelow(300) + 100}"
    return {"name": "王秀英", "id_number": body + ric.calc_check_digit(body + "0")}


@dataclass
class Citizen:
    """Who holds a telephone, as the API knows them: what a test prepares and looks up beside the screen."""

    town: City
    token: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """What has to be answered well."""
        answer = await self.town.api(method, path, body, token=self.token, **headers)
        assert answer.status < 300, answer.body
        return answer

    async def whole(self, application: str) -> dict[str, Any]:
        """One application."""
        found: dict[str, Any] = (await self.ask("GET", f"/v1/applications/{application}")).json
        return found

    async def all(self) -> list[dict[str, Any]]:
        """All applications."""
        found: list[dict[str, Any]] = (await self.ask("GET", "/v1/applications")).json["applications"]
        return found


async def citizen_of(town: City, phone: Telephone) -> Citizen:
    session = await phone.page.evaluate("() => wx.getStorageSync('session')")
    return Citizen(town, session["access"])


async def step(town: City, desk: Desk, application: str, **decision: str) -> None:
    """The clerk does this."""
    token = await desk.token("clerk")
    answer = await town.api("POST", f"/v1/staff/applications/{application}/steps", decision, token=token)
    assert answer.status == 200, answer.body


async def upload(phone: Telephone, what: str, how: str, file: Path) -> None:
    """Through the chooser of the telephone, once the page has done what it was doing."""
    await expect(phone.shown().locator("[aria-busy=true]")).to_have_count(0)
    await phone.tap(what)
    async with phone.page.expect_file_chooser() as chooser:
        await phone.tap(how)
    await (await chooser.value).set_files(file)


def group(phone: Telephone, name: str) -> Locator:
    return phone.shown().get_by_role("radiogroup", name=name)


async def shown_id(phone: Telephone) -> str:
    """The application that the page on top is about."""
    await expect(phone.page.locator("wx-page[is='pages/application/application']:not([hidden])")).to_be_visible(
        timeout=8_000
    )
    return phone.page.url.split("id=")[1]


async def look_again(phone: Telephone) -> None:
    await phone.page.evaluate("() => { wx.startPullDownRefresh() }")


async def fill_in(phone: Telephone) -> None:
    """All that the departments do not know."""
    await phone.fill("联系电话", "13800138000")
    await phone.fill("出生日期", "1941-01-05")
    for level, name in enumerate(STREET, 1):
        choice = phone.shown().get_by_label(f"所在街道或社区 {level}")
        await choice.select_option(label=name, timeout=8_000)
    await phone.fill("现居住地址", "后海大道1号101")
    await group(phone, "年龄段").get_by_label("80-89周岁").check()
    await group(phone, "发放账户").get_by_label("本人其他账户").check()
    await phone.fill("开户银行", "深圳银行")
    await phone.fill("银行卡号", CARD)
    await group(phone, "是否由家属代为确认").get_by_label("否").check()
    await group(phone, "同意由部门核验").get_by_label("是").check()
    await phone.shown().get_by_label("我承诺所填内容真实").check()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "card.png"
    path.write_bytes(png())
    return path


async def test_a_citizen_finds_applies_completes_gets_the_result_and_rates(
    telephones: Hand, town: City, desk: Desk, picture: Path, tmp_path: Path
):
    anna = await telephones("anna")
    await anna.log_in()
    citizen = await citizen_of(town, anna)
    await citizen.ask("PUT", "/v1/me/real-name", somebody())

    await anna.tab("办事")
    await anna.fill("搜索事项（可用拼音首字母）", "高龄")
    await anna.see("共 ")
    await anna.tap("高龄津贴 深圳市民政局")
    await anna.see("年满80周岁")
    await anna.see("免提交（人口库核验）")
    await anna.tap("在线办理")

    await anna.tap("向人口库核验")
    await anna.tap("同意")
    await anna.see("来自人口库，截至")
    await expect(anna.shown().get_by_label("姓名")).to_have_value("王秀英")
    await fill_in(anna)
    await anna.tap("提交申请")
    await expect(anna.page.get_by_text("还有材料未提交")).to_be_visible()
    await upload(anna, "上传本人银行账户", "拍照或从相册选择", picture)
    await anna.see("文件 1")
    await anna.tap("提交申请")
    await anna.see("已提交，办理中")
    application = await shown_id(anna)
    await anna.see("预计")

    await step(town, desk, application, action="ask", reason="material_unclear", note="银行卡照片看不清")
    await look_again(anna)
    await anna.see("等待您补正材料")
    await anna.tap("去补正")
    await anna.see("银行卡照片看不清")
    paper = tmp_path / "card.pdf"
    paper.write_bytes(PDF)
    await upload(anna, "上传本人银行账户", "从聊天文件中选择（PDF）", paper)
    await anna.see("文件 2")
    await anna.tap("提交补正")
    await anna.see("补正材料已提交，办理时限继续")

    await step(town, desk, application, action="complete")
    await look_again(anna)
    await anna.see("已办结")
    await anna.tap("查看办理结果")
    await expect(anna.shown().get_by_role("img", name="凭证二维码")).to_be_visible()
    await anna.tap("验证真伪")
    await anna.see("凭证真实，内容有效 准予")
    await group(anna, "请您评价").get_by_label("非常满意").first.check()
    await anna.shown().get_by_label("办得快").check()
    await anna.tap("提交评价")
    await anna.see("您的评价")
    rating = (await citizen.ask("GET", f"/v1/applications/{application}/rating")).json
    assert (rating["stars"], rating["tags"]) == (5, ["quick"])
    assert await anna.axe() == []


async def prepared(citizen: Citizen) -> str:
    """A draft that could be handed in, on the server."""
    form = {
        **somebody(), "phone": "13800138000", "birth_day": "1941-01-05", "division": "440305007",
        "address": "后海大道1号101", "tier": "from80", "pay_to": "other_account",
        "bank_name": "深圳银行", "bank_card": CARD, "by_family": False,
        "sharing": True, "truth": True,
    }  # fmt: skip
    draft = await citizen.ask("POST", "/v1/applications", {"item": "elderly-allowance", "form": form})
    path = f"/v1/applications/{draft.json['id']}"
    for material in draft.json["missing"]:
        await citizen.ask("POST", f"{path}/attachments?material={material}", png(), Content_Type="image/png")
    return str(draft.json["id"])


async def test_what_is_handed_in_without_a_network_is_handed_in_once_when_it_is_back(telephones: Hand, town: City):
    ben = await telephones("ben", is_touch=True)
    await ben.log_in()
    citizen = await citizen_of(town, ben)
    application = await prepared(citizen)
    await ben.open("pages/apply/apply", id=application)
    await expect(ben.shown().get_by_label("现居住地址")).to_have_value("后海大道1号101")
    await ben.go_offline()
    await ben.fill("现居住地址", "后海大道2号202")
    await ben.tap("提交申请")
    await ben.see("网络恢复后将自动提交", timeout_ms=15_000)
    assert (await citizen.whole(application))["state"] == "draft"
    await ben.go_online()
    assert await shown_id(ben) == application
    await ben.see("已提交，办理中")
    found = await citizen.whole(application)
    assert found["form"]["address"] == "后海大道2号202"
    assert [line["action"] for line in found["timeline"]] == ["submit"]
    assert len(await citizen.all()) == 1
    await ben.tap("催办")
    await ben.see("申请人催办")
    await ben.tap("撤回申请")
    await ben.tap("确定")
    await ben.see("已撤回")


async def test_two_telephones_on_one_draft_put_together_what_they_wrote_and_ask_where_it_differs(
    telephones: Hand, town: City
):
    one = await telephones("cai")
    await one.log_in()
    await one.open("pages/apply/apply", item="elderly-allowance")
    await group(one, "发放账户").get_by_label("本人其他账户").check()
    await one.fill("开户银行", "深圳银行")
    await one.see("草稿已保存")

    other = await telephones("cai", is_touch=True)
    await other.log_in()
    await other.open("pages/item/item", id="elderly-allowance")
    await other.tap("继续填写上次的申请")
    await expect(other.shown().get_by_label("开户银行")).to_have_value("深圳银行")
    await other.fill("现居住地址", "后海大道1号101")
    await other.see("草稿已保存")

    await one.fill("联系电话", "13800138000")
    await one.see("已与另一台设备填写的内容合并")
    await expect(one.shown().get_by_label("现居住地址")).to_have_value("后海大道1号101")

    await one.fill("现居住地址", "科苑路9号")
    await one.see("草稿已保存")
    await other.fill("现居住地址", "南海大道8号")
    await other.see("另一台设备也改了这份草稿")
    await other.see("科苑路9号")
    assert await other.axe() == []
    await other.tap("保留本机的")
    await other.see("草稿已保存")
    citizen = await citizen_of(town, one)
    [draft] = await citizen.all()
    form = (await citizen.whole(draft["id"]))["form"]
    assert form == {
        "pay_to": "other_account",
        "bank_name": "深圳银行",
        "phone": "13800138000",
        "address": "南海大道8号",
    }


async def test_a_form_with_rows_and_dependent_fields_tells_its_faults_and_survives_without_a_network(telephones: Hand):
    dora = await telephones("dora", is_touch=True, locale="en-GB")
    await dora.open("pages/log-in/log-in")
    await dora.tap("Log in with WeChat")
    await dora.see("Nothing is in force for your places")
    await dora.tab("Services")
    await dora.tap("Public housing")
    await dora.tap("Joining the public housing waiting list")
    await dora.tap("Find the nearest")
    await dora.see(re.compile(r"\d (m|km) "))
    await dora.tap("Apply")
    await dora.see_nothing_of("Spouse's name")
    await group(dora, "Marriage").get_by_label("Married").check()
    await expect(dora.shown().get_by_label("Spouse's name")).to_be_visible()
    await dora.tap("Add: Members of the household")
    row = dora.shown().locator(".row").first
    await row.get_by_label("Identity number").fill("123")
    await row.get_by_label("Monthly income").fill("3500.5")
    await dora.see("is malformed or has a wrong check digit")
    await dora.see("Draft saved")

    await dora.go_offline()
    await row.get_by_label("Name").fill("Li Lei")
    await dora.see("No network: the draft is kept here")
    await dora.page.go_back()
    await dora.see("Offline; as of")
    await dora.tap("Apply")
    await expect(row.get_by_label("Name")).to_have_value("Li Lei")
    await expect(row.get_by_label("Monthly income")).to_have_value("3500.50")
    await dora.go_online()
    await dora.tap("Hand in")
    await dora.see("required")
    assert await dora.axe() == []
