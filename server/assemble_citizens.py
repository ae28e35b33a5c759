"""The part of `assemble` that serves citizens: accounts, log-in, profile, inbox. One field per counter."""

from __future__ import annotations

from dataclasses import dataclass

from server.assemble import Assembly
from server.storage.accounts import Accounts


@dataclass(frozen=True, slots=True)
class CitizenParts:
    """What handlers may ask on behalf of citizens."""

    accounts: Accounts


def citizens(assembly: Assembly) -> CitizenParts:
    """The citizens' counters of one API process."""
    return CitizenParts(accounts=assembly.accounts)
