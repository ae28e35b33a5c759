"""Which authority verifies real names: the one the settings name, else the sandbox's, else (in production) none."""

from __future__ import annotations

from contextlib import AsyncExitStack

from channels.authority import Authority
from channels.authority_sandbox import NoAuthority, SandboxAuthority
from channels.transport import transport_for
from server.services.binding import Verifier
from server.settings import Settings


def verifier_of(settings: Settings, stack: AsyncExitStack) -> Verifier:
    """The verifier of one process; its connections are closed with the stack."""
    if settings.authority is not None:
        transport = transport_for(settings.authority)
        stack.callback(transport.close)
        return Authority(settings.authority, transport)
    return NoAuthority() if settings.mode == "production" else SandboxAuthority()
