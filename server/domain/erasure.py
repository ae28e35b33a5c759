"""What an erasure goes through, and what it leaves behind. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.consents import Both
from server.domain.errors import ForbiddenError
from server.domain.one_time_codes import code_wrong

SETTLE = timedelta(minutes=1)  # what was under way when the account was locked has ended by then
WITHIN = timedelta(hours=24)  # promised to the person; the law's draft rules ask for 15 working days


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure. It is swept twice: at once, and again after `SETTLE` for what was being written meanwhile."""

    citizen: int
    public: str  # all that names it afterwards
    asked_at: datetime
    swept_at: datetime | None = None
    done_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether there is something to do now."""
        return self.done_at is None and (self.swept_at is None or now - self.swept_at >= SETTLE)


@dataclass(frozen=True, slots=True)
class Remainder:
    """Something that stays for a while, named in the answer. `days` None: for good."""

    name: str
    what: Both
    days: int | None


FADING = (
    Remainder(
        "delivery_ledger",
        Both(
            zh="预警送达台账中的随机内部编号，无法再对应到您",
            en="a random internal number in the delivery ledger, which leads to nobody any more",
        ),
        days=30,
    ),
    Remainder(
        "audit_log",
        Both(
            zh="审计日志中的账户代号，不含姓名、号码或地址",
            en="the account's pseudonym in the audit log, without name, number or address",
        ),
        days=None,
    ),
)
KEPT_BY_LAW = (
    Remainder(
        "applications",
        Both(
            zh="已提交办件的编号、事项、进度和决定（档案法），不含表单、附件、附言和身份",
            en="number, item, steps and decision of applications that were handed in (archives law); no form, file,"
            " note or person",
        ),
        days=None,
    ),
)


def refuse_unproved(phones: Collection[str], shown: str | None) -> None:
    """Who has a phone leaves with a code that was sent to it (`shown`): a stolen token alone erases nobody.

    ForbiddenError `erase_code_needed`; InvalidInputError `code_wrong`.
    """
    if shown is None:
        raise ForbiddenError(
            "erase_code_needed",
            zh="注销账户需填写发送到您手机号的验证码",
            en="to be erased, give a one-time code that was sent to your phone",
            field="code",
        )
    if shown not in phones:
        raise code_wrong()
