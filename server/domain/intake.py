"""A partner's message on its way to the desk: what is found wrong with it, and what an officer is proposed.

Promises. Nothing that comes in is released by itself, or changes an alert of ours: an officer decides, or an order
that two officers have signed beforehand (`standing_orders`). What is proposed holds what the
message says to people and names its source; what only its sender can vouch for (signature, references, unknown
elements) stays behind in the bytes that were received.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from server.domain.alerts.context import Context, KnownAlert, Message, Profile
from server.domain.alerts.finding import Finding, Gravity
from server.domain.alerts.model import Alert, Info, NamedValue, Resource
from server.domain.alerts.reading import Reading
from server.domain.alerts.repair import repaired
from server.domain.alerts.rules import check
from server.domain.alerts.states import is_within
from server.domain.alerts.verbs import Change, Words, colour_of, is_over
from server.domain.alerts.vocabulary import Colour, Dialect, MsgType, Scope
from server.domain.divisions import Divisions
from server.domain.partners import Partner
from server.domain.standing_order_reasons import Miss
from server.domain.wording import Kind

MAX_WORDS, MAX_NOTE, MAX_SOURCE = 1_500, 500, 200
_RANKS = {colour: rank for rank, colour in enumerate(Colour)}  # red 0 .. blue 3


class State(StrEnum):
    """Of one message that came in. The last three are final."""

    PROPOSED = "proposed"  # an officer may make a draft of it
    QUARANTINED = "quarantined"  # as before, but something about it cannot be trusted: look first
    ADOPTED = "adopted"  # an officer has
    RELEASED = "released"  # a standing order has released it
    DISMISSED = "dismissed"  # an officer has said no


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came. `key` is a name of ours, `chain` the key of the first message of its chain.

    `is_first`: the first of its sender with this identifier; another one with other content is not.
    """

    key: str
    partner: str
    alert: Alert
    dialect: Dialect
    data: bytes
    findings: tuple[Finding, ...]
    state: State
    chain: str
    is_first: bool
    divisions: tuple[str, ...]
    received_at: datetime
    draft: str | None = None
    officer: str | None = None
    reason: str = ""
    awaits_order: bool = False  # the standing orders have not been asked yet, or one is at it
    order: str | None = None  # the one that released it
    missed: tuple[Miss, ...] = ()  # those that did not, and why


def key_of(partner: str, alert: Alert) -> str:
    """The name of a message: the same content of the same partner has the same one, so a repeat is known."""
    content = f"{partner}\n{alert.sender}\n{alert.identifier}\n{alert.model_dump_json()}"
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def received(
    reading: Reading, data: bytes, partner: Partner, history: Sequence[Received], divisions: Divisions, at: datetime
) -> Received:
    """The verdict on a readable message of a partner, among those of the same sender that came before it."""
    alert = reading.alert
    assert alert is not None
    assert reading.dialect is not None
    context = Context(
        now=at,
        registered_senders=set(partner.senders),
        history=[KnownAlert(each.alert, each.chain, _ended_at(each, history, at)) for each in history],
        is_known_division=divisions.is_known,
        may_warn=lambda _, code: is_within(code, partner.division),
    )
    message = Message(alert, is_schema_known=True, lines=reading.lines)
    findings = (*reading.findings, *check(message, Profile.INTAKE, context))
    is_withheld = any(found.severity is Gravity.QUARANTINE for found in findings)
    key, names = key_of(partner.id, alert), {entry.identifier for entry in alert.referenced}
    before = next((each for each in history if each.alert.identifier in names), None)
    return Received(
        key=key,
        partner=partner.id,
        alert=alert,
        dialect=reading.dialect,
        data=data,
        findings=findings,
        state=State.QUARANTINED if is_withheld else State.PROPOSED,
        chain=before.chain if before else key,
        is_first=alert.sender in partner.senders and all(each.alert.identifier != alert.identifier for each in history),
        divisions=_divisions(alert, divisions) or (partner.division,),
        received_at=at,
    )


def proposal(found: Received, partner_name: str) -> Alert:
    """What an officer's draft begins with: mechanical repairs done, the source named, nothing of the sender's own."""
    alert = repaired(found.alert, found.findings)
    return Alert(
        status=alert.status,
        scope=Scope.PUBLIC.value,
        source=f"{partner_name} {alert.sender} {alert.identifier}"[:MAX_SOURCE],
        note=alert.note,
        infos=tuple(_plain(info) for info in alert.infos),
    )


def following(found: Received, before: Colour) -> tuple[Kind, Change]:
    """Which verb a partner's Update or Cancel is, after an alert of ours with the colour `before`, and what changes."""
    alert = repaired(found.alert, found.findings)
    if alert.msg_type == MsgType.CANCEL:
        return Kind.CANCEL, Change(note=(alert.note or _first_text(alert))[:MAX_NOTE] or None)
    colour, info = colour_of(alert), alert.info("zh") or alert.infos[0]
    rise = _RANKS[before] - _RANKS[colour]
    kind = Kind.UPGRADE if rise > 0 else Kind.DOWNGRADE if rise < 0 else Kind.UPDATE
    words = {
        language: Words(
            description=(block.description or "")[:MAX_WORDS] or None,
            instruction=(block.instruction or "")[:MAX_WORDS] or None,
        )
        for language in ("zh", "en")
        if (block := alert.info(language))
    }
    areas = tuple(_plain(info).areas) or None
    change = Change(
        colour=colour, onset_at=info.onset_at, expires_at=alert.expires_at, areas=areas, words=words,
        note=(alert.note or "")[:MAX_NOTE] or None,
    )  # fmt: skip
    return kind, change


def _ended_at(each: Received, history: Sequence[Received], at: datetime) -> datetime | None:
    """When the chain of a message was cancelled or ran out, as far as its sender has told us."""
    chain = [other for other in history if other.chain == each.chain]
    cancels = [other.received_at for other in chain if other.alert.msg_type == MsgType.CANCEL]
    if cancels:
        return min(cancels)
    last = max(chain, key=lambda other: other.received_at)
    return last.alert.expires_at if is_over(last.alert, at) else None


def _divisions(alert: Alert, divisions: Divisions) -> tuple[str, ...]:
    codes = {code for info in alert.infos for area in info.areas for code in area.divisions}
    return tuple(sorted(found.code for code in codes if (found := divisions.find(code))))


def _first_text(alert: Alert) -> str:
    return next((info.description for info in alert.infos if info.description), "")


def _plain(info: Info) -> Info:
    """A block without what the model has no field for."""

    def bare(values: tuple[NamedValue, ...]) -> tuple[NamedValue, ...]:
        return tuple(value.model_copy(update={"kept": ()}) for value in values)

    areas = tuple(a.model_copy(update={"kept": (), "geocodes": bare(a.geocodes)}) for a in info.areas)
    resources: tuple[Resource, ...] = tuple(r.model_copy(update={"kept": ()}) for r in info.resources)
    update = {
        "kept": (), "areas": areas, "resources": resources,
        "parameters": bare(info.parameters), "event_codes": bare(info.event_codes),
    }  # fmt: skip
    return info.model_copy(update=update)
