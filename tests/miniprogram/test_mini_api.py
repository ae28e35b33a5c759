"""How the program asks: once in effect on a bad network, with tokens that renew themselves, in the person's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.miniprogram.harness import node

# A telephone without a screen: `answers` are handed out one after the other, null = the network swallowed it.
PRELUDE = """
const kept = new Map(Object.entries(SEED)), sent = [], answers = ANSWERS
global.setTimeout = (work) => { setImmediate(work) }
global.wx = {
  getExtConfigSync: () => ({ api: '' }),
  getAppBaseInfo: () => ({ language: 'LANGUAGE' }),
  getStorageSync: (key) => (kept.has(key) ? structuredClone(kept.get(key)) : ''),
  setStorageSync: (key, value) => kept.set(key, structuredClone(value)),
  removeStorageSync: (key) => kept.delete(key),
  getStorageInfoSync: () => ({ keys: [...kept.keys()] }),
  request: ({ url, method, data, header, success, fail }) => {
    sent.push({ url, method, data, header })
    const answer = answers.shift()
    setImmediate(() => (answer ? success({ header: {}, ...answer }) : fail({ errMsg: 'request:fail' })))
  },
}
const { ask } = require('./miniprogram/core/api.js')
const outbox = require('./miniprogram/core/outbox.js')
const told = (work) => work.then((value) => ({ value }), (problem) => {
  if (problem.status === undefined) throw problem
  return { problem: { ...problem.words, status: problem.status, fields: problem.fields } }
})
const run = async () => { SCRIPT }
run().then((result) => console.log(JSON.stringify({ result, sent, kept: Object.fromEntries(kept) })))
"""
IN = {"session": {"access": "a1", "refresh": "r1", "account": "me"}}
OK: dict[str, Any] = {"statusCode": 200, "data": {"ok": 1}}
TOKENS = {"statusCode": 200, "data": {"access_token": "a2", "refresh_token": "r2", "account": "me"}}
REFUSED: dict[str, Any] = {
    "statusCode": 422,
    "data": {
        "code": "code_wrong",
        "title": "验证码不正确",
        "detail": "请重新输入。",
        "request_id": "q1",
        "field": "code",
    },
}
HOLD = "told(ask('bookings.hold', { body: { slot: 's' } }))"


def run(script: str, answers: list[Any], seed: Any = None, language: str = "zh_CN") -> Any:
    """What the script yields, what was sent, and what is in the storage afterwards."""
    code = PRELUDE.replace("SCRIPT", script).replace("LANGUAGE", language)
    code = code.replace("SEED", json.dumps(IN if seed is None else seed)).replace("ANSWERS", json.dumps(answers))
    ran = node("-e", code)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def key(request: Any) -> str:
    return str(request["header"]["Idempotency-Key"])


def test_what_got_no_answer_is_sent_again_under_the_same_key():
    done = run(f"return {HOLD}", [None, {"statusCode": 503, "data": ""}, OK])
    assert done["result"]["value"]["data"] == {"ok": 1}
    assert len(done["sent"]) == 3
    assert len({key(each) for each in done["sent"]}) == 1
    assert all(each["header"]["Authorization"] == "Bearer a1" for each in done["sent"])


def test_two_requests_have_two_keys():
    first, second = run(f"await {HOLD}; return {HOLD}", [OK, OK])["sent"]
    assert key(first) != key(second)


def test_a_log_in_is_not_repeated_for_nobody_keeps_its_answer():
    done = run("return told(ask('session.byWeChat', { body: { code: 'c' } }))", [None], seed={})
    assert (done["result"]["problem"]["code"], len(done["sent"])) == ("offline", 1)


def test_a_refusal_is_told_once_in_words_with_its_field():
    done = run(f"return {HOLD}", [REFUSED])
    problem = done["result"]["problem"]
    assert (problem["title"], problem["requestId"], problem["status"]) == ("验证码不正确", "q1", 422)
    assert problem["fields"] == {"code": "验证码不正确"}
    assert len(done["sent"]) == 1


def test_every_faulty_field_has_its_own_words():
    faults = [{"field": "name", "detail": "太短"}, {"field": "age", "detail": "不是数字"}]
    answer = {
        "statusCode": 422,
        "data": {"code": "form_faulty", "title": "name：太短", "field": "name", "errors": faults},
    }
    problem = run(f"return {HOLD}", [answer])["result"]["problem"]
    assert problem["fields"] == {"name": "太短", "age": "不是数字"}


def test_a_long_wait_is_told_and_not_waited_for():
    busy = {"statusCode": 429, "data": {"code": "too_many_requests", "title": "t"}, "header": {"Retry-After": "60"}}
    assert len(run(f"return {HOLD}", [busy])["sent"]) == 1


def test_a_page_that_is_no_problem_gets_words_of_our_own():
    answer = {"statusCode": 404, "data": "<html>"}
    problem = run("return told(ask('me.get'))", [answer], language="en")["result"]["problem"]
    assert (problem["code"], problem["title"]) == ("unexpected", "Something went wrong")


def test_tokens_are_renewed_once_for_all_who_wait():
    gone = {"statusCode": 401, "data": {"code": "token_expired", "title": "t"}}
    done = run("return Promise.all([ask('me.get'), ask('places.list')])", [gone, gone, TOKENS, OK, OK])
    assert [each["url"] for each in done["sent"]].count("/v1/session/refresh") == 1
    assert [each["header"].get("Authorization") for each in done["sent"][-2:]] == ["Bearer a2", "Bearer a2"]
    assert done["kept"]["session"] == {"access": "a2", "refresh": "r2", "account": "me"}


def test_a_refresh_token_that_is_over_ends_the_log_in_and_keeps_drafts():
    gone = {"statusCode": 401, "data": {"code": "token_expired", "title": "t"}}
    done = run("return told(ask('me.get'))", [gone, gone], seed={**IN, "mine/draft": {"a": 1}})
    assert done["result"]["problem"]["status"] == 401
    assert done["kept"] == {"mine/draft": {"a": 1}}


def test_somebody_elses_log_in_on_this_telephone_finds_nothing_of_mine():
    script = "const session = require('./miniprogram/core/session.js'); session.keep({ account: 'other' })"
    assert set(run(script, [], seed={**IN, "mine/draft": 1, "elder": True})["kept"]) == {"session", "elder"}


def test_an_answer_that_is_kept_is_asked_for_by_its_etag_and_shown_without_a_network():
    tagged = {**OK, "header": {"Etag": '"v1"'}}
    script = "const a = []; for (let i = 0; i < 3; i++) a.push(await ask('me.get', { keep: true })); return a"
    done = run(script, [tagged, {"statusCode": 304, "data": "", "header": {"ETag": '"v1"'}}, None, None, None])
    assert [(each["data"], each["etag"], each["isOld"]) for each in done["result"]] == [
        ({"ok": 1}, '"v1"', False),
        ({"ok": 1}, '"v1"', False),
        ({"ok": 1}, '"v1"', True),
    ]
    assert [each["header"].get("If-None-Match") for each in done["sent"][:2]] == [None, '"v1"']


@pytest.mark.parametrize(("language", "header"), [("zh_CN", "zh-CN"), ("en", "en")])
def test_the_server_is_told_the_language(language: str, header: str):
    (request,) = run("return told(ask('alerts.list'))", [OK], language=language)["sent"]
    assert request["header"]["Accept-Language"] == header


def test_what_is_posted_without_a_network_waits_and_goes_out_later_under_its_key():
    script = """
      const before = await outbox.post('acknowledgement.tell', { path: { identifier: 'x' }, body: { status: 'safe' } })
      const waiting = outbox.waiting().length
      await outbox.flush()
      return { before, waiting, after: outbox.waiting().length }"""
    done = run(script, [None, None, None, OK])
    assert done["result"] == {"before": None, "waiting": 1, "after": 0}
    assert len({key(each) for each in done["sent"]}) == 1
    assert done["sent"][-1]["data"] == {"status": "safe"}


def test_what_the_server_refuses_for_good_does_not_stop_what_waits_behind_it():
    script = """
      const news = []
      outbox.listen(({ is }) => news.push(is))
      for (const identifier of ['x', 'y']) await outbox.post('acknowledgement.tell', { path: { identifier } })
      await outbox.flush()
      return news"""
    done = run(script, [None] * 6 + [REFUSED, OK])
    assert done["result"] == ["waiting", "waiting", "refused", "sent"]


def test_a_full_storage_loses_old_answers_and_no_draft():
    script = """
      const full = wx.setStorageSync
      let isFull = true
      wx.setStorageSync = (key, value) => {
        if (isFull && kept.size > 2) { isFull = false; throw new Error('exceed storage max size') }
        full(key, value)
      }
      require('./miniprogram/core/store.js').mine.set('new', 1)"""
    answers = {"mine/kept/a": {"at": 1}, "mine/kept/b": {"at": 2}, "mine/draft": 1}
    assert set(run(script, [], seed=answers)["kept"]) == {"mine/kept/b", "mine/draft", "mine/new"}
