"""Apps that get push notices: each log-in has at most one token, and a token is with whoever registered it last.

A phone that somebody else uses now must not show the warnings of the one before, nor their private notices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from server.domain.citizens import Account, Caller
from server.domain.errors import NotFoundError
from server.domain.log_in import Device, Platform
from server.storage.citizens import Citizens
from server.storage.devices import DeviceStore, Kept

PUSH = "push"


class Devices:
    """The verbs."""

    def __init__(
        self, store: DeviceStore, citizens: Citizens, *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._citizens = citizens
        self._now = now
        self._random = random

    async def register(self, caller: Caller, token: str, platform: Platform, label: str) -> Device:
        """Push notices of this person come to this token from now on. May be repeated."""
        index = self._citizens.index(PUSH, token)
        before = await self._store.find_log_in(caller.log_in)
        await self._citizens.take_over(caller.id, PUSH, token)
        device = Device(self._random(16).hex(), caller.log_in, platform, label, self._now())
        stored = await self._store.put(caller.id, Kept(device, index))
        await self._store.delete_others(index, caller.log_in)
        if before is not None and before.blind != index:
            await self._citizens.drop(caller.id, PUSH, before.blind)
        await self._forget_orphans(caller.account)
        return stored

    async def list(self, citizen: int) -> Sequence[Device]:
        """Those of a person, newest first."""
        return [kept.device for kept in await self._store.list(citizen)]

    async def get(self, citizen: int, device: str) -> Device:
        """One of them; NotFoundError `device_unknown`."""
        return (await self._kept(citizen, device)).device

    async def remove(self, citizen: int, device: str) -> None:
        """No push notices there any more; NotFoundError `device_unknown`."""
        await self._forget(citizen, await self._kept(citizen, device))

    async def end_log_in(self, citizen: int, log_in: str) -> None:
        """The log-in is over: so are its push notices."""
        if kept := await self._store.find_log_in(log_in):
            await self._forget(citizen, kept)

    async def end_log_ins(self, citizen: int) -> None:
        """All log-ins are over."""
        for kept in await self._store.list(citizen):
            await self._forget(citizen, kept)

    async def _forget_orphans(self, account: Account) -> None:
        """Log-ins beyond the bound end without a word; their tokens are found here."""
        live = {log_in.id for log_in in account.log_ins}
        for kept in await self._store.list(account.id):
            if kept.device.log_in is not None and kept.device.log_in not in live:
                await self._forget(account.id, kept)

    async def _forget(self, citizen: int, kept: Kept) -> None:
        await self._citizens.drop(citizen, PUSH, kept.blind)
        await self._store.delete(kept.device.id)

    async def _kept(self, citizen: int, device: str) -> Kept:
        found = await self._store.find(citizen, device)
        if found is None:
            raise NotFoundError("device_unknown", zh="没有这个设备", en="there is no such device", field="device")
        return found
