"""The holdings of logging in: log-ins with what hangs on them, and devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.storage.accounts import Accounts
from server.storage.devices import DeviceStore
from server.storage.log_ins import LogInStore, Proofs, SessionKeys
from server.storage.mongo import Session

Rows = Sequence[Mapping[str, Any]]


class LogInsHolding:
    """Log-ins. They are not handed to another account: who held one logs in again, to the account that is left."""

    name = "log_ins"
    collections = ("log_ins", "wechat_sessions", "proofs")

    def __init__(self, accounts: Accounts, log_ins: LogInStore, keys: SessionKeys, proofs: Proofs) -> None:
        self._accounts = accounts
        self._log_ins = log_ins
        self._keys = keys
        self._proofs = proofs

    async def export(self, citizen: int) -> Rows:
        """Where somebody is logged in, oldest first. Tokens are no data about a person."""
        account = await self._accounts.get(citizen)
        return [
            {
                "id": one.id,
                "client": one.client.value,
                "label": one.label,
                "began_at": one.began_at.isoformat(),
                "seen_at": one.seen_at.isoformat(),
            }
            for one in sorted(account.log_ins, key=lambda each: each.began_at)
        ]

    async def move(self, source: int, target: int, session: Session) -> None:  # noqa: ARG002 - the target keeps its own
        """All end."""
        await self._end(source, session)

    async def erase(self, citizen: int) -> None:
        """All end."""
        await self._end(citizen, None)

    async def _end(self, citizen: int, session: Session | None) -> None:
        await self._accounts.end_log_ins(citizen, session)
        await self._log_ins.end_all(citizen, session)
        await self._keys.delete(citizen, session)
        await self._proofs.delete_all(citizen, session)


class DevicesHolding:
    """Apps that get push notices. Their tokens are addresses, and go with those."""

    name = "devices"
    collections = ("devices",)

    def __init__(self, devices: DeviceStore) -> None:
        self._devices = devices

    async def export(self, citizen: int) -> Rows:
        """Without tokens, oldest first."""
        return [
            {
                "id": device.id,
                "platform": device.platform.value,
                "label": device.label,
                "registered_at": device.registered_at.isoformat(),
            }
            for device, _ in reversed(await self._devices.list(citizen))
        ]

    async def move(self, source: int, target: int, session: Session) -> None:
        """They go on getting notices, though their log-ins end."""
        await self._devices.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """All of them."""
        await self._devices.delete_all(citizen)
