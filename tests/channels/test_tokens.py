"""Access tokens between processes, with a store that holds anything."""

from __future__ import annotations

import asyncio

import pytest

from channels.base import Fault, Kind
from channels.tokens import Token, TokenKeeper
from tests.channels.scripted import MemoryTokens, MovedClock


class Office:
    """Hands out tokens t0, t1, ... that last `lifetime_s`."""

    def __init__(self, clock: MovedClock, lifetime_s: float = 7_200) -> None:
        self.clock = clock
        self.lifetime_s = lifetime_s
        self.asked: list[str] = []

    async def fetch(self, stale: str) -> Token | Fault:
        """A new token, after a moment."""
        self.asked.append(stale)
        await asyncio.sleep(0.001)
        return Token.lasting(f"t{len(self.asked) - 1}", self.lifetime_s, self.clock())


@pytest.mark.parametrize(
    "stored",
    ["", "x", "[]", "{}", '{"value":1,"refresh_at_s":9e9}', '{"value":"","refresh_at_s":9e9}', '{"value":"v"}',
     '{"value":"v","refresh_at_s":"soon"}', '{"value":"v","refresh_at_s":1e300}', '{"value":"v","refresh_at_s":1.0}'],
)  # fmt: skip
async def test_whatever_the_store_holds_a_token_is_had(stored: str, tokens: MemoryTokens, clock: MovedClock):
    tokens.values["a"] = stored
    keeper = TokenKeeper("a", tokens, Office(clock).fetch, clock)
    assert await keeper.ready() is None
    assert keeper.value == "t0"


async def test_many_keepers_of_many_processes_fetch_once(tokens: MemoryTokens, clock: MovedClock):
    office = Office(clock)
    keepers = [TokenKeeper("a", tokens, office.fetch, clock) for _ in range(5)]
    await asyncio.gather(*(keeper.ready() for keeper in keepers for _ in range(10)))
    assert {keeper.value for keeper in keepers} == {"t0"}
    assert office.asked == [""]


async def test_a_stale_token_is_replaced_once_for_all_and_never_taken_from_the_store_again(
    tokens: MemoryTokens, clock: MovedClock
):
    office = Office(clock)
    keepers = [TokenKeeper("a", tokens, office.fetch, clock) for _ in range(3)]
    for keeper in keepers:
        await keeper.ready()
        keeper.spoil("t0")
        keeper.spoil("t0")
        keeper.spoil("never had")
    await asyncio.gather(*(keeper.ready() for keeper in keepers))
    assert {keeper.value for keeper in keepers} == {"t1"}
    assert office.asked == ["", "t0"]


async def test_a_token_is_given_up_before_it_ends(tokens: MemoryTokens, clock: MovedClock):
    for lifetime_s, early_s in ((7_200, 120), (100, 10)):
        office = Office(clock, lifetime_s)
        keeper = TokenKeeper(f"a{lifetime_s}", tokens, office.fetch, clock)
        await keeper.ready()
        clock.pass_s(lifetime_s - early_s - 1)
        await keeper.ready()
        assert len(office.asked) == 1
        clock.pass_s(1)
        await keeper.ready()
        assert len(office.asked) == 2


async def test_a_refusal_is_remembered_for_a_second(tokens: MemoryTokens, clock: MovedClock):
    asked: list[str] = []

    async def refuse(stale: str) -> Token | Fault:
        asked.append(stale)
        return Fault(Kind.AUTH)

    keeper = TokenKeeper("a", tokens, refuse, clock)
    assert {await keeper.ready() for _ in range(10)} == {Fault(Kind.AUTH)}
    assert len(asked) == 1
    clock.pass_s(1)
    await keeper.ready()
    assert len(asked) == 2
