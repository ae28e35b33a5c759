"""One SMS at once, outside the ledger: a one-time code is worth nothing in a queue, and nothing after five minutes.

It goes through the accounts of the SMS channel in their order, paced as the bulk lanes are: what red and orange have
reserved of an account's rate stays theirs. Promise: who was told True may have it; False means that nobody took it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from channels.base import Kind, Outcome, SmsContent, Verdict, Window
from push.contents import sms_content
from push.pace import Account, Pace
from server.domain.one_time_codes import Purpose
from server.domain.templates import Key, Registry
from server.domain.texts import sms_text

ROOM_S = 0.3  # to wait for the account's rate
START_WITHIN_S = 1.0
DEADLINE_S = 2.5


class Texting:
    """Sends codes. `clock` is the event loop's; `reference` yields our own word for a message."""

    def __init__(
        self,
        accounts: Sequence[Account],
        pace: Pace,
        templates: Registry,
        *,
        clock: Callable[[], float],
        reference: Callable[[], str],
    ) -> None:
        self._accounts = accounts
        self._pace = pace
        self._templates = templates
        self._clock = clock
        self._reference = reference

    async def text(self, phone: str, purpose: Purpose, language: str, code: str) -> bool:
        """Hand it to the first account that takes it; the next one is the failover. False: none can.

        A number that does not exist is no failure of ours: it is answered as any other.
        """
        content = code_content(self._templates, purpose, language, code)
        may_have_left = False
        for account in self._accounts:
            if account.channel.provider not in content.templates or not self._pace.is_open(account):
                continue
            until = self._clock() + ROOM_S
            if not await self._pace.take(account, 1, is_urgent=False, until=until):
                continue
            outcome = await self._send(account, content, phone)
            self._pace.note(account, outcome)
            if outcome.verdict is Verdict.ACCEPTED or (outcome.fault and outcome.fault.kind is Kind.ADDRESS_DEAD):
                return True
            may_have_left = may_have_left or outcome.verdict is Verdict.UNKNOWN
        return may_have_left

    async def _send(self, account: Account, content: SmsContent, phone: str) -> Outcome:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        now = self._clock()
        window = Window(content, [phone], f"code/{self._reference()}", now + START_WITHIN_S, DEADLINE_S)
        account.leaves(1)
        account.channel.send(window, partial(_settle, account, answer))
        return await answer


def code_content(templates: Registry, purpose: Purpose, language: str, code: str) -> SmsContent:
    """The filed text of this purpose with its code."""
    key = Key(f"code_{purpose}", "*", "alert", exercise=False, language=language)
    return sms_content(sms_text(templates, templates.choose(key), {"code": code}))


def _settle(account: Account, answer: asyncio.Future[Outcome], _index: int, outcome: Outcome) -> None:
    account.answered()
    if not answer.done():  # who asked may have left
        answer.set_result(outcome)
