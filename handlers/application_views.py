"""What citizens and the public send about applications, and what they see of one; officers: staff_application_views."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from handlers.problems import FieldProblem
from server.domain.applications import Application, Line
from server.domain.co_applicants import Agreement, Answer
from server.domain.wording import Words
from server.services.applications import Draft, Seen
from server.services.deciding import Filed

_LINE = {
    "seq": 1,
    "at": "2026-11-24T01:30:00Z",
    "action": "submit",
    "state": "submitted",
    "words": "申请已提交",
    "task": "",
    "note": "",
}
_DEADLINE = {
    "due_on": "2026-12-01",
    "warn_on": "2026-11-30",
    "runs": "intake",
    "left_days": None,
    "lapses_on": None,
    "is_provisional": False,
    "card": "none",
}
_SUMMARY = {
    "id": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e",
    "number": "440305-20261124-01234567-6",
    "item": "elder-allowance",
    "name": "高龄老人津贴申领",
    "state": "submitted",
    "state_words": "已提交，等待受理",
    "deadline": _DEADLINE,
    "version": 2,
    "created_at": "2026-11-24T01:20:00Z",
    "changed_at": "2026-11-24T01:30:00Z",
    "submitted_at": "2026-11-24T01:30:00Z",
}
_FORM = {"bank_card": "6222020200112230000"}
VIEW = {
    **_SUMMARY,
    "item_version": 3,
    "code": "K7M2QX9RTW",
    "form": _FORM,
    "faults": [],
    "missing": [],
    "brought": [],
    "agreements": [],
    "tasks": {},
    "timeline": [_LINE],
    "allowed": ["urge", "withdraw"],
}


def example(value: Any) -> ConfigDict:
    """Nothing else, unchangeable, and what it looks like."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": value})


class DraftForm(BaseModel):
    """What somebody begins: an item, and what is known already."""

    model_config = example({"item": "elder-allowance", "form": _FORM})

    item: str = Field(min_length=2, max_length=60)
    account: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$", description="for whom, if not for oneself")
    form: Mapping[str, Any] = Field(default_factory=dict, max_length=100)

    def draft(self) -> Draft:
        """As the counter takes it."""
        return Draft(self.item, self.account, self.form)


class FormForm(BaseModel):
    """The whole form as it is filled in now, complete or not."""

    model_config = example({"form": _FORM})

    form: Mapping[str, Any] = Field(max_length=100)


class InvitationForm(BaseModel):
    """Somebody who has to confirm."""

    model_config = example({"account": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e", "role": "spouse"})

    account: str = Field(pattern=r"^[0-9a-f]{32}$")
    role: str = Field(pattern=r"^[a-z][a-z0-9_-]{1,39}$")


class SeatForm(BaseModel):
    """The booking that is held for it."""

    model_config = example({"booking": "Yk3b9sQ0x7fJt2LwPz5dNg"})

    booking: str = Field(min_length=8, max_length=64)


class TrackForm(BaseModel):
    """The number and the code of the receipt."""

    model_config = example({"number": "440305-20261124-01234567-6", "code": "K7M2QX9RTW"})

    number: str = Field(min_length=10, max_length=40)
    code: str = Field(min_length=4, max_length=20)


class ListQuery(BaseModel):
    """Which part of the own list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str = Field(default="", max_length=60, description="`next` of the page before", examples=[""])
    limit: int = Field(default=20, ge=1, le=100, examples=[20])


class OwnQuery(ListQuery):
    """Which part of the own list, or what has changed in it."""

    since: str = Field(
        default="", max_length=20, description="`sync` of the last walk: only what changed", examples=["1795484970000"]
    )
    after: str = Field(default="", max_length=80, description="`next` of the page before", examples=[""])


class DeadlineView(BaseModel):
    """The clock, reckoned once at the last step: everybody reads the same day."""

    model_config = example(_DEADLINE)

    due_on: date | None = Field(description="the last day in time")
    warn_on: date | None
    runs: str = Field(description="nothing, intake, work, paused or done")
    left_days: int | None = Field(description="working days that are left when a pause ends")
    lapses_on: date | None = Field(description="while it waits for you: your last day to complete it")
    is_provisional: bool = Field(description="a year on the way was not published yet when it was reckoned")
    card: str

    @classmethod
    def of(cls, application: Application) -> DeadlineView:
        """Of an application."""
        clock = application.standing.clock
        return cls(
            due_on=clock.due_on,
            warn_on=clock.warn_on,
            runs=clock.runs.value,
            left_days=clock.left_days,
            lapses_on=clock.lapses_on,
            is_provisional=clock.is_provisional,
            card=application.card.value,
        )


class LineView(BaseModel):
    """One line of the timeline."""

    model_config = example(_LINE)

    seq: int
    at: datetime
    action: str
    state: str
    words: str = Field(description="in the caller's language")
    task: str = Field(default="", description="of parallel work: what the line is about")
    note: str = Field(default="", description="what the office wrote to the applicant")

    @classmethod
    def of(cls, line: Line, language: str) -> LineView:
        """As somebody reads it."""
        return cls(
            seq=line.seq,
            at=line.at,
            action=line.action,
            state=line.state,
            words=line.words.get(language),
            task=line.task,
            note=line.note,
        )


class SummaryView(BaseModel):
    """An application in a list: nothing of its form."""

    model_config = example(_SUMMARY)

    id: str
    number: str
    item: str
    name: str
    state: str
    state_words: str = ""
    deadline: DeadlineView
    version: int
    created_at: datetime
    changed_at: datetime
    submitted_at: datetime | None

    @classmethod
    def of(cls, application: Application, language: str, state_words: tuple[str, str] = ("", "")) -> SummaryView:
        """As somebody reads it."""
        return cls(**summary_of(application, language, state_words))


class ListPage(BaseModel):
    """Some of them; `next` leads on."""

    model_config = example({"applications": [_SUMMARY], "next": None})

    applications: tuple[SummaryView, ...]
    next: str | None


class OwnPage(ListPage):
    """Some of the own ones. What is gone is a draft that its owner has deleted: it is 404 by itself."""

    model_config = example({"applications": [_SUMMARY], "sync": "1795484970000", "next": None})

    sync: str = Field(description="the `since` of the next walk; equal on all pages of this one")


class BroughtView(BaseModel):
    """A material that is there."""

    model_config = example(
        {"material": "id_card", "means": "upload", "ref": "5d0c1b7e8f2a4c6e9d53a1c0e2b4d6f8", "evidence": "9f86d0",
         "at": "2026-11-24T01:30:00Z", "as_of_at": None}
    )  # fmt: skip

    material: str
    means: str
    ref: str
    evidence: str = Field(description="SHA-256 of the file, or of what the source answered")
    at: datetime
    as_of_at: datetime | None


class AgreementView(BaseModel):
    """Somebody who was named to confirm."""

    model_config = example(
        {"id": "2", "account": "9d53a1c0e2b4d6f84b1de8c2f4a84c6e", "role": "household", "answer": "agreed",
         "asked_at": "2026-11-24T01:30:00Z", "until": "2026-12-08T01:30:00Z", "answered_at": "2026-11-24T02:00:00Z"}
    )  # fmt: skip

    id: str = Field(description="takes the invitation back")
    account: str = Field(description="by which they were named")
    role: str
    answer: Answer
    asked_at: datetime
    until: datetime = Field(description="when the question lapses")
    answered_at: datetime | None

    @classmethod
    def of(cls, agreement: Agreement) -> AgreementView:
        """As the applicant sees it."""
        return cls(
            id=agreement.id,
            account=agreement.account,
            role=agreement.role,
            answer=agreement.answer,
            asked_at=agreement.asked_at,
            until=agreement.until,
            answered_at=agreement.answered_at,
        )


class ApplicationView(SummaryView):
    """One application, whole, for whom it belongs to."""

    model_config = example(VIEW)

    item_version: int
    code: str = Field(description="with the number: opens the tracking page without a log-in")
    form: Mapping[str, Any]
    faults: tuple[FieldProblem, ...] = Field(description="what is still wrong with the form")
    missing: tuple[str, ...] = Field(description="materials that are still to be brought")
    brought: tuple[BroughtView, ...]
    agreements: tuple[AgreementView, ...] = Field(description="who has to confirm, and what they have answered")
    tasks: Mapping[str, str] = Field(description='of parallel work: granted, refused or ""')
    timeline: tuple[LineView, ...]
    allowed: tuple[str, ...] = Field(description="what the caller may do now")

    @classmethod
    def of_seen(cls, seen: Seen, language: str) -> ApplicationView:
        """For its citizen."""
        return cls(
            **summary_of(seen.application, language, seen.state_words),
            **whole_of(seen, language),
            missing=tuple(each.id for each in seen.missing),
            code=seen.application.code,
        )


class TrackView(BaseModel):
    """Where an application stands, for whoever has its number and code: nothing personal."""

    model_config = example(
        {"number": "440305-20261124-01234567-6", "name": "高龄老人津贴申领", "state": "submitted",
         "state_words": "已提交，等待受理", "deadline": _DEADLINE, "timeline": [_LINE]}
    )  # fmt: skip

    number: str
    name: str
    state: str
    state_words: str
    deadline: DeadlineView
    timeline: tuple[LineView, ...]

    @classmethod
    def of(cls, application: Application, state_words: tuple[str, str], language: str) -> TrackView:
        """Without notes: they were never opened."""
        return cls(
            number=application.number,
            name=application.item_name.get(language),
            state=application.standing.state,
            state_words=Words(*state_words).get(language),
            deadline=DeadlineView.of(application),
            timeline=tuple(LineView.of(line, language) for line in application.timeline),
        )


def summary_of(application: Application, language: str, state_words: tuple[str, str]) -> dict[str, Any]:
    """What every view of one has."""
    return {
        "id": application.id,
        "number": application.number,
        "item": application.item,
        "name": application.item_name.get(language),
        "state": application.standing.state,
        "state_words": Words(*state_words).get(language),
        "deadline": DeadlineView.of(application),
        "version": application.version,
        "created_at": application.created_at,
        "changed_at": application.changed_at,
        "submitted_at": application.submitted_at,
    }


def whole_of(seen: Seen | Filed, language: str) -> dict[str, Any]:
    """What the applicant and the office see of one besides."""
    application = seen.application
    return {
        "item_version": application.item_version,
        "form": dict(application.form),
        "faults": tuple(FieldProblem(field=f.field, detail=f.zh if language == "zh" else f.en) for f in seen.faults),
        "brought": tuple(
            BroughtView(
                material=b.material, means=b.means.value, ref=b.ref, evidence=b.evidence, at=b.at, as_of_at=b.as_of_at
            )
            for b in application.brought
        ),
        "agreements": tuple(AgreementView.of(each) for each in application.agreements),
        "tasks": dict(application.standing.tasks),
        "timeline": tuple(LineView.of(line, language) for line in application.timeline),
        "allowed": tuple(seen.allowed),
    }
