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

from api.openapi.components import HEADER_PARAMETERS, HEADERS, RESPONSES, SCHEMAS
from api.openapi.operation import Body, Json, Operation, Reply, operation_of

VERSION = "1.0.0"
_STABLE = "v1_"
"""What the names of blueprints begin with that are registered at /v1."""
_V1 = " (v1)"
"""What the tags of the stable form end with; they come first."""
_PYTHON_TYPES: dict[str, type] = {"string": str, "integer": int}
_ARGUMENT = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
_SOME_TEXT: Json = {"type": "string", "minLength": 1}
"""The dialects take any text for a name; one that cannot be a series is one that was never seen."""
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
    described = [(rule, operation_of(app.view_functions[rule.endpoint])) for rule in app.url_map.iter_rules()]
    tags = {_tag(rule, operation) for rule, operation in described}
    for tag in sorted(tags, key=lambda tag: (not tag.endswith(_V1), tag)):
        spec.tag({"name": tag})
    for rule, operation in described:
        spec.path(path_of(rule), operations={method_of(rule): _operation(rule, operation)})
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


def _operation(rule: Rule, operation: Operation) -> Json:
    found: Json = {
        "operationId": _operation_id(rule),
        "tags": [_tag(rule, operation)],
        "summary": operation.summary,
        "parameters": _parameters(rule, operation),
        "responses": {
            **{str(status): _response(reply) for status, reply in operation.replies.items()},
            **{name.partition("-")[0]: name for name in operation.errors},
        },
    }
    if operation.description:
        found["description"] = operation.description
    if operation.bodies:
        content = {kind: _media(bodies) for kind, bodies in operation.bodies.items()}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _tag(rule: Rule, operation: Operation) -> str:
    return operation.tag + _V1 if rule.endpoint.startswith(_STABLE) else operation.tag


def _operation_id(rule: Rule) -> str:
    words = re.findall(r"\w+", rule.rule)
    return "_".join([method_of(rule), *words, *(["slash"] if rule.rule.endswith("/") else [])])


def _parameters(rule: Rule, operation: Operation) -> list[Any]:
    names = _ARGUMENT.findall(rule.rule)
    path = [{"in": "path", "name": name, "schema": operation.path.get(name, _SOME_TEXT)} for name in names]
    query = [{"in": "query", "schema": operation.query}] if operation.query else []
    return [*path, *query, *operation.headers]


def _media(bodies: tuple[Body, ...]) -> Json:
    schemas = [body.schema for body in bodies]
    examples = {name: {"value": value} for body in bodies for name, value in body.examples.items()}
    return {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, "examples": examples}


def _response(reply: Reply) -> Json:
    found: Json = {"description": reply.description}
    if reply.headers:
        found["headers"] = {name: name for name in reply.headers}
    if reply.schema is not None:
        media: Json = {"schema": reply.schema}
        if reply.example is not None:
            media["example"] = reply.example
        found["content"] = {reply.media_type: media}
        found["content"].update({kind: {"schema": schema} for kind, schema in reply.other_media.items()})
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
