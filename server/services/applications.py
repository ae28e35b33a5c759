"""What a citizen does with an application: begin, fill in, hand in, complete, withdraw, ask for speed, follow.

Promises. Whose it is not sees the same as for one that does not exist. A draft is on the server: another device goes on
where this one stopped, and a write over a newer version is refused. Handed in means durable, with a number; each verb
under the same key happens once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from server.domain.application_news import change_of
from server.domain.applications import (
    MAX_DRAFTS,
    Application,
    By,
    Terms,
    changed,
    is_number,
    missing,
    unknown,
    with_dashes,
)
from server.domain.audit import Event
from server.domain.catalogue import Material
from server.domain.citizens import Caller
from server.domain.co_applicants import asked_again
from server.domain.errors import (
    ConflictError,
    InvalidInputError,
    StepRefusedError,
    TooManyError,
)
from server.domain.faults import Fault, refuse_faulty
from server.domain.inbox import After, read_after, read_since, sync_of, write_after, write_moment
from server.domain.relations import Scope
from server.domain.wording import Words
from server.domain.workflow import Act, Party
from server.services.application_steps import ApplicationSteps, Ground
from server.services.inbox import Wanted
from server.storage.attachments import AttachmentStore

URGE_EVERY = timedelta(hours=24)
EDITABLE = ("draft", "supplement")
KNOWN = "facts"  # among the answers of sources: what an offer filled in, and from where
DECLARED = "declared"  # there too: what the tap on an offer agreed to, in which words


@dataclass(frozen=True, slots=True)
class Seen:
    """An application as its citizen sees it. `faults` and `missing` say what still stands in the way."""

    application: Application
    terms: Terms
    faults: Sequence[Fault]
    missing: Sequence[Material]
    allowed: Sequence[str]
    state_words: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """What an offer begins: under which id, by which offer; `answers`: `KNOWN`, `DECLARED`."""

    id: str
    offer: str
    answers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """What a citizen begins. `subject`: the public id of whom it is for, None for oneself. `made`: by an offer."""

    item: str
    subject: str | None = None
    form: Mapping[str, Any] | None = None
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list. `sync` is the `since` of the next walk, `next` the `after` of the next page."""

    applications: Sequence[Application]
    sync: str
    next: str | None


class Applications:
    """The verbs."""

    def __init__(self, ground: Ground, steps: ApplicationSteps, files: AttachmentStore) -> None:
        self._ground = ground
        self._steps = steps
        self._files = files

    async def begin(self, caller: Caller, draft: Draft) -> Seen:
        """A new draft. NotFoundError `item_unknown`; ForbiddenError `relation_missing`; ConflictError `item_closed`."""
        ground = self._ground
        terms = await ground.items.terms(draft.item)
        if not terms.item.is_offered:
            raise ConflictError("item_closed", zh="此事项暂不能网上申请", en="this cannot be applied for online now")
        citizen = await ground.acting.subject_of(caller.id, draft.subject, Scope.APPLY)
        if await ground.store.count_drafts(caller.id) >= MAX_DRAFTS:
            raise TooManyError(
                "drafts_full", zh=f"草稿已满{MAX_DRAFTS}份，请先删除", en=f"there are {MAX_DRAFTS} drafts: delete some"
            )
        now, made = ground.at(), draft.made
        application = Application(
            id=made.id if made else ground.random(16).hex(),
            citizen=citizen,
            actor=caller.id,
            item=terms.item.id,
            item_version=terms.version,
            item_name=Words(terms.item.name.zh, terms.item.name.en),
            workflow=terms.workflow.name,
            unit=terms.item.unit.id,
            division=terms.item.division,
            created_at=now,
            changed_at=now,
            form=MappingProxyType(dict(draft.form or {})),
            answers=MappingProxyType(dict(made.answers) if made else {}),
            offer=made.offer if made else "",
        )
        if not await ground.store.insert(application):
            return await self.get(caller, application.id)
        return self._seen(application, terms)

    async def get(self, caller: Caller, application: str) -> Seen:
        """One of the caller's; NotFoundError `application_unknown`."""
        found = await self._own(caller, application, Scope.SEE)
        return self._seen(found, await self._steps.terms(found))

    async def page(self, caller: Caller, wanted: Wanted) -> Listed:
        """The caller's, newest change first; InvalidInputError `cursor_invalid`.

        What changes during a walk may be left out of it; the next one, `since` its `sync`, has it.
        """
        now = self._ground.now()
        since = read_since(wanted.since) if wanted.since else None
        after = read_after(wanted.after) if wanted.after else None
        place = (after.due_at, after.item) if after else None
        found = await self._ground.store.page_of(caller.id, place, wanted.limit + 1, since)
        page = found[: wanted.limit]
        sync = after.sync if after else sync_of(now)
        more = After(sync, page[-1].changed_at, page[-1].id) if len(found) > wanted.limit else None
        return Listed(page, write_moment(sync), write_after(more) if more else None)

    async def save(self, caller: Caller, application: str, version: int, form: Mapping[str, Any]) -> Seen:
        """Write over what was filled in, complete or not, while it is the applicant's turn.

        ConflictError `application_changed` (412): it is another version by now. StepRefusedError `application_closed`.
        """
        before = await self._own(caller, application, Scope.APPLY)
        if before.version != version:
            raise changed()
        self.refuse_closed(before)
        after = self.edited(before, form=MappingProxyType(dict(form)))
        await self.write(before, after)
        return self._seen(after, await self._steps.terms(after))

    async def drop(self, caller: Caller, application: str, version: int) -> None:
        """Delete a draft. ConflictError `application_changed`; StepRefusedError `application_closed`."""
        before = await self._own(caller, application, Scope.APPLY)
        if not before.is_draft or before.is_between:
            raise closed(before)
        if before.version != version or not await self.discard(before):
            raise changed()

    async def submit(self, caller: Caller, application: str, version: int, key: str) -> Seen:
        """Hand it in. FaultyInputError `form_faulty` names every field; StepRefusedError `application_incomplete`."""
        return await self._hand_in(caller, application, "submit", version, key)

    async def file(self, caller: Caller, application: str, key: str) -> Seen:
        """Hand in whatever version it is now, once under a key; the errors of `submit`."""
        return await self._hand_in(caller, application, "submit", None, key)

    async def supply(self, caller: Caller, application: str, version: int, key: str) -> Seen:
        """What was asked for is there now: the clock goes on."""
        return await self._hand_in(caller, application, "supply", version, key)

    async def withdraw(self, caller: Caller, application: str, key: str) -> Seen:
        """Take it back before it is decided."""
        found = await self._own(caller, application, Scope.APPLY)
        after = await self._steps.take(found, Act("withdraw"), self._by(caller, key))
        return self._seen(after, await self._steps.terms(after))

    async def urge(self, caller: Caller, application: str, key: str) -> Seen:
        """催办: the unit sees that somebody waits; once a day. TooManyError `urged_already`."""
        found = await self._own(caller, application, Scope.APPLY)
        last = max((line.at for line in found.timeline if line.action == "urge" and line.key != key), default=None)
        if last and self._ground.now() < last + URGE_EVERY:
            raise TooManyError("urged_already", zh="24小时内已催办过", en="you asked for speed within the last day")
        after = await self._steps.take(found, Act("urge"), self._by(caller, key))
        return self._seen(after, await self._steps.terms(after))

    async def track(self, number: str, code: str) -> tuple[Application, tuple[str, str]]:
        """By number and code, without a log-in: where it stands, in words that name nobody.

        InvalidInputError `number_mistyped`; NotFoundError `application_unknown`, for a wrong code too.
        """
        if not is_number(number):
            raise InvalidInputError(
                "number_mistyped", zh="办件编号有误，请核对", en="this is no number of an application", field="number"
            )
        found = await self._ground.store.find_tracked(with_dashes(number), code)
        if found is None:
            raise unknown()
        return found, self._steps.state_words(found)

    def state_words(self, application: Application) -> tuple[str, str]:
        """Where it stands, as a citizen reads it."""
        return self._steps.state_words(application)

    async def terms(self, application: Application) -> Terms:
        """Its item, in the version that was applied for."""
        return await self._steps.terms(application)

    async def write(self, before: Application, after: Application) -> None:
        """A change that is no step; ConflictError `application_changed`."""
        if not await self.put(before, after):
            raise changed()

    async def put(self, before: Application, after: Application, events: Sequence[Event] = ()) -> bool:
        """A change that is no step, with what its co-applicants hear of it; False: another version is newer.

        `events` are in the log when it returns, or will be: see `ApplicationSteps.finish`.
        """
        news = change_of(before, after)
        if not await self._ground.store.swap(before, after, news, is_logged=not events, events=events):
            return False
        if events:
            await self._steps.log(before.id, events)
        return True

    async def discard(self, draft: Application) -> bool:
        """Delete a draft with its files; False: another version is newer, or it was handed in.

        The files are loose first: killed anywhere, either the draft has all of them or the sweep finds them.
        """
        await self._files.loosen_of(draft.id)
        if not await self._ground.store.delete_draft(draft):
            return False
        await self._files.delete_of(draft.id)
        return True

    async def own(self, caller: Caller, application: str) -> Application:
        """One of the caller's, to be changed by them; NotFoundError `application_unknown`."""
        return await self._own(caller, application, Scope.APPLY)

    async def seen_by(self, caller: Caller, application: str) -> Application:
        """One that the caller may look at; NotFoundError `application_unknown`."""
        return await self._own(caller, application, Scope.SEE)

    def edited(self, before: Application, **change: Any) -> Application:
        """One version on; a co-applicant has to confirm what is written now."""
        now = self._ground.at()
        agreements = asked_again(before.agreements, now)
        return replace(before, version=before.version + 1, changed_at=now, agreements=agreements, **change)

    async def _hand_in(self, caller: Caller, application: str, action: str, version: int | None, key: str) -> Seen:
        found = await self._own(caller, application, Scope.APPLY)
        terms = await self._steps.terms(found)
        if found.is_between:
            raise closed(found)
        if action in terms.workflow.allowed(found.standing.state, Party.APPLICANT):
            refuse_faulty(terms.faults(found.form))
        after = await self._steps.take(found, Act(action), self._by(caller, key), version=version)
        return self._seen(after, terms)

    async def _own(self, caller: Caller, application: str, scope: Scope) -> Application:
        """Who acts for another may do so while they are allowed to; who was named to agree may only look."""
        found = await self._ground.store.find(application)
        if found is None or not found.may_see(caller.id):
            raise unknown()
        if scope is Scope.SEE and any(each.citizen == caller.id and each.may_look for each in found.agreements):
            return found
        if not await self._ground.acting.may(caller.id, found.citizen, scope):
            raise unknown()
        return found

    def refuse_closed(self, application: Application) -> None:
        """StepRefusedError `application_closed`: it is not the applicant's turn."""
        if application.standing.state not in EDITABLE or application.is_between:
            raise closed(application)

    def _by(self, caller: Caller, key: str) -> By:
        return By(Party.APPLICANT, who=caller.account.public, key=key)

    def _seen(self, application: Application, terms: Terms) -> Seen:
        is_open = application.standing.state in EDITABLE
        return Seen(
            application=application,
            terms=terms,
            faults=terms.faults(application.form) if is_open else (),
            missing=missing(terms, application) if is_open else (),
            allowed=terms.workflow.allowed(application.standing.state, Party.APPLICANT),
            state_words=self._steps.state_words(application),
        )


def closed(application: Application) -> StepRefusedError:
    """It is not the applicant's turn."""
    return StepRefusedError(
        "application_closed", zh="办件已提交，不能修改", en="it was handed in and cannot be changed",
        allowed=("withdraw",) if application.is_open else (),
    )  # fmt: skip
