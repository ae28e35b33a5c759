"""Which scanner looks at attachments: the clamd of the settings; without one production takes no file."""

from __future__ import annotations

from channels.clamd import Clamd, NoClamd
from server.services.attachments import NoScanner, Scanner
from server.settings import Settings


def scanner_of(settings: Settings) -> Scanner:
    """The scanner of one process."""
    if settings.clamd_url is not None:
        return Clamd(settings.clamd_url)
    return NoClamd() if settings.mode == "production" else NoScanner()
