"""`alert check` and `alert convert` as a script sees them: output, exit codes, and nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.commands.alert import app
from server.domain.alerts.reading import read
from tests.domain.alert_messages import CAP, GUOTU, cap

CAP11 = CAP.replace("cap:1.2", "cap:1.1").replace("<sent>2026-08-01T09:30:00+08:00", "<sent>2026-08-01T01:30:00Z")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {
        "cap.xml": cap(),
        "guotu.xml": GUOTU.encode(),
        "cap11.xml": CAP11.encode(),
        "warned.xml": cap(("22.55,114.05 3.5", "22.55,114.05")),
        "invalid.xml": cap(("<scope>Public</scope>", "")),
        "broken.xml": b"<alert",
        "huge.xml": b"x" * 10_000_000,
    }
    paths = {name: tmp_path / name for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content)
    return paths


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout


def test_check_prints_one_json_object_per_file_in_order(files: dict[str, Path]):
    code, output = run("check", *files.values(), "--json")
    rows = json.loads(output)
    assert code == 1
    assert [row["file"] for row in rows] == [str(path) for path in files.values()]
    assert [row["accepted"] for row in rows] == [True, True, True, True, False, False, False]
    assert [row["as"] for row in rows] == ["cap-1.2", "guotu", "cap-1.1", "cap-1.2", "cap-1.2", None, None]
    for row in rows:
        for finding in row["findings"]:
            assert list(finding) == ["code", "path", "line", "severity", "text", "text_zh"]


def test_check_exits_0_when_all_are_accepted(files: dict[str, Path]):
    assert run("check", files["cap.xml"], files["warned.xml"], "--json")[0] == 0


def test_check_tells_a_person_what_is_wrong_and_where(files: dict[str, Path]):
    code, output = run("check", files["invalid.xml"], files["cap.xml"])
    assert code == 1
    assert "not accepted" in output
    assert "line 10: <code> not expected; expected one of <scope>" in output
    assert "第 10 行" in output


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path):
    assert run("check", tmp_path / "none.xml", "--json")[0] == 2
    assert run("convert", tmp_path / "none.xml", "--to", "cap")[0] == 2


def test_convert_there_and_back_gives_the_same_message(files: dict[str, Path], tmp_path: Path):
    for name, there, back in (("cap.xml", "guotu", "cap"), ("guotu.xml", "cap", "guotu")):
        other, again = tmp_path / "other.xml", tmp_path / "again.xml"
        assert run("convert", files[name], "--to", there, "--out", other) == (0, "")
        assert run("convert", other, "--to", back, "--out", again) == (0, "")
        assert read(again.read_bytes()).alert == read(files[name].read_bytes()).alert
        assert run("check", other, "--json")[0] == 0


def test_convert_makes_cap_1_2_out_of_cap_1_1(files: dict[str, Path]):
    code, output = run("convert", files["cap11.xml"], "--to", "cap")
    assert code == 0
    assert "<sent>2026-08-01T01:30:00-00:00</sent>" in output
    assert 'xmlns="urn:oasis:names:tc:emergency:cap:1.2"' in output


def test_convert_of_what_is_no_alert_writes_nothing(files: dict[str, Path], tmp_path: Path):
    out = tmp_path / "out.xml"
    code, output = run("convert", files["broken.xml"], "--to", "cap", "--out", out)
    assert (code, output) == (1, "")
    assert not out.exists()


def test_convert_to_a_place_that_cannot_be_written_is_wrong_usage(files: dict[str, Path], tmp_path: Path):
    assert run("convert", files["cap.xml"], "--to", "cap", "--out", tmp_path)[0] == 2
