"""Who applies together with somebody: named, asked, and what they say. 共同申请: a household, parents.

Promises. Who is named is told over their channels and in the inbox, and confirms or declines on their own phone; the
question and its notice are one write, and so are the answer, the end of the question and what the applicant is told. A
question can be taken back while nothing was answered, and lapses after two weeks. Each answer stands with its event for
the log in one write.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from server.domain.applications import Application, changed
from server.domain.audit import SYSTEM, Event
from server.domain.citizens import Caller
from server.domain.co_applicants import MAX_NAMED, Agreement, Answer, answered, lapsed
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from server.domain.relations import Scope
from server.services.application_steps import TURNS, Ground
from server.services.applications import Applications, Seen

AT_ONCE = 100

log = structlog.get_logger()


class CoApplicants:
    """The verbs."""

    def __init__(self, ground: Ground, counter: Applications) -> None:
        self._ground = ground
        self._counter = counter

    async def invite(self, caller: Caller, application: str, version: int, account: str, role: str) -> Seen:
        """Name somebody who has to confirm: one for whom the caller may act, or who acts. Who is asked stays so.

        ForbiddenError `relation_missing`; ConflictError `application_changed`, `co_applicants_full`; StepRefusedError
        `application_closed`; InvalidInputError `role_unknown`, `role_self`.
        """
        before = await self._counter.own(caller, application)
        if before.version != version:
            raise changed()
        self._counter.refuse_closed(before)
        terms = await self._counter.terms(before)
        if role not in terms.workflow.agreeing:
            raise InvalidInputError(
                "role_unknown", zh="此事项不需要该共同申请人", en="this item has no such co-applicant", field="role"
            )
        citizen = await self._ground.acting.subject_of(caller.id, account, Scope.SEE)
        if citizen == before.citizen:
            raise InvalidInputError("role_self", zh="不能是申请人本人", en="that is the applicant", field="account")
        if any(each.citizen == citizen and each.role == role and each.may_look for each in before.agreements):
            return await self._counter.get(caller, application)
        kept = tuple(each for each in before.agreements if (each.citizen, each.role) != (citizen, role))
        if len(kept) >= MAX_NAMED:
            raise ConflictError(
                "co_applicants_full", zh=f"共同申请人最多{MAX_NAMED}位", en=f"{MAX_NAMED} co-applicants are the most"
            )
        named = Agreement(citizen, account, role, id=str(before.version), asked_at=self._ground.at())
        after = self._counter.edited(before)
        after = replace(after, agreements=(*(each for each in after.agreements if each.id in _ids(kept)), named))
        if not await self._counter.put(before, after, [_event(caller.account.public, "invite", after, named)]):
            raise changed()
        return await self._counter.get(caller, application)

    async def take_back(self, caller: Caller, application: str, invitation: str) -> Seen:
        """They need not answer any more, and see nothing of it; also clears an answer that was none.

        NotFoundError `invitation_unknown`; ConflictError `invitation_answered`: they have agreed already.
        """
        for _ in range(TURNS):
            before = await self._counter.own(caller, application)
            self._counter.refuse_closed(before)
            named = next((each for each in before.agreements if each.id == invitation), None)
            if named is None:
                raise NotFoundError("invitation_unknown", zh="没有这个邀请", en="there is no such invitation")
            if named.answer is Answer.AGREED:
                raise ConflictError("invitation_answered", zh="对方已确认", en="they have confirmed already")
            after = self._with(before, tuple(each for each in before.agreements if each is not named))
            if await self._counter.put(before, after, [_event(caller.account.public, "take_back", after, named)]):
                return await self._counter.get(caller, application)
        raise changed()

    async def agree(self, caller: Caller, application: str, version: int) -> Seen:
        """Confirm, as the one who was named, the version that was seen; what is changed has to be confirmed anew.

        NotFoundError `application_unknown`; ForbiddenError `agreement_missing`: the caller was not named;
        ConflictError `invitation_lapsed`, `application_changed`.
        """
        await self._answer(caller, application, Answer.AGREED, version)
        return await self._counter.get(caller, application)

    async def decline(self, caller: Caller, application: str) -> None:
        """Not with me, before it is handed in: from then on it is not theirs to see. The errors of `agree`."""
        await self._answer(caller, application, Answer.DECLINED)

    async def lapse(self) -> int:
        """End the questions that nobody has answered in time; how many applications there were. A duty."""
        now = self._ground.at()
        found = await self._ground.store.find_lapsing(now, AT_ONCE)
        for before in found:
            after = self._with(before, lapsed(before.agreements, now))
            over = [each for each in after.agreements if each not in before.agreements]
            await self._counter.put(before, after, [_event(SYSTEM, "lapse", after, each) for each in over])
        if found:
            log.info("co_applicants_lapsed", applications=len(found))
        return len(found)

    async def _answer(self, caller: Caller, application: str, answer: Answer, version: int | None = None) -> None:
        for _ in range(TURNS):
            before = await self._counter.seen_by(caller, application)
            mine = [each for each in before.agreements if each.citizen == caller.id and each.may_look]
            if not mine:
                raise ForbiddenError(
                    "agreement_missing", zh="没有需要您确认的内容", en="nothing waits for your consent"
                )
            now = self._ground.at()
            after = self._with(before, answered(before.agreements, caller.id, answer, now))
            if after.agreements == before.agreements:
                return
            self._counter.refuse_closed(before)
            if version not in (None, before.version):
                raise changed()
            if any(each.is_waiting and each.until <= now for each in mine):
                raise ConflictError("invitation_lapsed", zh="邀请已过期", en="this invitation is over")
            events = [_event(caller.account.public, answer.value, after, each) for each in mine]
            if await self._counter.put(before, after, events):
                return
        raise changed()

    def _with(self, before: Application, agreements: tuple[Agreement, ...]) -> Application:
        return replace(before, agreements=agreements, version=before.version + 1, changed_at=self._ground.at())


def _event(who: str, what: str, application: Application, named: Agreement) -> Event:
    about = f"application/{application.id}"
    details = {"role": named.role, "question": named.question}
    return Event(who, f"application.{what}", about, details=details, key=f"{about}/{what}/{named.question}")


def _ids(agreements: tuple[Agreement, ...]) -> frozenset[str]:
    return frozenset(each.id for each in agreements)
