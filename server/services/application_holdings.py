"""What applications hold about one person: see `holdings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.domain.applications import Application, Line
from server.storage.applications import ApplicationStore
from server.storage.attachments import AttachmentStore
from server.storage.mongo import Session
from server.storage.ratings import RatingStore


class ApplicationHolding:
    """Everything that somebody applied for."""

    name = "applications"
    collections = ("applications", "attachments", "ratings")

    def __init__(self, store: ApplicationStore, files: AttachmentStore, ratings: RatingStore) -> None:
        self._store = store
        self._files = files
        self._ratings = ratings

    async def export(self, citizen: int) -> Sequence[Mapping[str, Any]]:
        """Each with its form, its materials and its timeline, oldest first."""
        rows = [_row(each) for each in await self._store.all_of(citizen)]
        files = [
            {"file": f.name, "application": f.application, "kind": f.kind, "bytes": f.size_bytes, "sha256": f.sha256}
            for f in await self._files.all_of(citizen)
        ]
        return [*rows, *files, *await self._ratings.export(citizen)]

    async def move(self, source: int, target: int, session: Session) -> None:
        """They go along, also those that somebody made for another or has to confirm."""
        await self._store.move(source, target, session)
        await self._files.move(source, target, session)
        await self._ratings.move(source, target, session)

    async def erase(self, citizen: int) -> None:
        """What the office did has to stay (档案法); everything personal goes."""
        await self._store.erase(citizen)
        await self._files.erase(citizen)
        await self._ratings.erase(citizen)


def _row(application: Application) -> Mapping[str, Any]:
    submitted_at = application.submitted_at
    return {
        "id": application.id,
        "number": application.number,
        "item": application.item,
        "item_version": application.item_version,
        "name": application.item_name.zh,
        "state": application.standing.state,
        "form": dict(application.form),
        "answers_of_sources": dict(application.answers),
        "materials": [
            {"material": b.material, "means": b.means.value, "sha256": b.evidence} for b in application.brought
        ],
        "created_at": application.created_at.isoformat(),
        "submitted_at": submitted_at.isoformat() if submitted_at else None,
        "timeline": [_line(line) for line in application.timeline],
    }


def _line(line: Line) -> Mapping[str, Any]:
    return {"at": line.at.isoformat(), "action": line.action, "words": line.words.zh, "note": line.note}
