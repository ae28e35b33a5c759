"""One alert as it lies on the desk: the message, who had a hand in it, where it stands, and every step it took.

`signed_digest` is what two persons agree on: texts, area, level, audience and times, all but the moment of release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict

from server.domain.alerts.model import Alert
from server.domain.alerts.states import Action, Facts, State
from server.domain.alerts.verbs import colour_of
from server.domain.alerts.vocabulary import Colour, Status
from server.domain.broadcasts import Broadcast
from server.domain.broadcasts import digest as broadcast_digest
from server.domain.officers import Mandated, Officer, Unit
from server.domain.wording import Kind


class Hand(NamedTuple):
    """Who did something: the account and the human being behind it."""

    officer: str
    person: str

    @classmethod
    def of(cls, officer: Officer | None) -> Hand:
        """Of an officer; the product itself has no name."""
        return cls(officer.id, officer.person) if officer else cls("", "")


class Step(BaseModel):
    """One entry of the append-only log of an alert. The order of the fields is the order in which they are hashed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int
    at: datetime
    officer: str
    person: str
    action: str
    reason: str
    digest: str
    order: str = ""  # the standing order under which it was done, if not in person

    @property
    def sha256(self) -> str:
        """Of all of it, for the audit log: the log need not repeat the reason, which may name people."""
        said = self.model_dump(mode="json", exclude=None if self.order else {"order"})  # as before there were orders
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


class DeskAlert(BaseModel):
    """One message of a chain. `version` counts the steps; a step that was thought out on an older version fails.

    `alert` is what officers wrote. What is sent, `cap`, has the words of the texts besides: see `release.message_of`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alert: Alert
    chain: str
    kind: Kind
    previous: Colour | None = None  # the colour before an upgrade or downgrade
    follows: str | None = None
    state: State = State.DRAFT
    version: int = 0
    unit: Unit
    order: str = ""  # the standing order that began it, if nobody did in person
    origin: str = ""  # and the key of the partner's message: of one message an order makes one alert
    author: Hand
    editor: Hand
    submitter: Hand | None = None
    touches: tuple[str, ...] = ()  # districts that its polygons and circles meet
    is_loud: bool = True
    is_loud_by_choice: bool = False  # an officer said so; else it follows from colour and area
    digest: str = ""  # what was submitted
    submitted_at: datetime | None = None
    released_at: datetime | None = None
    published_at: datetime | None = None
    cap: bytes = b""  # the exact bytes that were released
    broadcast: Broadcast | None = None
    steps: tuple[Step, ...] = ()
    logged: int = 0  # how many of them are known to be in the audit log

    @property
    def identifier(self) -> str:
        """The message's identifier, which is also the key of the document and of the broadcast."""
        return self.alert.identifier

    @property
    def is_exercise(self) -> bool:
        """Everything that is not Actual reaches only a test list."""
        return self.alert.status != Status.ACTUAL

    @property
    def colour(self) -> Colour:
        """The worst colour it says."""
        return colour_of(self.alert)

    @property
    def facts(self) -> Facts:
        """What the policy table asks of it."""
        codes = {code for info in self.alert.infos if (code := info.event_code)}
        named = {division for info in self.alert.infos for area in info.areas for division in area.divisions}
        return Facts(
            state=self.state,
            author=self.author.person,
            editor=self.editor.person,
            submitter=self.submitter.person if self.submitter else None,
            unit_division=self.unit.division,
            divisions=tuple(sorted(named | set(self.touches))),
            events=tuple(sorted(codes)),
            is_red=self.colour is Colour.RED,
            is_exercise=self.is_exercise,
        )

    def begun_by(self, officer: Officer) -> DeskAlert:
        """The same, marked with the standing order that acts for this officer, if one does."""
        if not isinstance(officer, Mandated):
            return self
        return self.model_copy(update={"order": officer.order, "origin": officer.message})

    def stepped(self, to: State, action: Action | str, by: Officer | None, at: datetime, reason: str = "") -> DeskAlert:
        """The same alert one step further, with the step in its log."""
        hand = Hand.of(by)
        step = Step(
            seq=self.version + 1,
            at=at,
            officer=hand.officer,
            person=hand.person,
            action=str(action),
            reason=reason,
            digest=self.digest,
            order=by.order if isinstance(by, Mandated) else "",
        )
        return self.model_copy(update={"state": to, "version": self.version + 1, "steps": (*self.steps, step)})


def step_key(identifier: str, seq: int) -> str:
    """The key under which the audit log has this step, once."""
    return f"alert/{identifier}/{seq}"


def in_order(chain: Iterable[DeskAlert]) -> list[DeskAlert]:
    """The released messages of one chain, oldest first: by what follows what, for clocks may go back."""
    by_predecessor = {desk.follows: desk for desk in chain}
    ordered: list[DeskAlert] = []
    while found := by_predecessor.pop(ordered[-1].identifier if ordered else None, None):
        ordered.append(found)
    return ordered


def signed_digest(alert: Alert, broadcast: Broadcast) -> str:
    """SHA-256 over the message without `sent` and over what its broadcast will say, to whom, how and until when.

    `broadcast` has to be built with a `sent` that does not move (see `services.alerts`), or no two digests agree. Who
    takes part in an exercise is not signed: people come and go by their own word, and nobody may void a release by it.
    """
    if broadcast.is_exercise:
        broadcast = broadcast.model_copy(update={"audience": broadcast.audience.model_copy(update={"citizens": ()})})
    content = alert.model_dump(mode="json", exclude={"sent"})
    signed = {"alert": content, "broadcast": broadcast_digest(broadcast)}
    return hashlib.sha256(orjson.dumps(signed, option=orjson.OPT_SORT_KEYS)).hexdigest()
