"""Why a booking step is refused: one stable code each, and a sentence that says what to do next.

Values, not control flow: the rules return them, the service raises them for its caller.
"""

from __future__ import annotations

from datetime import datetime

from server.domain.china import CHINA
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)


def slot_full() -> ConflictError:
    """No seat of this kind is free now."""
    return ConflictError(
        "slot_full",
        zh="该时段已约满，请选择其他时段或加入候补",
        en="this time is full: choose another one or join the waiting list",
        field="slot",
    )


def slot_past() -> ConflictError:
    """It has begun, or begins too soon to be booked."""
    return ConflictError(
        "slot_past",
        zh="该时段已停止预约，请选择更晚的时段",
        en="this time can no longer be booked: choose a later one",
        field="slot",
    )


def window_closed(opens_at: datetime) -> ConflictError:
    """Its day is not open for booking yet."""
    return ConflictError(
        "window_closed",
        zh=f"该时段尚未放号，请于{_zh(opens_at)}起预约",
        en=f"this time is not open for booking yet: come back from {_en(opens_at)}",
        field="slot",
    )


def already_booked() -> ConflictError:
    """This person has a seat in this very slot."""
    return ConflictError(
        "already_booked",
        zh="就诊人或办事人已预约该时段，请在“我的预约”中查看",
        en="this person already has a booking at this time: see your bookings",
        field="slot",
    )


def group_conflict() -> ConflictError:
    """This person has a seat in the same group on the same day."""
    return ConflictError(
        "group_conflict",
        zh="同一人同一天在同一科室或业务只能预约一次，请改约或换一天",
        en="one booking per person, service group and day: move that booking or choose another day",
        field="slot",
    )


def hold_limit() -> ConflictError:
    """The one who books holds another seat in this group."""
    return ConflictError(
        "hold_limit",
        zh="您有一个待确认的预约，请先确认或放弃它",
        en="you are holding another seat here: confirm it or give it up first",
        field="slot",
    )


def open_limit(most: int) -> ConflictError:
    """As many bookings as the rules allow lie ahead."""
    return ConflictError(
        "open_limit",
        zh=f"最多可同时持有{most}个未完成的预约，请先完成或取消其中一个",
        en=f"no more than {most} bookings may lie ahead at once: use or cancel one first",
        field="slot",
    )


def banned(until: datetime, strikes: int, *, is_missed: bool) -> ForbiddenError:
    """Too many no-shows or cancellations; says until when, why, and where to object."""
    zh, en = ("爽约", "missed") if is_missed else ("取消", "cancelled")
    return ForbiddenError(
        "booking_banned",
        zh=f"因{zh}{strikes}次，{_zh(until)}前暂停预约；如有异议，请向该单位申诉",
        en=f"{strikes} {en} bookings: no booking until {_en(until)}; if that is wrong, object to the unit",
    )


def hold_expired() -> ConflictError:
    """The time to confirm is over; the seat is not kept."""
    return ConflictError(
        "hold_expired",
        zh="占号已超时，请重新选择时段",
        en="the seat was held too long and is given up: choose a time again",
    )


def hold_gone() -> NotFoundError:
    """There is no such hold (any more): it ran out and others have the seat, or it never was this person's."""
    return NotFoundError(
        "hold_gone",
        zh="没有这个占号，或占号已超时；请重新选择时段",
        en="there is no such hold, or it ran out: choose a time again",
        field="booking",
    )


def renew_limit() -> ConflictError:
    """A hold may be extended only so often."""
    return ConflictError(
        "renew_limit",
        zh="占号时间不能再延长，请尽快确认",
        en="this hold cannot be extended again: confirm it before it expires",
    )


def cut_off(closed_at: datetime) -> ConflictError:
    """Too late to cancel or move."""
    return ConflictError(
        "cut_off",
        zh=f"{_zh(closed_at)}后不能再取消或改约；如不能到场，请联系该单位",
        en=f"no cancelling or moving after {_en(closed_at)}: if you cannot come, call the unit",
    )


def move_limit(most: int) -> ConflictError:
    """A booking may be moved only so often."""
    return ConflictError(
        "move_limit",
        zh=f"一个预约最多改约{most}次；如仍需调整，请取消后重新预约",
        en=f"a booking can be moved {most} times: cancel it and book again",
    )


def booking_unknown() -> NotFoundError:
    """No such booking, or not of the one who asks: both look the same from outside."""
    return NotFoundError(
        "booking_unknown",
        zh="没有这个预约，请在“我的预约”中核对",
        en="no such booking: check the list of your bookings",
        field="booking",
    )


def booking_over() -> ConflictError:
    """It was cancelled or closed before."""
    return ConflictError(
        "booking_over",
        zh="该预约已取消或停诊，请重新预约",
        en="this booking has been cancelled or closed: book again",
    )


def booking_state() -> ConflictError:
    """The step does not fit where the booking stands."""
    return ConflictError(
        "booking_state",
        zh="该预约当前状态不能进行此操作，请刷新后再试",
        en="this cannot be done with the booking as it stands now: look at it again",
    )


def too_early(opens_at: datetime) -> ConflictError:
    """Check-in is not open."""
    return ConflictError(
        "check_in_early",
        zh=f"尚未到签到时间，请于{_zh(opens_at)}起签到",
        en=f"check-in opens at {_en(opens_at)}: come back then",
    )


def too_late(minutes: int) -> ConflictError:
    """More than the grace too late."""
    return ConflictError(
        "check_in_late",
        zh=f"已迟到超过{minutes}分钟，按爽约处理；请到窗口说明情况",
        en=f"more than {minutes} minutes late counts as missed: speak to the counter",
    )


def slot_unknown() -> NotFoundError:
    """No such slot."""
    return NotFoundError("slot_unknown", zh="没有这个时段，请重新查询", en="no such time: search again", field="slot")


def service_unknown() -> InvalidInputError:
    """Not one of the resource's services."""
    return InvalidInputError(
        "service_unknown",
        zh="该资源不办理此项业务，请重新选择",
        en="this resource does not offer that service: choose another one",
        field="service",
    )


def service_longer() -> ConflictError:
    """It takes several slots in a row; this is the way to one seat."""
    return ConflictError(
        "service_longer",
        zh="此项业务需要连续多个时段，请按多时段预约办理",
        en="this service takes several times in a row: book it as a visit of several steps",
        field="service",
    )


def other_service() -> ConflictError:
    """A booking moves within its group only."""
    return ConflictError(
        "other_service",
        zh="只能改约到同一业务的其他时段；其他业务请另行预约",
        en="a booking moves within its service group only: book the other service on its own",
        field="slot",
    )


def part_of_visit() -> ConflictError:
    """One seat of several is not confirmed, moved or cancelled on its own."""
    return ConflictError(
        "part_of_visit",
        zh="该预约是一次就诊或办事的一部分，请对整个行程操作",
        en="this is a part of a visit of several steps: confirm, move or cancel the whole visit",
        field="booking",
    )


def key_malformed() -> InvalidInputError:
    """The idempotency key is not one."""
    return InvalidInputError(
        "booking_key",
        zh="请求标识须为1至64个可见字符，请刷新页面重试",
        en="the idempotency key has to be 1 to 64 visible ASCII characters: reload and try again",
        field="key",
    )


def key_reused() -> InvalidInputError:
    """The key stands for another request of the same holder."""
    return InvalidInputError(
        "booking_key_reused",
        zh="该请求标识已用于另一个预约，请刷新页面重试",
        en="this idempotency key belongs to another booking: reload and try again",
        field="key",
    )


def booking_busy() -> UnavailableError:
    """The race for this slot was lost too often; nothing was booked."""
    return UnavailableError(
        "booking_busy", zh="预约人数较多，请稍后再试", en="too many are booking here at once: try again in a moment"
    )


def _zh(moment: datetime) -> str:
    local = moment.astimezone(CHINA)
    return f"{local.year}年{local.month}月{local.day}日{local:%H:%M}"


def _en(moment: datetime) -> str:
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M} (UTC+8)"
