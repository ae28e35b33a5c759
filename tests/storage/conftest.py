"""The audit log on the test run's MongoDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.services.audit import AuditLog
from server.storage.mongo import Database
from tests.services.desk import Clock, audit_of


@pytest.fixture
def audit(db: Database, tmp_path: Path) -> AuditLog:
    return audit_of(db, Clock(), tmp_path)
