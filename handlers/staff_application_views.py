"""What officers send about applications, and what they see of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from handlers.application_views import VIEW, ApplicationView, ListQuery, example, summary_of, whole_of
from server.services.deciding import Decision, Filed


class FiledView(ApplicationView):
    """One application, whole, for an officer."""

    model_config = example(
        VIEW | {"code": "", "unit": "sz-civil-affairs", "answers": {}, "owner": "", "urged": 0, "asked": 0}
    )

    unit: str
    answers: Mapping[str, Any] = Field(description="what departments' sources said, by source")
    owner: str = Field(description="the officer who has claimed it")
    urged: int = Field(description="how often the applicant asked for speed")
    asked: int = Field(description="how often the applicant was asked for more")

    @classmethod
    def of_filed(cls, filed: Filed, language: str) -> FiledView:
        """For the office; the tracking code is the applicant's own."""
        return cls(
            **summary_of(filed.application, language, filed.state_words),
            **whole_of(filed, language),
            missing=tuple(filed.missing),
            code="",
            unit=filed.application.unit,
            answers=dict(filed.application.answers),
            owner=filed.application.owner,
            urged=filed.application.urged,
            asked=filed.application.asked,
        )


class InboxQuery(ListQuery):
    """Which part of the unit's inbox."""

    owner: str | None = Field(default=None, pattern=r"^(me|nobody)$", description="me, nobody, or all", examples=["me"])
    state: str | None = Field(default=None, max_length=40, examples=["submitted"])
    card: str | None = Field(default=None, pattern=r"^(none|yellow|red)$", examples=["red"])


class ApplicationStepForm(BaseModel):
    """A step of an officer."""

    model_config = example({"action": "ask", "reason": "material_unclear", "note": "身份证背面看不清"})

    action: str = Field(pattern=r"^[a-z][a-z0-9_-]{1,39}$")
    reason: str = Field(default="", pattern=r"^([a-z][a-z_]{1,39})?$", description="a template of reasons")
    note: str = Field(default="", max_length=1000, description="what is said to the applicant besides")
    task: str = Field(default="", pattern=r"^([a-z][a-z0-9_-]{1,39})?$", description="of parallel work")
    materials: tuple[str, ...] = Field(
        default=(), max_length=50, description="of ask: papers to bring; those that are not there are added"
    )

    def decision(self, key: str) -> Decision:
        """As the counter takes it."""
        return Decision(self.action, self.reason, self.note.strip(), self.task, key, self.materials)


class AskAgainForm(BaseModel):
    """Asking a second time."""

    model_config = example({"reason": "material_expired", "note": "补正后的证件已过期", "materials": ["id_card"]})

    reason: str = Field(default="", pattern=r"^([a-z][a-z_]{1,39})?$", description="a template of reasons")
    note: str = Field(min_length=2, max_length=1000, description="why once was not enough; the applicant reads it")
    materials: tuple[str, ...] = Field(default=(), max_length=50)

    def decision(self, key: str) -> Decision:
        """As the counter takes it."""
        return Decision("ask_again", self.reason, self.note.strip(), key=key, materials=self.materials)


class TransferForm(BaseModel):
    """To whom; "" puts it back for all."""

    model_config = example({"to": "6f2c9d0e6a1b4f0d8c3e7b5a9f1d2c4e"})

    to: str = Field(pattern=r"^([0-9a-f]{32})?$")


class ReasonView(BaseModel):
    """A template of reasons."""

    model_config = example(
        {"id": "material_unclear", "actions": ["ask"], "zh": "上传的材料不清晰", "en": "A document cannot be read"}
    )

    id: str
    actions: tuple[str, ...]
    zh: str
    en: str


class ReasonsView(BaseModel):
    """All of them."""

    model_config = example(
        {
            "reasons": [
                {"id": "material_unclear", "actions": ["ask"], "zh": "上传的材料不清晰", "en": "It cannot be read"}
            ]
        }
    )

    reasons: tuple[ReasonView, ...]
