"""Files of applications over HTTP: the body is the file, Content-Type says what it is, and both have to agree."""

from __future__ import annotations

from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from handlers.application_views import ApplicationView
from handlers.base import ApiHandler
from server.domain.attachments import Attachment, FileKind
from server.services.applications import Seen
from server.services.attachments import Attachments, Upload

KINDS = tuple(kind.value for kind in FileKind)


class UploadQuery(BaseModel):
    """What the file is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    material: str = Field(default="", max_length=40, examples=["id_card"], description="of the item's list")
    name: str = Field(default="", max_length=200, examples=["身份证.jpg"])


class _FileHandler(ApiHandler):
    """What these handlers share."""

    def initialize(self, attachments: Attachments) -> None:
        """`attachments` holds the verbs."""
        self.attachments = attachments

    def show(self, seen: Seen, status: int = 200) -> None:
        """The application as it is now."""
        self.mark(f'"v{seen.application.version}"')
        self.respond(ApplicationView.of_seen(seen, self.language), status)

    def hand_out(self, attachment: Attachment, data: bytes) -> None:
        """The file, to be saved and not to be shown by the browser."""
        self.set_header("Content-Type", attachment.kind.value)
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(attachment.name)}")
        self.finish(data)


class AttachmentsHandler(_FileHandler):
    """All of one application."""

    async def post(self, application: str) -> None:
        """Attach one."""
        asked = self.asked(UploadQuery)
        upload = Upload(asked.material, asked.name, self.media_type, self.request.body)
        self.show(await self.attachments.add(self.caller, application, upload), 201)


class AttachmentHandler(_FileHandler):
    """One of them."""

    async def get(self, application: str, attachment: str) -> None:
        """The file."""
        self.hand_out(*await self.attachments.read(self.caller, application, attachment))

    async def delete(self, application: str, attachment: str) -> None:
        """Take it away."""
        self.show(await self.attachments.remove(self.caller, application, attachment))


class StaffAttachmentHandler(_FileHandler):
    """One of them, at the counter."""

    async def get(self, application: str, attachment: str) -> None:
        """The file; the applicant reads that it was looked at."""
        self.hand_out(*await self.attachments.read_filed(self.officer, application, attachment))
