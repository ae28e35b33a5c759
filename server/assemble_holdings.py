"""What the product holds about one person: one line per feature. Export, join and erasure go through this list."""

from __future__ import annotations

from collections.abc import Sequence

from server.assemble import Assembly
from server.services.holdings import Holding


def holdings(assembly: Assembly) -> Sequence[Holding]:
    """Every feature's part. A test holds that no collection with a citizen in it is missing."""
    return [assembly.consents, assembly.uses]
