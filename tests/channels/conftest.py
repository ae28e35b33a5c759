"""Fixtures of the channel tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from channels.base import Channel, Content, Outcome, Window
from channels.transport import Limits, Transport
from tests.channels.scripted import Answer, MemoryTokens, MovedClock, Provider, Send, Serve


@pytest.fixture(autouse=True)
async def failures() -> AsyncIterator[list[str]]:
    """What the loop would only have logged fails the test; one that fails on purpose clears the list."""
    loop = asyncio.get_running_loop()
    failures: list[str] = []
    loop.set_exception_handler(lambda _, context: failures.append(str(context.get("exception") or context["message"])))
    yield failures
    loop.set_exception_handler(None)
    assert failures == []


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts providers; they end with the test."""
    providers: list[Provider] = []

    async def start(answer: Answer) -> Provider:
        provider = Provider(answer)
        await provider.start()
        providers.append(provider)
        return provider

    yield start
    for provider in providers:
        await provider.stop()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(Limits(16))
    yield transport
    transport.close()


@pytest.fixture
def tokens() -> MemoryTokens:
    return MemoryTokens()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def send() -> Send:
    """Sends one window and returns the outcomes by index; fails if an index is settled twice."""

    async def send(channel: Channel, content: Content, addresses: list[str], deadline_s: float = 2.0) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        outcomes: dict[int, Outcome] = {}
        finished = asyncio.Event()

        def settle(index: int, outcome: Outcome) -> None:
            assert index not in outcomes, f"index {index} is settled twice"
            outcomes[index] = outcome
            if len(outcomes) == len(addresses):
                finished.set()

        channel.send(Window(content, addresses, "page-1", loop.time() + 2, deadline_s), settle)
        assert not outcomes, "settled before send() returned"
        async with asyncio.timeout(5):
            await finished.wait()
        return [outcomes[index] for index in range(len(addresses))]

    return send
