"""The words of the route table: a route has a path and operations; these say who may enter, what goes in and out.

The table itself stands in `server/app.py`; the handlers, the OpenAPI document and the tests all read it. Promise: what
lacks an entry, a summary or an answer cannot be written down, so it cannot be served.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import tornado.web
from pydantic import BaseModel

from server.domain.access import Deed

JSON_BYTES = 131_072  # a JSON body: room for an alert with every point it may have
ATTACHMENT_BYTES = 10_485_760  # a picture or a PDF, of somebody who is logged in
DOCUMENT_BYTES = 1_048_576  # a CAP message, a provider's callback: what the handler reads itself


EVENT_STREAM = "text/event-stream"


class Who(StrEnum):
    """Who may enter."""

    PUBLIC = "public"  # everyone
    CITIZEN = "citizen"  # an access token of a citizen's live log-in
    OFFICER = "officer"  # a session of an officer whom the policy table allows this action
    PARTNER = "partner"  # a key of a partner
    PROVIDER = "provider"  # the handler's reader verifies the signature
    OPERATOR = "operator"  # the admin port, reachable from inside only


KEYED = frozenset({Who.CITIZEN, Who.OFFICER, Who.PARTNER})


@dataclass(frozen=True, slots=True)
class Entry:
    """Who may enter; for officers and partners what they have to be allowed, and if the second factor must be fresh."""

    who: Who
    action: str = ""
    is_fresh: bool = False


PUBLIC = Entry(Who.PUBLIC)
CITIZEN = Entry(Who.CITIZEN)
PROVIDER = Entry(Who.PROVIDER)
OPERATOR = Entry(Who.OPERATOR)


def officer(deed: Deed, *, is_fresh: bool = False) -> Entry:
    """An officer who may do this; `is_fresh`: and gave a one-time code in the last five minutes."""
    return Entry(Who.OFFICER, deed, is_fresh)


def partner(action: str) -> Entry:
    """A partner whose key allows this."""
    return Entry(Who.PARTNER, action)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of a path. What does not match the pattern is another path, which is unknown."""

    pattern: str
    description: str
    example: str


PARAMETERS: Mapping[str, Parameter] = {
    "identifier": Parameter(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}",
        "identifier of an alert, and of its broadcast",
        "44030041600000_20261124093000",
    ),
    "division": Parameter(r"\d{6}(?:\d{3}){0,2}", "code of a division: 6, 9 or 12 digits, padded or not", "440305001"),
    "application": Parameter(r"[0-9a-f]{32}", "id of an application", "9d53a1c0e2b4d6f84b1de8c2f4a84c6e"),
    "attachment": Parameter(r"[0-9a-f]{32}", "id of a file of an application", "5d0c1b7e8f2a4c6e9d53a1c0e2b4d6f8"),
    "invitation": Parameter(r"[1-9]\d{0,6}", "id of somebody who was named to confirm an application", "2"),
    "secret": Parameter(
        r"[A-Za-z0-9_-]{43}",
        "the unguessable part of a calendar's address",
        "p2Zr0mTq8Jc4Xv1Lk9Wb6Nf3Hs7Dy5Ga0Ue2Io4Pr6Q",
    ),
    "fact": Parameter(r"[a-z][a-z0-9_]{1,39}", "id of a fact: data/facts.yaml", "id_card_until"),
    "objection": Parameter(r"[0-9a-f]{32}", "id of an objection to a fact", "9f86d081884c7d659a2feaa0c55ad015"),
    "item": Parameter(r"[0-9a-f]{32}", "id of an item of the inbox", "9f86d081884c7d659a2feaa0c55ad015"),
    "resource": Parameter(
        r"[a-z0-9]+(?:-[a-z0-9]+){0,29}",
        "id of what can be booked: a doctor's hours, a counter, a court",
        "sz-hall-car-1",
    ),
    "entry": Parameter(r"[A-Za-z0-9_-]{22}", "id of an entry of the waiting list", "Vw3qJk8sTz5mXc1bN7rPdg"),
    "visit": Parameter(r"[A-Za-z0-9_-]{22}", "id of a visit of several seats", "q83vEjRWeJASNFZ4kBI0Vg"),
    "booking": Parameter(r"[A-Za-z0-9_-]{22}", "public code of a booking", "q83vEjRWeJASNFZ4kBI0Vg"),
    "catalogue_item": Parameter(r"[a-z0-9]+(?:-[a-z0-9]+)*", "id of an item of the catalogue", "elderly-allowance"),
    "item_version": Parameter(r"[1-9]\d{0,5}", "number of a version of an item", "1"),
    "order": Parameter(r"[0-9a-f]{32}", "id of a standing order", "7c1e0f9d2b7a48d6a3c5e8f10b6d7a92"),
    "typhoon": Parameter(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", "id of a typhoon", "NP_2618"),
    "weather_subscription": Parameter(
        r"[0-9a-f]{32}", "id of a weather subscription", "7a92c5e8f10b6d4c1f0e9d2b7a48d6a3"
    ),
    "rule": Parameter(r"[a-z][a-z0-9-]{1,59}", "id of a rule of proactive service", "identity-card-expiry"),
    "rule_version": Parameter(r"[1-9]\d{0,5}", "number of a version of a rule", "1"),
    "offer": Parameter(r"[0-9a-f]{32}", "id of an offer", "9f86d081884c7d659a2feaa0c55ad015"),
    "proposal": Parameter(r"[0-9a-f]{24}", "id of a message that a partner handed in", "5f2b6c0d9e8a7f6b5c4d3e2f"),
    "bulletin": Parameter(r"[0-9a-f]{32}", "id of a public notice", "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92"),
    "bulletin_topic": Parameter(r"[a-z]{2,20}", "topic of public notices", "water"),
    "follow": Parameter(r"[a-z]{2,20}-\d{6}(?:\d{3}){0,2}", "a topic and a division that one follows", "water-440305"),
    "place": Parameter(r"[0-9a-f]{32}", "id of a place", "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92"),
    "officer": Parameter(r"[0-9a-f]{32}", "id of an account", "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e"),
    "session": Parameter(r"[0-9a-f]{32}", "id of a session", "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8"),
    "log_in": Parameter(r"[0-9a-f]{32}", "id of a log-in", "0b7de8c2f4a84c6e9d53a1c0e2b4d6f8"),
    "device": Parameter(r"[0-9a-f]{32}", "id of a device", "5d0c1b7e8f2a4c6e9d53a1c0e2b4d6f8"),
    "relation": Parameter(r"[0-9a-f]{32}", "id of a relation between two accounts", "4b1de8c2f4a84c6e9d53a1c0e2b4d6f8"),
    "organisation": Parameter(r"[0-9a-f]{32}", "id of an organisation's account", "9d53a1c0e2b4d6f84b1de8c2f4a84c6e"),
    "join": Parameter(r"[0-9a-f]{32}", "id of a join of two accounts", "c0e2b4d6f84b1de8c2f4a84c6e9d53a1"),
    "purpose": Parameter(r"[a-z][a-z_]{1,39}", "what data may be used for", "location"),
    "rating": Parameter(r"[0-9a-f]{32}", "id of a bad rating's ticket", "9f86d081884c7d659a2feaa0c55ad015"),
    "source": Parameter(r"[a-z][a-z0-9_]{0,39}", "name of a department's source", "social_insurance"),
    "page_file": Parameter(r"page\.(?:css|js)", "a part of the API reference's page", "page.css"),
    "mini_file": Parameter(r"[a-z0-9-]{1,60}\.(?:js|css|png|svg)", "a part of the mini-program's page", "mini.js"),
    "provider": Parameter(r"[a-z_]{2,20}", "name of a provider", "sms_aliyun"),
    "key": Parameter(r"[A-Za-z0-9_-]{8,128}", "the unguessable part of a callback's address", "sandbox-receipts"),
}
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `takes` and `query` are models with `extra="forbid"`; `takes_raw` are media types that the handler reads itself.
    `gives` is the model of the answer and `gives_raw` maps the media type of any other answer to an example.
    `answers_as` are statuses besides `status` and the problems, with their meaning.
    """

    summary: str
    entry: Entry
    takes: type[BaseModel] | None = None
    takes_raw: tuple[str, ...] = ()
    takes_bytes: int = DOCUMENT_BYTES  # of what the handler reads itself
    query: type[BaseModel] | None = None
    needs_version: bool = False  # the If-Match header names the version that the caller saw
    gives: type[BaseModel] | None = None
    gives_raw: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    answers_as: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """ValueError for an operation that does not say what it answers."""
        if not self.summary or (self.gives is None and not self.gives_raw and self.status != 204):
            raise ValueError(f"an operation has a summary and says what it answers: {self.summary!r}")

    def max_bytes(self, media_type: str) -> int:
        """How large a body of this kind may be."""
        return JSON_BYTES if self.takes and media_type == "application/json" else self.takes_bytes

    @property
    def has_body(self) -> bool:
        """Whether it takes a body at all."""
        return self.takes is not None or bool(self.takes_raw)

    @property
    def is_stream(self) -> bool:
        """Whether its answer comes bit by bit, as server-sent events."""
        return EVENT_STREAM in self.gives_raw


def may_repeat(method: str, operation: Operation) -> bool:
    """Whether an Idempotency-Key is heeded: on every POST of somebody who is known, and whose answer is one piece.

    Not before a log-in: a key belongs to its caller, and there is none yet whose answers nobody else could ask for.
    """
    return method == "POST" and operation.entry.who in KEYED and not operation.is_stream


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table: a path like `/v1/alerts/{identifier}`, its handler, operations by method, its parts."""

    path: str
    handler: type[tornado.web.RequestHandler]
    operations: Mapping[str, Operation] = field(repr=False)
    parts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def parameters(self) -> list[str]:
        """The names in braces, in order."""
        return _PARAMETER.findall(self.path)

    @property
    def pattern(self) -> str:
        """The path as a regular expression with named groups; KeyError for a parameter that nobody described."""
        pieces = _PARAMETER.split(self.path)
        for place in range(1, len(pieces), 2):
            pieces[place] = f"(?P<{pieces[place]}>{PARAMETERS[pieces[place]].pattern})"
        for place in range(0, len(pieces), 2):
            pieces[place] = re.escape(pieces[place])
        return "".join(pieces) + "$"
