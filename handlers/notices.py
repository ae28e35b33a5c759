"""A person's own app says that a notice was displayed or opened: /v1/notices."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.services.sightings import Notice, Sightings


class NoticeForm(BaseModel):
    """Which notice: `broadcast` and `subject` as the push message's data carries them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {"broadcast": "booking.confirmed-20261124", "subject": "b-7d1f", "channel": "push"}
        },
    )

    broadcast: str = Field(min_length=1, max_length=120)
    subject: str = Field(default="", max_length=120, description="what a personal notice is about")
    channel: Literal["push", "wechat", "sms"] = Field(default="push", description="by which channel it came")


class NoticeHandler(ApiHandler):
    """/v1/notices/shown and /v1/notices/read."""

    def initialize(self, sightings: Sightings, *, is_read: bool) -> None:
        """`is_read`: opened, else only displayed."""
        self.sightings = sightings
        self.is_read = is_read

    async def post(self) -> None:
        """204, durable; for a notice that the caller never had too."""
        form = self.given(NoticeForm)
        notice = Notice(form.broadcast, form.subject, form.channel)
        await (self.sightings.read if self.is_read else self.sightings.shown)(self.caller.id, notice)
        self.set_status(204)
