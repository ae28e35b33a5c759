"""Organisations (法人): registered by their legal representative, served by the people they name.

Promises. Who registers is the legal representative by the register's word, under a verified name; when the register
names another, that one takes over and the former one's relation ends. A handler acts only after their own agreement and
only as far as the scopes go. Acting for an organisation is asked of `Relations.subject_of`, as for a relative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from server.domain.citizens import Account, AccountState, Caller, Kind
from server.domain.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, TooManyError
from server.domain.real_name import RealName, Verdict, mask_name, read_organisation_name, read_uscc
from server.domain.relations import (
    LONGEST,
    Relation,
    Role,
    Scope,
    State,
    is_live,
    may_invite,
    may_see_handlers,
)
from server.domain.relations import Kind as RelationKind
from server.domain.wording import Words
from server.services.binding import Ground
from server.services.relations import Seen

TRIES_A_DAY = 5
INVITATIONS_A_DAY = 30
MAX_HANDLERS = 200


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an organisation wants, as what, how far and until when: by their public id, or their telephone."""

    account: str | None
    phone: str | None
    role: Role
    scopes: frozenset[Scope]
    until: datetime


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation as its people see it."""

    id: str
    name: str
    uscc: str


class Organisations:
    """The verbs."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def register(self, caller: Caller, name: str, uscc: str) -> Organisation:
        """Register it, or take over as its new representative; the same once more is answered the same.

        ForbiddenError `real_name_needed`, `not_representative`; InvalidInputError `uscc_*`; TooManyError
        `organisation_tries`; UnavailableError `verifier_away`.
        """
        ground = self._ground
        own = await ground.own_name(caller.id)
        wanted = RealName(read_organisation_name(name), read_uscc(uscc))
        if not await ground.names.take_try("organisation", caller.id, ground.now(), TRIES_A_DAY):
            raise TooManyError("organisation_tries", zh="今日登记次数已满", en=f"{TRIES_A_DAY} tries a day")
        if await ground.verifier.represents(own.number, wanted.name, wanted.number) is not Verdict.MATCH:
            raise ForbiddenError(
                "not_representative",
                zh="核验未通过：您不是该单位的法定代表人，或单位名称不符",
                en="the register does not name you as its legal representative, or the name differs",
            )
        account = await self._account(wanted)
        relation = Relation(
            ground.new_id(), RelationKind.ORGANISATION, caller.id, account.id, Role.REPRESENTATIVE, frozenset(Scope),
            State.ACTIVE, ground.now(), None,
        )  # fmt: skip
        before = await ground.relations.appoint(relation)
        if before is not None:
            await ground.log(caller.account.public, "citizen.organisation", f"account/{account.public}")
        for former in before or ():
            title = Words("法定代表人变更", "The representative changed")
            body = Words(f"您不再是{wanted.name}的代表。", f"You no longer represent {wanted.name}.")
            await ground.post.tell(former, title, body, key=f"relation-{relation.id}-replaced")
        return await self._told(account)

    async def handlers(self, caller: Caller, organisation: str) -> Sequence[Seen]:
        """Who acts for it, or is asked to. NotFoundError `organisation_unknown`, ForbiddenError."""
        account, own = await self._of(caller, organisation)
        if not may_see_handlers(own, self._ground.now()):
            raise _forbidden()
        return [await self._seen(relation) for relation in await self._live(account.id)]

    async def invite(self, caller: Caller, organisation: str, invited: Invited) -> Seen:
        """Ask somebody to act for it; a newer agreement replaces the older.

        NotFoundError `organisation_unknown`, `account_unknown`; ForbiddenError `organisation_forbidden`; ConflictError
        `relation_open`, `handlers_full`; InvalidInputError `until_invalid`; TooManyError `organisation_tries`. A
        telephone is answered the same whether or not it is anybody's; whose it is shows once they agree.
        """
        ground, now = self._ground, self._ground.now()
        account, own = await self._of(caller, organisation)
        if not may_invite(own, invited.role, now):
            raise _forbidden()
        if not now < invited.until <= now + LONGEST:
            zh, en = "截止时间应在将来三年之内", "`until` has to be within the next three years"
            raise InvalidInputError("until_invalid", zh=zh, en=en, field="until")
        if not await ground.names.take_try("invite", caller.id, now, INVITATIONS_A_DAY):
            raise TooManyError("organisation_tries", zh="今日邀请次数已满", en=f"{INVITATIONS_A_DAY} a day")
        if len(await self._live(account.id)) >= MAX_HANDLERS:
            raise ConflictError("handlers_full", zh="经办人已达上限", en=f"{MAX_HANDLERS} handlers are the most")
        who = await self._whom(invited)
        relation = Relation(
            ground.new_id(), RelationKind.ORGANISATION, who, account.id, invited.role, invited.scopes,
            State.ASKED, now, invited.until,
        )  # fmt: skip
        if not await ground.relations.insert(relation, invited.phone or invited.account or ""):
            raise ConflictError("relation_open", zh="已有等待答复的邀请", en="an invitation is waiting already")
        await ground.log(caller.account.public, "citizen.handler_invited", f"relation/{relation.id}")
        name = (await self._told(account)).name
        title = Words("经办邀请", "An invitation")
        body = Words(f"{name}邀请您作为经办人，请查看。", f"{name} asks you to act for it. Agree or refuse in the app.")
        await ground.post.tell(who, title, body, key=f"relation-{relation.id}-invited")
        return await self._seen(relation)

    async def refuse_stranger(self, caller: Caller, organisation: str, relation: str) -> None:
        """NotFoundError unless this relation is one to this organisation, and the caller has to do with both."""
        account, _ = await self._of(caller, organisation)
        found = await self._ground.relations.find(relation)
        if found is None or found.subject != account.id:
            raise NotFoundError("relation_unknown", zh="没有这项代办关系", en="there is no such relation")

    async def _of(self, caller: Caller, organisation: str) -> tuple[Account, list[Relation]]:
        """The organisation, and the caller's relations to it; whoever has none does not learn that it exists."""
        account = await self._ground.accounts.find_public(organisation)
        if account is not None and account.kind is Kind.ORGANISATION:
            now = self._ground.now()
            found = await self._ground.relations.between(caller.id, account.id)
            if own := [r for r in found if r.state is State.ACTIVE and is_live(r, now)]:
                return account, own
        raise NotFoundError("organisation_unknown", zh="没有这个单位", en="there is no such organisation")

    async def _live(self, organisation: int) -> list[Relation]:
        now = self._ground.now()
        return [r for r in await self._ground.relations.handlers(organisation) if is_live(r, now)]

    async def _whom(self, invited: Invited) -> int:
        """Who is meant. A telephone that is nobody's stands for somebody who will never answer."""
        if invited.phone is not None:
            owner = (await self._ground.citizens.find_by_address("sms", [invited.phone])).get(invited.phone)
            return self._ground.new_citizen() if owner is None else owner
        who = await self._ground.accounts.find_public(invited.account or "")
        if who is None or who.kind is not Kind.PERSON or who.state is not AccountState.ACTIVE:
            raise NotFoundError("account_unknown", zh="没有这个账户", en="there is no such account", field="account")
        return who.id

    async def _account(self, wanted: RealName) -> Account:
        ground = self._ground
        fresh, public = ground.new_citizen(), ground.new_id()
        if not await ground.names.open(fresh, public, Kind.ORGANISATION, wanted, ground.now()):
            identity = ground.names.identity(wanted.number, Kind.ORGANISATION)
            known = await ground.names.find_owner(identity)
            assert known is not None
            fresh = known
        return await ground.accounts.get(fresh)

    async def _told(self, account: Account) -> Organisation:
        found = await self._ground.names.find(account.id)
        return Organisation(account.public, found.name if found else "", found.number if found else "")

    async def _seen(self, relation: Relation) -> Seen:
        if relation.state is State.ASKED:
            return Seen(relation, "for_me", mask_typed(await self._ground.relations.label(relation)), None)
        who = await self._ground.accounts.get(relation.actor)
        name = await self._ground.names.find(relation.actor)
        return Seen(relation, "for_me", mask_name(name.name) if name else "", who.public)


def mask_typed(text: str) -> str:
    """A telephone or an account id, so that who typed it recognises it: 138****0001."""
    return f"{text[:3]}****{text[-4:]}" if text else ""


def _forbidden() -> ForbiddenError:
    return ForbiddenError(
        "organisation_forbidden", zh="您在该单位没有此权限", en="your role at this organisation does not allow this"
    )
