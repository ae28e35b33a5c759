"""The transport asks before it connects, about the very address it connects to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.call import State
from channels.transport import Limits, Transport
from server.domain.partners import may_reach
from tests.channels.scripted import Serve, http


@pytest.fixture
async def asked() -> list[str]:
    return []


@pytest.fixture
async def guarded(asked: list[str]) -> AsyncIterator[Transport]:
    """A transport that reaches public addresses only."""

    def may(address: str) -> bool:
        asked.append(address)
        return may_reach(address)

    transport = Transport(Limits(concurrency=2, may_reach=may, max_reply_bytes=100))
    yield transport
    transport.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0"],  # noqa: S104 - a way to name this machine
)
async def test_whatever_a_host_is_called_an_inner_address_is_never_connected_to(
    serve: Serve, guarded: Transport, asked: list[str], host: str
) -> None:
    provider = await serve(lambda _: http(b"secret"))
    port = provider.url.rpartition(":")[2]
    reply = await guarded.fetch(f"http://{host}:{port}/", body=b"{}")
    assert (reply.state, provider.connections) == (State.REFUSED, 0)
    assert set(asked) <= {"127.0.0.1", "::1", "0.0.0.0"}  # noqa: S104
    assert asked


async def test_a_name_that_points_inwards_the_second_time_is_not_followed(serve: Serve) -> None:
    answers = iter([True, False, False])  # as if the name had led outside once, then inside
    transport = Transport(Limits(concurrency=1, may_reach=lambda _: next(answers)))
    provider = await serve(lambda _: http(b"ok", 200, "Connection: close"))
    first = await transport.fetch(provider.url)
    await asyncio.sleep(0.05)
    second = await transport.fetch(provider.url)
    assert (first.state, second.state, provider.connections) == (State.ANSWERED, State.REFUSED, 1)
    transport.close()


async def test_a_redirect_is_an_answer_and_is_not_followed(serve: Serve) -> None:
    transport = Transport(Limits(concurrency=1, may_reach=lambda _: True))
    provider = await serve(lambda _: http(b"", 302, "Location: http://127.0.0.1:1/"))
    reply = await transport.fetch(provider.url)
    assert (reply.state, reply.status, provider.connections) == (State.ANSWERED, 302, 1)
    transport.close()


async def test_an_answer_beyond_the_limit_is_not_read(serve: Serve) -> None:
    transport = Transport(Limits(concurrency=1, may_reach=lambda _: True, max_reply_bytes=100))
    provider = await serve(lambda _: http(b"x" * 101))
    assert (await transport.fetch(provider.url)).state is State.BROKEN
    provider = await serve(lambda _: http(b"x" * 100))
    assert (await transport.fetch(provider.url)).body == b"x" * 100
    transport.close()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_every_descriptor_is_given_back(serve: Serve) -> None:
    provider = await serve(lambda _: http(b"ok", 200, "Connection: close"))
    before = open_files()
    transport = Transport(Limits(concurrency=4, may_reach=lambda _: True))
    for _ in range(10):
        assert (await transport.fetch(provider.url)).state is State.ANSWERED
    transport.close()
    await asyncio.sleep(0.05)
    assert provider.connections == 10
    assert open_files() <= before + len(provider.open)
