"""Two accounts of one person become one: prove control of the other, look, confirm.

Promises. Nothing is lost: every holding moves in one transaction, a crash leaves both accounts as they were, and asking
again changes nothing. Nobody takes over what is not theirs: see `server.domain.joining` for who has to wait or to show
an ID number; the addresses of the other account are told before anything moves, and its log-ins can stop it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from server.domain.citizens import Account, Caller, Kind
from server.domain.errors import ConflictError, ForbiddenError, HuiminError, NotFoundError, TooManyError
from server.domain.joining import (
    OPEN_FOR,
    UNPROMPTED_FOR,
    Join,
    JoinState,
    Means,
    Refusal,
    Standing,
    refusal,
    waits_for,
)
from server.domain.one_time_codes import Purpose
from server.domain.real_name import read_id_number
from server.domain.wording import Words
from server.services.binding import Ground, OpenIds
from server.services.holdings import Holding
from server.storage.address_book import AddressBook
from server.storage.joins import JoinStore
from server.storage.mongo import Session

TRIES_A_DAY = 5
KEEP = timedelta(days=365)  # a join that was done: a repeated request is answered the same
CHANNEL = {Means.PHONE: "sms", Means.WECHAT: "wechat"}


@dataclass(frozen=True, slots=True)
class Offered:
    """A join as it may be seen: whose log-in absorbs, how many things of each kind would move, what is missing."""

    join: Join
    is_survivor: bool
    moves: Mapping[str, int]
    obstacle: str  # the error code that a confirmation would meet now; "" for none


@dataclass(frozen=True, slots=True)
class Stores:
    """What joins are kept in."""

    joins: JoinStore
    addresses: AddressBook


class Joining:
    """The verbs."""

    def __init__(
        self,
        ground: Ground,
        stores: Stores,
        holdings: Sequence[Holding],
        wechat: OpenIds,
        settle: Callable[[int], Awaitable[None]],
    ) -> None:
        """`settle`: what is left to do for the survivor once all has moved. May be repeated."""
        self._settle = settle
        self._ground = ground
        self._joins = stores.joins
        self._addresses = stores.addresses
        self._holdings = holdings
        self._wechat = wechat

    async def prove_phone(self, caller: Caller, request: str, code: str) -> Offered:
        """Show a one-time code sent to the other account's telephone."""
        phone = await self._ground.codes.check(request, code, Purpose.JOIN)
        return await self._prove(caller, Means.PHONE, phone)

    async def prove_wechat(self, caller: Caller, code: str) -> Offered:
        """Show a fresh `wx.login` code of the other account's WeChat."""
        return await self._prove(caller, Means.WECHAT, await self._wechat.openid(code))

    async def waiting(self, caller: Caller) -> Sequence[Offered]:
        """Joins that were proved and not done, on either side."""
        now = self._ground.now()
        return [
            await self._offered(join, caller.id) for join in await self._joins.waiting(caller.id) if now < join.gone_at
        ]

    async def preview(self, caller: Caller, join_id: str) -> Offered:
        """What would move; NotFoundError `join_unknown`."""
        return await self._offered(await self._get(caller, join_id), caller.id)

    async def stop(self, caller: Caller, join_id: str) -> None:
        """Object (the other account), or take it back. ConflictError `join_done`: it is too late."""
        join = await self._get(caller, join_id)
        if not await self._joins.stop(join.id):
            if join.state is JoinState.STOPPED:
                return
            raise ConflictError("join_done", zh="账户已合并", en="the accounts are one already")
        await self._ground.log(caller.account.public, "citizen.join_stopped", f"join/{join.id}")
        for side in (join.survivor, join.absorbed):
            await self._tell(side, join, "stopped")

    async def confirm(self, caller: Caller, join_id: str, id_number: str | None) -> Offered:
        """Make one account of the two; the same once more is answered the same.

        ConflictError `join_cooling`, `join_closed`, `join_changed`, `names_differ`, `join_unusable`,
        `join_organisation`; ForbiddenError `join_proof_needed`; TooManyError `join_tries`.
        """
        join, now = await self._get(caller, join_id), self._ground.now()
        if join.survivor != caller.id:
            raise _unknown()
        if join.state is not JoinState.DONE:
            seen = {each: (await self._ground.accounts.get(each)).version for each in (join.survivor, join.absorbed)}
            await self._refuse(join, await self._shown(caller, id_number))
            if not await self._joins.do(join, seen, now + KEEP, lambda session: self._move(join, session)):
                join = await self._get(caller, join_id)
                if join.state is not JoinState.DONE:
                    zh, en = "账户刚有变动，请重新确认", "one of the accounts has just changed; confirm again"
                    raise ConflictError("join_changed", zh=zh, en=en)
        await self._settle(join.survivor)
        await self._log_done(caller, join)
        await self._tell(join.survivor, join, "done")
        return await self._offered(await self._get(caller, join_id), caller.id)

    async def _prove(self, caller: Caller, means: Means, value: str) -> Offered:
        channel = CHANNEL[means]
        other = (await self._ground.citizens.find_by_address(channel, [value])).get(value)
        if other is None:
            raise NotFoundError(
                "join_nobody",
                zh="此手机号或微信没有其他账户，可直接绑定",
                en="there is no other account with it: just bind it to this one",
            )
        if other == caller.id:
            raise _refused(Refusal.SAME)
        now = self._ground.now()
        absorbed = await self._ground.accounts.open(other, self._ground.new_id(), kind=Kind.PERSON, now=now)
        proof = self._ground.citizens.index(channel, value)
        facts = await self._facts(absorbed, proof)
        wait = waits_for(facts, means, now)
        if (same := await self._joins.find_same(caller.id, other)) and now < same.gone_at and wait:
            return await self._offered(same, caller.id)  # to prove it again must not begin the wait anew
        due_at = now + wait
        gone_at = due_at + (OPEN_FOR if wait else UNPROMPTED_FOR)
        join = Join(self._ground.new_id(), caller.id, other, means, proof, JoinState.PROVED, now, due_at, gone_at)
        await self._joins.insert(join)
        await self._ground.log(caller.account.public, "citizen.join_proved", f"account/{absorbed.public}")
        for side in (join.absorbed, join.survivor):
            await self._tell(side, join, "proved")
        return await self._offered(join, caller.id)

    async def _move(self, join: Join, session: Session) -> None:
        for holding in self._holdings:
            await holding.move(join.absorbed, join.survivor, session)

    async def _get(self, caller: Caller, join_id: str) -> Join:
        join = await self._joins.find(join_id)
        if join is None or caller.id not in (join.survivor, join.absorbed):
            raise _unknown()
        return join

    async def _facts(self, account: Account, proof: bytes) -> Standing:
        """What the rules look at. Another address than the one that was proved is a way in."""
        indexes = await self._ground.names.find_indexes(account.id)
        entered_at = max((log_in.began_at for log_in in account.log_ins), default=None)
        has_other_way = await self._addresses.has_others(account.id, tuple(CHANNEL.values()), proof)
        return Standing(account.state, account.kind, indexes[0] if indexes else None, has_other_way, entered_at)

    async def _obstacle(self, join: Join, shown: bytes | None) -> Refusal | None:
        accounts = self._ground.accounts
        survivor = await self._facts(await accounts.get(join.survivor), join.proof)
        absorbed = await self._facts(await accounts.get(join.absorbed), join.proof)
        return refusal(survivor, absorbed, shown)

    async def _refuse(self, join: Join, shown: bytes | None) -> None:
        """Whatever stands against it now."""
        now = self._ground.now()
        is_theirs = await self._addresses.holds(join.absorbed, CHANNEL[join.means], join.proof)
        if join.state is JoinState.STOPPED or now >= join.gone_at or not is_theirs:
            raise ConflictError("join_closed", zh="合并申请已取消或过期", en="it was stopped, or is too old")
        found = await self._obstacle(join, shown)
        if found is not None:
            raise _refused(found)
        if now < join.due_at:
            raise ConflictError(
                "join_cooling",
                zh="合并尚在等待期，期间另一账户可以撤销",
                en="it has to wait; until then the other account may object",
            )

    async def _shown(self, caller: Caller, id_number: str | None) -> bytes | None:
        """The blind index of the number shown as proof; each showing is a try."""
        if id_number is None:
            return None
        if not await self._ground.names.take_try("join", caller.id, self._ground.now(), TRIES_A_DAY):
            raise TooManyError("join_tries", zh="今日尝试次数已满", en=f"{TRIES_A_DAY} tries a day")
        return self._ground.names.identity(read_id_number(id_number, self._ground.today).text)

    async def _offered(self, join: Join, viewer: int) -> Offered:
        is_survivor = join.survivor == viewer
        is_open = is_survivor and join.state is JoinState.PROVED
        moves = {h.name: len(await h.export(join.absorbed)) for h in self._holdings} if is_open else {}
        obstacle = await self._obstacle(join, None) if is_open else None
        return Offered(join, is_survivor, {name: n for name, n in moves.items() if n}, obstacle or "")

    async def _log_done(self, caller: Caller, join: Join) -> None:
        public = caller.account.public
        absorbed = await self._ground.accounts.get(join.absorbed)
        details = {"absorbed": absorbed.public, "means": join.means.value}
        await self._ground.log(public, "citizen.joined", f"account/{public}", details, key=f"joined-{join.id}")

    async def _tell(self, citizen: int, join: Join, step: str) -> None:
        title, body = NEWS[step]
        side = "survivor" if citizen == join.survivor else "absorbed"
        await self._ground.post.tell(citizen, title, body, key=f"join-{join.id}-{step}-{side}")


NEWS = {
    "proved": (
        Words("账户合并申请", "Your accounts are to be joined"),
        Words(
            "有人申请将您的账户与另一账户合并。如非本人操作，请立即登录撤销。",
            "Somebody asked to join your account with another. If it was not you, log in and stop it now.",
        ),
    ),
    "stopped": (
        Words("账户合并已取消", "The join was stopped"),
        Words("账户合并申请已取消，两个账户均未改变。", "Your accounts were not joined; nothing has changed."),
    ),
    "done": (
        Words("账户合并完成", "Your accounts are one"),
        Words("两个账户已合并。如非本人操作，请立即联系12345。", "Two accounts were joined. Not you? Call 12345 now."),
    ),
}


def _unknown() -> NotFoundError:
    return NotFoundError("join_unknown", zh="没有这项合并申请", en="there is no such join")


def _refused(why: Refusal) -> HuiminError:
    match why:
        case Refusal.SAME:
            return ConflictError("join_same", zh="这就是当前账户", en="that is this very account")
        case Refusal.ORGANISATION:
            return ConflictError("join_organisation", zh="单位账户不能合并", en="organisations cannot be joined")
        case Refusal.UNUSABLE:
            zh, en = "其中一个账户已锁定、注销或合并", "one of the accounts is locked, erased or joined already"
            return ConflictError("join_unusable", zh=zh, en=en)
        case Refusal.NAMES:
            zh, en = "两个账户实名不同，不能合并", "the accounts belong to two different persons"
            return ConflictError("names_differ", zh=zh, en=en)
        case Refusal.PROOF:
            zh, en = "另一账户已实名，请提供该身份证号", "the other account is verified: give its ID number"
            return ForbiddenError("join_proof_needed", zh=zh, en=en, field="id_number")
