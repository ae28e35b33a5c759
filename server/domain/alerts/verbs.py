"""The next message of a chain: update, upgrade, downgrade, extend, cancel.

An officer says what changes; references, msgType and the marks of what happened are built here, and the headline by
the texts at release.
Promises: the references name every message of the chain that has not expired; what an officer did not change is carried
over, in every language; a verb that does not fit what changes (an "upgrade" to a lower colour) is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from server.domain.alerts.model import Alert, Area, Info, NamedValue, Text, cap_time, colour_parameter
from server.domain.alerts.vocabulary import COLOUR_PARAMETER, Colour, MsgType, ResponseType
from server.domain.china import CHINA
from server.domain.errors import ConflictError, InvalidInputError
from server.domain.wording import Kind

SAME_SECOND = 10  # identifiers one unit can have in a second: without a suffix, then _1 .. _9
VERB_PARAMETER = "预警动作"  # valueName; the value reads "upgrade; Yellow": the verb and the colour before


_RANKS = {colour: rank for rank, colour in enumerate(reversed(Colour))}  # blue 0 .. red 3


class Words(BaseModel):
    """What one language block says from now on; None = as before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: Text | None = Field(default=None, max_length=1500)
    instruction: Text | None = Field(default=None, max_length=1500)


class Change(BaseModel):
    """What an officer changes with a verb. None = as before. `words` are by language ("zh", "en")."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    colour: Colour | None = None
    onset_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    areas: tuple[Area, ...] | None = Field(default=None, max_length=200)
    words: Mapping[str, Words] = Field(default_factory=dict, max_length=8)
    note: Text | None = Field(default=None, max_length=500, description="the reason; needed to cancel")
    is_loud: bool | None = Field(default=None, description="None = by the rule in `is_loud`")


def identifier(unit_code: str, at: datetime, nth: int = 0) -> str:
    """`ZZZZZZDDDUUUXX_YYYYMMDDhhmmss[_N]`, Beijing time (China profile); `nth` counts those of the same second, 0..9.

    >>> identifier("44030041600000", datetime(2026, 9, 1, 1, 30, tzinfo=CHINA), 2)
    '44030041600000_20260901013000_2'
    """
    if not 0 <= nth < SAME_SECOND:
        raise ValueError(f"{nth} is not in 0..{SAME_SECOND - 1}")
    return f"{unit_code}_{at.astimezone(CHINA):%Y%m%d%H%M%S}" + (f"_{nth}" if nth else "")


def msg_type_of(kind: Kind) -> MsgType:
    """What CAP calls it."""
    return {Kind.ALERT: MsgType.ALERT, Kind.CANCEL: MsgType.CANCEL}.get(kind, MsgType.UPDATE)


def colour_of(alert: Alert) -> Colour:
    """The worst colour that a block or its severity says; InvalidInputError if none of them says one."""
    said = {info.colour for info in alert.infos} | {Colour.of(info.severity) for info in alert.infos}
    worst = next((colour for colour in Colour if colour in said), None)
    if worst is None:
        raise InvalidInputError(
            "colour_missing", zh="没有预警级别（颜色）", en="the alert has no colour", field="info.severity"
        )
    return worst


def area_of(alert: Alert) -> frozenset[tuple[str, str]]:
    """What the alert covers, so that two alerts can be compared whatever the order or the language."""
    return frozenset(
        (kind, " ".join(value.split()))
        for info in alert.infos
        for area in info.areas
        for kind, values in (
            ("polygon", area.polygons),
            ("circle", area.circles),
            ("geocode", tuple(f"{code.value_name}={code.value}" for code in area.geocodes)),
        )
        for value in values
    )


def is_loud(before: Alert | None, after: Alert) -> bool:
    """An Update with the same colour and area is silent; a first message, another colour and an all-clear are loud."""
    if before is None or after.msg_type != MsgType.UPDATE:
        return True
    return colour_of(before) != colour_of(after) or area_of(before) != area_of(after)


def first_message(alert: Alert, *, name: str, sender: str) -> Alert:
    """What an author wrote as the first message of a chain, with what only the desk decides set over it."""
    colour = colour_of(alert)
    infos = tuple(_marked(info, Kind.ALERT, colour, None) for info in alert.infos)
    fixed = {"identifier": name, "sender": sender, "msg_type": MsgType.ALERT.value, "references": None, "sent": ""}
    return alert.model_copy(update={**fixed, "infos": infos})


def next_message(chain: Sequence[Alert], kind: Kind, change: Change, *, name: str, at: datetime) -> Alert:
    """The next CAP message of a released chain, oldest message first; `name` is its identifier, `at` is now.

    ConflictError `alert_cancelled` or `alert_expired` if nothing may follow; InvalidInputError if the verb does not fit
    what changes. `sent` stays empty: it is set when the message is released.
    """
    head = chain[-1]
    _refuse_ended(head, at)
    before = colour_of(head)
    colour = change.colour or before
    infos = tuple(_marked(_changed(info, kind, change), kind, colour, before) for info in head.infos)
    following = head.model_copy(
        update={
            "identifier": name,
            "sent": "",
            "msg_type": msg_type_of(kind).value,
            "note": change.note if change.note is not None or kind is Kind.CANCEL else head.note,
            "references": " ".join(str(m.reference) for m in chain if not is_over(m, at)),
            "infos": infos,
        }
    )
    refuse_misfit(kind, head, following)
    return following


def edited(stored: Alert, wanted: Alert, kind: Kind, head: Alert | None) -> Alert:
    """What an author wrote over a draft: all but what the desk decides. Headlines follow colour and verb."""
    colour, before = colour_of(wanted), colour_of(head) if head else None
    kept = {
        name: getattr(stored, name) for name in ("identifier", "sender", "sent", "status", "msg_type", "references")
    }
    infos = tuple(_marked(info, kind, colour, before) for info in wanted.infos)
    result = wanted.model_copy(update={**kept, "infos": infos})
    if head:
        refuse_misfit(kind, head, result)
    return result


def refuse_misfit(kind: Kind, head: Alert, following: Alert) -> None:
    """InvalidInputError if the verb says one thing and the change another."""
    rise = _RANKS[colour_of(following)] - _RANKS[colour_of(head)]
    fits = {Kind.UPGRADE: rise > 0, Kind.DOWNGRADE: rise < 0, Kind.ALERT: False}.get(kind, rise == 0)
    if not fits:
        raise InvalidInputError(
            "verb_misfit",
            zh=f"动作与级别变化不符（{colour_of(head).zh}→{colour_of(following).zh}）",
            en=f"{kind} does not fit {colour_of(head)} -> {colour_of(following)}",
            field="colour",
        )
    old, new = head.expires_at, following.expires_at
    if kind is Kind.EXTEND and not (old and new and new > old):
        raise InvalidInputError(
            "verb_misfit", zh="延长后的失效时间必须更晚", en="to extend, expires has to be later", field="expires_at"
        )
    if kind is Kind.CANCEL and not (following.note or "").strip():
        raise InvalidInputError("note_missing", zh="请说明解除原因", en="give the reason for cancelling", field="note")


def is_over(alert: Alert, at: datetime) -> bool:
    """Whether the last of its blocks has expired."""
    end = alert.expires_at
    return end is not None and end <= at


def _refuse_ended(head: Alert, at: datetime) -> None:
    """CAP-012: nothing follows a cancelled or expired chain."""
    if head.msg_type == MsgType.CANCEL:
        raise ConflictError(
            "alert_cancelled", zh=f"预警已于{head.sent}解除", en=f"alert already cancelled at {head.sent}"
        )
    if is_over(head, at):
        raise ConflictError("alert_expired", zh="预警已失效，请重新发布", en="alert has expired; issue a new one")


def _changed(info: Info, kind: Kind, change: Change) -> Info:
    """One language block of the next message, before its marks.

    Own words about what is over, or advice for another colour, would be wrong now: then the frames of the texts speak.
    """
    words = change.words.get((info.language or "en-US").lower().split("-")[0], Words())
    is_over_now, is_recoloured = kind is Kind.CANCEL, kind in (Kind.UPGRADE, Kind.DOWNGRADE, Kind.CANCEL)
    update: dict[str, object] = {
        "effective": None,  # from `sent` on, which is CAP's default
        "onset": cap_time(change.onset_at, CHINA) if change.onset_at else info.onset,
        "expires": cap_time(change.expires_at, CHINA) if change.expires_at else info.expires,
        "areas": change.areas if change.areas is not None else info.areas,
        "description": words.description or (None if is_over_now else info.description),
        "instruction": words.instruction or (None if is_recoloured else info.instruction),
    }
    if is_over_now:
        update["response_types"] = (ResponseType.ALL_CLEAR.value,)
    return info.model_copy(update=update)


def _marked(info: Info, kind: Kind, colour: Colour, before: Colour | None) -> Info:
    """The block with severity and the parameters of colour and verb; its headline is written when it is released."""
    said = f"{kind}; {before}" if before else kind.value
    ours = (colour_parameter(colour), NamedValue(value_name=VERB_PARAMETER, value=said))
    rest = tuple(p for p in info.parameters if p.value_name not in {COLOUR_PARAMETER, VERB_PARAMETER})
    return info.model_copy(update={"headline": None, "severity": colour.severity.value, "parameters": (*ours, *rest)})
