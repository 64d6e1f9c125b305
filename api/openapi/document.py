"""Put the document together from the routes of an application."""

from __future__ import annotations

import re
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from marshmallow.fields import Field
from werkzeug.routing import Rule

from api.openapi import dialects, native, pages
from api.openapi.components import HEADER_PARAMETERS, HEADERS, RESPONSES, SCHEMAS
from api.openapi.operation import Answer, Body, Json, Operation
from api.reading.schemas import SeriesName

VERSION = "1.0.0"
OPERATIONS: dict[str, Operation] = native.OPERATIONS | dialects.OPERATIONS | pages.OPERATIONS
_STABLE = "v1_"
"""What the names of blueprints begin with that are registered at /v1."""
_V1 = " (v1)"
"""What the tags of the stable form end with; they come first."""
_PYTHON_TYPES: dict[str, type] = {"string": str, "integer": int}
_ARGUMENT = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
_DESCRIPTION = """\
Exact statistics over rolling windows of events.

**Stable form:** the paths below `/v1`. The same operations without the prefix are always those of the newest
version; today the two are one. Paths below `/dialects` are drop-ins for other services and do not change.

Errors are `application/problem+json` (RFC 9457), below `/dialects` `{"detail": ...}`. A rejected request stores
nothing. Every `GET` answers `HEAD` too, every path but a WebSocket's `OPTIONS`, and
another method is 405 with `Allow`.
"""


def build(app: Flask) -> Json:
    """The OpenAPI 3.1 document of every route of `app`."""
    marshmallow = MarshmallowPlugin(schema_name_resolver=lambda schema: schema_name(schema))
    spec = APISpec("Tidemark", VERSION, "3.1.0", info={"description": _DESCRIPTION}, plugins=[marshmallow])
    assert marshmallow.converter is not None
    marshmallow.converter.add_attribute_function(_json_schema)  # type: ignore[no-untyped-call]
    marshmallow.converter.add_parameter_attribute_function(_separated_by_commas)
    for name, schema in SCHEMAS.items():
        spec.components.schema(name, schema)
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for name, response in RESPONSES.items():
        spec.components.response(name, response)
    for name, parameter in HEADER_PARAMETERS.items():
        spec.components.parameter(name, parameter["in"], parameter)
    rules = list(app.url_map.iter_rules())
    for tag in sorted({_tag(rule) for rule in rules}, key=lambda tag: (not tag.endswith(_V1), tag)):
        spec.tag({"name": tag})
    for rule in rules:
        spec.path(path_of(rule), operations={method_of(rule): _operation(rule)})
    document: Json = spec.to_dict()
    return document


def schema_name(schema: type[Schema] | Schema) -> str:
    """The name of a schema among the components."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def path_of(rule: Rule) -> str:
    """The path as OpenAPI writes it."""
    return _ARGUMENT.sub(r"{\1}", rule.rule)


def method_of(rule: Rule) -> str:
    """The one method of a rule, besides HEAD and OPTIONS."""
    [method] = (rule.methods or {"GET"}) - {"HEAD", "OPTIONS"}
    return method.lower()


def _operation(rule: Rule) -> Json:
    operation = _described(rule)
    found: Json = {
        "operationId": _operation_id(rule),
        "tags": [_tag(rule)],
        "summary": operation.summary,
        "parameters": _parameters(rule, operation),
        "responses": {
            **{str(status): _response(answer) for status, answer in operation.answers.items()},
            **{name.partition("-")[0]: name for name in operation.errors},
        },
    }
    if operation.description:
        found["description"] = operation.description
    if operation.bodies:
        content = {kind: _media(bodies) for kind, bodies in operation.bodies.items()}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _described(rule: Rule) -> Operation:
    return OPERATIONS[rule.endpoint.removeprefix(_STABLE)]


def _tag(rule: Rule) -> str:
    tag = _described(rule).tag
    return tag + _V1 if rule.endpoint.startswith(_STABLE) else tag


def _operation_id(rule: Rule) -> str:
    words = re.findall(r"\w+", rule.rule)
    return "_".join([method_of(rule), *words, *(["slash"] if rule.rule.endswith("/") else [])])


def _parameters(rule: Rule, operation: Operation) -> list[Any]:
    path = [{"in": "path", "name": name, "schema": _path_schema(rule, name)} for name in _ARGUMENT.findall(rule.rule)]
    query = [{"in": "query", "schema": operation.query}] if operation.query else []
    return [*path, *query, *operation.headers]


def _path_schema(rule: Rule, name: str) -> Json:
    if name == "k":
        return {"type": "integer", "minimum": 1, "maximum": 8}
    # The dialects take any text for a name; one that cannot be a series is one that was never seen.
    return SeriesName.json_schema if name == "series" else {"type": "string", "minLength": 1}


def _media(bodies: tuple[Body, ...]) -> Json:
    schemas = [body.schema for body in bodies]
    examples = {name: {"value": value} for body in bodies for name, value in body.examples.items()}
    return {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, "examples": examples}


def _response(answer: Answer) -> Json:
    found: Json = {"description": answer.description}
    if answer.headers:
        found["headers"] = {name: name for name in answer.headers}
    if answer.schema is not None:
        media: Json = {"schema": answer.schema}
        if answer.example is not None:
            media["example"] = answer.example
        found["content"] = {answer.media_type: media}
    return found


def _json_schema(_converter: Any, field: Field[Any], ret: Json) -> Json:
    """What the field itself says of what it takes; and no default that is not said as a client would say it."""
    found: Json = getattr(field, "json_schema", {})
    if not isinstance(ret.get("default"), _PYTHON_TYPES.get(found.get("type", ""), ())):
        ret.pop("default", None)
    return found


def _separated_by_commas(_converter: Any, field: Field[Any], ret: Json) -> Json:
    """How an array stands in a query."""
    return {"style": "form", "explode": False} if ret["schema"].get("type") == "array" else {}
