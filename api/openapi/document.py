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

from api.context import settings
from api.guard import guard_of, need_of
from api.openapi.components import HEADER_PARAMETERS, HEADERS, RESPONSES, SCHEMAS, SECURITY_SCHEMES, keep_used
from api.openapi.operation import Body, Json, Operation, Reply, operation_of
from api.openapi.rules import arguments_of, listed, method_of, path_of
from settings import VERSION

_STABLE = "/v1"
_ROOT: Json = {"url": "/"}
_SERVERS = [_ROOT, {"url": _STABLE, "description": "The stable form."}]
_PYTHON_TYPES: dict[str, type] = {"string": str, "integer": int}
_SOME_TEXT: Json = {"type": "string", "minLength": 1}
"""The dialects take any text for a name; one that cannot be a series is one that was never seen."""
_DESCRIPTION = """\
Exact statistics over rolling windows of events.

**Stable form:** the same paths below `/v1`, the second server. Without the prefix they are always those of the newest
version; today the two are one. Paths below `/dialects` are drop-ins for other services and do not change; each
dialect has a document of its own, such as `/dialects/ticks/openapi.json`.

Errors are `application/problem+json` (RFC 9457), below `/dialects` `{"detail": ...}`. A rejected request stores
nothing. A body may come with `Content-Encoding: gzip`; limits hold for what it unpacks to. Large answers go out as
gzip where `Accept-Encoding` takes that. Where access keys are in use, each operation says what its key needs. Every
`GET` answers `HEAD` too, every path but a WebSocket's `OPTIONS`, and another method is 405 with `Allow`.
"""


NATIVE_TAGS = ("events", "statistics", "series", "streams", "alerts", "metrics", "health", "pages", "prometheus")
"""In the order in which the document lists them."""
DIALECT = "dialect "
"""Beginning of the tags of the dialects."""
_PART = """\
One of the wire formats of other services that Tidemark speaks, over the same events. All it can do: `/docs`.
"""


def build(app: Flask, base: str = "") -> Json:
    """The OpenAPI 3.1 document of every route of `app`; or, with its paths relative to it, of those below `base`."""
    marshmallow = MarshmallowPlugin(schema_name_resolver=lambda schema: schema_name(schema))
    info = {"description": _PART if base else _DESCRIPTION}
    servers = [{"url": base}] if base else _SERVERS
    spec = APISpec(f"Tidemark {base}".strip(), VERSION, "3.1.0", info=info, servers=servers, plugins=[marshmallow])
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
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    described = [(rule, operation_of(app.view_functions[rule.endpoint])) for rule in listed(app, base)]
    optional: list[Json] = [{}] if guard_of(app) is None else []
    for tag in sorted({operation.tag for _, operation in described}, key=_place_of):
        spec.tag({"name": tag})
    stable = {rule.rule for rule in app.url_map.iter_rules()}
    for rule, operation in described:
        need = need_of(app.view_functions[rule.endpoint])
        found = _operation(rule, operation)
        if need is not None and need.scope is not None:
            _require_key(found, operation, need.scope, optional)
        if not base and _STABLE + rule.rule not in stable:
            found["servers"] = [_ROOT]
        spec.path(path_of(rule).removeprefix(base), operations={method_of(rule): found})
    document: Json = spec.to_dict()
    if base:
        keep_used(document)
    return document


def _place_of(tag: str) -> tuple[bool, int, str]:
    """Return the sort key of a tag, in the order that a newcomer needs: sending and asking first, dialects last."""
    return tag.startswith(DIALECT), NATIVE_TAGS.index(tag) if tag in NATIVE_TAGS else len(NATIVE_TAGS), tag


def schema_name(schema: type[Schema] | Schema) -> str:
    """The name of a schema among the components."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _operation(rule: Rule, operation: Operation) -> Json:
    found: Json = {
        "operationId": _operation_id(rule),
        "tags": [operation.tag],
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
        found["requestBody"] = {"required": not operation.may_lack_body, "content": content}
    return found


def _require_key(found: Json, operation: Operation, scope: str, optional: list[Json]) -> None:
    """Say that it needs a key that may do this, unless that is optional: where no keys are in use."""
    found["security"] = [*optional, *({name: []} for name in SECURITY_SCHEMES)]
    found["description"] = f"{operation.description}\n\nNeeds a key that may `{scope}`.".strip()
    found["responses"] |= {name.partition("-")[0]: name for name in operation.key_errors}


def _operation_id(rule: Rule) -> str:
    words = re.findall(r"\w+", rule.rule)
    return "_".join([method_of(rule), *words, *(["slash"] if rule.rule.endswith("/") else [])])


def _parameters(rule: Rule, operation: Operation) -> list[Any]:
    names = arguments_of(rule)
    path = [{"in": "path", "name": name, "schema": operation.path.get(name, _SOME_TEXT)} for name in names]
    query = [{"in": "query", "schema": operation.query}] if operation.query else []
    return [*path, *query, *operation.headers]


def _media(bodies: tuple[Body, ...]) -> Json:
    schemas = [_array_of(body.schema) if body.is_batch else body.schema for body in bodies]
    examples = {name: {"value": value} for body in bodies for name, value in body.examples.items()}
    return {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}, "examples": examples}


def _array_of(schema: type[Schema] | Json) -> Json:
    return {"type": "array", "items": schema, **_batch_size()}


def _batch_size() -> Json:
    return {"minItems": 1, "maxItems": settings().max_batch}


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
    """Return the field's own schema; and drop a default that is not written as a client would write it."""
    found: Json = getattr(field, "json_schema", {})
    if not isinstance(ret.get("default"), _PYTHON_TYPES.get(found.get("type", ""), ())):
        ret.pop("default", None)
    return found | _batch_size() if getattr(field, "is_batch", False) else found


def _separated_by_commas(_converter: Any, field: Field[Any], ret: Json) -> Json:
    """Return how an array stands in a query: separated by commas, or one parameter for each."""
    is_array, repeated = ret["schema"].get("type") == "array", getattr(field, "is_repeated", False)
    return {"style": "form", "explode": repeated} if is_array else {}
