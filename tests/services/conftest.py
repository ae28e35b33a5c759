"""The desk on the test run's MongoDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.domain.alerts.release import World
from server.services.alerts import Alerts
from server.services.audit import AuditLog
from server.storage.alerts import AlertStore
from server.storage.mongo import Database
from tests.services.desk import DIVISIONS, TEXTS, Clock, Post, audit_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def world() -> World:
    return World(DIVISIONS, TEXTS)


@pytest.fixture
def audit(db: Database, clock: Clock, tmp_path: Path) -> AuditLog:
    return audit_of(db, clock, tmp_path)


@pytest.fixture
def desk(db: Database, clock: Clock, post: Post, world: World, audit: AuditLog) -> Alerts:
    return Alerts(AlertStore(db), world, post, audit, now=clock)
