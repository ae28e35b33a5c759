"""The sandbox's HTTP: whatever the bytes and however they are cut, answers come in order or the connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sandbox.http import MAX_BODY_BYTES, MAX_HEAD_BYTES, Connection, Reply, Request, Service, response


class Wire(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += bytes(data)

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def pause_reading(self) -> None:
        """Nothing to pause."""

    def resume_reading(self) -> None:
        """Nothing to resume."""


def post(path: str, body: bytes, headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def echo(request: Request, reply: Reply) -> None:
    reply.send(response(200, request.path + b"|" + request.body))


def connected(service: Service = echo) -> tuple[Connection, Wire]:
    connection, wire = Connection(service, set()), Wire()
    connection.connection_made(wire)
    return connection, wire


@given(bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=5), cuts=st.lists(st.integers(0, 600), max_size=8))
def test_answers_do_not_depend_on_how_the_bytes_were_cut(bodies: list[bytes], cuts: list[int]):
    stream = b"".join(post(f"/{n}", body) for n, body in enumerate(bodies))
    connection, wire = connected()
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, stop in pairwise(edges):
        connection.data_received(stream[start:stop])
    assert wire.written == b"".join(response(200, b"/%d|%b" % (n, body)) for n, body in enumerate(bodies))


@given(order=st.permutations(range(5)))
def test_pipelined_answers_leave_in_the_order_of_their_requests(order: list[int]):
    waiting: list[Reply] = []
    connection, wire = connected(lambda _request, reply: waiting.append(reply))
    connection.data_received(b"".join(post(f"/{n}", b"") for n in range(5)))
    for n in order:
        waiting[n].send(b"%d" % n)
    assert wire.written == b"01234"


@given(garbage=st.binary(min_size=1, max_size=300))
def test_garbage_gets_an_answer_or_waits_but_never_raises(garbage: bytes):
    connection, wire = connected()
    connection.data_received(garbage + b"\r\n\r\n")
    assert wire.written == b"" or wire.written.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD_BYTES, 431),
        (f"POST / HTTP/1.1\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode(), 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/2.0\r\n\r\n", 400),
        (b"not http\r\n\r\n", 400),
    ],
)
def test_what_is_too_large_or_malformed_is_refused_and_the_connection_closed(data: bytes, status: int):
    connection, wire = connected()
    connection.data_received(data)
    assert wire.written.startswith(f"HTTP/1.1 {status} ".encode())
    assert wire.is_closed


def test_nothing_is_served_after_connection_close():
    connection, wire = connected()
    connection.data_received(post("/a", b"", "Connection: close\r\n") + post("/b", b""))
    assert b"/a|" in wire.written
    assert b"/b|" not in wire.written
    assert wire.is_closed


def test_a_client_that_asks_before_it_sends_the_body_is_told_to_continue():
    connection, wire = connected()
    whole = post("/a", b"body", "Expect: 100-continue\r\n")
    connection.data_received(whole[:-4])
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(whole[-4:])
    assert wire.written.endswith(b"/a|body")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    def service(_request: Request, reply: Reply) -> None:
        reply.reset()

    server = await asyncio.get_running_loop().create_server(lambda: Connection(service, set()), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_reset_is_a_tcp_reset(port: int):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post("/", b""))
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
