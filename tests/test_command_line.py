"""The command line: help worth reading, one line for an error in the reader's language, exit codes a script can use."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer

from server import __main__ as edge
from server.domain.errors import HuiminError, InvalidInputError, NotFoundError


def _huimin(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    told = {name: value for name, value in os.environ.items() if not name.startswith(("HUIMIN_", "LC_", "LANG"))}
    command = [sys.executable, "-m", "server", *arguments]
    return subprocess.run(command, env=told | environ, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603


@pytest.fixture
def admin_port() -> Iterator[int]:
    """A process that is alive."""

    class Alive(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Alive) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_help_names_every_command_and_gives_examples() -> None:
    told = _huimin("--help")
    assert told.returncode == 0
    for word in ("doctor", "db", "health", "version", "Examples", "HUIMIN_"):
        assert word in told.stdout


def test_no_command_shows_the_help() -> None:
    assert "Examples" in _huimin().stdout


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "配置有误"),
        ({"LANG": "en_GB.UTF-8"}, "unknown HUIMIN_PROT"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "unknown HUIMIN_PROT"),
    ],
)
def test_a_wrong_setting_is_one_line_in_the_language_of_the_terminal(environ: dict[str, str], words: str) -> None:
    told = _huimin("db", "info", HUIMIN_PROT="1", **environ)
    assert told.returncode == 2
    assert len(told.stderr.splitlines()) == 1
    assert words in told.stderr
    assert "[settings_invalid]" in told.stderr
    assert told.stdout == ""


def test_an_unknown_command_is_a_usage_error() -> None:
    assert _huimin("dance").returncode == 2


def _a_command_that_raises(error: Exception) -> typer.Typer:
    def break_() -> None:
        raise error

    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(edge.root)
    app.command("break")(break_)
    return app


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotFoundError("gone", zh="没有", en="there is none"), 1, "huimin: there is none [gone]\n"),
        (InvalidInputError("odd", zh="奇怪", en="that is odd"), 2, "huimin: that is odd [odd]\n"),
    ],
)
def test_a_known_error_is_its_text_and_an_exit_code(
    error: HuiminError, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        edge.run(_a_command_that_raises(error), ["break"], {})
    assert left.value.code == code
    assert capsys.readouterr().err == said


@pytest.mark.usefixtures("restored_logging")
def test_an_unexpected_error_is_one_masked_line_with_a_reference(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        edge.run(_a_command_that_raises(RuntimeError("no answer for 13812345678")), ["break"], {})
    said = capsys.readouterr().err
    assert left.value.code == 1
    assert "RuntimeError: no answer for ***" in said
    assert len(said.splitlines()) == 1


@pytest.mark.usefixtures("restored_logging")
def test_debug_logs_the_traceback_under_the_same_reference(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        edge.run(_a_command_that_raises(RuntimeError("no answer")), ["--debug", "break"], {})
    line, log = capsys.readouterr().err.splitlines()
    logged = json.loads(log)
    assert logged["reference"] in line
    assert "Traceback" in logged["exception"]


def test_version_is_one_json_object_for_a_script() -> None:
    told = json.loads(_huimin("version", "--json").stdout)
    assert told["huimin"]
    assert told["tornado"]


def test_the_doctor_finds_a_healthy_house_well(tmp_path: Path) -> None:
    told = _huimin("doctor", "--json", HUIMIN_HOME=str(tmp_path), HUIMIN_PORT="0", HUIMIN_ADMIN_PORT="0")
    report = json.loads(told.stdout)
    assert [finding for finding in report["findings"] if not finding["is_well"]] == []
    assert told.returncode == 0


def test_the_doctor_names_every_ill_at_once_and_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = _huimin(
            "doctor",
            "--json",
            HUIMIN_PORT=str(taken.getsockname()[1]),
            HUIMIN_ADMIN_PORT="0",
            HUIMIN_MONGOD=str(tmp_path / "none"),
        )
    ill = {f["what"]: f["advice"] for f in json.loads(told.stdout)["findings"] if not f["is_well"]}
    assert set(ill) == {"MongoDB", "port"}
    assert "HUIMIN_MONGOD" in ill["MongoDB"]
    assert "HUIMIN_PORT" in ill["port"]
    assert told.returncode == 1


def test_health_is_silent_when_the_process_is_alive(admin_port: int) -> None:
    told = _huimin("health", HUIMIN_ADMIN_PORT=str(admin_port))
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_health_fails_when_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        told = _huimin("health", HUIMIN_ADMIN_PORT=str(free.getsockname()[1]))
    assert told.returncode == 1
    assert "[not_alive]" in told.stderr


def test_the_containers_own_health_check_needs_no_other_command() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environ = os.environ | {"HUIMIN_ADMIN_PORT": str(free.getsockname()[1])}
        command = [sys.executable, "-X", "importtime", "-m", "server.commands.health"]
        told = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert told.returncode == 1
    assert "not_alive" in told.stderr.splitlines()[-1]
    assert "pymongo" not in told.stderr
    assert '"server.commands.health"' in (Path(__file__).parent.parent / "Dockerfile").read_text()


def test_db_run_prints_the_urls_and_stops_cleanly_at_sigterm(tmp_path: Path) -> None:
    environ = os.environ | {"HUIMIN_HOME": str(tmp_path), "HUIMIN_MONGO_URL": "mongodb://named.example"}
    command = [sys.executable, "-m", "server", "db", "run", "--json"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as ran:  # noqa: S603
        assert ran.stdout
        urls = json.loads(ran.stdout.readline())
        shown = json.loads(_huimin("db", "info", "--json", HUIMIN_HOME=str(tmp_path)).stdout)
        ran.send_signal(signal.SIGTERM)
        assert ran.wait(20) == 0
    assert urls["mongo_url"] == "mongodb://named.example"
    assert shown["redis"]["url"] == urls["redis_url"]
    assert json.loads((tmp_path / "valkey.json").read_text())["pid"] is None
