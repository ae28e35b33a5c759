"""The desk on the test run's MongoDB."""

from __future__ import annotations

import pytest

from server.domain.alerts.release import World
from server.services.alerts import Alerts
from server.storage.alerts import AlertStore
from server.storage.mongo import Database
from tests.services.desk import DIVISIONS, TEXTS, Clock, Post


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
def desk(db: Database, clock: Clock, post: Post, world: World) -> Alerts:
    return Alerts(AlertStore(db), world, post, now=clock)
