"""What people answer to an alert, safe or in need of help, over HTTP; officers see counts and who needs help."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.acknowledgements import AcknowledgementForm
from server.services.acknowledgements import MAX_LIST, Acknowledgements, Wanted


class HelpQuery(BaseModel):
    """Which part of the list of those who need help."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str = Field(
        min_length=4, max_length=200, description="what the list is for; it is logged", examples=["电话核实求助情况"]
    )
    division: str = Field(
        default="", pattern=r"^(\d{6}(\d{3}){0,2})?$", description="a division of your own", examples=["440305"]
    )
    numbers: bool = Field(default=False, description="full telephone numbers, not masked ones", examples=[False])
    after: str = Field(default="", max_length=60, description="`next` of the part before", examples=[""])
    limit: int = Field(default=100, ge=1, le=MAX_LIST, description="people at most", examples=[100])


class AcknowledgementHandler(ApiHandler):
    """/v1/alerts/{identifier}/acknowledgement: the caller's own."""

    def initialize(self, acknowledgements: Acknowledgements) -> None:
        """`acknowledgements` keeps answers by chain."""
        self.acknowledgements = acknowledgements

    async def get(self, identifier: str) -> None:
        """What was answered."""
        self.respond(await self.acknowledgements.mine(self.caller.id, identifier))

    async def post(self, identifier: str) -> None:
        """Answer, or change the answer."""
        form = self.given(AcknowledgementForm)
        self.respond(await self.acknowledgements.answer(self.caller.id, identifier, form))


class StaffAcknowledgementsHandler(ApiHandler):
    """/v1/staff/alerts/{identifier}/acknowledgements."""

    def initialize(self, acknowledgements: Acknowledgements) -> None:
        """`acknowledgements` asks the policy."""
        self.acknowledgements = acknowledgements

    async def get(self, identifier: str) -> None:
        """The counts."""
        self.respond(await self.acknowledgements.tally(self.officer, identifier))


class HelpHandler(ApiHandler):
    """/v1/staff/alerts/{identifier}/acknowledgements/help."""

    def initialize(self, acknowledgements: Acknowledgements) -> None:
        """`acknowledgements` asks the policy, and writes the look into the audit log."""
        self.acknowledgements = acknowledgements

    async def get(self, identifier: str) -> None:
        """Part of the list."""
        query = self.asked(HelpQuery)
        wanted = Wanted(query.purpose, query.division, query.numbers, query.after, query.limit)
        self.respond(await self.acknowledgements.in_need(self.officer, identifier, wanted))
