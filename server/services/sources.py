"""免提交: a department source is asked instead of the citizen, if table, consent and identity allow it.

Promises. Nothing is asked without a rule, the person's consent in the version in force, and a verified name. Before
the source is asked the log knows it and the person can read it: who, what for, which fields. A source that is away or
knows nothing leaves the way of papers open. What it said is sealed with the person's key; its hash stands beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from server.domain.applications import Application, Brought, Means, changed
from server.domain.audit import Detail, Event
from server.domain.citizens import Caller
from server.domain.errors import ForbiddenError, UnavailableError
from server.domain.real_name import RealName
from server.domain.sources import Answer, Policy, Question, evidence_of, filled_by, question_of
from server.domain.uses import User
from server.services.application_steps import TURNS, Ground
from server.services.applications import EDITABLE, Applications, Seen, closed
from server.services.consents import Consents
from server.services.uses import Uses

TIMEOUT_S = 5.0


class Registers(Protocol):
    """The departments' interfaces, behind one contract."""

    async def ask(self, question: Question, person: RealName) -> Answer | None:
        """What the source knows of this person, these fields only; None: nothing.

        UnavailableError if it cannot be asked now.
        """
        ...


class Names(Protocol):
    """Who somebody is: `RealNameStore`."""

    async def find(self, citizen: int) -> RealName | None:
        """The verified name and number of an account."""
        ...


@dataclass(frozen=True, slots=True)
class Permits:
    """What has to agree before a source is asked."""

    policy: Policy
    consents: Consents
    uses: Uses
    names: Names


class Sources:
    """The verbs."""

    def __init__(
        self, ground: Ground, counter: Applications, permits: Permits, registers: Registers,
        timeout_s: float = TIMEOUT_S,
    ) -> None:  # fmt: skip
        self._timeout_s = timeout_s
        self._ground = ground
        self._counter = counter
        self._permits = permits
        self._registers = registers

    async def bring(self, caller: Caller, application: str, source: str) -> Seen:
        """Ask one source: fields of the form are filled from it, materials that it replaces are there.

        NotFoundError `source_unknown`; ForbiddenError `source_denied`, `consent_needed`, `real_name_needed`;
        UnavailableError `source_away` (upload instead); StepRefusedError `application_closed`.
        """
        found = await self._counter.own(caller, application)
        if found.standing.state not in EDITABLE or found.is_between:
            raise closed(found)
        question = question_of(await self._ground.items.terms(found.item, found.item_version), source)
        person = await self._permitted(found, question)
        await self._note(caller, found, question)
        answer = await self._asked(question, person)
        await self._write(caller, found, question, answer)
        return await self._counter.get(caller, application)

    async def _permitted(self, application: Application, question: Question) -> RealName:
        permits = self._permits
        rule = permits.policy.rule(question.source, question.fields, question.purposes)
        if not await permits.consents.has(application.citizen, rule.consent):
            raise ForbiddenError(
                "consent_needed", zh=f"请先同意：{rule.consent}", en=f"agree first to the purpose {rule.consent}"
            )
        person = await permits.names.find(application.citizen)
        if person is None:
            raise ForbiddenError("real_name_needed", zh="请先完成实名认证", en="verify your name first")
        return person

    async def _note(self, caller: Caller, application: Application, question: Question) -> None:
        fields: Sequence[str] = sorted(question.fields)
        purposes = ",".join(sorted(question.purposes))
        details: dict[str, Detail] = {"source": question.source, "purposes": purposes, "fields": len(fields)}
        await self._ground.audit.record(
            Event(caller.account.public, "application.source", f"application/{application.id}", details=details)
        )
        user = User("system", application.unit, ("系统核验", "automatic check"))
        purpose = f"免提交：{application.item_name.zh}"
        await self._permits.uses.note([application.citizen], user, purpose, fields, about=application.id)

    async def _asked(self, question: Question, person: RealName) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._registers.ask(question, person)
        except (TimeoutError, UnavailableError):
            answer = None
        if answer is None:
            raise UnavailableError(
                "source_away",
                zh="该数据源暂时无法核验，请改为上传材料",
                en="this source cannot confirm it now: upload the paper instead",
            )
        known = {name: value for name, value in answer.values.items() if name in question.fields}
        return Answer(MappingProxyType(known), answer.as_of_at)

    async def _write(self, caller: Caller, application: Application, question: Question, answer: Answer) -> None:
        found, now = application, self._ground.at()
        evidence = evidence_of(question, answer, application.id)
        brought = tuple(
            Brought(material, Means.SOURCE, question.source, evidence, now, answer.as_of_at)
            for material in question.materials
        )
        terms = await self._ground.items.terms(application.item, application.item_version)
        for _ in range(TURNS):
            kept = tuple(b for b in found.brought if b.means is not Means.SOURCE or b.ref != question.source)
            after = self._counter.edited(
                found,
                brought=(*kept, *brought),
                form=MappingProxyType(filled_by(terms, question, answer, found.form)),
                answers=MappingProxyType({**found.answers, question.source: dict(answer.values)}),
            )
            if await self._counter.put(found, after):
                return
            found = await self._counter.own(caller, application.id)
            if found.standing.state not in EDITABLE or found.is_between:
                raise closed(found)
        raise changed()
