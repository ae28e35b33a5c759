"""A form without a screen: what is sent, what is missing, and how two devices' writing is put together."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.miniprogram.test_mini_api import OK, key, run

UI: dict[str, Any] = {
    "order": ["post", "address", "members"],
    "fields": {
        "post": {"kind": "yes_no", "is_required": True},
        "address": {"kind": "text", "is_required": True, "show_if": {"field": "post", "among": [True]}},
        "members": {
            "kind": "rows", "is_required": False, "order": ["name"],
            "fields": {"name": {"kind": "text", "is_required": True}},
        },
    },
}  # fmt: skip
FORMS = st.lists(
    st.tuples(*[st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3)] * 3), min_size=20, max_size=20
)


def called(call: str) -> Any:
    """What a function of core/forms.js answers."""
    return run(f"return require('./miniprogram/core/forms.js').{call}", [])["result"]


def sent(form: dict[str, Any]) -> Any:
    return called(f"cleaned({json.dumps(UI)}, {json.dumps(form)})")


def test_what_is_hidden_or_empty_is_not_sent():
    assert sent({"post": False, "address": "x", "members": []}) == {"post": False}
    rows = [{"name": "a", "other": 1}, {"name": ""}]
    assert sent({"post": True, "address": "x", "members": rows}) == {
        "post": True, "address": "x", "members": [{"name": "a"}, {}],
    }  # fmt: skip


def test_what_is_missing_is_named_by_its_path_and_only_where_it_is_shown():
    def missing(form: dict[str, Any]) -> Any:
        return called(f"missing({json.dumps(UI)}, {json.dumps(form)}, 'need')")

    assert missing({}) == {"post": "need"}
    assert missing({"post": True, "members": [{"name": "a"}, {}]}) == {"address": "need", "members[1].name": "need"}


def test_an_answer_is_written_at_its_path():
    assert called("written({ members: [{ name: 'a' }, {}] }, 'members[1].name', 'b')") == {
        "members": [{"name": "a"}, {"name": "b"}]
    }


def test_a_fault_of_the_server_stands_at_its_field_without_the_label():
    faults = [
        {"field": "form.members[0].name", "detail": "姓名：缺少此项"},
        {"field": "form.post", "detail": "Post: is missing"},
    ]
    assert called(f"faultsOf({json.dumps(faults)})") == {"members[0].name": "缺少此项", "post": "is missing"}


@settings(max_examples=4, deadline=None)
@given(FORMS)
def test_of_two_devices_nothing_is_lost_that_only_one_of_them_wrote(cases: list[tuple[dict[str, int], ...]]):
    merged = "require('./miniprogram/core/forms.js').merged"
    answers = run(f"return {json.dumps(cases)}.map((each) => {merged}(...each))", [])["result"]
    for (base, mine, theirs), found in zip(cases, answers, strict=True):
        for name in "abc":
            was, here, there = base.get(name), mine.get(name), theirs.get(name)
            wanted = there if here == was else here
            assert found["form"].get(name) == wanted
            assert (name in found["both"]) == (here != was and there not in (was, here))


def test_what_is_sent_while_others_wait_goes_out_behind_them_and_is_answered():
    script = """
      const call = (name) => ({ path: { application: name } })
      await outbox.post('applications.urge', call('first'))
      const answer = await outbox.post('applications.submit', { ...call('second'), key: 'one-key' })
      return answer.data"""
    done = run(script, [None] * 3 + [OK, OK])
    assert done["result"] == {"ok": 1}
    assert [each["url"].split("/")[-2] for each in done["sent"]] == ["first"] * 4 + ["second"]
    assert key(done["sent"][-1]) == "one-key"
