"""The transport over TLS, with HTTP/2 and without: multiplexing, certificates, connections that the provider ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from channels.call import Call, Reply, State
from channels.transport import SHARD_SIZE, Limits, Transport
from tests.channels.scripted import Provider, http


def new_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class H2Server(asyncio.Protocol):
    """Echoes bodies; `on_request(number)` may return seconds to wait or None to reset the connection."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.h2 = H2Connection(H2Configuration(client_side=False))
        self.bodies: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        self.transport = cast("asyncio.Transport", transport)
        self.world.connections.append(self)
        self.h2.initiate_connection()
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        for event in self.h2.receive_data(data):
            if isinstance(event, RequestReceived):
                self.bodies[event.stream_id] = b""
                self.world.peak = max(self.world.peak, len(self.bodies))
            elif isinstance(event, DataReceived):
                self.bodies[event.stream_id] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self.world.requests.append(self.bodies[event.stream_id])
                wait_s = self.world.on_request(len(self.world.requests) - 1)
                if wait_s is None:
                    self.transport.abort()
                    return
                asyncio.get_running_loop().call_later(wait_s, self.answer, event.stream_id)
        self.transport.write(self.h2.data_to_send())

    def answer(self, stream_id: int) -> None:
        """Send the body back."""
        try:
            self.h2.send_headers(stream_id, [(":status", "200")])
            self.h2.send_data(stream_id, self.bodies.pop(stream_id), end_stream=True)
        except ProtocolError:
            return  # the client gave the stream up
        self.transport.write(self.h2.data_to_send())

    def go_away(self) -> None:
        """Say that no new stream is welcome, then close."""
        self.h2.close_connection()
        self.transport.write(self.h2.data_to_send())
        self.transport.close()


class World:
    """What the provider saw."""

    def __init__(self) -> None:
        self.connections: list[H2Server] = []
        self.requests: list[bytes] = []
        self.peak = 0
        self.on_request: Callable[[int], float | None] = lambda _: 0.0
        self.url = ""
        self.ca_file = Path()
        self.other_ca_file = Path()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World()
    world.ca_file, key = new_certificate(tmp_path, "provider")
    world.other_ca_file, _ = new_certificate(tmp_path, "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.ca_file, key)
    context.set_alpn_protocols(["h2"])
    server = await asyncio.get_running_loop().create_server(lambda: H2Server(world), "127.0.0.1", 0, ssl=context)
    world.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield world
    server.close()
    for connection in world.connections:
        connection.transport.abort()
    await asyncio.sleep(0.05)


@pytest.fixture
async def transport(world: World) -> AsyncIterator[Transport]:
    transport = Transport(Limits(SHARD_SIZE * 2, is_multiplexed=True, ca_file=world.ca_file))
    yield transport
    transport.close()


async def post(transport: Transport, world: World, total: int) -> list[Reply]:
    loop = asyncio.get_running_loop()
    replies: dict[int, Reply] = {}
    finished = loop.create_future()

    def done(index: int, reply: Reply) -> None:
        assert index not in replies
        replies[index] = reply
        if len(replies) == total:
            finished.set_result(None)

    call = Call(f"{world.url}/v1", ("Content-Type: application/json",), loop.time() + 5, 1.0, done)
    for index in range(total):
        transport.post(call, b"body-%d" % index, index)
    async with asyncio.timeout(10):
        await finished
    return [replies[index] for index in range(total)]


def states(replies: list[Reply]) -> set[State]:
    return {reply.state for reply in replies}


async def test_hundreds_of_requests_share_two_connections(transport: Transport, world: World):
    world.on_request = lambda _: 0.02
    replies = await post(transport, world, 600)
    assert [reply.body for reply in replies] == [b"body-%d" % index for index in range(600)]
    assert len(world.connections) == 2
    assert world.peak > SHARD_SIZE // 2
    assert len(world.requests) == 600


async def test_a_strangers_certificate_is_refused_before_a_byte_leaves(world: World):
    transport = Transport(Limits(4, is_multiplexed=True, ca_file=world.other_ca_file))
    assert states(await post(transport, world, 10)) == {State.REFUSED}
    assert world.requests == []
    transport.close()


async def test_a_connection_that_dies_under_streams_is_broken_and_nothing_is_sent_twice(
    transport: Transport, world: World
):
    assert states(await post(transport, world, 1)) == {State.ANSWERED}
    world.on_request = lambda number: None if number == 5 else 0.2
    replies = await post(transport, world, 10)
    await asyncio.sleep(0.1)
    seen = world.requests[1:]
    assert len(seen) == len(set(seen)), "a request left twice"
    answered = {b"body-%d" % index for index, reply in enumerate(replies) if reply.state is State.ANSWERED}
    broken = {b"body-%d" % index for index, reply in enumerate(replies) if reply.state is State.BROKEN}
    assert set(seen) <= answered | broken
    assert broken


@pytest.mark.parametrize("how", ["close", "go away"])
async def test_an_idle_connection_that_the_provider_ended_gets_no_request(transport: Transport, world: World, how: str):
    for _ in range(3):
        assert states(await post(transport, world, 100)) == {State.ANSWERED}
        for connection in world.connections:
            connection.go_away() if how == "go away" else connection.transport.close()
        await asyncio.sleep(0.05)
    assert states(await post(transport, world, 100)) == {State.ANSWERED}
    assert len(world.requests) == 400


async def test_an_idle_connection_may_be_pinged(transport: Transport, world: World):
    await post(transport, world, 10)
    for connection in world.connections:
        connection.h2.ping(b"12345678")
        connection.transport.write(connection.h2.data_to_send())
    await asyncio.sleep(0.05)
    assert states(await post(transport, world, 10)) == {State.ANSWERED}
    assert len(world.requests) == 20


async def test_http1_over_tls_keeps_its_connections(tmp_path: Path):
    ca_file, key = new_certificate(tmp_path, "old")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key)
    provider = Provider(lambda request: http(request.body), tls=context)
    await provider.start()
    transport = Transport(Limits(4, ca_file=ca_file))
    for round_ in range(20):
        reply = await transport.fetch(f"{provider.url}/", (), b"%d" % round_)
        assert (reply.state, reply.body) == (State.ANSWERED, b"%d" % round_)
        await asyncio.sleep(0.005)
    assert provider.connections == 1
    transport.close()
    await provider.stop()
