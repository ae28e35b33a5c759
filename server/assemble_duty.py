"""The part of `assemble` for binding officers' telephones. Telling them is a subject of the engine: `Assembly.duty`."""

from __future__ import annotations

import os

from server.assemble import Assembly
from server.services.duty_phones import DutyBinding
from server.storage.attempts import Attempts
from server.storage.duty import DutyPhones


def duty_binding(assembly: Assembly) -> DutyBinding:
    """The counter of one API process."""
    phones, attempts = DutyPhones(assembly.db, assembly.vault), Attempts(assembly.db, assembly.vault)
    return DutyBinding(phones, attempts, assembly.audit, now=assembly.now, random=os.urandom)
