"""What officers do with applications: see their inbox, claim, hand on, take the steps of the workflow.

Promises. An officer sees and moves what lies in their division and belongs to their unit; a task of parallel work
belongs to its own unit. Of two who claim at once one wins. Every look at somebody's form is in the log and on that
person's list of uses before it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from server.domain.access import Deed, may, refuse
from server.domain.applications import ASKING, Application, By, Terms, asking_words, missing, unknown
from server.domain.audit import Event
from server.domain.catalogue import Material
from server.domain.errors import ConflictError, InvalidInputError
from server.domain.faults import Fault
from server.domain.officers import Account, AccountState, Officer, Role
from server.domain.reasons import Reason
from server.domain.workflow import Act, Party
from server.services.application_steps import ApplicationSteps, Ground
from server.services.uses import Uses, user_of
from server.storage.application_documents import sort_key
from server.storage.applications import Wanted

PARTIES: Mapping[Role, Party] = {
    Role.CLERK: Party.CLERK,
    Role.APPROVER: Party.APPROVER,
    Role.SUPERVISOR: Party.SUPERVISOR,
}
AGAIN = "ask_again"
SEEN_FIELDS = ("form", "materials")


@dataclass(frozen=True, slots=True)
class Filed:
    """An application as an officer sees it."""

    application: Application
    terms: Terms
    faults: Sequence[Fault]
    missing: Sequence[str]
    allowed: Sequence[str]
    state_words: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Decision:
    """A step of an officer. `reason` names a template, `note` is said besides; both are for the applicant to read.

    `materials`: of asking for more, which papers; those that are not there at all are added.
    """

    action: str
    reason: str = ""
    note: str = ""
    task: str = ""
    key: str = ""
    materials: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sought:
    """Which part of an inbox. `owner`: "" nobody's, None whoever's."""

    owner: str | None = None
    state: str | None = None
    card: str | None = None
    after: tuple[datetime, str] | None = None
    limit: int = 50


class Colleagues(Protocol):
    """The officers that there are: `OfficerStore`."""

    async def find(self, officer_id: str) -> Account | None:
        """One account."""
        ...


class Deciding:
    """The verbs."""

    def __init__(
        self, ground: Ground, steps: ApplicationSteps, uses: Uses, reasons: Mapping[str, Reason],
        colleagues: Colleagues,
    ) -> None:  # fmt: skip
        self._colleagues = colleagues
        self._ground = ground
        self._steps = steps
        self._uses = uses
        self._reasons = reasons

    async def inbox(self, officer: Officer, sought: Sought) -> tuple[list[Application], datetime | None]:
        """What the officer's unit has to work on, nearest deadline first; nobody's form is in it.

        With the deadline after which the next page begins; None: this was the last.
        """
        refuse(officer, Deed.APPLICATION_READ, (officer.division,))
        wanted = Wanted(
            officer.institutions, officer.division, sought.owner, sought.state, sought.card, sought.after,
            sought.limit,
        )  # fmt: skip
        found = await self._ground.store.inbox(wanted)
        return found, sort_key(found[-1]) if len(found) == sought.limit else None

    def state_words(self, application: Application) -> tuple[str, str]:
        """Where it stands, as a citizen reads it."""
        return self._steps.state_words(application)

    async def get(self, officer: Officer, application: str) -> Filed:
        """One of them, with what was filled in: the applicant reads that it was looked at, and why."""
        found = await self._reached(officer, application, Deed.APPLICATION_READ)
        await self._ground.audit.record(Event(officer.id, Deed.APPLICATION_READ, f"application/{found.id}"))
        people = [c for c in {found.citizen, *(a.citizen for a in found.agreements if a.may_look)} if c]
        purpose = f"办理：{found.item_name.zh}"
        await self._uses.note(people, user_of(officer), purpose, SEEN_FIELDS, about=found.number)
        return await self._filed(officer, found)

    async def claim(self, officer: Officer, application: str) -> Filed:
        """It is this officer's work from now on. ConflictError `application_claimed`: it is somebody else's."""
        found = await self._reached(officer, application, Deed.APPLICATION_STEP)
        if found.owner != officer.id:
            event = self._event(officer, "application.claim", found)
            claimed = await self._ground.store.claim(application, "", officer.id, self._ground.at(), event)
            if claimed is None:
                raise ConflictError("application_claimed", zh="已由他人认领或已办结", en="another officer has it")
            await self._steps.log(application, [event])
            found = claimed
        return await self._filed(officer, found)

    async def transfer(self, officer: Officer, application: str, to: str) -> Filed:
        """Hand the own work on: to a colleague, or ("") back to all. A supervisor may hand on anybody's.

        ConflictError `application_claimed`; InvalidInputError `colleague_unknown`: nobody who could work on it.
        """
        found = await self._reached(officer, application, Deed.APPLICATION_ASSIGN)
        if to and not await self._could_work(to, found):
            raise InvalidInputError(
                "colleague_unknown", zh="此人不能办理该件", en="this officer could not work on it", field="to"
            )
        before = found.owner if Role.SUPERVISOR in officer.roles else officer.id
        event = self._event(officer, Deed.APPLICATION_ASSIGN, found, to=to)
        moved = await self._ground.store.claim(application, before, to, self._ground.at(), event)
        if moved is None:
            raise ConflictError("application_claimed", zh="不在您名下", en="it is not yours to hand on")
        await self._steps.log(application, [event])
        return await self._filed(officer, moved)

    def _event(self, officer: Officer, action: str, application: Application, **details: str) -> Event:
        key = f"application/{application.id}/{self._ground.random(16).hex()}"
        return Event(officer.id, action, f"application/{application.id}", details=details, key=key)

    async def _could_work(self, colleague: str, application: Application) -> bool:
        """Whether an account is in use, at the counter, and of a unit that has this in its inbox."""
        account = await self._colleagues.find(colleague)
        if account is None or account.state is not AccountState.ACTIVE:
            return False
        theirs = {*account.officer.institutions} & {application.unit, *application.units}
        return bool(theirs) and may(account.officer, Deed.APPLICATION_STEP, (application.division,))

    async def decide(self, officer: Officer, application: str, decision: Decision) -> Filed:
        """A step of the workflow; but for tasks, what another has claimed is theirs.

        ConflictError `application_claimed`, and the errors of `ApplicationSteps.take`.
        """
        found = await self._reached(officer, application, Deed.APPLICATION_STEP)
        step = (await self._steps.terms(found)).workflow.table.get((found.standing.state, decision.action))
        if found.owner not in ("", officer.id) and not (step and step.task):
            raise ConflictError("application_claimed", zh="已由他人认领", en="another officer has it")
        return await self._stepped(officer, found, decision)

    async def ask_again(self, officer: Officer, application: str, decision: Decision) -> Filed:
        """A supervisor lets the applicant be asked a second time, and says why; whoever has claimed it keeps it.

        InvalidInputError `reason_unknown`, `material_unknown`; StepRefusedError `step_not_allowed`, `reason_missing`.
        """
        found = await self._reached(officer, application, Deed.APPLICATION_ASK_AGAIN)
        return await self._stepped(officer, found, replace(decision, action=AGAIN))

    async def _stepped(self, officer: Officer, found: Application, decision: Decision) -> Filed:
        own = {""} if found.unit in officer.institutions else set()  # as a workflow names the item's own unit
        act = Act(decision.action, task=decision.task, units=frozenset({*officer.institutions, *own}))
        terms = await self._steps.terms(found)
        party = _party(officer, found, terms, decision.action)
        unit = next(iter({found.unit, *found.units} & {*officer.institutions}), "")
        by = By(party, who=officer.id, unit=unit, note=self._note(decision, found, terms), key=decision.key)
        return await self._filed(officer, await self._steps.take(found, act, by))

    def _note(self, decision: Decision, application: Application, terms: Terms) -> str:
        """The template's words, what was said besides and which papers, in both languages as far as they are."""
        parts = [*self._template(decision), decision.note]
        if any(parts) and decision.action in ASKING:
            parts.append(asking_words(_named(decision, terms), missing(terms, application)))
        return "\n".join(part for part in parts if part)

    def _template(self, decision: Decision) -> tuple[str, ...]:
        if not decision.reason:
            return ()
        reason = self._reasons.get(decision.reason)
        wanted = ASKING[0] if decision.action in ASKING else decision.action
        if reason is None or wanted not in reason.actions:
            raise InvalidInputError(
                "reason_unknown", zh="没有这个理由模板", en="there is no such reason for this", field="reason"
            )
        return (reason.zh, reason.en)

    async def _reached(self, officer: Officer, application: str, deed: Deed) -> Application:
        """What is out of reach does not exist, drafts neither."""
        refuse(officer, deed, (officer.division,))
        found = await self._ground.store.find(application)
        if found is None or found.is_draft or not {found.unit, *found.units} & {*officer.institutions}:
            raise unknown()
        if not may(officer, deed, (found.division,)):
            raise unknown()
        return found

    async def _filed(self, officer: Officer, application: Application) -> Filed:
        terms = await self._steps.terms(application)
        parties = {PARTIES[role] for role in officer.roles & PARTIES.keys()}
        state = application.standing.state
        allowed = {action for party in parties for action in terms.workflow.allowed(state, party)}
        allowed -= {ASKING[0]} if application.asked else set()
        return Filed(
            application=application,
            terms=terms,
            faults=terms.faults(application.form),
            missing=[each.id for each in missing(terms, application)],
            allowed=sorted(allowed),
            state_words=self._steps.state_words(application),
        )


def _named(decision: Decision, terms: Terms) -> list[Material]:
    """The papers that an officer names; InvalidInputError `material_unknown`."""
    known = {each.id: each for each in terms.item.materials}
    if not known.keys() >= {*decision.materials}:
        raise InvalidInputError(
            "material_unknown", zh="该事项没有这份材料", en="the item has no such material", field="materials"
        )
    return [known[each] for each in decision.materials]


def _party(officer: Officer, application: Application, terms: Terms, action: str) -> Party:
    """Of an officer with several roles the one that may; clerk if none."""
    parties = [PARTIES[role] for role in sorted(officer.roles & PARTIES.keys())]
    step = terms.workflow.table.get((application.standing.state, action))
    fitting = [party for party in parties if step and party in step.by]
    return next(iter(fitting or parties), Party.CLERK)
