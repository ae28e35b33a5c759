"""Public notices as officers write, publish and withdraw them."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.bulletins import Bulletin, Content, Draft, Source, State, Version, Withdrawal
from server.domain.bulletins_json import read_after, write_after
from server.services.bulletin_office import BulletinOffice

_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_AT = "2026-11-24T09:30:00+08:00"


def _like(example: object) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": example})  # type: ignore[dict-item]


class OfficeQuery(BaseModel):
    """Which part of the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: str | None = Field(default=None, max_length=60, description="`next` of the page before")
    limit: int = Field(default=50, ge=1, le=100, examples=[50])


class BulletinPublication(BaseModel):
    """What the second person confirms."""

    model_config = _like({"digest": _DIGEST})

    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="`draft.submitted`, as it was read")


class BulletinReason(BaseModel):
    """Why; of a withdrawal the public reads it."""

    model_config = _like({"reason": "检修取消"})

    reason: str = Field(min_length=2, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")


class OfficeView(BaseModel):
    """One with its draft and history; `edit` is the version that If-Match names."""

    model_config = _like(
        {
            "id": "4c1f0e9d2b7a48d6a3c5e8f10b6d7a92",
            "state": "draft",
            "source": {"code": "44030041600000", "name": "深圳市气象台", "name_en": ""},
            "edit": 2,
            "edited_at": _AT,
            "draft": None,
            "versions": [],
            "withdrawal": None,
            "broadcasts": [],
        }
    )

    id: str
    state: State
    source: Source
    edit: int
    edited_at: AwareDatetime
    draft: Draft | None
    versions: tuple[Version, ...]
    withdrawal: Withdrawal | None
    broadcasts: tuple[str, ...] = Field(description="ids of the broadcasts of its versions")

    @classmethod
    def of(cls, bulletin: Bulletin) -> OfficeView:
        """As it stands."""
        return cls(
            id=bulletin.id,
            state=bulletin.state,
            source=bulletin.source,
            edit=bulletin.edit,
            edited_at=bulletin.edited_at,
            draft=bulletin.draft,
            versions=bulletin.versions,
            withdrawal=bulletin.withdrawal,
            broadcasts=bulletin.broadcasts,
        )


class OfficePage(BaseModel):
    """Those within reach, last edited first."""

    model_config = _like({"bulletins": [], "next": None})

    bulletins: tuple[OfficeView, ...]
    next: str | None = None


class OfficeHandler(ApiHandler):
    """What officers ask."""

    def initialize(self, office: BulletinOffice) -> None:
        """`office` asks the policy."""
        self.office = office

    def tell(self, bulletin: Bulletin, status: int = 200) -> None:
        """One, with the ETag that If-Match names."""
        self.mark(f'"v{bulletin.edit}"')
        self.respond(OfficeView.of(bulletin), status)


class StaffBulletinsHandler(OfficeHandler):
    """/v1/staff/bulletins."""

    async def get(self) -> None:
        """A page."""
        query = self.asked(OfficeQuery)
        after = read_after(query.after) if query.after is not None else None
        page, last = await self.office.page(self.officer, after, query.limit)
        following = write_after(last) if last else None
        self.link_next({"after": following})
        self.respond(OfficePage(bulletins=tuple(map(OfficeView.of, page)), next=following))

    async def post(self) -> None:
        """Draft one."""
        self.tell(await self.office.draft(self.officer, self.given(Content)), 201)


class StaffBulletinHandler(OfficeHandler):
    """/v1/staff/bulletins/{bulletin}."""

    async def get(self, bulletin: str) -> None:
        """One of them."""
        self.tell(await self.office.get(self.officer, bulletin))

    async def put(self, bulletin: str) -> None:
        """Write the draft, or that of a correction."""
        self.tell(await self.office.edit(self.officer, bulletin, self.given(Content), self.version))


class SubmitBulletinHandler(OfficeHandler):
    """/v1/staff/bulletins/{bulletin}/submit."""

    async def post(self, bulletin: str) -> None:
        """Hand it in."""
        self.tell(await self.office.submit(self.officer, bulletin, self.version))


class ReturnBulletinHandler(OfficeHandler):
    """/v1/staff/bulletins/{bulletin}/return."""

    async def post(self, bulletin: str) -> None:
        """Give it back."""
        reason = self.given(BulletinReason).reason
        self.tell(await self.office.return_(self.officer, bulletin, self.version, reason))


class PublishBulletinHandler(OfficeHandler):
    """/v1/staff/bulletins/{bulletin}/publish."""

    async def post(self, bulletin: str) -> None:
        """By the second person."""
        self.tell(await self.office.publish(self.officer, bulletin, self.given(BulletinPublication).digest))


class WithdrawBulletinHandler(OfficeHandler):
    """/v1/staff/bulletins/{bulletin}/withdraw."""

    async def post(self, bulletin: str) -> None:
        """It does not hold any more."""
        self.tell(await self.office.withdraw(self.officer, bulletin, self.given(BulletinReason).reason))
