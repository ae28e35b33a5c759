"""A counter with real stores, some items, people and officers, and a clock the test moves."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from server.domain.audit import Event
from server.domain.catalogue import Item
from server.domain.citizens import Account, AccountState, Caller, Kind
from server.domain.errors import ForbiddenError
from server.domain.officers import Account as OfficerAccount
from server.domain.officers import AccountState as OfficerState
from server.domain.officers import Officer, Role, Unit
from server.domain.real_name import RealName
from server.domain.relations import Scope
from server.domain.sources import Answer, Question
from server.services.application_drafts import Drafts
from server.services.application_steps import ApplicationSteps, Ground
from server.services.applications import Applications, Draft, Seen
from server.services.attachments import Attachments, NoScanner
from server.services.co_applicants import CoApplicants
from server.services.consents import Consents
from server.services.deciding import Deciding, Decision, Filed
from server.services.item_terms import ItemTerms
from server.services.ratings import CallBacks, Ratings
from server.services.sources import Permits, Registers, Sources
from server.services.uses import Uses
from server.storage.applications import ApplicationStore
from server.storage.attachments import AttachmentStore
from server.storage.catalogues import (
    load_consents,
    load_questionnaire,
    load_reasons,
    load_source_policy,
    load_workflows,
    load_working_days,
)
from server.storage.consents import ConsentStore
from server.storage.mongo import Database
from server.storage.outbox import Outbox
from server.storage.person_keys import PersonVault
from server.storage.ratings import RatingStore
from server.storage.uses import UseStore
from server.storage.vault import Vault
from tests.domain.items import Shelf, item

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # a Tuesday, ten in the morning in China
FORM = {"reason": "满八十岁"}
OWNER, OTHER = 4711, 4712


@dataclass
class Clock:
    """A clock the test moves."""

    at: datetime = NOW

    def __call__(self) -> datetime:
        """The time."""
        return self.at

    def pass_(self, **by: float) -> None:
        """Some time goes by."""
        self.at += timedelta(**by)


@dataclass
class Log:
    """What was recorded; `fails` breaks it."""

    events: dict[str, Event] = field(default_factory=dict)
    fails: bool = False

    async def record(self, *events: Event) -> None:
        """As the audit log: a key is one entry."""
        if self.fails:
            raise ConnectionError("the log is away")
        for event in events:
            self.events.setdefault(event.key or secrets.token_hex(8), event)

    def actions(self) -> list[str]:
        """What was done."""
        return [event.action for event in self.events.values()]


@dataclass
class Acting:
    """Who acts for whom: pairs of internal ids; public ids are the internal ones in hexadecimal."""

    pairs: set[tuple[int, int]] = field(default_factory=set)

    async def subject_of(self, actor: int, subject_public: str | None, scope: Scope) -> int:  # noqa: ARG002
        """Whom they mean."""
        subject = actor if subject_public is None else int(subject_public, 16)
        if actor != subject and (actor, subject) not in self.pairs:
            raise ForbiddenError("relation_missing", zh="无", en="none")
        return subject

    async def may(self, actor: int, subject: int, scope: Scope) -> bool:  # noqa: ARG002
        """Whether they may."""
        return actor == subject or (actor, subject) in self.pairs


def caller(citizen: int = OWNER) -> Caller:
    """Somebody who is logged in."""
    account = Account(
        id=citizen, public=f"{citizen:032x}", kind=Kind.PERSON, state=AccountState.ACTIVE, session_version=1, version=1,
        log_ins=(), is_real_name=True, language="zh", is_elder_mode=False, created_at=NOW,
    )  # fmt: skip
    return Caller(account, "log-in")


def officer(*roles: Role, name: str = "a", institution: str = "sz-civil-affairs", division: str = "440300") -> Officer:
    """Somebody at the counter."""
    unit = Unit(code="44030041600000", name="深圳市民政局", sender="civil@sz.example", division="440300")
    return Officer(
        id=name * 32, person=f"p-{name}", name=f"officer {name}", roles=frozenset(roles), unit=unit,
        division=division, events=(), institutions=(institution,) if institution else (),
    )  # fmt: skip


CLERK = officer(Role.CLERK)
APPROVER = officer(Role.APPROVER, name="b")


class Names:
    """Everybody is verified."""

    async def find(self, citizen: int) -> RealName | None:  # noqa: ARG002
        """One name for all."""
        return RealName("王小明", "440305199001011234")


class Knowing:
    """A register that knows everybody, since yesterday."""

    async def ask(self, question: Question, person: RealName) -> Answer | None:
        """Name and number."""
        known = {"name": person.name, "id_number": person.number}
        return Answer({field: known[field] for field in question.fields & known.keys()}, NOW - timedelta(days=1))


class Town:
    """The counters on one database."""

    def __init__(self, db: Database, *items: Item) -> None:
        self.db = db
        self.clock = Clock()
        self.hired: dict[str, Officer] = {}
        self.log = Log()
        self.acting = Acting()
        self.shelf = Shelf(*(items or (item(),)))
        vault = Vault({1: b"k" * 32}, b"i" * 32, secrets.token_bytes)
        self.people = PersonVault(db, vault, secrets.token_bytes)
        self.outbox = Outbox(db)
        self.store = ApplicationStore(db, self.people, vault, self.outbox)
        workflows = load_workflows()
        self.ground = Ground(
            store=self.store, items=ItemTerms(self.shelf, workflows), workflows=workflows,
            calendar=load_working_days(), acting=self.acting, audit=self.log, now=self.clock,
            random=secrets.token_bytes,
        )  # fmt: skip
        self.uses = Uses(UseStore(db, secrets.token_bytes), self.clock)
        self.steps = ApplicationSteps(self.ground)
        self.files = AttachmentStore(db, self.people)
        self.counter = Applications(self.ground, self.steps, self.files)
        self.together = CoApplicants(self.ground, self.counter)
        self.drafts = Drafts(self.ground, self.counter)
        self.desk = Deciding(self.ground, self.steps, self.uses, load_reasons(), self)
        self.marks = RatingStore(db, self.people, vault)
        self.ratings = Ratings(
            self.ground, self.counter, self.marks, load_questionnaire(), CallBacks(self, self.uses, self)
        )
        self.attachments = Attachments(self.ground, self.counter, self.desk, self.files, NoScanner())

    async def find(self, officer_id: str) -> OfficerAccount | None:
        """Implements `Colleagues`: whom a test has hired."""
        if officer_id not in self.hired:
            return None
        return OfficerAccount(
            officer=self.hired[officer_id], state=OfficerState.ACTIVE, created_at=NOW, changed_at=NOW,
            sessions_since=NOW,
        )  # fmt: skip

    async def addresses_of(self, citizen: int, channel: str) -> list[str]:
        """Implements `Phones`: everybody has one, of their own."""
        return [f"+86138{citizen:08d}"] if channel == "sms" else []

    def sources(self, registers: Registers | None = None, timeout_s: float = 5.0) -> Sources:
        """The counter of sources, with everybody's name verified as 王小明."""
        purposes = load_consents()
        self.consents = Consents(ConsentStore(self.db, secrets.token_bytes), purposes, self.clock)
        permits = Permits(load_source_policy(), self.consents, self.uses, Names())
        return Sources(self.ground, self.counter, permits, registers or Knowing(), timeout_s)

    async def draft(self, of: int = OWNER, form: Mapping[str, Any] | None = None, **more: Any) -> Seen:
        """A draft that could be handed in."""
        known = Draft(more.pop("item", "elder-allowance"), form=FORM if form is None else form, **more)
        return await self.counter.begin(caller(of), known)

    async def submitted(self, of: int = OWNER, **more: Any) -> Seen:
        """One that was handed in."""
        draft = await self.draft(of, **more)
        return await self.counter.submit(caller(of), draft.application.id, draft.application.version, "submit")

    async def decide(self, application: str, action: str, by: Officer = CLERK, **more: str) -> Filed:
        """A step of an officer."""
        return await self.desk.decide(by, application, Decision(action, **more))

    async def agrees(self, who: int, application: str) -> Seen:
        """Somebody who was named looks at it, and confirms what is there."""
        found = await self.store.find(application)
        return await self.together.agree(caller(who), application, found.version if found else 0)

    async def told(self) -> list[str]:
        """What was told at once, by its thing."""
        return [d["about"] async for d in self.db["outbox"].find({"lane": "transactional"}).sort("_id", 1)]


async def race(*racers: Any) -> Sequence[Any]:
    """All at once; what each got or raised."""
    return await asyncio.gather(*racers, return_exceptions=True)
