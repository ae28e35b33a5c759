"""What is kept how long: the table, the database's expiry and the page for people say the same."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from push import retention as engine
from server.domain.erasure import FADING
from server.storage.indexes import INDEXES
from server.storage.retention import KEPT, rows

ROOT = Path(__file__).parents[2]


def collections() -> set[str]:
    """All that the code names."""
    named = {
        name
        for path in (ROOT / "server").rglob("*.py")
        for name in re.findall(r'\b_?db\["([a-z_]+)"\]', path.read_text())
    }
    return named | set(INDEXES)


def test_every_collection_says_how_long_it_keeps_what():
    assert collections() - set(KEPT) == set(), "add a line to server/storage/retention.py"
    assert set(KEPT) - collections() == set()


@pytest.mark.parametrize("name", sorted(KEPT))
def test_the_database_forgets_when_the_table_says_so(name: str):
    expiries = [
        index.document["expireAfterSeconds"]
        for index in INDEXES.get(name, [])
        if "expireAfterSeconds" in index.document
    ]
    until = KEPT[name].until
    if isinstance(until, timedelta):
        assert expiries == [until.total_seconds()]
    else:
        assert expiries in ([], [0])


def test_the_page_for_people_shows_the_table():
    assert rows() in (ROOT / "docs/privacy.md").read_text(), "replace the table: server.storage.retention.rows()"


def test_an_erasure_promises_what_the_engine_does_with_the_ledger():
    [ledger] = [each for each in FADING if each.name == "delivery_ledger"]
    assert ledger.days == engine.KEEP.days
    assert f"{engine.KEEP.days} days" in KEPT["pages"].told
