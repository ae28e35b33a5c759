"""What the product holds about one person: one line per feature. Export, join and erasure go through this list."""

from __future__ import annotations

from collections.abc import Sequence

from server.assemble import Assembly, receipts
from server.assemble_inbox import inbox
from server.assemble_public import public
from server.services.holdings import Holding


def holdings(assembly: Assembly) -> Sequence[Holding]:
    """Every feature's part. A test holds that no collection with a citizen in it is missing."""
    shelf = inbox(assembly, public(assembly).feeds, receipts(assembly))
    return [*shelf.holdings, assembly.consents, assembly.uses]
