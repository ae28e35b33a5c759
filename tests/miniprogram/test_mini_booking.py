"""Booking in the hand of citizens: from finding a place to the counter, and what happens when others are quicker."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, date, datetime, timedelta

from playwright.async_api import Locator, Response, expect
from pymongo import AsyncMongoClient

from server.domain.china import CHINA, china_day
from tests.miniprogram.clinics import Clinics
from tests.miniprogram.harness import node
from tests.miniprogram.telephone import PATIENCE_MS, Hand, Telephone

SOON = timedelta(minutes=10)
EVERY_FOUR_HOURS = ("00:00", "23:59", 235)
ONCE_A_DAY = ("09:00", "09:30", 30)


def ahead(days: int) -> date:
    """China's date so many days from now."""
    return china_day(datetime.now(UTC)) + timedelta(days=days)


def chip(phone: Telephone, day: date, words: str = "{month}月{day}日") -> Locator:
    """The day in the strip."""
    return phone.shown().get_by_role("button", name=words.format(day, month=day.month, day=day.day))


def free(phone: Telephone, clock: str = "") -> Locator:
    """The first free time, or the one at that hour."""
    return phone.shown().locator(".time:not(.off)", has_text=clock).first


async def times(phone: Telephone, resource: str, day: date) -> None:
    """Open the times of a place, at that day."""
    await phone.open("pages/times/times", resource=resource)
    await phone.tap(chip(phone, day))
    await phone.see("余1")


async def book(phone: Telephone, resource: str, day: date, clock: str = "") -> str:
    """Hold a seat there and confirm it; the booking's id."""
    await times(phone, resource, day)
    await phone.tap(free(phone, clock))
    await phone.tap("确认预约")
    await phone.see(re.compile("^已预约$"))
    return phone.page.url.rpartition("id=")[2]


async def test_from_home_to_a_booking_at_the_nearest_hospital(telephones: Hand):
    anna = await telephones("anna", is_touch=True)
    await anna.log_in()
    await anna.answer("getLocation", {"latitude": 22.530, "longitude": 113.927})
    await anna.tap(anna.shown().get_by_role("button", name="预约"))
    await anna.see("没有接下来的预约")
    await anna.tap(anna.shown().get_by_role("button", name="预约", exact=True))
    await anna.tap("预约挂号")
    await anna.tap("离我最近")
    await anna.see(re.compile(r"\d米|公里"))
    await anna.tap(anna.shown().get_by_role("button", name="南山区人民医院").first)
    await anna.see("预约须知")
    await anna.tap(free(anna))
    await anna.see("爽约3次")  # the rules, in words, before it is confirmed
    await anna.tap("确认预约")
    await anna.see(re.compile("^已预约$"))
    await anna.tap("加入手机日历")
    (asked,) = await anna.calls("addPhoneCalendar")
    assert datetime.fromtimestamp(asked["startTime"], UTC) > datetime.now(UTC)
    await anna.open("pages/bookings/bookings")
    await anna.see(re.compile("^已预约$"))


async def test_two_want_the_last_seat_and_who_waits_gets_it_when_the_other_cancels(telephones: Hand, clinics: Clinics):
    clinic, day = await clinics.open(*ONCE_A_DAY), ahead(2)
    people = [await telephones("anna", is_touch=True), await telephones("ben")]
    for each in people:
        await each.log_in()
        await times(each, clinic, day)
    await asyncio.gather(*(each.tap(free(each)) for each in people))
    told = [
        each.shown().get_by_text("该时段已约满，请选择其他时段或加入候补").or_(each.shown().get_by_text("待确认")).first
        for each in people
    ]
    for each in told:
        await expect(each).to_be_visible(timeout=PATIENCE_MS)
    first, second = sorted(people, key=lambda each: "pages/booking/" not in each.page.url)
    assert "pages/times/" in second.page.url, "one seat is held once"

    await second.tap("候补这一天")
    await second.see("您排在第一位")
    await first.tap("确认预约")
    await first.see(re.compile("^已预约$"))
    await first.tap("取消预约")
    cost = first.page.get_by_role("dialog").get_by_text("30天内取消3次，暂停预约30天")
    await expect(cost).to_be_visible(timeout=PATIENCE_MS)
    await first.tap("确认取消")
    await first.see(re.compile("^已取消$"))
    await second.see("有号了")
    await second.see(re.compile(r"\d+分"))
    await second.tap("要这个号")
    await second.see(re.compile("^已预约$"))


async def test_a_hold_is_counted_down_by_the_servers_clock_and_runs_out(
    telephones: Hand, clinics: Clinics, mongo_url: str
):
    clinic, ben = await clinics.open(*ONCE_A_DAY), await telephones("ben")
    await ben.log_in()
    await ben.page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=3))  # a telephone that is wrong
    await times(ben, clinic, ahead(1))
    await ben.tap(free(ben))
    await ben.see(re.compile(r"^9分 \d+秒$"))
    code = ben.page.url.rpartition("id=")[2]
    async with AsyncMongoClient[dict[str, object]](mongo_url) as client:  # what ten minutes would do
        until = datetime.now(UTC) + timedelta(seconds=4)
        await client["huimin_mini"]["seats"].update_one({"booking.code": code}, {"$set": {"booking.hold_until": until}})
    await ben.open("pages/booking/booking", id=code)
    await ben.see(re.compile(r"^[1-4]秒$"))
    await ben.see("保留时间已到，号已释放")
    await ben.tap("重新选择")
    await ben.see("余1")


async def test_a_booking_moves_to_another_day_and_its_old_seat_is_free_again(telephones: Hand, clinics: Clinics):
    clinic, anna = await clinics.open(*ONCE_A_DAY), await telephones("anna", is_touch=True)
    await anna.log_in()
    await book(anna, clinic, ahead(1))
    await anna.see("还可改约2次")
    await anna.tap("改约")
    await anna.tap(chip(anna, ahead(3)))
    await anna.tap(free(anna))
    await anna.tap("确定")
    day = ahead(3)
    await anna.see(re.compile(f"^{day.month}月{day.day}日"))
    await anna.see("还可改约1次")
    await times(anna, clinic, ahead(1))


async def test_a_service_of_an_hour_takes_two_times_and_gives_both_back(telephones: Hand, clinics: Clinics):
    clinic = await clinics.open("09:00", "10:00", 30, lasts_minutes=60)
    ben = await telephones("ben", locale="en-GB")
    await ben.log_in("Log in with WeChat")
    await ben.open("pages/times/times", resource=clinic)
    day = chip(ben, ahead(2), "{:%a} {day}/{month}")
    await ben.tap(day)
    await ben.tap(free(ben, "09:00"))
    await ben.tap("Confirm")
    await ben.see(re.compile("^booked$"))
    booking = ben.page.url.rpartition("id=")[2]
    await ben.open("pages/times/times", resource=clinic)
    await ben.tap(day)
    await expect(ben.shown().locator(".time.off")).to_have_count(2)
    await ben.open("pages/booking/booking", id=booking)
    await ben.tap("Cancel the booking")
    await ben.tap("Yes, cancel")
    await ben.see(re.compile("^cancelled$"))
    await ben.open("pages/times/times", resource=clinic)
    await ben.tap(day)
    await expect(ben.shown().locator(".time.off")).to_have_count(0)


async def test_the_counter_scans_the_code_on_the_telephone_which_shows_it_at_once(telephones: Hand, clinics: Clinics):
    clinic, ben = await clinics.open(*EVERY_FOUR_HOURS), await telephones("ben")
    tickets: list[str] = []

    async def note(response: Response) -> None:
        if response.url.endswith("/ticket"):
            tickets.append((await response.json())["ticket"])

    ben.page.on("response", note)
    await ben.log_in()
    begins = (datetime.now(UTC) + SOON).astimezone(CHINA)
    await ben.open("pages/times/times", resource=clinic)
    await ben.see("余1")
    if begins.hour * 60 + begins.minute > 5 * 235:  # today's last has begun or is too near
        await ben.tap(chip(ben, begins.date() + timedelta(days=1)))
    await ben.tap(free(ben))
    await ben.tap("确认预约")
    picture = ben.shown().get_by_role("img", name="签到码")
    await expect(picture).to_be_visible(timeout=PATIENCE_MS)
    stub = "global.wx = { arrayBufferToBase64: (bytes) => Buffer.from(bytes).toString('base64') }"
    drawn = node("-p", f"{stub}; require('./miniprogram/core/qr.js').picture({json.dumps(tickets[-1])})").stdout.strip()
    assert await picture.locator("img").or_(picture).last.get_attribute("src") == drawn
    scanned = await clinics.scan(tickets[-1])
    assert (scanned.status, scanned.json["state"]) == (200, "checked_in"), scanned.body
    await ben.see("已签到，请等候叫号")
