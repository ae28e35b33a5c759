"""Which notice a receipt speaks of, when a person has several."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from channels.base import Receipt, ReceiptVerdict
from server.services.receipts import _choose
from server.storage.pages import Spot, hash_reference


def spot(page: str, *references: str, is_resent: bool = False) -> Spot:
    named = frozenset(hash_reference(r) for r in references)
    return Spot(page, 0, f"{page}/0", named, is_resent or not named)


@pytest.mark.parametrize(
    ("reference", "spots", "meant"),
    [
        ("r1", [spot("new", "r2"), spot("old", "r1")], "old"),
        ("second-phone", [spot("new", "first-phone", "second-phone"), spot("old", "r1")], "new"),
        ("early", [spot("new"), spot("old", "r1")], "new"),
        ("early", [spot("new"), spot("old")], None),
        ("first-try", [spot("new", "second-try", is_resent=True), spot("old", "r1")], "new"),
        ("of-somebody", [spot("new", "r2"), spot("old", "r1")], None),
        ("", [spot("new", "r2"), spot("old", "r1")], "new"),
    ],
    ids=["by-reference", "several-devices", "not-written-yet", "two-in-question", "sent-twice", "strange", "nameless"],
)
def test_a_receipt_is_placed_where_it_belongs_or_nowhere(reference: str, spots: list[Spot], meant: str | None):
    one = Receipt("+8613900000001", ReceiptVerdict.DELIVERED, "", reference, datetime(2026, 7, 1, tzinfo=UTC))
    found = _choose(spots, one)
    assert (found.page if found else None) == meant
