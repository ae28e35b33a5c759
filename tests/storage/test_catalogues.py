"""The files of data/ are read, and a wrong one is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from server.domain.errors import ConfigurationError
from server.storage.catalogues import DATA, load_divisions, load_texts


@pytest.fixture
def data(tmp_path: Path):
    return shutil.copytree(DATA, tmp_path / "data")


@pytest.mark.parametrize("name", ["event_codes.csv", "cities.yaml", "frames.yaml", "templates.yaml"])
def test_a_missing_file_is_named(data: Path, name: str):
    (data / name).unlink()
    with pytest.raises(ConfigurationError, match=name):
        load_texts(data)


def test_a_file_that_is_no_yaml_is_named(data: Path):
    (data / "cities.yaml").write_text("a: [b")
    with pytest.raises(ConfigurationError, match=r"cities\.yaml"):
        load_texts(data)


def test_a_file_that_is_no_utf8_is_named(data: Path):
    (data / "divisions" / "440300.csv").write_bytes("深圳".encode("gbk"))
    with pytest.raises(ConfigurationError, match=r"440300\.csv"):
        load_divisions(data, "440300")


def test_a_city_without_data_refuses_to_load(data: Path):
    with pytest.raises(ConfigurationError, match="110000"):
        load_divisions(data, "110000")


def test_a_file_added_to_data_events_gives_an_event_its_own_advice(data: Path):
    before = load_texts(data)
    text = data / "events" / "11B02.yaml"
    text.write_text((data / "events" / "11B31.yaml").read_text("utf-8").replace("11B31", "11B02"), "utf-8")
    after = load_texts(data)
    assert before.advice_for("11B02", "red") == before.advice["*"].colours["red"]
    assert after.advice_for("11B02", "red") == after.advice["11B31"].colours["red"]
