"""What a citizen finds in the inbox, and marks there as read: /v1/me/inbox."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from handlers.base import ApiHandler
from server.domain.inbox import ITEM, LIMIT, MAX_LIMIT
from server.services.inbox import Inbox, Wanted


class InboxQuery(BaseModel):
    """Which part of the news."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    since: str = Field(
        default="", max_length=20, description="`sync` of the last walk: only what changed", examples=["1795484970000"]
    )
    after: str = Field(default="", max_length=80, description="`next` of the page before", examples=[""])
    limit: int = Field(default=LIMIT, ge=1, le=MAX_LIMIT, description="items at most", examples=[LIMIT])


class ReadForm(BaseModel):
    """Up to where everything was read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"up_to": "9f86d081884c7d659a2feaa0c55ad015"}}
    )

    up_to: str = Field(pattern=f"^{ITEM}$", description="id of the newest item that was on the screen")


class ReadView(BaseModel):
    """How many items have become read."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": {"marked": 3}})

    marked: int


class InboxHandler(ApiHandler):
    """/v1/me/inbox."""

    def initialize(self, inbox: Inbox) -> None:
        """`inbox` shows everybody the own one."""
        self.inbox = inbox

    async def get(self) -> None:
        """A page; the Link header (RFC 8288) leads to the next one."""
        query = self.asked(InboxQuery)
        page = await self.inbox.read(self.caller.id, Wanted(query.since, query.after, query.limit))
        self.link_next({"after": page.next})
        self.respond(page)


class InboxReadHandler(ApiHandler):
    """/v1/me/inbox/read."""

    def initialize(self, inbox: Inbox) -> None:
        """`inbox` marks in everybody's own one."""
        self.inbox = inbox

    async def post(self) -> None:
        """An item and all that is older."""
        marked = await self.inbox.mark_until(self.caller.id, self.given(ReadForm).up_to)
        self.respond(ReadView(marked=marked))


class InboxItemReadHandler(ApiHandler):
    """/v1/me/inbox/{item}/read."""

    def initialize(self, inbox: Inbox) -> None:
        """`inbox` marks in everybody's own one."""
        self.inbox = inbox

    async def post(self, item: str) -> None:
        """One item."""
        await self.inbox.mark(self.caller.id, item)
        self.set_status(204)


class InboxBulletinReadHandler(ApiHandler):
    """/v1/me/inbox/bulletins/{bulletin}/read."""

    def initialize(self, inbox: Inbox) -> None:
        """`inbox` marks in everybody's own one."""
        self.inbox = inbox

    async def post(self, bulletin: str) -> None:
        """The newest version of one."""
        await self.inbox.mark_bulletin(self.caller.id, bulletin)
        self.set_status(204)


class InboxAlertReadHandler(ApiHandler):
    """/v1/me/inbox/alerts/{identifier}/read."""

    def initialize(self, inbox: Inbox) -> None:
        """`inbox` marks in everybody's own one."""
        self.inbox = inbox

    async def post(self, identifier: str) -> None:
        """One alert that is in force."""
        await self.inbox.mark_alert(self.caller.id, identifier)
        self.set_status(204)
