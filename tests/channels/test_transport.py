"""The transport against a scripted provider: honest states, start-by, bounds, urgency, clean ends."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from channels.call import Call, Reply, State
from channels.transport import MAX_REPLY_BYTES, Limits, Transport
from tests.channels.scripted import Provider, Request, Serve, http

HEADERS = ("Content-Type: application/json",)


@dataclass
class Replies:
    """Collects the replies of `total` requests."""

    total: int
    by_index: dict[int, Reply] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def done(self, index: int, reply: Reply) -> None:
        """Note a reply; a second one for the same index is an error."""
        assert index not in self.by_index
        self.by_index[index] = reply
        self.order.append(index)
        if len(self.by_index) == self.total:
            self.finished.set()

    async def all(self) -> list[Reply]:
        """The replies by index, once all have come."""
        async with asyncio.timeout(10):
            await self.finished.wait()
        return [self.by_index[index] for index in sorted(self.by_index)]


def call_to(provider: Provider, replies: Replies, *, start_in_s: float = 5, is_urgent: bool = False) -> Call:
    start_by = asyncio.get_running_loop().time() + start_in_s
    return Call(f"{provider.url}/x", HEADERS, start_by, 0.5, replies.done, is_urgent)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def states(transport: Transport, provider: Provider, total: int, start_in_s: float = 5) -> list[State]:
    replies = Replies(total)
    call = call_to(provider, replies, start_in_s=start_in_s)
    for index in range(total):
        transport.post(call, b"body-%d" % index, index)
    return [reply.state for reply in await replies.all()]


async def test_every_request_is_answered_once_over_no_more_connections_than_allowed(serve: Serve, transport: Transport):
    provider = await serve(lambda request: http(request.body))
    replies = Replies(500)
    call = call_to(provider, replies)
    for index in range(500):
        transport.post(call, b"body-%d" % index, index)
    answers = await replies.all()
    assert [reply.body for reply in answers] == [b"body-%d" % index for index in range(500)]
    assert provider.connections <= 16
    assert (transport.active, transport.waiting) == (0, 0)


async def test_a_connection_that_dies_after_the_request_is_broken_and_the_request_is_never_sent_again(serve: Serve):
    transport = Transport(Limits(1))
    provider = await serve(lambda request: http(b"ok") if request.number == 0 else None)
    assert await states(transport, provider, 1) == [State.ANSWERED]
    assert await states(transport, provider, 1) == [State.BROKEN]
    await asyncio.sleep(0.05)
    assert [request.body for request in provider.requests] == [b"body-0", b"body-0"]
    transport.close()


async def test_a_request_that_left_stays_broken_when_the_provider_is_gone_before_it_answers(serve: Serve):
    transport = Transport(Limits(8))
    provider = await serve(lambda request: http(b"ok") if request.number < 4 else 5.0)
    assert await states(transport, provider, 4) == [State.ANSWERED] * 4
    asyncio.get_running_loop().call_later(0.1, asyncio.ensure_future, provider.stop())
    assert await states(transport, provider, 4) == [State.BROKEN] * 4  # not refused, though a second try would be
    await provider.start()
    transport.close()


async def test_a_provider_that_is_gone_refuses_cleanly_and_is_used_again_when_it_is_back(
    serve: Serve, transport: Transport
):
    provider = await serve(lambda _: http(b"ok"))
    for _ in range(3):
        assert await states(transport, provider, 20) == [State.ANSWERED] * 20
        await provider.stop()
        assert await states(transport, provider, 20) == [State.REFUSED] * 20
        await provider.start()
    assert await states(transport, provider, 20) == [State.ANSWERED] * 20


async def test_an_answer_that_does_not_come_in_time_is_broken(serve: Serve, transport: Transport):
    provider = await serve(lambda _: 3.0)
    started = time.monotonic()
    assert await states(transport, provider, 3) == [State.BROKEN] * 3
    assert 0.4 < time.monotonic() - started < 1.5


async def test_what_cannot_start_in_time_is_answered_and_never_leaves(serve: Serve):
    transport = Transport(Limits(1))
    provider = await serve(lambda _: 0.3)
    found = await states(transport, provider, 5, start_in_s=0.1)
    assert found == [State.ANSWERED] + [State.NOT_STARTED] * 4
    await asyncio.sleep(0.4)
    assert len(provider.requests) == 1
    transport.close()


async def test_a_request_that_waits_for_its_connection_does_not_start_late(transport: Transport):
    silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    replies = Replies(1)
    start_by = asyncio.get_running_loop().time() + 0.05
    transport.post(Call(f"https://127.0.0.1:{port}/", HEADERS, start_by, 0.3, replies.done), b"x")
    assert [reply.state for reply in await replies.all()] == [State.REFUSED]  # the TLS greeting never came
    silent.close()


async def test_urgent_requests_overtake_and_have_connections_of_their_own(serve: Serve):
    transport = Transport(Limits(8))
    provider = await serve(lambda _: 0.05)
    replies = Replies(21)
    ordinary, urgent = call_to(provider, replies), call_to(provider, replies, is_urgent=True)
    for index in range(20):
        transport.post(ordinary, b"ordinary", index)
    await asyncio.sleep(0.01)
    assert transport.active == 7
    transport.post(urgent, b"urgent", 20)
    await replies.all()
    assert [request.body for request in provider.requests].index(b"urgent") == 7
    transport.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        http(b"x" * (MAX_REPLY_BYTES + 1)),
        CHUNKED + CHUNKED.partition(b"\r\n\r\n")[2] * 5,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000,
    ],
    ids=["too large", "too large in chunks", "too short", "not HTTP", "endless header"],
)
async def test_an_answer_that_is_not_whole_and_small_is_broken(serve: Serve, transport: Transport, answer: bytes):
    provider = await serve(lambda _: answer)
    assert await states(transport, provider, 1) == [State.BROKEN]
    provider.answer = lambda _: http(b"ok")
    assert await states(transport, provider, 1) == [State.ANSWERED]


async def test_a_redirect_is_an_answer_and_is_not_followed(serve: Serve, transport: Transport):
    provider = await serve(lambda r: http(b"", 302, f"Location: http://127.0.0.1:{1}/{r.number}"))
    reply = await transport.fetch(f"{provider.url}/", HEADERS, b"{}")
    assert (reply.state, reply.status, len(provider.requests)) == (State.ANSWERED, 302, 1)


@pytest.mark.parametrize(("header", "seconds"), [("Retry-After: 7", 7.0), ("X: y", None), ("Retry-After: soon", None)])
async def test_retry_after_is_read_where_it_means_something(
    serve: Serve, transport: Transport, header: str, seconds: float | None
):
    provider = await serve(lambda _: http(b"{}", 429, header))
    assert (await transport.fetch(f"{provider.url}/", HEADERS, b"{}")).retry_after_s == seconds


async def test_get_and_post_share_the_handles(serve: Serve):
    transport = Transport(Limits(1))

    def answer(request: Request) -> bytes:
        return http(request.head.split(" ")[0].encode() + request.body)

    provider = await serve(answer)
    bodies = [(await transport.fetch(f"{provider.url}/", HEADERS, body)).body for body in (b"1", None, b"2", None)]
    assert bodies == [b"POST1", b"GET", b"POST2", b"GET"]
    transport.close()


async def test_closing_answers_everything_and_gives_every_file_back(serve: Serve):
    provider = await serve(lambda _: 5.0)
    await asyncio.sleep(0.05)
    before = open_files()
    for _ in range(3):
        transport = Transport(Limits(4))
        replies = Replies(11)
        call = call_to(provider, replies)
        for index in range(10):
            transport.post(call, b"x", index)
        await asyncio.sleep(0.1)
        assert len(provider.open) == 3
        transport.close()
        transport.close()
        transport.post(call, b"x", 10)
        assert [reply.state for reply in await replies.all()] == [State.BROKEN] * 3 + [State.NOT_STARTED] * 8
        await asyncio.sleep(0.05)
        assert not provider.open
    assert open_files() == before


async def test_connections_that_come_and_go_leak_no_files(serve: Serve, transport: Transport):
    provider = await serve(lambda _: http(b"ok", 200, "Connection: close"))
    await states(transport, provider, 32)
    await asyncio.sleep(0.05)
    before = open_files()
    assert await states(transport, provider, 300) == [State.ANSWERED] * 300
    await asyncio.sleep(0.05)
    assert open_files() <= before + 16
    assert provider.connections == 332


async def test_idle_connections_closed_by_the_provider_cost_no_time_and_no_request(serve: Serve, transport: Transport):
    provider = await serve(lambda _: http(b"ok"))
    await states(transport, provider, 16)
    for connection in list(provider.open):
        connection.close()
    await asyncio.sleep(0.05)
    started = time.process_time()
    await asyncio.sleep(0.3)
    assert time.process_time() - started < 0.1
    assert await states(transport, provider, 16) == [State.ANSWERED] * 16


async def test_a_connection_closed_a_moment_ago_gets_no_request_while_others_are_busy(serve: Serve):
    transport = Transport(Limits(4))
    provider = await serve(lambda request: 0.4 if request.body == b"slow" else http(b"ok"))
    assert await states(transport, provider, 4) == [State.ANSWERED] * 4
    slow = Replies(1)
    transport.post(call_to(provider, slow), b"slow")
    await asyncio.sleep(0.05)
    busy = {connection for connection in provider.open if connection is provider.requests[-1].connection}
    for connection in provider.open - busy:
        connection.close()
    assert len(busy) == 1
    for _ in range(3):
        assert await states(transport, provider, 3) == [State.ANSWERED] * 3
    assert [reply.state for reply in await slow.all()] == [State.ANSWERED]
    transport.close()


async def test_bytes_that_nobody_asked_for_are_never_taken_for_an_answer(serve: Serve):
    transport = Transport(Limits(1))
    provider = await serve(lambda request: http(request.body))
    await states(transport, provider, 1)
    for connection in provider.open:
        connection.write(http(b"forged"))
    await asyncio.sleep(0.05)
    reply = await transport.fetch(f"{provider.url}/", HEADERS, b"true")
    assert (reply.body, provider.connections) == (b"true", 2)
    transport.close()


async def test_a_callback_that_fails_does_not_silence_the_others(
    serve: Serve, transport: Transport, failures: list[str]
):
    provider = await serve(lambda _: http(b"ok"))
    replies = Replies(9)
    loop = asyncio.get_running_loop()

    def done(index: int, reply: Reply) -> None:
        if index == 3:
            raise RuntimeError("on purpose")
        replies.done(index, reply)

    call = Call(f"{provider.url}/", HEADERS, loop.time() + 5, 1.0, done)
    for index in range(10):
        transport.post(call, b"x", index)
    assert len(await replies.all()) == 9
    assert failures == ["on purpose"]
    failures.clear()
