"""Every input is hostile: it gets a 4xx problem that names the field, never a 5xx, and the security headers always."""

from __future__ import annotations

import json
import string
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.alert_views import AlertsQuery
from handlers.reading import MAX_DEPTH, FaultyInputError, read_query, refuse_unfit_json
from handlers.routing import KEYED, PARAMETERS, Route, Who
from server.domain.officers import Officer, Role
from tests.api.client import SECURITY, Answer, Citizens, Client, Officers
from tests.services.desk import officer

DESK = "/v1/staff/alerts"
CITIZEN = 2**41 + 7
EVERYTHING: Officer = officer("everything", *Role)  # no such person may exist; here it opens every door
PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}
FORM = {"event": "11B01", "colour": "Red", "areas": [{"divisions": ["440305"]}], "expires_at": "2099-01-01T00:00:00Z"}


@pytest.fixture
def token(officers: Officers) -> str:
    return officers.enter(EVERYTHING)


@pytest.fixture
async def tokens(token: str, citizens: Citizens) -> dict[Who, str]:
    """Who may enter where somebody has to be known."""
    return {Who.OFFICER: token, Who.CITIZEN: await citizens.enter(CITIZEN)}


def is_sound(answer: Answer, method: str = "GET") -> bool:
    """Not our fault, and said as it should be."""
    is_problem = answer.status < 400 or method == "HEAD" or (answer.code != "" and set(answer.json) >= PROBLEM)
    return answer.status < 500 and is_problem and all(name in answer.headers for name in SECURITY)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b"{", 400, "json_invalid", None),
        (b"\xff\xfe", 400, "json_invalid", None),
        (b"[" * 140_000, 413, "body_too_large", None),
        (b"[" * 60_000, 400, "json_invalid", None),
        (b'{"a":' * 60 + b"1" + b"}" * 60, 400, "json_invalid", ".".join("a" * 51)),
        (b'{"digest":"a","digest":"b"}', 400, "json_invalid", "digest"),
        (b'{"digest":{"$gt":""}}', 400, "json_invalid", "digest.$gt"),
        (b'{"a.b":1}', 400, "json_invalid", "a.b"),
        (b'{"digest":NaN}', 400, "json_invalid", None),
        (b'{"digest":1e999}', 400, "json_invalid", None),
        (b'{"digest":' + b"9" * 5_000 + b"}", 400, "json_invalid", None),
        (b'{"digest":"\\u0000"}', 400, "json_invalid", "digest"),
        (b'{"digest":"\\ud800"}', 400, "json_invalid", "digest"),
        (b'{"digest":["a"]}', 422, "input_invalid", "digest"),
        (b'{"digest":1}', 422, "input_invalid", "digest"),
        (b"[]", 422, "input_invalid", None),
        (b"null", 422, "input_invalid", None),
        (b"{}", 422, "input_invalid", "digest"),
        (b"", 400, "json_invalid", None),
        (json.dumps({"digest": "0" * 64, "approved_by": "me"}).encode(), 422, "input_invalid", "approved_by"),
    ],
)  # fmt: skip
async def test_a_bad_body_is_a_problem_that_names_the_field(
    api: Client, token: str, body: bytes, status: int, code: str, field: str | None
) -> None:
    answer = await api("POST", f"{DESK}/440304_20260101000000/release", body, token=token)
    assert (answer.status, answer.code, answer.json.get("field")) == (status, code, field)
    assert is_sound(answer)


async def test_every_fault_of_a_form_is_told_in_the_callers_language(api: Client, token: str) -> None:
    bad = FORM | {"colour": "Pink", "areas": [{"divisions": ["44"]}], "expires_at": "0001-01-01T00:00:00Z", "x": 1}
    told = (await api("POST", DESK, bad, token=token, Accept_Language="en")).json
    assert {each["field"] for each in told["errors"]} == {"colour", "areas[0].divisions[0]", "expires_at", "x"}
    chinese = (await api("POST", DESK, bad, token=token)).json
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in each["detail"]) for each in chinese["errors"])


@pytest.mark.parametrize("mebibytes", [2, 30])
async def test_an_oversize_body_is_read_past_and_told_so(api: Client, token: str, mebibytes: int) -> None:
    answer = await api("POST", DESK, b" " * (mebibytes * 1_048_576), token=token)
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert is_sound(answer)


async def test_a_huge_polygon_is_refused_and_named(api: Client, token: str) -> None:
    ring = [{"lat": 22.5, "lon": 113.9}] * 2_500
    answer = await api("POST", DESK, FORM | {"areas": [{"polygons": [ring]}]}, token=token)
    assert (answer.status, answer.json["field"]) == (422, "areas[0].polygons[0]")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "a" * 200])
async def test_a_body_of_another_kind_is_refused(api: Client, token: str, kind: str) -> None:
    answer = await api("POST", DESK, FORM, token=token, Content_Type=kind)
    assert answer.status in (400, 415)
    assert is_sound(answer)


async def test_a_body_where_none_is_taken_is_refused(api: Client, token: str) -> None:
    answer = await api("POST", f"{DESK}/440304_20260101000000/validate", {"state": "released"}, token=token)
    assert (answer.status, answer.code) == (422, "body_unexpected")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit[$ne]=1", "limit[$ne]"),
        ("state=sent", "state[0]"),
        ("division=%00", "division"),
        ("division=44", "division"),
        ("cursor=x", "cursor"),
        ("%ff=1", None),
        ("&".join(f"a{n}=" for n in range(60)), None),
    ],
)
async def test_a_bad_query_is_a_problem_that_names_the_field(
    api: Client, token: str, query: str, field: str | None
) -> None:
    answer = await api("GET", f"{DESK}?{query}", token=token)
    assert answer.status in (400, 422)
    assert answer.json.get("field") == field
    assert is_sound(answer)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PATCH", "DELETE", "OPTIONS"])
async def test_another_method_is_405_and_says_which_there_are(api: Client, method: str) -> None:
    answer = await api(method, DESK)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"
    assert is_sound(answer)


@pytest.mark.parametrize("path", ["/", "/v2/alerts", "/v1/staff/alerts/", "/v1/staff/alerts/%2e%2e", "/livez", "/%00"])
async def test_an_unknown_path_is_a_problem(api: Client, path: str) -> None:
    answer = await api("GET", path)
    assert (answer.status, answer.code) == (404, "path_unknown")
    assert is_sound(answer)


async def test_another_sites_page_cannot_post(api: Client, token: str) -> None:
    answer = await api("POST", DESK, FORM, token=token, Origin="https://evil.example")
    assert (answer.status, answer.code) == (403, "origin_foreign")
    assert is_sound(answer)


async def test_a_request_id_of_the_caller_comes_back_if_it_is_a_plain_one(api: Client) -> None:
    assert (await api("GET", "/x", X_Request_Id="abcdefgh-1")).json["request_id"] == "abcdefgh-1"
    assert (await api("GET", "/x", X_Request_Id="a b\\c<script>")).json["request_id"] != "a b\\c<script>"


ODDITIES = st.sampled_from(["", "\x00", "$gt", "440305", "2026-11-25T02:00:00+08:00"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | ODDITIES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
NEARLY = st.fixed_dictionaries(
    {name: JSON | st.just(value) for name, value in FORM.items()},
    optional=dict.fromkeys(("words", "digest", "note", "reason", "acknowledged", "status", "onset_at", "x"), JSON),
)
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | NEARLY.map(lambda value: json.dumps(value).encode())
)
QUERIES = st.lists(
    st.tuples(st.sampled_from(["limit", "state", "cursor"]) | st.text(max_size=8), st.text(max_size=20)), max_size=4
).map(lambda pairs: "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs))  # fmt: skip
SEGMENTS = st.text(string.ascii_letters + string.digits + "._-%$ \x00\u4e00", max_size=30).map(
    lambda t: quote(t, safe="%")
)
KINDS = st.sampled_from(["application/json", "application/xml", "text/plain", "", "application/json; charset=gbk"])


REQUESTS = st.tuples(
    st.integers(0, 1_000),  # which route
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]) | st.none(),  # None: one that the route has
    st.lists(SEGMENTS | st.none(), min_size=2, max_size=2),  # None: the example of the contract
    QUERIES,
    BODIES,
    KINDS,
    st.sampled_from(['"v1"', "", "*", '"v' + "9" * 50]),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
async def test_no_input_to_any_route_is_a_server_error(
    api: Client, tokens: dict[Who, str], routes: list[Route], request_: tuple[Any, ...]
) -> None:
    which, method, segments, query, body, kind, version = request_
    route = routes[which % len(routes)]
    method = method or list(route.operations)[which % len(route.operations)]
    path = route.path
    for name, segment in zip(route.parameters, segments, strict=False):
        path = path.replace(f"{{{name}}}", PARAMETERS[name].example if segment is None else segment)
    sent = None if method in ("GET", "HEAD") else body
    asked = route.operations.get(method) or next(iter(route.operations.values()))
    token = tokens.get(asked.entry.who, "")
    answer = await api(method, f"{path}?{query}", sent, token=token, Content_Type=kind, If_Match=version)
    assert is_sound(answer, method), (method, path, query, body, answer.status, answer.body[:300])


def _spoilt(example: dict[str, Any]) -> dict[str, bytes]:
    """A good body made bad in ways that some reader of JSON somewhere lets pass."""
    good = json.dumps(example)[1:-1]
    name, rest = next(iter(example), "x"), f", {good}" if good else ""

    def first(value: str) -> bytes:
        others = json.dumps({k: v for k, v in example.items() if k != name})[1:-1]
        return f'{{"{name}": {value}{", " if others else ""}{others}}}'.encode()

    return {
        "an unknown field": f'{{"is_admin": true{rest}}}'.encode(),
        "an operator": f'{{"$where": "1"{rest}}}'.encode(),
        "a key twice": f'{{"x": 1, "x": 1{rest}}}'.encode(),
        "NUL": first('"\\u0000"'),
        "half a surrogate pair": first('"\\ud800"'),
        "no number": first("1e999"),
        "NaN": first("NaN"),
        "an object with an operator": first('{"$gt": ""}'),
        "too deep": first("[" * 60 + "]" * 60),
        "no object": b'["x"]',
        "no JSON": b"{",
        "nothing": b"",
    }


async def test_no_spoilt_body_gets_past_any_operation(api: Client, tokens: dict[Who, str], routes: list[Route]) -> None:
    tried = 0
    for route in routes:
        path = route.path
        for name in route.parameters:
            path = path.replace(f"{{{name}}}", PARAMETERS[name].example)
        for method, operation in route.operations.items():
            if operation.takes is None:
                continue
            example = operation.takes.model_json_schema()["example"]
            for what, body in _spoilt(example).items():
                answer = await api(method, path, body, token=tokens.get(operation.entry.who, ""), If_Match='"v1"')
                assert answer.status in (400, 422), (method, path, what, answer.status, answer.code)
                assert answer.code in ("json_invalid", "input_invalid"), (method, path, what, answer.code)
                tried += 1
    assert tried > 100


def refusal_of(data: bytes) -> str:
    """The code of the refusal; "" for what is taken."""
    try:
        refuse_unfit_json(data)
    except FaultyInputError as error:
        return error.code
    return ""


@given(JSON | st.lists(st.integers(-(2**60), 2**60)))
def test_what_is_taken_is_what_every_reader_of_json_reads_alike(value: Any) -> None:
    data = json.dumps(value).encode()
    if refusal_of(data) == "":
        assert orjson.loads(data) == value
    else:
        assert refusal_of(data) == "json_invalid"


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    code = refusal_of(data)
    assert code == "json_invalid" or (code == "" and orjson.loads(data) == json.loads(data))


def test_many_small_values_are_refused_before_they_cost_time() -> None:
    with pytest.raises(FaultyInputError, match="values"):
        refuse_unfit_json(b"[" + b"[]," * 40_000 + b"[]]")


def test_the_bound_of_depth_is_exact() -> None:
    refuse_unfit_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(FaultyInputError, match="deeper"):
        refuse_unfit_json(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2))


async def test_every_route_for_somebody_known_is_closed_to_strangers(api: Client, routes: list[Route]) -> None:
    asked = 0
    for route in routes:
        path = route.path
        for name in route.parameters:
            path = path.replace(f"{{{name}}}", PARAMETERS[name].example)
        for method, operation in route.operations.items():
            if operation.entry.who not in KEYED:
                continue
            for credential in ("", "Bearer", "Bearer x", "Basic YTpi", "Bearer " + "a" * 600, "bearer \xe9"):
                answer = await api(method, path, b"{}" if method != "GET" else None, Authorization=credential)
                assert (answer.status, answer.headers["Www-Authenticate"]) == (401, "Bearer"), (method, path)
                asked += 1
    assert asked > 50


async def test_an_officer_without_the_role_is_refused_before_the_body_is_read(api: Client, officers: Officers) -> None:
    auditor = officers.enter(officer("auditor", Role.AUDITOR))
    for method, path in (("GET", DESK), ("POST", DESK), ("POST", f"{DESK}/x/release")):
        answer = await api(method, path, b"{" if method == "POST" else None, token=auditor)
        assert (answer.status, answer.code) == (403, "role_missing")


def test_a_query_field_that_repeats_is_taken_only_where_it_may() -> None:
    assert len(read_query("state=draft&state=submitted", AlertsQuery).state) == 2
    with pytest.raises(FaultyInputError):
        read_query("limit=5&limit=6", AlertsQuery)
