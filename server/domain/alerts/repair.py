"""Mechanical repairs: the patches of findings put into an alert, each of them without a change of meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar

from server.domain.alerts.codec import slots
from server.domain.alerts.finding import Finding, Patch
from server.domain.alerts.model import Alert, Node

N = TypeVar("N", bound=Node)
_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?", re.ASCII)


def repaired(alert: Alert, findings: Iterable[Finding]) -> Alert:
    """The alert with every patch of the findings applied; a patch whose place is gone changes nothing."""
    for finding in findings:
        if finding.patch:
            alert = patched(alert, finding.patch)
    return alert


def patched(alert: Alert, patch: Patch) -> Alert:
    """The alert with one value replaced."""
    steps = [(m[1], int(m[2] or 1)) for m in map(_STEP.fullmatch, patch.path.split("/")[2:]) if m]
    return _set(alert, steps, patch.value) if steps else alert


def _set(node: N, steps: list[tuple[str, int]], value: str) -> N:
    (tag, nth), *rest = steps
    slot = slots(type(node)).get(tag)
    if slot is None or (rest and slot.child is None):
        return node
    if not slot.is_many:
        return node.model_copy(update={slot.name: value}) if nth == 1 and not rest else node
    held: list[Any] = list(getattr(node, slot.name))
    if not 1 <= nth <= len(held):
        return node
    if slot.child is None:
        held[nth - 1] = value
    elif rest:
        held[nth - 1] = _set(held[nth - 1], rest, value)
    return node.model_copy(update={slot.name: tuple(held)})
