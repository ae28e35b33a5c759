"""Which departments are asked: those of the file that `HUIMIN_DEPARTMENTS` names; without one there are only papers.

Whatever is wrong in the file refuses to start: a source that data/sources.yaml does not know, one that two interfaces
serve, a secret that is not there, and in production an interface without TLS.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from channels.registers import Department, Departments
from channels.transport import transport_for
from server.assemble import Assembly
from server.domain.errors import ConfigurationError
from server.domain.sources import Policy
from server.services.sources import Registers
from server.settings import DepartmentAccount, Settings


class _File(BaseModel):
    """What the file holds: accounts whose `key` is the name of a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    departments: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=200)


def registers_of(assembly: Assembly, policy: Policy) -> Registers:
    """The registers of one process; their connections are closed with it."""
    by_source: dict[str, Department] = {}
    for account in departments_of(assembly.settings, policy):
        transport = transport_for(account)
        assembly.stack.callback(transport.close)
        department = Department(account, transport, assembly.now, os.urandom)
        by_source |= dict.fromkeys(account.sources, department)
    return Departments(by_source)


def departments_of(settings: Settings, policy: Policy) -> Sequence[DepartmentAccount]:
    """The accounts, with their secrets; ConfigurationError `departments_invalid`."""
    path = settings.departments
    if path is None:
        return []
    try:
        entries = _File.model_validate(yaml.safe_load(path.read_text("utf-8"))).departments
        accounts = [DepartmentAccount.model_validate(entry | {"key": _key(settings, path, entry)}) for entry in entries]
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
        raise _wrong(path, "; ".join(lines)) from None
    _refuse_unfit(settings, path, policy, accounts)
    return accounts


def _key(settings: Settings, path: Path, entry: dict[str, Any]) -> str:
    name = str(entry.get("key", ""))
    if name not in settings.department_keys:
        raise _wrong(path, f"HUIMIN_DEPARTMENT_KEYS has no secret named {name!r}")
    return settings.department_keys[name].get_secret_value()


def _refuse_unfit(settings: Settings, path: Path, policy: Policy, accounts: Sequence[DepartmentAccount]) -> None:
    served = Counter(source for account in accounts for source in account.sources)
    known = {rule.source for rule in policy.sources}
    if unknown := sorted(served.keys() - known):
        raise _wrong(path, f"no such source: {', '.join(unknown)}")
    if twice := sorted(source for source, times in served.items() if times > 1):
        raise _wrong(path, f"served twice: {', '.join(twice)}")
    plain = [account.base_url for account in accounts if not account.base_url.startswith("https://")]
    if plain and settings.mode == "production":
        raise _wrong(path, f"production wants https: {', '.join(plain)}")


def _wrong(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError("departments_invalid", zh=f"{path}有误：{what}", en=f"{path}: {what}")
