"""An application as MongoDB keeps it, there and back. What is the applicant's alone is sealed with their key.

{_id, number, code_index, code: sealed, citizen, actor, people: [who may see it], item, item_version, item_name,
workflow, unit, units: [whose inbox], division, owner, state, back, tasks, clock, form: sealed, brought, agreements,
asked, timeline: [{seq, at, action, state, party, words, note: sealed, ...}], version, created_at, changed_at,
submitted_at, ended_at, is_open, due_at, card, card_at, urged, seat, offer, inboxes, unlogged: [{key, actor,
action, details, at}], lapse_at, idle_at, reminded, close_at}

`due_at` is what an inbox is sorted by: the deadline, or NEVER while nothing is due. `inboxes` are all pairs of a unit
that has it and a division that it lies in, "unit|division", so that one index finds both. `unlogged` is what the audit
log does not have yet. `lapse_at` is when a co-applicant's question lapses, `idle_at` when a draft that stays as it is
is told of or thrown away, and `reminded` the version of it that was told of. `close_at` is when the
time is over that its citizen has to bring what was asked for.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import MappingProxyType

import orjson

from server.domain.application_news import idle_at
from server.domain.applications import Application, Brought, Line, Means, Seat, Stage
from server.domain.audit import Event
from server.domain.co_applicants import Agreement, Answer, lapse_at
from server.domain.deadlines import Card, Clock, Runs
from server.domain.divisions import prefix
from server.domain.wording import Words
from server.domain.workflow import Party, Standing
from server.storage.mongo import Document
from server.storage.vault import Vault

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_PLAIN = (
    "citizen", "actor", "item", "item_version", "workflow", "unit", "division", "owner", "version", "created_at",
    "changed_at", "submitted_at", "ended_at", "card_at", "urged",
)  # fmt: skip


def sort_key(application: Application) -> datetime:
    """What an inbox is sorted by."""
    due_at = application.standing.clock.due_at
    return due_at.astimezone(UTC) if due_at else NEVER


def inbox_of(unit: str, division: str) -> str:
    """What the inbox of a unit's officers for a division is called.

    >>> inbox_of("sz-civil-affairs", "440300")
    'sz-civil-affairs|4403'
    """
    return f"{unit}|{prefix(division)}"


def form_owner(application: str) -> str:
    """What binds a form to its application."""
    return f"applications|{application}|form"


def fields_of(application: Application) -> Document:
    """Everything that is not sealed, without the timeline."""
    standing = application.standing
    looking = (each.citizen for each in application.agreements if each.may_look)
    document: Document = {name: getattr(application, name) for name in _PLAIN}
    document |= {
        "people": sorted({application.citizen, application.actor, *looking}),
        "item_name": list(application.item_name),
        "units": list(application.units),
        "state": standing.state,
        "back": standing.back,
        "tasks": dict(standing.tasks),
        "clock": _from_clock(standing.clock),
        "brought": [_from_brought(each) for each in application.brought],
        "agreements": [_from_agreement(each) for each in application.agreements],
        "lapse_at": lapse_at(application.agreements),
        "idle_at": idle_at(application),
        "close_at": lapses_at.astimezone(UTC) if (lapses_at := standing.clock.lapses_at) else None,
        "inboxes": [f"{unit}|{above}" for unit in application.units for above in _above(application.division)],
        "is_open": application.is_open,
        "due_at": sort_key(application),
        "card": application.card.value,
        "asked": application.asked,
        "seat": _from_seat(application.seat),
    }
    rare = {"number": application.number, "offer": application.offer}
    return document | {name: value for name, value in rare.items() if value}


def upgraded(d: Document) -> Document:
    """What a document of the version before has not got: the inboxes that it is in."""
    fields = fields_of(to_application(d))
    return {name: fields[name] for name in ("inboxes", "asked", "lapse_at", "idle_at", "close_at")}


def sealed_form(application: Application, vault: Vault) -> bytes:
    """What was filled in, and what sources said."""
    content = {"form": dict(application.form), "answers": dict(application.answers)}
    return vault.seal(orjson.dumps(content).decode(), owner=form_owner(application.id))


def sealed_code(application: Application, vault: Vault) -> bytes:
    """The code of the tracking page."""
    return vault.seal(application.code, owner=f"applications|{application.id}|code")


def from_line(application: str, line: Line, vault: Vault | None) -> Document:
    """One line; its note needs the vault."""
    document: Document = {
        "seq": line.seq,
        "at": line.at,
        "action": line.action,
        "state": line.state,
        "party": line.party.value,
        "words": list(line.words),
        "is_told": line.is_told,
        "who": line.who,
        "unit": line.unit,
        "task": line.task,
        "key": line.key,
    }
    if line.note and vault:
        document["note"] = vault.seal(line.note, owner=f"applications|{application}|note.{line.seq}")
    return document


def to_application(d: Document, vault: Vault | None = None) -> Application:
    """As it was; without a vault what is sealed stays out of it."""
    plain = {name: d[name] for name in _PLAIN}
    id_ = d["_id"]
    content: Document = {"form": {}, "answers": {}}
    if vault and "form" in d:
        content = orjson.loads(vault.open(d["form"], owner=form_owner(id_)))
    return Application(
        id=id_,
        **plain,
        item_name=Words(*d["item_name"]),
        standing=Standing(d["state"], d["back"], MappingProxyType(d["tasks"]), _to_clock(d["clock"])),
        number=d.get("number", ""),
        code=vault.open(d["code"], owner=f"applications|{id_}|code") if vault and "code" in d else "",
        form=MappingProxyType(content["form"]),
        answers=MappingProxyType(content["answers"]),
        brought=tuple(_to_brought(each) for each in d["brought"]),
        agreements=tuple(_to_agreement(each, n, d["changed_at"]) for n, each in enumerate(d["agreements"])),
        timeline=tuple(_to_line(id_, each, vault) for each in d["timeline"]),
        units=tuple(d["units"]),
        card=Card(d["card"]),
        seat=_to_seat(d.get("seat")),
        offer=d.get("offer", ""),
    )


def from_event(event: Event, at: datetime) -> Document:
    """What the log is to say; its object is the application."""
    return {
        "key": event.key, "actor": event.actor, "action": event.action, "details": dict(event.details), "at": at,
    }  # fmt: skip


def to_event(application: str, d: Document) -> Event:
    """The inverse."""
    return Event(d["actor"], d["action"], f"application/{application}", details=d["details"], key=d["key"])


def _above(division: str) -> list[str]:
    """The division and those above it, province down, as `prefix` writes them."""
    own = prefix(division)
    return [own[:n] for n in (2, 4, 6, 9, 12) if n <= len(own)]


def _to_line(application: str, d: Document, vault: Vault | None) -> Line:
    note = ""
    if vault and "note" in d:
        note = vault.open(d["note"], owner=f"applications|{application}|note.{d['seq']}")
    return Line(
        seq=d["seq"], at=d["at"], action=d["action"], state=d["state"], party=Party(d["party"]),
        words=Words(*d["words"]), is_told=d["is_told"], who=d["who"], unit=d["unit"], task=d["task"],
        note=note, key=d["key"],
    )  # fmt: skip


def _from_clock(clock: Clock) -> Document:
    return {
        "runs": clock.runs.value,
        "due_on": _iso(clock.due_on),
        "warn_on": _iso(clock.warn_on),
        "is_provisional": clock.is_provisional,
        "left_days": clock.left_days,
        "resumes": clock.resumes.value if clock.resumes else None,
        "ended_on": _iso(clock.ended_on),
        "lapses_on": _iso(clock.lapses_on),
    }


def _to_clock(d: Document) -> Clock:
    return Clock(
        runs=Runs(d["runs"]),
        due_on=_day(d["due_on"]),
        warn_on=_day(d["warn_on"]),
        is_provisional=d["is_provisional"],
        left_days=d["left_days"],
        resumes=Runs(d["resumes"]) if d["resumes"] else None,
        ended_on=_day(d["ended_on"]),
        lapses_on=_day(d.get("lapses_on")),
    )


def _from_brought(brought: Brought) -> Document:
    return {
        "material": brought.material, "means": brought.means.value, "ref": brought.ref, "evidence": brought.evidence,
        "at": brought.at, "as_of_at": brought.as_of_at, "size_bytes": brought.size_bytes,
    }  # fmt: skip


def _to_brought(d: Document) -> Brought:
    return Brought(**{**d, "means": Means(d["means"])})


def _from_agreement(agreement: Agreement) -> Document:
    return {
        "citizen": agreement.citizen, "account": agreement.account, "role": agreement.role, "id": agreement.id,
        "asked_at": agreement.asked_at, "asks": agreement.asks, "answer": agreement.answer.value,
        "answered_at": agreement.answered_at,
    }  # fmt: skip


def _to_agreement(d: Document, place: int, changed_at: datetime) -> Agreement:
    """One of them; until November 2026 they were {citizen, role, agreed_at}, told apart by their place alone."""
    if "answer" not in d:
        at = d["agreed_at"]
        answer = Answer.AGREED if at else Answer.WAITING
        return Agreement(d["citizen"], "", d["role"], f"0-{place}", at or changed_at, answer=answer, answered_at=at)
    return Agreement(**{**d, "answer": Answer(d["answer"])})


def _from_seat(seat: Seat | None) -> Document | None:
    if seat is None:
        return None
    return {
        "code": seat.code, "holder": seat.holder, "who": seat.who, "key": seat.key, "stage": seat.stage.value,
        "until": seat.until,
    }  # fmt: skip


def _to_seat(d: Document | None) -> Seat | None:
    return Seat(d["code"], d["holder"], d["who"], d["key"], Stage(d["stage"]), d["until"]) if d else None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
