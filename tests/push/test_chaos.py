"""The report equals the journal, whatever is killed in the middle of a broadcast."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from server.domain.broadcasts import State
from tests.push.storm import LEAST_KILLS, Aftermath, Plan, storm

FRESH = secrets.randbelow(1_000_000)


def small(seed: int) -> Plan:
    """2,000 people, some twenty seconds of storm."""
    return Plan(seed, 2_000, rate_per_s=250, kill_every_s=1.5, mongod_at_s=3.5, valkey_at_s=8.0, flush_at_s=6.0)


def large(seed: int) -> Plan:
    """20,000 people, a minute and a half of storm."""
    return Plan(
        seed, 20_000, rate_per_s=600, kill_every_s=2.0, mongod_at_s=20, valkey_at_s=35, flush_at_s=28, patience_s=400
    )


def assert_true(after: Aftermath) -> None:
    """Nothing is unfinished, nobody is lost, and the ledger says what the providers wrote down."""
    assert after.states == {"red": State.FINISHED, "yellow": State.FINISHED}
    for name, finding in after.findings.items():
        assert finding.is_equal, (name, finding.summary())
        assert after.stored_sums[name] == after.page_sums(name), name
        assert not after.missing(name), f"{len(after.missing(name))} people are on no page of {name}"
    assert not after.missing_notices("red")
    assert after.kills["worker"] >= LEAST_KILLS
    assert after.kills["mongod"] == after.kills["valkey"] == 1


@pytest.mark.parametrize("seed", [20260718, FRESH], ids=["fixed", "fresh"])
async def test_the_report_equals_the_journal_when_workers_and_databases_are_killed(seed: int, tmp_path: Path):
    after = await storm(small(seed), tmp_path)
    print(f"seed {seed}: {dict(after.kills)} in {after.took_s:.1f} s")  # noqa: T201 - a fresh seed must be told
    assert_true(after)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, FRESH], ids=["fixed", "fresh"])
async def test_a_district_of_twenty_thousand_in_the_storm(seed: int, tmp_path: Path):
    after = await storm(large(seed), tmp_path)
    print(f"seed {seed}: {dict(after.kills)} in {after.took_s:.1f} s")  # noqa: T201 - a fresh seed must be told
    assert_true(after)
