"""An item 事项 of the catalogue: what a citizen or an organisation can ask a unit for, and what it takes.

A published version is never changed: applications refer to (item, version). So an item holds everything that it says,
also the name of its unit and of each source; nothing is looked up elsewhere when an old version is read. The form is
in `catalogue_forms`, the layout of codes in `catalogue_codes`; where it can be done is in `catalogue_windows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from server.domain.catalogue_codes import CODE, USCC
from server.domain.catalogue_forms import NAME, Form, ShowIf
from server.domain.officers import DIVISION
from server.domain.resources import Named, Slug

LONGEST_DAYS = 400  # working days
Word = Annotated[str, StringConstraints(min_length=1, max_length=30)]
Fact = str | int | bool


class Model(BaseModel):
    """Nothing unknown, nothing changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Mode(StrEnum):
    """How an item can be done. The value is what the wire says; the plan's figures count these."""

    ONE_STOP = "one_stop"  # 一站式: one counter, one form, several units behind it
    CITY_WIDE = "city_wide"  # 同城通办: at any counter of the city
    NEARBY = "nearby"  # 就近办理: at the community or street next door
    ONLINE = "online"  # 网上办理(免纸): from the phone, without paper
    PROACTIVE = "proactive"  # 主动服务: the city comes first


class Category(StrEnum):
    """What kind of act it is in Chinese administrative law."""

    LICENCE = "licence"  # 行政许可
    PAYMENT = "payment"  # 行政给付
    CONFIRMATION = "confirmation"  # 行政确认
    REWARD = "reward"  # 行政奖励
    OTHER_POWER = "other_power"  # 其他行政权力
    SERVICE = "service"  # 公共服务


class Applicant(StrEnum):
    """Who may ask."""

    PERSON = "person"
    ORGANISATION = "organisation"


class Text(Model):
    """Some sentences in both languages; English may be missing."""

    zh: str = Field(min_length=1, max_length=500)
    en: str = Field(default="", max_length=1_000)

    def get(self, language: str) -> str:
        """In this language, else in Chinese."""
        return (self.en if language == "en" else "") or self.zh


class Unit(Model):
    """Whose item it is. `uscc` is its unified social credit code (GB 32100)."""

    id: Slug
    name: Named
    uscc: str = Field(pattern=USCC)
    division: str = Field(pattern=DIVISION)


class Check(Model):
    """A condition that can be reckoned: a fact about the applicant against a value."""

    fact: str = Field(pattern=NAME)
    op: Literal["eq", "ne", "ge", "le", "in"]
    value: Fact | tuple[Fact, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.op == "in") != isinstance(self.value, tuple):
            raise ValueError("`in` takes a list of values, and nothing else does")
        if self.op in ("ge", "le") and (not isinstance(self.value, int) or isinstance(self.value, bool)):
            raise ValueError(f"`{self.op}` takes a whole number")
        return self

    def holds(self, facts: Mapping[str, Fact]) -> bool | None:
        """Whether the facts fulfil it; None if they do not tell.

        >>> Check(fact="age_years", op="ge", value=80).holds({"age_years": 79})
        False
        """
        known = facts.get(self.fact)
        if known is None:
            return None
        match self.op:
            case "eq":
                return known == self.value
            case "ne":
                return known != self.value
            case "in":
                return isinstance(self.value, tuple) and known in self.value
            case _:
                if not isinstance(known, int) or not isinstance(self.value, int):
                    return None
                return known >= self.value if self.op == "ge" else known <= self.value


class Condition(Model):
    """What has to be so: in words, and as data where it is simple."""

    text: Text
    check: Check | None = None


class Source(Model):
    """Where the office itself can find what a material would prove: then the citizen does not bring it (免提交)."""

    name: str = Field(pattern=NAME)
    title: Named
    fields: tuple[Annotated[str, StringConstraints(pattern=NAME)], ...] = Field(min_length=1, max_length=30)
    purpose: str = Field(pattern=NAME, description="what the data may be used for: part of every call")


class MaterialKind(StrEnum):
    """In which form it is handed in."""

    CERTIFICATE = "certificate"  # an original is shown, or its electronic licence
    DOCUMENT = "document"  # a paper or its picture
    STATEMENT = "statement"  # signed by the applicant
    PHOTO = "photo"


class Material(Model):
    """One thing to hand in."""

    id: str = Field(pattern=NAME)
    name: Named
    kind: MaterialKind = MaterialKind.DOCUMENT
    is_required: bool = True
    note: Text | None = None
    source: Source | None = None
    show_if: ShowIf | None = Field(default=None, description="only needed if this field of the form says so")


EXAMPLE: Mapping[str, Any] = {
    "id": "elderly-allowance",
    "code": "440300-11440300HM0000012A-140010",
    "category": "payment",
    "theme": "elderly",
    "unit": {
        "id": "civil-affairs",
        "name": {"zh": "深圳市民政局", "en": "Shenzhen Civil Affairs Bureau"},
        "uscc": "11440300HM0000012A",
        "division": "440300",
    },
    "name": {"zh": "高龄津贴", "en": "Allowance for the very old"},
    "about": {"zh": "年满八十周岁的户籍老人按月领取高龄津贴。", "en": "A monthly allowance from eighty on."},
    "applicants": ["person"],
    "conditions": [
        {
            "text": {"zh": "年满80周岁", "en": "80 years old or older"},
            "check": {"fact": "age_years", "op": "ge", "value": 80},
        }
    ],
    "materials": [
        {
            "id": "id_card",
            "name": {"zh": "居民身份证", "en": "Identity card"},
            "kind": "certificate",
            "source": {
                "name": "population",
                "title": {"zh": "人口库", "en": "Population register"},
                "fields": ["name", "id_number"],
                "purpose": "identity_check",
            },
        }
    ],
    "fee_fen": 0,
    "statutory_days": 30,
    "promised_days": 5,
    "form": {
        "fields": [{"id": "phone", "kind": "phone", "label": {"zh": "联系电话", "en": "Telephone"}}],
    },
    "workflow": "proactive",
    "modes": ["nearby", "online", "proactive"],
    "moments": ["growing-old"],
    "networks": ["community", "street"],
}


class Item(Model):
    """One version of an item: what it says, whole."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": dict(EXAMPLE)})

    id: Slug
    code: str = Field(pattern=CODE)
    basic_code: str = Field(default="", pattern=r"^[0-9A-Z]{0,14}$", description="基本编码 of the national list")
    category: Category = Category.SERVICE
    theme: Slug = Field(description="what it is about: one of the themes of the catalogue")
    unit: Unit
    name: Named
    about: Text
    applicants: tuple[Applicant, ...] = Field(min_length=1, max_length=2)
    conditions: tuple[Condition, ...] = Field(default=(), max_length=30)
    materials: tuple[Material, ...] = Field(default=(), max_length=40)
    fee_fen: int = Field(default=0, ge=0, le=100_000_000)
    fee_note: Text | None = None
    statutory_days: int = Field(ge=0, le=LONGEST_DAYS, description="working days; 0: at once")
    promised_days: int = Field(ge=0, le=LONGEST_DAYS, description="working days; 0: at once")
    form: Form = Form()
    workflow: Slug
    steps: tuple[Text, ...] = Field(default=(), max_length=20)
    modes: tuple[Mode, ...] = Field(default=(), max_length=5)
    moments: tuple[Slug, ...] = Field(default=(), max_length=10)
    words: tuple[Word, ...] = Field(default=(), max_length=20, description="what people also call it")
    networks: tuple[Slug, ...] = Field(default=(), max_length=10, description="kinds of counters where it can be done")
    basis: tuple[str, ...] = Field(default=(), max_length=10, description="laws and rules it follows from")
    is_offered: bool = Field(default=True, description="False: nobody can ask for it any more")

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.promised_days > self.statutory_days:
            raise ValueError(f"promises {self.promised_days} days where the law has {self.statutory_days}")
        for what in (self.applicants, self.modes, self.moments, self.networks, [m.id for m in self.materials]):
            if len(set(what)) < len(what):
                raise ValueError(f"names something twice: {', '.join(what)}")
        controls = self.form.controls()
        for material in self.materials:
            if material.show_if and not material.show_if.fits(controls):
                raise ValueError(f"material {material.id} depends on an answer that the form cannot give")
        return self

    @property
    def division(self) -> str:
        """Where it is offered: in the unit's division and below."""
        return self.unit.division

    @property
    def is_paperless(self) -> bool:
        """Whether nothing has to be brought that the office could not find itself (免提交)."""
        return all(m.source or m.kind is MaterialKind.STATEMENT for m in self.materials if m.is_required)

    def who_may(self, facts: Mapping[str, Fact]) -> tuple[tuple[Condition, bool | None], ...]:
        """Each condition with whether it holds, as far as the facts tell."""
        return tuple((each, each.check.holds(facts) if each.check else None) for each in self.conditions)
