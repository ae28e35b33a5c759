"""How the national platform names messages and files, and how a headline is put together."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from server.domain.alerts.model import Alert
from server.domain.alerts.vocabulary import Colour, MsgType

BEIJING = timezone(timedelta(hours=8), "CST")
_ZH = {MsgType.ALERT: "发布", MsgType.UPDATE: "变更发布", MsgType.CANCEL: "解除"}


def new_identifier(sender_code: str, entered_at: datetime, nth: int = 0) -> str:
    """The unit's 14 digits and the entry time of Beijing; `nth` (1..9) tells messages of one second apart."""
    if not 0 <= nth <= 9:
        raise ValueError(f"nth {nth} is not in 0..9")
    suffix = f"_{nth}" if nth else ""
    return f"{sender_code}_{entered_at.astimezone(BEIJING):%Y%m%d%H%M%S}{suffix}"


def file_name(alert: Alert) -> str:
    """`{senderCode}_{time}_{eventType}_{RED}_{ALERT}.xml`, as the platform wants uploads to be named."""
    info = alert.infos[0] if alert.infos else None
    sent = f"{alert.sent_at.astimezone(BEIJING):%Y%m%d%H%M%S}" if alert.sent_at else "00000000000000"
    code = (info.event_code if info else None) or "00000"
    colour = (info.colour if info else None) or "UNKNOWN"
    return f"{alert.sender}_{sent}_{code}_{colour.upper()}_{alert.msg_type.upper()}.xml"


def headline(unit: str, event: str, colour: Colour, msg_type: str) -> str:
    """深圳市气象局发布台风红色预警."""
    return f"{unit}{_ZH[MsgType(msg_type)]}{event}{colour.zh}预警"
