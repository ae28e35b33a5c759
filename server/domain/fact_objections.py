"""A citizen says that a fact about them is wrong; an officer answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MAX_TEXT = 1_000  # characters of either


@dataclass(frozen=True, slots=True)
class Objection:
    """One of them. `division` is where the citizen's first place is. `answer` "" and `answered_at` None: still open."""

    id: str
    citizen: int
    fact: str
    text: str
    division: str
    at: datetime
    answer: str = ""
    officer: str = ""  # the account that answered
    answered_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has answered yet."""
        return self.answered_at is None
