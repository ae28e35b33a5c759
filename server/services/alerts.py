"""The desk at which an officer warns: draft, submit, release, return, reject, and the verbs that follow a release.

Promises. Two persons, a chief for red, own divisions and events: every verb asks the one policy table. What is released
is what was submitted: the digest is computed again and compared, any change voids it. A release is one write that holds
the new state, the exact CAP bytes and the frozen broadcast; publishing comes after it, is idempotent, and is done by
`finish_interrupted` if the process died in between. So an alert is broadcast exactly once or was never released.
Every step is in the audit log before it is answered or published (see `steps`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol

from server.domain.alerts.cap import to_cap
from server.domain.alerts.desk import DeskAlert, Hand, signed_digest
from server.domain.alerts.finding import Finding
from server.domain.alerts.model import Alert
from server.domain.alerts.refusals import forbidden
from server.domain.alerts.release import World, broadcast_of, message_of, refuse_unfit, touched
from server.domain.alerts.review import refuse_faulty, review, review_misfit
from server.domain.alerts.states import Action, State, Why, draft_refusal, next_state, refusal
from server.domain.alerts.verbs import (
    SAME_SECOND,
    Change,
    edited,
    first_message,
    identifier,
    is_loud,
    is_over,
    next_message,
)
from server.domain.broadcasts import Broadcast
from server.domain.errors import ConflictError, InvalidInputError, TooManyError
from server.domain.officers import Officer
from server.domain.wording import Kind
from server.services.audit import Audit
from server.services.finishing import finish_each
from server.services.steps import StepLog
from server.storage.alerts import AlertStore

TRIES = 5  # against other writers of the same alert; each lost race is somebody else's progress
RED_WAIT = timedelta(seconds=120)  # of a red alert, before the next chief is called


class Publisher(Protocol):
    """What puts a broadcast on its way and stops those it replaces. Idempotent by the broadcast's id."""

    async def publish(self, broadcast: Broadcast) -> None:
        """Return when it is durable."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """A red alert waits: `chief` is to be called now, as the `nth` (from 1); None = nobody may release it."""

    identifier: str
    chief: Officer | None
    nth: int
    waited_s: float


@dataclass(frozen=True, slots=True)
class Preview:
    """The message, the broadcast with the texts of all channels, and the findings of one moment."""

    message: Alert
    broadcast: Broadcast
    findings: Sequence[Finding]


class Alerts:
    """The verbs of the desk. `testers` tells who takes part in exercises now; without it the list of `world` stands."""

    def __init__(
        self,
        store: AlertStore,
        world: World,
        publisher: Publisher,
        audit: Audit,
        *,
        now: Callable[[], datetime],
        testers: Callable[[], Awaitable[tuple[int, ...]]] | None = None,
    ) -> None:
        self._store = store
        self._testers = testers
        self._world = world
        self._publisher = publisher
        self._log = StepLog(store, audit)
        self._clock = now

    async def draft(self, officer: Officer, alert: Alert) -> DeskAlert:
        """Begin a chain. What only the desk decides (identifier, sender, references, headline) replaces the input."""
        refuse_unfit(alert)
        unit = officer.unit
        hand = Hand.of(officer)

        def begun(name: str) -> DeskAlert:
            message = first_message(alert, name=name, sender=unit.sender)
            desk = DeskAlert(alert=message, chain=name, kind=Kind.ALERT, unit=unit, author=hand, editor=hand)
            return self._placed(desk)

        return await self._insert(officer, begun, unit.code, "draft")

    async def follow(self, officer: Officer, name: str, kind: Kind, change: Change) -> DeskAlert:
        """Draft the next message of the chain that `name` belongs to; it waits for a second person like any other."""
        first = await self._store.get(name)
        released = await self._store.find_chain(first.chain)
        if not released:
            raise ConflictError(
                "alert_state", zh="预警尚未发布：请退回或否决", en="not released yet: return or reject it"
            )
        head, messages, at = released[-1], [desk.alert for desk in released], self._now()
        hand = Hand.of(officer)

        def begun(name: str) -> DeskAlert:
            message = next_message(messages, kind, change, name=name, at=at)
            desk = DeskAlert(
                alert=message,
                previous=head.colour,
                chain=head.chain,
                kind=kind,
                follows=head.identifier,
                unit=head.unit,
                author=hand,
                editor=hand,
                is_loud=is_loud(head.alert, message) if change.is_loud is None else change.is_loud,
                is_loud_by_choice=change.is_loud is not None,
            )
            return self._placed(desk)

        if why := draft_refusal(officer, head.facts):
            await self._log.refuse(officer, kind.value, head.identifier, why)
        begun(head.identifier)  # says what does not fit: already cancelled, no reason given
        await self._refuse(officer, Action.FOLLOW, head)
        return await self._insert(officer, begun, head.unit.code, kind.value)

    async def edit(self, officer: Officer, name: str, alert: Alert, version: int) -> DeskAlert:
        """Write over a draft. `version` is the one the officer saw; ConflictError if it is no longer the newest."""
        desk = await self._store.get(name)
        _refuse_stale(desk, version)
        await self._refuse(officer, Action.EDIT, desk)
        head = (await self._store.get(desk.follows)).alert if desk.follows else None
        message = edited(desk.alert, alert, desk.kind, head)
        loud = desk.is_loud if desk.is_loud_by_choice else is_loud(head, message)
        update = {"alert": message, "editor": Hand.of(officer), "digest": "", "is_loud": loud}
        changed = self._placed(desk.model_copy(update=update))
        await self._refuse(officer, Action.EDIT, changed)  # nor may the new area or event lie out of reach
        return await self._move(changed, desk, Action.EDIT, officer)

    async def get(self, name: str) -> DeskAlert:
        """One alert as it stands; NotFoundError."""
        return await self._store.get(name)

    async def preview(self, name: str) -> Preview:
        """What would leave if it were released now; nothing is stored. InvalidInputError, ConflictError if nothing."""
        desk = await self._store.get(name)
        if desk.released_at is not None:
            raise forbidden(Why.STATE)
        chain = await self._chain_before(desk)
        at = _not_before(chain, self._now())
        broadcast = broadcast_of(desk, await self._world_for(desk), _names(chain), at)
        return Preview(message_of(desk, self._world, at), broadcast, await self._review(desk, at))

    async def check(self, name: str) -> list[Finding]:
        """What the rule table says about it as it stands, if it were sent now."""
        return await self._review(await self._store.get(name), self._now())

    async def check_new(self, officer: Officer, alert: Alert) -> list[Finding]:
        """What the rule table would say about a first message like this; nothing is stored and nothing is raised."""
        name = identifier(officer.unit.code, at := self._now())
        hand = Hand.of(officer)
        try:
            refuse_unfit(alert)
            message = first_message(alert, name=name, sender=officer.unit.sender)
            desk = DeskAlert(alert=message, chain=name, kind=Kind.ALERT, unit=officer.unit, author=hand, editor=hand)
            return await self._review(self._placed(desk), at)
        except InvalidInputError as error:  # not even a draft: the rules speak about the message as it came
            return review_misfit(alert, error, at)

    async def submit(
        self, officer: Officer, name: str, version: int, acknowledged: frozenset[str] = frozenset()
    ) -> DeskAlert:
        """Hand it in. The `digest` of the answer is what the second person has to confirm.

        InvalidInputError `alert_faulty` or `alert_unacknowledged` (warnings whose codes are not in `acknowledged`).
        """
        desk = await self._store.get(name)
        _refuse_stale(desk, version)
        await self._refuse(officer, Action.SUBMIT, desk)
        chain = await self._chain_before(desk)
        at = _not_before(chain, self._now())
        refuse_faulty(await self._review(desk, at), acknowledged)
        waiting = desk.model_copy(update={"submitter": Hand.of(officer), "submitted_at": at})
        world = await self._world_for(desk)
        digest = signed_digest(waiting.alert, broadcast_of(waiting, world, _names(chain), at))
        reason = f"acknowledged {' '.join(sorted(acknowledged))}" if acknowledged else ""
        return await self._move(waiting.model_copy(update={"digest": digest}), desk, Action.SUBMIT, officer, reason)

    async def return_(self, officer: Officer, name: str, reason: str) -> DeskAlert:
        """Give it back to be changed, or take it back."""
        return await self._decide(officer, name, Action.RETURN, reason)

    async def reject(self, officer: Officer, name: str, reason: str) -> DeskAlert:
        """End it unreleased."""
        return await self._decide(officer, name, Action.REJECT, reason)

    async def release(self, officer: Officer, name: str, digest: str) -> DeskAlert:
        """Send it. `digest` is what the officer saw; ConflictError `digest_changed` if anything has changed since.

        A second call by the same officer with the same digest finishes what the first may have left undone.
        """
        for _ in range(TRIES):
            desk = await self._store.get(name)
            if _is_repeat(desk, officer, digest):
                return await self._settle(desk)
            try:
                return await self._settle(await self._release_once(officer, desk, digest))
            except ConflictError as error:
                if error.code != "alert_changed":  # a chief was called meanwhile: that voids nothing
                    raise
        raise ConflictError(
            "alert_changed", zh="预警正被他人改动，请重试", en="others keep changing the alert; try again"
        )

    async def overdue(self, chiefs: Sequence[Officer]) -> list[Call]:
        """Who has to be called now: for each red alert that waits too long, the next on the list who may release it."""
        at = self._now()
        calls = []
        for desk in await self._store.find_waiting_red(at - RED_WAIT):
            assert desk.submitted_at is not None
            waited = at - desk.submitted_at
            called = sum(step.action == Action.PAGE and step.at >= desk.submitted_at for step in desk.steps)
            able = [chief for chief in chiefs if refusal(chief, Action.RELEASE, desk.facts) is None]
            if called >= waited // RED_WAIT:
                continue
            chief = able[called % len(able)] if able else None
            if chief and not await self._try_move(desk, Action.PAGE, reason=f"{chief.id}"):
                continue  # somebody has just decided, or another process has called
            calls.append(Call(desk.identifier, chief, called + 1, waited.total_seconds()))
        return calls

    async def finish_interrupted(self) -> list[str]:
        """Log what was done and publish what was released by processes that died before they could. Run at start."""
        await self._log.finish()
        left = await self._store.find_unpublished()
        finished = await finish_each(left, self._settle, "released alerts could not be published")
        return [desk.identifier for desk in finished]

    async def expire(self) -> list[str]:
        """Mark released alerts whose time is over."""
        ended = await self._store.find_ended(self._now())
        return [desk.identifier for desk in ended if await self._try_move(desk, Action.MARK_EXPIRED)]

    async def _release_once(self, officer: Officer, desk: DeskAlert, digest: str) -> DeskAlert:
        await self._refuse(officer, Action.RELEASE, desk)
        chain = await self._chain_before(desk)
        at = _not_before(chain, self._now())
        if is_over(desk.alert, at) or (chain and is_over(chain[-1].alert, at)):
            raise ConflictError("alert_expired", zh="预警已失效", en="the alert has expired")
        assert desk.submitted_at is not None
        world = await self._world_for(desk)
        then = broadcast_of(desk, world, _names(chain), desk.submitted_at)
        if not digest == desk.digest == signed_digest(desk.alert, then):
            raise ConflictError(
                "digest_changed",
                zh="内容、范围或对象与提交时不同，请重新提交",
                en="texts, area or audience are not what was submitted; submit again",
                field="digest",
            )
        message = message_of(desk, self._world, at)
        written = desk.alert.model_copy(update={"sent": message.sent})
        sent = desk.model_copy(update={"alert": written, "cap": to_cap(message), "released_at": at})
        sent = sent.model_copy(update={"broadcast": broadcast_of(sent, world, _names(chain), at)})
        return await self._move(sent, desk, Action.RELEASE, officer)

    async def _settle(self, desk: DeskAlert) -> DeskAlert:
        """Publish it and what came before it in its chain, in order; mark what is replaced. All may be repeated."""
        assert desk.released_at is not None
        chain = await self._store.find_chain(desk.chain)
        order = [other.identifier for other in chain]
        upto = chain[: order.index(desk.identifier) + 1]
        for other in upto:
            if other.published_at is None and other.broadcast is not None:
                await self._log.record(other)
                await self._publisher.publish(other.broadcast)
                await self._store.mark_published(other.identifier, self._now())
        for other, successor in pairwise(upto):
            action = Action.MARK_CANCELLED if successor.kind is Kind.CANCEL else Action.MARK_UPDATED
            await self._try_move(other, action, reason=successor.identifier)
        return await self._store.get(desk.identifier)

    async def _insert(
        self, officer: Officer, begun: Callable[[str], DeskAlert], unit_code: str, what: str
    ) -> DeskAlert:
        """Insert under the first free identifier of this second."""
        at = self._now()
        for nth in range(SAME_SECOND):
            desk = begun(identifier(unit_code, at, nth)).begun_by(officer)
            if why := draft_refusal(officer, desk.facts):
                await self._log.refuse(officer, what, desk.identifier, why)
            desk = desk.stepped(State.DRAFT, what, officer, at)
            if await self._store.insert(desk):
                await self._log.record(desk)
                return desk
            if desk.origin and (known := await self._store.find_origin(desk.origin)):
                return known
        raise TooManyError("identifiers_used_up", zh="同一秒内预警过多，请稍后", en="too many alerts in this second")

    async def _decide(self, officer: Officer, name: str, action: Action, reason: str) -> DeskAlert:
        if not reason.strip():
            raise InvalidInputError("reason_missing", zh="请说明理由", en="give a reason", field="reason")
        desk = await self._store.get(name)
        await self._refuse(officer, action, desk)
        return await self._move(desk, desk, action, officer, reason)

    async def _world_for(self, desk: DeskAlert) -> World:
        """What it depends on; an exercise on who takes part at this moment: a yes or a no holds with the next one."""
        if self._testers is None or not desk.is_exercise:
            return self._world
        return replace(self._world, test_list=await self._testers())

    async def _review(self, desk: DeskAlert, at: datetime) -> list[Finding]:
        chain = await self._store.find_chain(desk.chain)
        others = await self._store.find_live(desk.unit.sender, at)
        history = [other for other in others if other.chain != desk.chain] + chain
        return review(desk, self._world, [other for other in history if other.identifier != desk.identifier], at)

    async def _chain_before(self, desk: DeskAlert) -> list[DeskAlert]:
        """The released messages before this one; ConflictError if the chain has moved on since it was drafted."""
        chain = [other for other in await self._store.find_chain(desk.chain) if other.identifier != desk.identifier]
        if (chain[-1].identifier if chain else None) != desk.follows:
            raise ConflictError(
                "chain_moved", zh="该预警已有新消息，请重新起草", en="the chain has moved on; draft again"
            )
        return chain

    async def _move(
        self, changed: DeskAlert, before: DeskAlert, action: Action, officer: Officer | None, reason: str = ""
    ) -> DeskAlert:
        to = next_state(before.state, action)
        assert to is not None
        after = changed.stepped(to, action, officer, self._now(), reason)
        await self._store.apply(before, after)
        await self._log.record(after)
        return after

    async def _try_move(self, desk: DeskAlert, action: Action, reason: str = "") -> bool:
        """A move of the product itself; False if the alert is not, or no longer, where this can be done."""
        for _ in range(TRIES):
            if refusal(None, action, desk.facts) is not None:
                return False
            try:
                await self._move(desk, desk, action, None, reason)
            except ConflictError:
                if action is Action.PAGE:
                    return False
                desk = await self._store.get(desk.identifier)
            else:
                return True
        return False

    def _placed(self, desk: DeskAlert) -> DeskAlert:
        """The alert with the districts that its shapes meet, which the policy table asks for."""
        return desk.model_copy(update={"touches": touched(desk.alert, self._world.divisions)})

    async def _refuse(self, officer: Officer, action: Action, desk: DeskAlert) -> None:
        if why := refusal(officer, action, desk.facts):
            await self._log.refuse(officer, action, desk.identifier, why)

    def _now(self) -> datetime:
        """To the millisecond, as the database keeps it."""
        at = self._clock().astimezone(UTC)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _names(chain: Sequence[DeskAlert]) -> tuple[str, ...]:
    """The broadcasts that the next one replaces: all of the chain, so that who has any of them is included."""
    return tuple(desk.identifier for desk in chain)


def _not_before(chain: Sequence[DeskAlert], at: datetime) -> datetime:
    """The time it is, but never before what it follows was sent: clocks may go back, chains may not (CAP-009)."""
    return max([at, *(desk.released_at for desk in chain if desk.released_at)])


def _is_repeat(desk: DeskAlert, officer: Officer, digest: str) -> bool:
    if desk.released_at is None or desk.digest != digest:
        return False
    return any(step.action == Action.RELEASE and step.person == officer.person for step in desk.steps)


def _refuse_stale(desk: DeskAlert, version: int) -> None:
    if desk.version != version:
        raise ConflictError(
            "alert_changed", zh="预警刚被他人改动，请刷新", en="someone changed the alert; load it again"
        )
