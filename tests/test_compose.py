"""compose.yaml has the shape that the tests run: three members, two of each process, no secret, everything watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo.uri_parser import parse_uri

from server.embedded import REPLICA_SET
from server.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, read as YAML."""
    found = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def ours(compose: dict[str, Any]) -> dict[str, Any]:
    """The services of our image."""
    return {name: s for name, s in compose["services"].items() if s["image"].startswith("huimin")}


def test_there_are_two_api_and_two_worker_processes_on_a_set_of_three(compose: dict[str, Any], ours: dict[str, Any]):
    assert sorted(s["command"][0] for s in ours.values()) == ["api", "api", "worker", "worker"]
    members = {name for name, s in compose["services"].items() if s.get("command", [""])[0] == "mongod"}
    for service in ours.values():
        uri = parse_uri(service["environment"]["HUIMIN_MONGO_URL"])
        assert {host for host, _ in uri["nodelist"]} == members
        assert uri["options"]["replicaSet"] == REPLICA_SET
    assert len(members) == 3


def test_every_service_is_watched_and_comes_back(compose: dict[str, Any]):
    for name, service in compose["services"].items():
        if name != "replica-set":  # it runs once
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name


def test_every_setting_is_known_and_no_secret_stands_in_the_file(ours: dict[str, Any]):
    known = {f"HUIMIN_{name.upper()}" for name in Settings.model_fields}
    for name, service in ours.items():
        assert set(service["environment"]) <= known, name
        assert not [key for key in service["environment"] if "KEY" in key or "SECRET" in key]
        assert service["env_file"] == ["huimin.env"]


def test_nothing_but_the_public_port_is_reachable_from_outside(compose: dict[str, Any]):
    ports = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert set(ports) == {"api1", "api2"}
    assert all(port.endswith(":8080") for listed in ports.values() for port in listed)


def test_every_volume_and_dependency_exists(compose: dict[str, Any]):
    services = compose["services"]
    for service in services.values():
        kept = [volume for volume in service.get("volumes", []) if volume != "./token-keys:/run/token-keys:ro"]
        assert {volume.split(":")[0] for volume in kept} <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(services)


def test_the_image_that_is_built_is_ours():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["python", "-m", "server"]' in dockerfile
    assert "STOPSIGNAL SIGTERM" in dockerfile
