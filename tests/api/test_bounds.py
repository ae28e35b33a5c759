"""Slow and broken clients: they are cut off, and they keep nobody waiting."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.api.client import Client

HEAD = b"POST /v1/receipts/sms_aliyun HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTT",
        HEAD,
        HEAD + b"Content-Length: 10\r\n\r\n12345",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
    ids=["nothing", "half a line", "half the headers", "half a body", "half a chunk"],
)
async def test_who_does_not_finish_is_cut_off(api: Client, data: bytes) -> None:
    began = time.monotonic()
    await api.raw(data)
    assert 0.5 < time.monotonic() - began < 3


async def test_who_sends_a_byte_at_a_time_is_cut_off(api: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    began = time.monotonic()
    try:
        for byte in b"GET /" + b"a" * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            if reader.at_eof():
                break
            await asyncio.sleep(0.05)
    except ConnectionError:
        pass
    finally:
        writer.close()
    assert time.monotonic() - began < 3


async def test_slow_clients_do_not_keep_others_waiting(api: Client) -> None:
    slow = [asyncio.open_connection("127.0.0.1", api.port) for _ in range(200)]
    writers = [writer for _, writer in await asyncio.gather(*slow)]
    for writer in writers:
        writer.write(HEAD)
    began = time.monotonic()
    assert (await api("GET", "/openapi.json")).status == 200
    assert time.monotonic() - began < 0.5
    for writer in writers:
        writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_at_once(api: Client, data: bytes) -> None:
    began = time.monotonic()
    answer = await api.raw(data)
    assert time.monotonic() - began < 3
    assert b" 500 " not in answer.split(b"\r\n")[0]
    assert b"Server:" not in answer
