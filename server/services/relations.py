"""Acting for others (代办): ask, agree, refuse, end, and the one question that booking and applications ask.

Promises. Nobody acts for anybody without a consent: of the relative in their own account, or by a code sent to their
own telephone; a minor child's guardian is one by the register. Each step is logged and told to the other side; either
side ends it at once. Who asks learns nothing about whether the other has an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from server.domain.china import CHINA
from server.domain.citizens import AccountState, Caller, Kind
from server.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    TooManyError,
    UnavailableError,
)
from server.domain.one_time_codes import Purpose
from server.domain.real_name import (
    ADULT_YEARS,
    IdNumber,
    RealName,
    Verdict,
    is_minor,
    mask_name,
    read_id_number,
    read_name,
)
from server.domain.relations import (
    MAX_LIVE,
    Relation,
    Role,
    Scope,
    Side,
    State,
    as_it_stands,
    is_live,
    may_act,
    may_invite,
    who_agrees,
)
from server.domain.relations import Kind as RelationKind
from server.domain.wording import Words
from server.services.binding import Ground
from server.storage.relations import Question

ASKS_A_DAY = 5
ROLES = frozenset({Role.PARENT, Role.CHILD, Role.SPOUSE, Role.OTHER})
Acts = Literal["for_another", "for_me"]


@dataclass(frozen=True, slots=True)
class Wish:
    """For whom somebody wants to act, and how far."""

    name: str
    id_number: str
    role: Role
    scopes: frozenset[Scope]
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Seen:
    """A relation as one side of it sees it. `account`: public id of the subject, told to who may act for it."""

    relation: Relation
    acts: Acts
    name: str
    account: str | None


class Relations:
    """The verbs."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._store = ground.relations

    async def subject_of(self, actor: int, subject_public: str | None, scope: Scope) -> int:
        """Internal id of who is meant: the actor (None, or their own public id), or whom they may act for.

        ForbiddenError `relation_missing`, the same for an unknown id and for a person who did not agree.
        """
        if subject_public is None:
            return actor
        account = await self._ground.accounts.find_public(subject_public)
        if account is not None and account.id == actor:
            return actor
        is_usable = account is not None and account.state is AccountState.ACTIVE
        if account and is_usable and may_act(await self._store.between(actor, account.id), scope, self._ground.now()):
            return account.id
        raise ForbiddenError("relation_missing", zh="您未获授权为其办理此事", en="you may not do this for them")

    async def may(self, actor: int, subject: int, scope: Scope) -> bool:
        """Whether somebody may act for this person: always for oneself."""
        if actor == subject:
            return True
        return may_act(await self._store.between(actor, subject), scope, self._ground.now())

    async def ask(self, caller: Caller, wish: Wish) -> Seen:
        """Ask a relative, or (a minor child) act at once by the register's word. The answer never tells which exist.

        ForbiddenError `real_name_needed`; ConflictError `relation_open`, `relations_full`; TooManyError
        `relations_tries`; UnavailableError `verifier_away`.
        """
        ground, now = self._ground, self._ground.now()
        own = await ground.own_name(caller.id)
        number = read_id_number(wish.id_number, ground.today)
        name = read_name(wish.name)
        if number.text == own.number:
            raise InvalidInputError(
                "relation_self", zh="不能为自己办理代办授权", en="that is yourself", field="id_number"
            )
        if not await ground.names.take_try("relative", caller.id, now, ASKS_A_DAY):
            raise TooManyError("relations_tries", zh="今日申请次数已满", en=f"{ASKS_A_DAY} requests a day")
        if await self._store.count_live(caller.id, RelationKind.RELATIVE, now) >= MAX_LIVE:
            raise ConflictError("relations_full", zh="代办关系已达上限", en=f"{MAX_LIVE} relations are the most")
        relation = Relation(
            ground.new_id(), RelationKind.RELATIVE, caller.id, None, wish.role, wish.scopes, State.ASKED, now,
            now + wish.lasts,
        )  # fmt: skip
        question = Question(ground.names.identity(number.text), ground.names.name_index(name))
        child = RealName(name, number.text)
        is_guardian = wish.role is Role.CHILD and await self._is_guardian(caller.id, own, child, number)
        if not await self._store.insert(relation, name, question):
            raise ConflictError("relation_open", zh="已有等待答复的申请", en="a request to them is waiting already")
        await self._log(caller, "asked", relation)
        if is_guardian and (dependant := await self._dependant(child)) is not None:
            return await self._begin(caller.account.public, relation, dependant, _coming_of_age(number.born_date))
        asked = await ground.names.find_owner(question.about)
        if asked is not None and await ground.names.find_indexes(asked) == (question.about, question.name_index):
            await self._tell(asked, relation, "asked", own.name)
        return await self._seen(relation, caller.id)

    async def requests(self, citizen: int, kind: RelationKind) -> Sequence[Seen]:
        """What waits for this person's consent, with the full name of who asks."""
        now = self._ground.now()
        waiting = [r for r in await self._waiting(citizen, kind) if is_live(r, now)]
        return [await self._seen(relation, citizen) for relation in waiting]

    async def list_all(self, citizen: int, kind: RelationKind) -> Sequence[Seen]:
        """All of one person's relations of a kind, both directions, newest first."""
        return [await self._seen(relation, citizen) for relation in await self._store.of(citizen, kind)]

    async def agree(self, caller: Caller, relation_id: str, kind: RelationKind) -> Seen:
        """Consent. NotFoundError `relation_unknown` for what does not wait for this person.

        ConflictError `relation_needless`: a legal representative who became a handler would lose that role.
        """
        relation = await self._asked_of(caller.id, relation_id, kind)
        subject = caller.id if who_agrees(kind) is Side.SUBJECT else relation.subject
        assert subject is not None
        own = await self._store.between(relation.actor, subject)
        if any(r.role is Role.REPRESENTATIVE and r.state is State.ACTIVE for r in own):
            zh, en = "您已是该单位的法定代表人", "you are its legal representative already"
            raise ConflictError("relation_needless", zh=zh, en=en)
        begun = await self._begin(caller.account.public, relation, subject)
        return await self._seen(begun.relation, caller.id)

    async def refuse(self, caller: Caller, relation_id: str, kind: RelationKind) -> Seen:
        """Say no."""
        relation = await self._asked_of(caller.id, relation_id, kind)
        closed = await self._store.close(relation.id, State.ASKED, State.REFUSED, self._ground.now())
        if closed is None:
            raise relation_unknown()
        await self._log(caller, "refused", closed)
        other = closed.actor if who_agrees(kind) is Side.SUBJECT else closed.subject
        if other is not None:
            await self._tell(other, closed, "refused", await self._name(caller.id))
        return await self._seen(closed, caller.id)

    async def agree_by_code(self, caller: Caller, relation_id: str, request: str, code: str) -> Seen:
        """The relative read the code on their own telephone out to who asks. ForbiddenError `consent_foreign`."""
        relation = await self._store.find(relation_id)
        if relation is None or relation.actor != caller.id or relation.kind is not RelationKind.RELATIVE:
            raise relation_unknown()
        if relation.state is not State.ASKED or not is_live(relation, self._ground.now()):
            raise ConflictError("relation_closed", zh="该申请已有结果或已过期", en="it was answered, or is too old")
        phone = await self._ground.codes.check(request, code, Purpose.CONSENT)
        owner = (await self._ground.citizens.find_by_address("sms", [phone])).get(phone)
        indexes = await self._ground.names.find_indexes(owner) if owner is not None else None
        if owner is None or indexes is None or not await self._store.is_asked(relation_id, *indexes):
            raise ForbiddenError(
                "consent_foreign",
                zh="该手机号不是此人已实名的手机号",
                en="that telephone is not the verified one of the person you named",
            )
        return await self._begin(caller.account.public, relation, owner)

    async def end(self, caller: Caller, relation_id: str, kind: RelationKind) -> None:
        """Withdraw it, at once, from either side; a question is taken back. A second call changes nothing."""
        relation = await self._store.find(relation_id)
        if relation is None or relation.kind is not kind or not await self._may_end(caller.id, relation):
            raise relation_unknown()
        closed = await self._store.close(relation.id, relation.state, State.ENDED, self._ground.now())
        if closed is None or relation.state not in (State.ASKED, State.ACTIVE):
            return
        await self._log(caller, "ended", closed)
        for side in (closed.actor, closed.subject):
            if side is not None and side != caller.id:
                await self._tell(side, closed, "ended", await self._name(caller.id))

    async def _may_end(self, citizen: int, relation: Relation) -> bool:
        if citizen in (relation.actor, relation.subject):
            return True
        if relation.kind is not RelationKind.ORGANISATION or relation.subject is None:
            return False
        own = await self._store.between(citizen, relation.subject)
        return may_invite(own, relation.role, self._ground.now())

    async def _waiting(self, citizen: int, kind: RelationKind) -> Sequence[Relation]:
        if who_agrees(kind) is Side.ACTOR:
            own = await self._store.of(citizen, kind)
            return [r for r in own if r.actor == citizen and r.state is State.ASKED]
        indexes = await self._ground.names.find_indexes(citizen)
        return await self._store.asked_of(*indexes) if indexes else []

    async def _asked_of(self, citizen: int, relation_id: str, kind: RelationKind) -> Relation:
        now = self._ground.now()
        for relation in await self._waiting(citizen, kind):
            if relation.id == relation_id and is_live(relation, now):
                return relation
        raise relation_unknown()

    async def _begin(self, by: str, relation: Relation, subject: int, ends_at: datetime | None = None) -> Seen:
        """It is alive: log it, tell who did not do it."""
        until = min((at for at in (relation.until, ends_at) if at is not None), default=None)
        alive = await self._store.agree(relation.id, subject, until, self._ground.now())
        if alive is None:
            raise relation_unknown()
        await self._ground.log(by, "citizen.relation_agreed", f"relation/{alive.id}")
        for side in (alive.actor, subject):
            other = subject if side == alive.actor else alive.actor
            await self._tell(side, alive, "agreed", await self._name(other))
        return await self._seen(alive, alive.actor)

    async def _is_guardian(self, asker: int, own: RealName, child: RealName, number: IdNumber) -> bool:
        """Whether the register lets the asker act for a minor child without asking it."""
        ground = self._ground
        if not is_minor(number.born_date, ground.today):
            return False
        try:
            is_real = await ground.verifier.verify(child.name, child.number) is Verdict.MATCH
            return is_real and await ground.verifier.kinship(own.number, child.number)
        except UnavailableError:
            await ground.names.give_back_try("relative", asker, ground.now())
            raise

    async def _dependant(self, child: RealName) -> int | None:
        """The child's account, made if there is none; None: the child has one of its own, and its own say."""
        ground = self._ground
        fresh, public = ground.new_citizen(), ground.new_id()
        if await ground.names.open(fresh, public, Kind.PERSON, child, ground.now()):
            return fresh
        owner = await ground.names.find_owner(ground.names.identity(child.number))
        return owner if owner is not None and await ground.names.is_dependant(owner) else None

    async def _name(self, citizen: int) -> str:
        found = await self._ground.names.find(citizen)
        return found.name if found else ""

    async def _seen(self, relation: Relation, viewer: int) -> Seen:
        relation = as_it_stands(relation, self._ground.now())
        if relation.actor != viewer:
            name = await self._name(relation.actor)
            is_asked = relation.state is State.ASKED and relation.kind is RelationKind.RELATIVE
            return Seen(relation, "for_me", name if is_asked else mask_name(name), None)
        is_public = relation.kind is RelationKind.ORGANISATION
        name = "" if is_public else await self._store.label(relation)
        account = None
        if relation.subject is not None:
            found = await self._ground.accounts.get(relation.subject)
            account = found.public if relation.state is State.ACTIVE else None
            name = name or await self._name(relation.subject)
        return Seen(relation, "for_another", name if is_public else mask_name(name), account)

    async def _log(self, caller: Caller, verb: str, relation: Relation) -> None:
        await self._ground.log(caller.account.public, f"citizen.relation_{verb}", f"relation/{relation.id}")

    async def _tell(self, citizen: int, relation: Relation, step: str, who: str) -> None:
        title, body = NEWS[step]
        name = who if relation.kind is RelationKind.ORGANISATION else mask_name(who)
        side = Side.ACTOR if citizen == relation.actor else Side.SUBJECT
        words = Words(body.zh.format(who=name), body.en.format(who=name or "somebody"))
        await self._ground.post.tell(citizen, title, words, key=f"relation-{relation.id}-{step}-{side}")


NEWS = {
    "asked": (
        Words("代办申请", "Somebody asks to act for you"),
        Words(
            "{who}申请为您代办，请查看后同意或拒绝。", "{who} asks to act on your behalf. Agree or refuse in the app."
        ),
    ),
    "agreed": (
        Words("代办关系生效", "You may act"),
        Words("与{who}的代办关系已生效，可随时解除。", "The relation with {who} is in force. Either side may end it."),
    ),
    "refused": (
        Words("代办申请未通过", "Your request was refused"),
        Words("您的代办申请未获同意。", "Your request to act on somebody's behalf was refused."),
    ),
    "ended": (
        Words("代办关系已解除", "A relation has ended"),
        Words("与{who}的代办关系已解除。", "The relation with {who} has ended."),
    ),
}


def relation_unknown() -> NotFoundError:
    """No such relation, or not for the one who asks."""
    return NotFoundError("relation_unknown", zh="没有这项代办关系", en="there is no such relation")


def _coming_of_age(born: date) -> datetime:
    """The 18th birthday, in China; for 29 February 1 March."""
    year = born.year + ADULT_YEARS
    is_leap_day = (born.month, born.day) == (2, 29)
    day = date(year, 3, 1) if is_leap_day else born.replace(year=year)
    return datetime.combine(day, time(), CHINA).astimezone(UTC)
