"""Co-applicants 共同申请人: who has to confirm an application before it is handed in, and what they said. Pure.

Who was named confirms what is written now: after a change they are asked anew. A question waits for two weeks. Who
declines, or lets the question lapse, sees nothing of the application any more; the applicant sees what was answered and
may name somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

MAX_NAMED = 10  # of one application
ASKED_FOR = timedelta(days=14)


class Answer(StrEnum):
    """What somebody who was named has said."""

    WAITING = "waiting"
    AGREED = "agreed"
    DECLINED = "declined"
    LAPSED = "lapsed"  # nothing, for two weeks


LOOKING = frozenset({Answer.WAITING, Answer.AGREED})


@dataclass(frozen=True, slots=True)
class Agreement:
    """Somebody who applies together with the applicant. `asks`: how often they were asked, by this invitation.

    `account` is the public id by which the applicant has named them; `id` tells invitations of one application apart.
    """

    citizen: int
    account: str
    role: str
    id: str
    asked_at: datetime
    asks: int = 1
    answer: Answer = Answer.WAITING
    answered_at: datetime | None = None

    @property
    def question(self) -> str:
        """Names what they were asked this time, within the application."""
        return f"{self.id}.{self.asks}"

    @property
    def until(self) -> datetime:
        """When the question lapses."""
        return self.asked_at + ASKED_FOR

    @property
    def is_waiting(self) -> bool:
        """Whether nothing was answered."""
        return self.answer is Answer.WAITING

    @property
    def may_look(self) -> bool:
        """Whether they see the application."""
        return self.answer in LOOKING


def asked_again(agreements: Sequence[Agreement], now: datetime) -> tuple[Agreement, ...]:
    """After a change: who has agreed to what was written before is asked what they say now."""
    return tuple(
        replace(each, answer=Answer.WAITING, answered_at=None, asked_at=now, asks=each.asks + 1)
        if each.answer is Answer.AGREED
        else each
        for each in agreements
    )


def answered(agreements: Sequence[Agreement], citizen: int, answer: Answer, now: datetime) -> tuple[Agreement, ...]:
    """This person has said this; of what they have said already the first time stays."""
    return tuple(
        replace(each, answer=answer, answered_at=now)
        if each.citizen == citizen and each.may_look and each.answer is not answer
        else each
        for each in agreements
    )


def lapsed(agreements: Sequence[Agreement], now: datetime) -> tuple[Agreement, ...]:
    """Questions that nobody has answered in time are over."""
    return tuple(
        replace(each, answer=Answer.LAPSED, answered_at=now) if each.is_waiting and each.until <= now else each
        for each in agreements
    )


def lapse_at(agreements: Sequence[Agreement]) -> datetime | None:
    """When the next question lapses; None while none waits."""
    return min((each.until for each in agreements if each.is_waiting), default=None)


def is_agreed(agreements: Sequence[Agreement], roles: frozenset[str]) -> bool:
    """Whether everybody who was named has agreed, and nobody is missing."""
    return roles <= {each.role for each in agreements} and all(each.answer is Answer.AGREED for each in agreements)
