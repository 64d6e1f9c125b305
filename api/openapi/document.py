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
from api.openapi.components import KEY_ERRORS, SECURITY_SCHEMES, components, error_name, keep_used, ref
from api.openapi.operation import Body, Json, Operation, Reply, operation_of, texts_of
from api.openapi.rules import arguments_of, listed, method_of, path_of
from api.problems import shape_of
from api.reading.schemas import SeriesName
from settings import VERSION

_STABLE = "/v1"
_ROOT: Json = {"url": "/"}
_SERVERS = [_ROOT, {"url": _STABLE, "description": "The stable form."}]
_PYTHON_TYPES: dict[str, type] = {"string": str, "integer": int}
_IN_PATH: dict[str, Json] = {"series": SeriesName.json_schema}
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
    rules = listed(app, base)
    shapes = {shape_of(app, rule.rule)[1] for rule in rules}
    spec = APISpec(
        f"Tidemark {base}".strip(),
        VERSION,
        "3.1.0",
        plugins=[marshmallow],
        info={"description": _PART if base else _DESCRIPTION},
        servers=[{"url": base}] if base else _SERVERS,
        components=components(shapes),
    )
    assert marshmallow.converter is not None
    marshmallow.converter.add_attribute_function(_json_schema)  # type: ignore[no-untyped-call]
    marshmallow.converter.add_parameter_attribute_function(_separated_by_commas)
    for tag in sorted({_tag_of(rule, app) for rule in rules}, key=_place_of):
        spec.tag({"name": tag})
    stable = {rule.rule for rule in app.url_map.iter_rules()}
    for rule in rules:
        found = _operation(app, rule)
        if not base and _STABLE + rule.rule not in stable:
            found["servers"] = [_ROOT]
        spec.path(path_of(rule).removeprefix(base), operations={method_of(rule): found})
    document: Json = spec.to_dict()
    keep_used(document)
    return document


def _tag_of(rule: Rule, app: Flask) -> str:
    """Return the group of an operation: a dialect, or the name of its blueprint, unless it says another."""
    _, first, second, *_ = f"{rule.rule}/".split("/")
    if first == "dialects":
        return DIALECT + second
    return operation_of(app.view_functions[rule.endpoint]).tag or rule.endpoint.partition(".")[0]


def _place_of(tag: str) -> tuple[bool, int, str]:
    """Return the sort key of a tag, in the order that a newcomer needs: sending and asking first, dialects last."""
    return tag.startswith(DIALECT), NATIVE_TAGS.index(tag) if tag in NATIVE_TAGS else len(NATIVE_TAGS), tag


def schema_name(schema: type[Schema] | Schema) -> str:
    """The name of a schema among the components."""
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


def _operation(app: Flask, rule: Rule) -> Json:
    view = app.view_functions[rule.endpoint]
    operation, need, shape = operation_of(view), need_of(view), shape_of(app, rule.rule)[1]
    errors = operation.errors
    summary, description = texts_of(view)
    found: Json = {"operationId": _operation_id(rule), "tags": [_tag_of(rule, app)], "summary": summary}
    found["parameters"] = _parameters(rule, operation)
    if need is not None and need.scope is not None:
        # Where no keys are in use, none is needed.
        found["security"] = [*([{}] if guard_of(app) is None else []), *({name: []} for name in SECURITY_SCHEMES)]
        description = f"{description}\n\nNeeds a key that may `{need.scope}`.".strip()
        errors += KEY_ERRORS
    if description:
        found["description"] = description
    if operation.bodies:
        content = {kind: _media(bodies) for kind, bodies in operation.bodies.items()}
        found["requestBody"] = {"required": not operation.may_lack_body, "content": content}
    found["responses"] = {str(status): error_name(status, shape) for status in errors}
    found["responses"] |= {str(status): _response(reply) for status, reply in operation.replies.items()}
    return found


def _operation_id(rule: Rule) -> str:
    words = re.findall(r"\w+", rule.rule)
    return "_".join([method_of(rule), *words, *(["slash"] if rule.rule.endswith("/") else [])])


def _parameters(rule: Rule, operation: Operation) -> list[Any]:
    schemas = {**_IN_PATH, **operation.path}
    path = [{"in": "path", "name": name, "schema": schemas.get(name, _SOME_TEXT)} for name in arguments_of(rule)]
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
        # A reference: of a bare name apispec would take any schema of marshmallow's that is called so.
        found["content"] = {reply.media_type: {"schema": ref(reply.schema)}}
        if reply.example is not None:
            found["content"][reply.media_type]["example"] = reply.example
        found["content"].update({kind: {"schema": ref(schema)} for kind, schema in reply.other_media.items()})
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
