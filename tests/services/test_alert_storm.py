"""Many officers at one desk at once: whatever they try, the log shows two persons and every chain is a line."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest

from server.domain.alerts.desk import DeskAlert
from server.domain.alerts.states import Action, State
from server.domain.alerts.verbs import Change
from server.domain.alerts.vocabulary import Colour
from server.domain.errors import HuiminError
from server.domain.officers import Officer, Role
from server.domain.wording import Kind
from server.services.alerts import Alerts
from server.storage.alerts import AlertStore
from server.storage.mongo import Database
from tests.services.desk import START, Clock, Post, officer, typhoon

EVERY = frozenset({"CAP-013", "CAP-021", "CAP-023"})  # warnings that a storm like this provokes

WISHES = ("edit", "submit", "release", "return", "follow")
SENSIBLE = {
    State.DRAFT: ("submit", "submit", "edit"),
    State.RETURNED: ("submit", "edit"),
    State.SUBMITTED: ("release", "release", "release", "return"),
    State.RELEASED: ("follow",),
}


class Crowd:
    """Officers who do what comes to their mind; refusals are fine, anything else fails the test."""

    def __init__(self, desk: Alerts, store: AlertStore, random: Random, clock: Clock) -> None:
        self.desk = desk
        self.store = store
        self.random = random
        self.clock = clock
        self.names: list[str] = []

    async def act(self, who: Officer, times: int) -> None:
        """Try this many things."""
        for _ in range(times):
            self.clock.pass_by(seconds=1)
            try:
                await self._try(who)
            except HuiminError:
                continue

    async def _try(self, who: Officer) -> None:
        if len(self.names) < 3 or self.random.random() < 0.1:
            self.names.append((await self.desk.draft(who, typhoon(self._colour()))).identifier)
            return
        found = await self.store.get(self.random.choice(self.names[-9:]))
        wishes = WISHES if self.random.random() < 0.2 else SENSIBLE.get(found.state, WISHES)
        match self.random.choice(wishes):
            case "follow":
                kind = self.random.choice((Kind.UPDATE, Kind.UPGRADE, Kind.DOWNGRADE, Kind.CANCEL))
                colour = None if kind in (Kind.UPDATE, Kind.CANCEL) else self._colour()
                change = Change(colour=colour, note="原因", expires_at=START + timedelta(hours=9))
                self.names.append((await self.desk.follow(who, found.identifier, kind, change)).identifier)
            case "edit":
                await self.desk.edit(who, found.identifier, typhoon(self._colour()), found.version)
            case "submit":
                await self.desk.submit(who, found.identifier, found.version, EVERY)
            case "release":
                await self.desk.release(who, found.identifier, found.digest)
            case _:
                await self.desk.return_(who, found.identifier, "再看看")

    def _colour(self) -> Colour:
        return self.random.choice(list(Colour))


@pytest.mark.parametrize("seed", [20260901, pytest.param(secrets.randbits(32), id="fresh")])
async def test_no_storm_of_officers_breaks_the_rule_of_two_persons_or_forks_a_chain(
    db: Database, desk: Alerts, post: Post, clock: Clock, seed: int
):
    crowd = Crowd(desk, AlertStore(db), Random(seed), clock)  # noqa: S311 - a test's dice
    everything = (Role.AUTHOR, Role.RELEASER, Role.CHIEF)
    people = [officer(f"p{n % 3}", *everything, account=f"o{n}") for n in range(5)]
    await asyncio.gather(*(crowd.act(one, 40) for one in people))
    alerts = [await crowd.store.get(d["_id"]) async for d in db["alerts"].find({}, {"_id": 1})]
    sent = [alert for alert in alerts if alert.released_at is not None]
    assert len(sent) > 1, f"seed {seed}: almost nothing was released"
    assert {alert.identifier for alert in sent} == set(post.broadcasts), f"seed {seed}"
    for alert in alerts:
        assert [step.seq for step in alert.steps] == list(range(1, alert.version + 1)), f"seed {seed}"
    for alert in sent:
        assert _releaser(alert) not in _hands(alert), f"seed {seed}: {alert.steps}"
        assert alert.published_at is not None
    followed = [alert.follows for alert in sent if alert.follows]
    assert len(followed) == len(set(followed)), f"seed {seed}: a chain forks"


def _releaser(alert: DeskAlert) -> str:
    [release] = [step for step in alert.steps if step.action == Action.RELEASE]
    return release.person


def _hands(alert: DeskAlert) -> Sequence[str]:
    """Who began it, who changed it last, who handed it in last: from the log, not from the fields the code reads."""
    edits = [step.person for step in alert.steps if step.action == Action.EDIT]
    submits = [step.person for step in alert.steps if step.action == Action.SUBMIT]
    return [alert.steps[0].person, *edits[-1:], submits[-1]]
