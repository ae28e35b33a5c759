"""What the phones show: the last texts that were taken for each number, for whoever plays a citizen by hand.

A real provider shows this to nobody. Only the newest are kept, and a text is put together when somebody looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from channels.sandbox.journal import stamp

MAX_PHONES = 10_000
MAX_TEXTS = 5  # of one phone


class Text(NamedTuple):
    """One text on a phone."""

    at_s: float
    provider: str
    template: str
    read: Callable[[], str]


class Phones:
    """All phones. `clock` is Unix time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._texts: dict[str, deque[Text]] = {}  # the phone that was texted longest ago stands first

    def show(self, numbers: Iterable[str], provider: str, template: str, read: Callable[[], str]) -> None:
        """These E.164 numbers get a text."""
        text = Text(self._clock(), provider, template, read)
        for number in numbers:
            texts = self._texts.pop(number, None) or deque(maxlen=MAX_TEXTS)
            texts.appendleft(text)
            self._texts[number] = texts
            if len(self._texts) > MAX_PHONES:
                del self._texts[next(iter(self._texts))]

    def look(self, number: str) -> list[dict[str, str]]:
        """The texts of one phone, newest first."""
        return [
            {"at": stamp(text.at_s), "provider": text.provider, "template": text.template, "text": text.read()}
            for text in self._texts.get(number, ())
        ]
