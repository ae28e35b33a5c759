"""Real-name binding (实名认证): an account gets a verified name and ID number, once.

Promises. What the authority did not confirm is not stored; while it is away nothing is half stored and no try is lost.
One number belongs to one account. The number leaves the house towards the authority only, and is shown masked.
A name comes off by an officer's hand or with an erasure, never by its owner's.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.domain.citizens import Caller
from server.domain.errors import ConflictError, InvalidInputError, TooManyError, UnavailableError
from server.domain.real_name import (
    RealName,
    Verdict,
    age_years,
    born_date,
    is_elder,
    mask_name,
    mask_number,
    read_id_number,
    read_name,
)
from server.services.binding import Ground

TRIES_A_DAY = 5


@dataclass(frozen=True, slots=True)
class Masked:
    """A verified name as it may be shown to its owner. The age is of today."""

    name: str
    id_number: str
    age_years: int
    is_elder: bool


class RealNames:
    """The verbs."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def show(self, citizen: int) -> Masked | None:
        """The caller's own, masked; None if there is none."""
        found = await self._ground.names.find(citizen)
        return self._masked(found) if found else None

    async def bind(self, caller: Caller, name: str, id_number: str) -> Masked:
        """Verify and bind. The same once more is answered the same.

        InvalidInputError for what is mistyped and `real_name_refused`; ConflictError `real_name_bound`,
        `id_number_taken`; TooManyError `real_name_tries`; UnavailableError `verifier_away`.
        """
        wanted = RealName(read_name(name), read_id_number(id_number, self._ground.today).text)
        bound = await self._ground.names.find(caller.id)
        if bound == wanted:
            return self._masked(bound)
        if bound is not None:
            raise ConflictError(
                "real_name_bound",
                zh="已实名认证，更改请到窗口办理",
                en="a real name is bound already; only an officer may change it",
            )
        await self._verify(caller, wanted)
        sealed = await self._ground.names.seal(caller.id, wanted, self._ground.now())
        if not await self._ground.names.bind(caller.id, sealed):
            raise taken()
        if await self._ground.names.find(caller.id) != wanted:  # another request of the same person was faster
            raise ConflictError("real_name_bound", zh="已实名认证", en="a real name is bound already")
        await self._ground.log(caller.account.public, "citizen.real_name", f"account/{caller.account.public}")
        return self._masked(wanted)

    async def _verify(self, caller: Caller, wanted: RealName) -> None:
        ground, now = self._ground, self._ground.now()
        if not await ground.names.take_try("real_name", caller.id, now, TRIES_A_DAY):
            raise TooManyError(
                "real_name_tries",
                zh=f"今日认证次数已满{TRIES_A_DAY}次，请明日再试",
                en=f"{TRIES_A_DAY} tries a day; try again tomorrow",
            )
        try:
            verdict = await ground.verifier.verify(wanted.name, wanted.number)
        except UnavailableError:
            await ground.names.give_back_try("real_name", caller.id, now)
            raise
        if verdict is not Verdict.MATCH:
            raise refused()

    def _masked(self, found: RealName) -> Masked:
        born, today = born_date(found.number), self._ground.today
        return Masked(mask_name(found.name), mask_number(found.number), age_years(born, today), is_elder(born, today))


def refused() -> InvalidInputError:
    """One answer for a wrong name and an unknown number: it is no register to be asked."""
    return InvalidInputError(
        "real_name_refused",
        zh="姓名与身份证号未通过核验，请核对",
        en="name and ID number were not confirmed; check both",
        field="id_number",
    )


def taken() -> ConflictError:
    """The number belongs to another account. Said only after the authority confirmed it."""
    return ConflictError(
        "id_number_taken",
        zh="此身份证号已绑定另一账户；如也是您的账户，请合并账户",
        en="this ID number is bound to another account; if that is yours too, join the two",
        field="id_number",
    )
