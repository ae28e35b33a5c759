"""Why the desk says no, in words, and as which kind of error."""

from __future__ import annotations

from collections.abc import Mapping

from server.domain.alerts.states import Why
from server.domain.errors import ConflictError, ForbiddenError, HuiminError

_REASONS: Mapping[Why, tuple[str, str]] = {
    Why.STATE: ("预警当前状态不允许此操作", "the alert's state does not allow this"),
    Why.ROLE: ("您没有此权限", "you have no role for this"),
    Why.DRILL: ("您没有演练权限", "you may not run exercises"),
    Why.CHIEF: ("红色预警须由值班首长发布", "red is released by a chief"),
    Why.SAME_PERSON: ("起草人、最后修改人和提交人不得发布", "author, last editor and submitter may not decide"),
    Why.DIVISION: ("超出您的辖区", "outside your division"),
    Why.EVENT: ("超出您的灾种范围", "outside your events"),
}


def forbidden(why: Why) -> HuiminError:
    """The error whose code is the reason: a conflict where only the state is in the way."""
    zh, en = _REASONS[why]
    return (ConflictError if why is Why.STATE else ForbiddenError)(why.value, zh=zh, en=en)
