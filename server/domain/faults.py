"""Several faults of one input at once: whoever sent it need not send it again for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.errors import InvalidInputError

MAX_FAULTS = 50  # told of one input


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (`areas[0].divisions[1]`), and why in both languages."""

    field: str
    zh: str
    en: str


class FaultyInputError(InvalidInputError):
    """The input has faults; the first one speaks for all, `faults` holds every one."""

    def __init__(self, code: str, faults: Sequence[Fault]) -> None:
        first = faults[0]
        zh, en = (f"{first.field}：{first.zh}", f"{first.field}: {first.en}") if first.field else (first.zh, first.en)
        super().__init__(code, zh=zh, en=en, field=first.field or None)
        self.faults = tuple(faults[:MAX_FAULTS])


def refuse_faulty(faults: Sequence[Fault]) -> None:
    """FaultyInputError `form_faulty` with all of them; none: nothing happens."""
    if faults:
        raise FaultyInputError("form_faulty", faults)
