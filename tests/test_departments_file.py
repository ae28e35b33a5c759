"""The file of departments: whatever is wrong in it refuses to start, and says what, without a secret."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from server.assemble_departments import departments_of
from server.assemble_scanner import scanner_of
from server.domain.errors import ConfigurationError, UnavailableError
from server.settings import Settings
from server.storage.catalogues import load_source_policy
from tests.test_settings_production import told

SECRET = "whsec_" + base64.b64encode(b"a department's own secret").decode()
ENTRY: dict[str, Any] = {"base_url": "https://exchange.example/v1", "sources": ["population"], "key": "exchange"}


def settings(path: Path, *entries: Any, mode: str = "production", key: str = SECRET) -> Settings:
    path.write_text(yaml.safe_dump({"departments": list(entries)}))
    changes = {"mode": mode, "departments": path, "department_keys": {"exchange": SecretStr(key)}}
    return Settings().model_copy(update=changes)


def test_an_account_has_its_sources_and_its_secret(tmp_path: Path):
    [account] = departments_of(settings(tmp_path / "d.yaml", ENTRY), load_source_policy())
    assert (account.sources, account.key.get_secret_value()) == (("population",), SECRET)


def test_without_a_file_there_are_papers():
    assert departments_of(Settings(), load_source_policy()) == []


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ([{**ENTRY, "sources": ["population", "moon"]}], "moon"),
        ([{**ENTRY, "sources": []}], "sources"),
        ([ENTRY, {**ENTRY, "base_url": "https://other.example"}], "served twice: population"),
        ([{**ENTRY, "key": "other"}], "HUIMIN_DEPARTMENT_KEYS"),
        ([{**ENTRY, "base_url": "http://exchange.example"}], "https"),
        ([{**ENTRY, "timeout_s": 30}], "timeout_s"),
        ([{**ENTRY, "secret": SECRET}], "secret"),
        ([], "departments"),
        (["population"], "departments"),
    ],
)
def test_a_wrong_file_is_refused_and_told(tmp_path: Path, entries: list[Any], named: str):
    with pytest.raises(ConfigurationError) as caught:
        departments_of(settings(tmp_path / "d.yaml", *entries), load_source_policy())
    assert caught.value.code == "departments_invalid"
    assert named in caught.value.en
    assert SECRET not in caught.value.en


@pytest.mark.parametrize("key", ["exchange", "whsec_c2hvcnQ=", "whsec_!"])
def test_a_secret_that_is_none_is_refused_unseen(tmp_path: Path, key: str):
    with pytest.raises(ConfigurationError, match="departments_invalid") as caught:
        departments_of(settings(tmp_path / "d.yaml", ENTRY, key=key), load_source_policy())
    assert key not in caught.value.en.removeprefix(str(tmp_path)) or key == "exchange"


@pytest.mark.parametrize("text", ["{", "[]", "departments: {a: 1}", "other: []", "\x00"])
def test_a_file_that_is_no_list_of_departments_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "d.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="departments_invalid"):
        departments_of(Settings(departments=path), load_source_policy())


def test_production_refuses_the_sandboxs_secret_and_a_scanner_that_is_no_address():
    shipped = base64.b64encode(b"sandbox-key-of-thirty-two-bytes!").decode()
    assert "HUIMIN_DEPARTMENT_KEYS.x" in told(HUIMIN_DEPARTMENT_KEYS=f'{{"x": "whsec_{shipped}"}}')
    assert "HUIMIN_CLAMD_URL" in told(HUIMIN_CLAMD_URL="clamd:3310")


async def test_production_without_a_scanner_takes_no_file_and_the_sandbox_all():
    with pytest.raises(UnavailableError, match="scanner_away"):
        await scanner_of(Settings().model_copy(update={"mode": "production"})).is_clean(b"file")
    assert await scanner_of(Settings()).is_clean(b"file")
