"""Files of applications: taken in, cleaned, looked at by a scanner, kept sealed; handed out to whom they belong.

Promises. What is kept is a picture made anew or a PDF without anything that runs; its SHA-256 stands with the
application. A process that dies between the file and the application leaves a loose file, which `sweep` deletes or
names. Nothing is taken while it is not the applicant's turn.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from server.domain.applications import Application, Brought, Means, changed
from server.domain.attachments import MAX_FILES, MAX_TOTAL_BYTES, Attachment, kind_of, plain_file_name, refuse_size
from server.domain.audit import Event
from server.domain.citizens import Caller
from server.domain.errors import ConflictError, InvalidInputError, NotFoundError
from server.domain.officers import Officer
from server.services.application_steps import TURNS, Ground
from server.services.applications import EDITABLE, Applications, Seen, closed
from server.services.deciding import Deciding
from server.services.pictures import made_anew
from server.storage.attachments import AttachmentStore

LOOSE_FOR = timedelta(hours=1)
CLEANED_AT_ONCE = 2  # pictures of one process: each takes a core
AT_ONCE = 100


class Scanner(Protocol):
    """Looks for what does harm: an antivirus, behind whatever interface the city has."""

    async def is_clean(self, data: bytes) -> bool:
        """Whether it may be kept; UnavailableError if nobody can say."""
        ...


class NoScanner:
    """For trying things without one, never in production; the kinds that are taken are checked all the same."""

    async def is_clean(self, data: bytes) -> bool:
        """Everything."""
        return bool(data)


@dataclass(frozen=True, slots=True)
class Upload:
    """What came in. `declared`: its Content-Type."""

    material: str
    name: str
    declared: str
    data: bytes


class Attachments:
    """The verbs."""

    def __init__(
        self, ground: Ground, counter: Applications, desk: Deciding, store: AttachmentStore, scanner: Scanner
    ) -> None:
        self._ground = ground
        self._counter = counter
        self._desk = desk
        self._store = store
        self._scanner = scanner
        self._cleaning = asyncio.Semaphore(CLEANED_AT_ONCE)

    async def add(self, caller: Caller, application: str, upload: Upload) -> Seen:
        """Attach a file to a material. The errors of `kind_of`, `refuse_size`, `made_anew`; and more of them.

        InvalidInputError `material_unknown`, `attachment_infected`; ConflictError `attachments_full`; StepRefusedError.
        """
        found = await self._counter.own(caller, application)
        self._refuse(found, upload)
        terms = await self._ground.items.terms(found.item, found.item_version)
        if upload.material not in {each.id for each in terms.item.materials}:
            raise InvalidInputError(
                "material_unknown", zh="此事项没有该材料", en="this item has no such material", field="material"
            )
        attachment, data = await self._cleaned(found, upload)
        await self._store.put(attachment, data)
        brought = Brought(
            upload.material, Means.UPLOAD, attachment.id, attachment.sha256, attachment.at,
            size_bytes=attachment.size_bytes,
        )  # fmt: skip
        await self._name(caller, found, brought)
        await self._store.mark_named(attachment.id)
        return await self._counter.get(caller, application)

    async def remove(self, caller: Caller, application: str, attachment: str) -> Seen:
        """Take a file away, while it is the applicant's turn. NotFoundError `attachment_unknown`."""
        for _ in range(TURNS):
            found = await self._counter.own(caller, application)
            if found.standing.state not in EDITABLE or found.is_between:
                raise closed(found)
            kept = tuple(each for each in found.brought if each.ref != attachment)
            if len(kept) == len(found.brought):
                raise unknown()
            await self._store.loosen(attachment)
            if await self._counter.put(found, self._counter.edited(found, brought=kept)):
                await self._store.delete(attachment)
                return await self._counter.get(caller, application)
        raise changed()

    async def read(self, caller: Caller, application: str, attachment: str) -> tuple[Attachment, bytes]:
        """One of the caller's files."""
        return await self._read((await self._counter.get(caller, application)).application, attachment)

    async def read_filed(self, officer: Officer, application: str, attachment: str) -> tuple[Attachment, bytes]:
        """A file as an officer sees it: the look is noted like that at the form."""
        filed = await self._desk.get(officer, application)
        key = f"attachment/{attachment}"
        await self._ground.audit.record(Event(officer.id, "application.attachment", key))
        return await self._read(filed.application, attachment)

    async def sweep(self) -> int:
        """Delete files that no application names, an hour after they came; how many."""
        loose = await self._store.find_loose(self._ground.now() - LOOSE_FOR, AT_ONCE)
        named = await self._ground.store.find_many(list(set(loose.values())))
        gone = 0
        for attachment, application in loose.items():
            owner = named.get(application)
            if owner and any(each.ref == attachment for each in owner.brought):
                await self._store.mark_named(attachment)
            else:
                await self._store.delete(attachment)
                gone += 1
        return gone

    async def _read(self, application: Application, attachment: str) -> tuple[Attachment, bytes]:
        """What the application does not name is not there, whatever a process that died has left."""
        is_named = any(each.ref == attachment for each in application.brought)
        found = await self._store.find(application.id, attachment) if is_named else None
        data = await self._store.read(found) if found else None
        if found is None or data is None:
            raise unknown()
        return found, data

    async def _cleaned(self, application: Application, upload: Upload) -> tuple[Attachment, bytes]:
        data, kind = upload.data, kind_of(upload.data, upload.declared)
        if kind.is_picture:
            async with self._cleaning:
                data = await asyncio.to_thread(made_anew, data, kind)
        if not await self._scanner.is_clean(data):
            raise InvalidInputError(
                "attachment_infected",
                zh="文件含有病毒，未保存；请检查您的设备后重新上传",
                en="a virus was found and the file not kept: check your device, then upload it anew",
                field="body",
            )
        attachment = Attachment(
            id=self._ground.random(16).hex(),
            application=application.id,
            citizen=application.citizen,
            keeper=application.citizen,
            material=upload.material,
            name=plain_file_name(upload.name, kind),
            kind=kind,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            at=self._ground.at(),
        )
        return attachment, data

    async def _name(self, caller: Caller, application: Application, brought: Brought) -> None:
        """The application names the file, whichever version it is by now."""
        found = application
        for _ in range(TURNS):
            refuse_full(found, brought.size_bytes)
            after = self._counter.edited(found, brought=(*found.brought, brought))
            if await self._counter.put(found, after):
                return
            found = await self._counter.own(caller, application.id)
            if found.standing.state not in EDITABLE or found.is_between:
                raise closed(found)
        raise changed()

    def _refuse(self, application: Application, upload: Upload) -> None:
        refuse_size(len(upload.data))
        if application.standing.state not in EDITABLE or application.is_between:
            raise closed(application)
        refuse_full(application, len(upload.data))


def refuse_full(application: Application, size_bytes: int) -> None:
    """ConflictError `attachments_full`: one more of this size would be too many or too much."""
    if len(application.brought) >= MAX_FILES:
        raise ConflictError("attachments_full", zh=f"最多{MAX_FILES}个文件", en=f"{MAX_FILES} files are the most")
    if sum(each.size_bytes for each in application.brought) + size_bytes > MAX_TOTAL_BYTES:
        raise ConflictError(
            "attachments_full",
            zh=f"全部文件合计不得超过{MAX_TOTAL_BYTES}字节",
            en=f"all files together may have {MAX_TOTAL_BYTES} bytes",
        )


def unknown() -> NotFoundError:
    """No such file, or not the caller's."""
    return NotFoundError("attachment_unknown", zh="没有这个文件", en="there is no such file")
