"""Consents: a new text asks again, the latest word counts, and a wrong file does not start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.consents import Act, load, purpose_of, refuse_old_text, standings
from server.domain.errors import ConfigurationError, ConflictError
from server.storage.catalogues import load_consents

BEGAN = datetime(2026, 11, 24, tzinfo=UTC)


def listed(*versions: int, purpose: str = "location") -> dict[str, Any]:
    words = {"zh": "文", "en": "text"}
    return {
        "purpose": purpose,
        "is_sensitive": True,
        "versions": [{"version": v, "title": words, "text": words} for v in versions],
    }


def test_the_citys_texts_have_sensitive_purposes_that_are_asked_for_separately():
    purposes = load_consents()
    assert {"profile", "location", "health_data", "share_with_third_party"} <= set(purposes)
    assert all(purposes[name].is_sensitive for name in ("location", "health_data", "share_with_third_party"))


def test_who_agreed_to_an_earlier_text_is_asked_again_and_counts_as_no():
    before, after = load([listed(1)]), load([listed(1, 2)])
    agreed = [Act("location", 1, is_given=True, at=BEGAN)]
    assert [(s.is_given, s.is_outdated) for s in standings(before, agreed)] == [(True, False)]
    assert [(s.is_given, s.is_outdated) for s in standings(after, agreed)] == [(False, True)]
    with pytest.raises(ConflictError) as refused:
        refuse_old_text(purpose_of(after, "location"), 1)
    assert refused.value.code == "consent_outdated"
    refuse_old_text(purpose_of(after, "location"), 2)


@given(st.lists(st.booleans(), max_size=8))
def test_the_latest_word_counts(said: list[bool]):
    acts = [Act("location", 1, is_given=yes, at=BEGAN + timedelta(hours=n)) for n, yes in enumerate(said)]
    [standing] = standings(load([listed(1)]), acts)
    assert standing.is_given == bool(said and said[-1])
    assert not standing.is_outdated


@pytest.mark.parametrize(
    "wrong",
    [
        [listed(2)],
        [listed(1, 3)],
        [listed(1), listed(1)],
        [listed()],
        [listed(1, purpose="$where")],
        [listed(1) | {"is_sensitve": True}],
        {"location": 1},
        None,
    ],
)
def test_a_wrong_file_does_not_start(wrong: Any):
    with pytest.raises(ConfigurationError) as refused:
        load(wrong)
    assert refused.value.code == "consents_invalid"
