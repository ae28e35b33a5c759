"""The OpenAPI 3.1 document, made from the route table: what is served is what is written there, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from handlers.base import JSON
from handlers.problems import Problem
from handlers.routing import PARAMETERS, Operation, Route, Who

Json = dict[str, Any]
REF = "#/components/schemas/{model}"
PROBLEM = "application/problem+json"
_MEANINGS: Mapping[int, str] = {
    400: "the request cannot be read",
    401: "nobody known is asking",
    403: "the one who asks may not do this",
    404: "there is no such thing, or not for the one who asks",
    405: "this path does not have this method",
    409: "the thing is in a state that does not allow this",
    412: "the version of If-Match is no longer the newest",
    413: "the body is too large",
    415: "the body is of a kind that is not taken here",
    422: "the input cannot be right; `field` and `errors` say where",
    428: "If-Match is missing",
    429: "too many requests; Retry-After says when",
    503: "a part is away; Retry-After says when",
}
_SECURITY: Mapping[Who, list[Json]] = {who: [{who.value: []}] for who in (Who.CITIZEN, Who.OFFICER, Who.PARTNER)}
_DESCRIPTION = (
    "The mobile back end of a city: emergency warnings over WeChat, push and SMS, with proof of who was reached. "
    "Errors are RFC 9457 problems in Chinese or English (Accept-Language)."
)


def document_of(public: Sequence[Route], admin: Sequence[Route], version: str, admin_url: str) -> bytes:
    """The document as JSON. `admin` is what a port of its own serves, at `admin_url`."""
    names = _schemas([*public, *admin])
    paths: Json = {route.path: _path(route, names) for route in public}
    paths |= {route.path: _path(route, names) | {"servers": [{"url": admin_url}]} for route in admin}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Huimin 惠民", "version": version, "description": _DESCRIPTION, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": names.definitions,
            "securitySchemes": {
                "citizen": {"type": "http", "scheme": "bearer", "description": "the access token of POST /v1/session"},
                "officer": {"type": "http", "scheme": "bearer", "description": "the token of POST /v1/staff/session"},
                "partner": {"type": "http", "scheme": "bearer", "description": "the key that the partner was given"},
            },
            "parameters": {
                "IfMatch": {
                    "name": "If-Match", "in": "header", "required": True, "example": '"v3"',
                    "description": "the ETag of the version that the caller saw", "schema": {"type": "string"},
                },
                "AcceptLanguage": {
                    "name": "Accept-Language", "in": "header", "required": False, "example": "en",
                    "description": "zh (default) or en: the language of errors", "schema": {"type": "string"},
                },
            },
        },
    }  # fmt: skip
    return orjson.dumps(document)


_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


class _Schemas:
    """The component schemas, and how to refer to each: what a body may hold and what an answer holds may differ."""

    def __init__(self, taken: Iterable[type[BaseModel]], given: Iterable[type[BaseModel]]) -> None:
        pairs: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in dict.fromkeys(taken)]
        pairs += [(model, "serialization") for model in dict.fromkeys(given)]
        self._refs, schema = models_json_schema(pairs, ref_template=REF)
        self.definitions: Json = schema.get("$defs", {})

    def taken(self, model: type[BaseModel]) -> Json:
        """A reference to what may be sent."""
        return self._refs[model, "validation"]

    def given(self, model: type[BaseModel]) -> Json:
        """A reference to what is answered."""
        return self._refs[model, "serialization"]

    def resolve(self, reference: Json) -> Json:
        """The schema behind a reference."""
        return dict(self.definitions[reference["$ref"].rpartition("/")[2]])


def _schemas(routes: Sequence[Route]) -> _Schemas:
    operations = [operation for route in routes for operation in route.operations.values()]
    taken = [m for o in operations for m in (o.takes, o.query) if m]
    return _Schemas(taken, [Problem, *(o.gives for o in operations if o.gives)])


def _path(route: Route, schemas: _Schemas) -> Json:
    described = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PARAMETERS[name].description,
            "schema": {"type": "string", "pattern": f"^{PARAMETERS[name].pattern}$"},
            "example": PARAMETERS[name].example,
        }
        for name in route.parameters
    ]
    item: Json = {"parameters": described} if described else {}
    for method, operation in route.operations.items():
        item[method.lower()] = _operation(route, method, operation, schemas)
    return item


def _operation(route: Route, method: str, operation: Operation, schemas: _Schemas) -> Json:
    entry = operation.entry
    found: Json = {
        "operationId": _identifier(route.path, method),
        "summary": operation.summary,
        "description": f"Entry: {entry.who.value}{f' ({entry.action})' if entry.action else ''}"
        + (", one-time code of the last five minutes" if entry.is_fresh else ""),
        "tags": [_tag(route.path)],
        "parameters": [
            *({"$ref": "#/components/parameters/IfMatch"} for _ in range(operation.needs_version)),
            {"$ref": "#/components/parameters/AcceptLanguage"},
            *_query(operation, schemas),
        ],
        "responses": _responses(route, operation, schemas),
    }
    if operation.has_body:
        content = {kind: {"schema": {"type": "string"}} for kind in operation.takes_raw}
        if operation.takes:
            content[JSON] = _described(schemas.taken(operation.takes), schemas)
        found["requestBody"] = {"required": True, "content": content}
    if entry.who in _SECURITY:
        found["security"] = _SECURITY[entry.who]
    return found


def _responses(route: Route, operation: Operation, schemas: _Schemas) -> Json:
    content: Json = {
        kind: {"schema": {"type": "string"}, "example": said} for kind, said in operation.gives_raw.items()
    }
    if operation.gives:
        content[JSON] = _described(schemas.given(operation.gives), schemas)
    answer: Json = {"description": operation.summary}
    if content:
        answer["content"] = content
    found: Json = {str(operation.status): answer}
    for status, meaning in operation.answers_as.items():
        found[str(status)] = {"description": meaning} | ({} if status == 304 else {"content": content})
    problem = {"content": {PROBLEM: _described(schemas.given(Problem), schemas)}}
    for status in _problems(route, operation):
        found.setdefault(str(status), {"description": _MEANINGS[status]} | problem)
    return found | {"default": {"description": "a problem (RFC 9457)"} | problem}


def _problems(route: Route, operation: Operation) -> list[int]:
    """The statuses that the table itself makes possible."""
    found = {405, 503}
    found |= {401, 403} if operation.entry.who in _SECURITY else set()
    found |= {403} if operation.entry.who is Who.PROVIDER else set()
    found |= {404} if route.parameters else set()
    found |= {400, 422} if operation.query or operation.takes else set()
    found |= {413, 415} if operation.has_body else set()
    found |= {412, 428} if operation.needs_version else set()
    found |= {409} if operation.entry.who is Who.OFFICER and operation.status < 300 and operation.has_body else set()
    return sorted(found)


def _query(operation: Operation, schemas: _Schemas) -> list[Json]:
    if operation.query is None:
        return []
    schema = schemas.resolve(schemas.taken(operation.query))
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": field.get("description", name),
            "schema": {key: value for key, value in field.items() if key not in ("description", "examples")},
        }
        | ({"example": field["examples"][0]} if field.get("examples") else {})
        for name, field in schema["properties"].items()
    ]


def _described(reference: Json, schemas: _Schemas) -> Json:
    example = schemas.resolve(reference).get("example")
    return {"schema": reference} | ({"example": example} if example is not None else {})


def _identifier(path: str, method: str) -> str:
    """/v1/staff/alerts/{identifier}/submit, POST -> post_staff_alerts_identifier_submit."""
    words = re.findall(r"\w+", path.removeprefix("/v1"))
    return "_".join([method.lower(), *words])


def _tag(path: str) -> str:
    words: list[str] = [word for word in re.findall(r"[a-z]+", path.removeprefix("/v1")) if word != "staff"]
    return ("staff " if "/staff/" in path else "") + words[0]
