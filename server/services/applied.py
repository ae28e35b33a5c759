"""Who has applied for something: what keeps a rule from offering it again. Implements `proactive.Applied`."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from server.domain.workflow import Workflow
from server.storage.applications import ApplicationStore


class AppliedFor:
    """Asked once per page of a run."""

    def __init__(self, store: ApplicationStore, workflows: Mapping[str, Workflow]) -> None:
        self._store = store
        self._granted = sorted({s.name for each in workflows.values() for s in each.states if s.is_granted})

    async def applied_for(self, citizens: Collection[int], item: str) -> frozenset[int]:
        """Those of these people whose application for the item is open or was granted."""
        return await self._store.applied_for(citizens, item, self._granted)
