"""Why a standing order did not release a message: stable codes, with words for the officer who now decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from server.domain.wording import Words


class WhyNot(StrEnum):
    """What stands between a message and its release. In the order in which they are looked for."""

    VOID = "order_void"
    STOPPED = "order_stopped"
    EXPIRED = "order_expired"
    SENDER = "sender_unnamed"
    KIND = "kind_unnamed"
    STATUS = "not_actual"
    FINDING = "message_flagged"
    SIGNED = "signature_unverified"
    OVER = "alert_over"
    EVENT = "event_unnamed"
    COLOUR = "colour_unnamed"
    AREA = "area_outside"
    NOT_OURS = "nothing_released"
    IN_PERSON = "officer_acted"
    BRAKE = "order_braked"
    DESK = "desk_refused"


WORDS: Mapping[WhyNot, Words] = {
    WhyNot.VOID: Words("指令未生效（草稿或修改后未重新签发）", "the order is not in force: drafted, or changed"),
    WhyNot.STOPPED: Words("指令已停止", "the order was stopped"),
    WhyNot.EXPIRED: Words("指令已过有效期", "the order's time is over"),
    WhyNot.SENDER: Words("发送方不在指令内", "the order does not name this sender"),
    WhyNot.KIND: Words("指令不含此类报文（首发、更新、解除）", "the order does not name this kind of message"),
    WhyNot.STATUS: Words("不是实际发布的公开预警", "not an actual, public message"),
    WhyNot.FINDING: Words("报文检查有问题", "the rules found something wrong with the message"),
    WhyNot.SIGNED: Words("报文带有未经验证的签名", "the message bears a signature that nobody has verified"),
    WhyNot.OVER: Words("预警已失效或没有失效时间", "the alert is over, or does not say when it ends"),
    WhyNot.EVENT: Words("灾种不在指令内", "the order does not name this event"),
    WhyNot.COLOUR: Words("级别不在指令内", "the order does not name this colour"),
    WhyNot.AREA: Words("范围超出指令", "the area is not within the order's"),
    WhyNot.NOT_OURS: Words("所更新的预警未经指令发布", "what it follows was not released under an order"),
    WhyNot.IN_PERSON: Words("值班人员已处置该预警", "an officer has acted on this alert in person"),
    WhyNot.BRAKE: Words("一小时内超过上限，指令已自动停止", "too many in an hour: the order has been stopped"),
    WhyNot.DESK: Words("发布台拒绝", "the desk refused it"),
}


@dataclass(frozen=True, slots=True)
class Miss:
    """One order that did not release a message. `code` says more where the desk refused it."""

    order: str
    why: WhyNot
    code: str = ""

    @property
    def words(self) -> Words:
        """For people."""
        return WORDS[self.why]
