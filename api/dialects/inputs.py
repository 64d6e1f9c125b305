"""Reading a request as the original services read it: its body, query or path, through a schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import request
from marshmallow import Schema, ValidationError

from api.bodies import read_body
from api.dialects.faults import MISSING, Refused, fault, refuse, refuse_invalid

NOT_AN_OBJECT = fault("model_attributes_type", "Input should be a valid dictionary or object to extract fields from")
UNREADABLE = "There was an error parsing the body"


def load_body(schema: Schema, read_plain: Callable[[bytes], dict[str, Any] | None] | None = None) -> dict[str, Any]:
    """The fields of the JSON body. Raises Refused with all that is wrong.

    `read_plain` knows the fields of a plainly valid body faster than the schema, or answers None.
    """
    data = read_body()
    if not data:
        refuse(MISSING, ["body"], None)
    if not _says_json():
        # To the original services this is a string, and a string is no object.
        refuse(NOT_AN_OBJECT, ["body"], data.decode(errors="replace"))
    plain = read_plain(data) if read_plain else None
    return plain or _load_json(schema, data)


def _load_json(schema: Schema, data: bytes) -> dict[str, Any]:
    document = parse(data)
    if not isinstance(document, dict):
        refuse(NOT_AN_OBJECT, ["body"], document)
    return load(schema, document, "body")


def load_query(schema: Schema) -> dict[str, Any]:
    """The fields of the query; of a repeated one, the last. Raises Refused with all that is wrong."""
    return load(schema, {name: values[-1] for name, values in request.args.lists()}, "query")


def load(schema: Schema, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields of `given`. Raises Refused with all that is wrong with the request's `where`."""
    try:
        fields: dict[str, Any] = schema.load(given)
    except ValidationError as error:
        refuse_invalid(error, given, where)
    return fields


def parse(data: bytes) -> Any:
    """The JSON document `data`. Raises Refused."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _parse_as_python_does(data)


def _parse_as_python_does(data: bytes) -> Any:
    """The standard library's reading, which is the original services': it words the fault as they do, and
    takes NaN or a lone surrogate, so that the answer can name the field."""
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        problem = fault("json_invalid", "JSON decode error", error=error.msg)
        refuse(problem, ["body", error.pos], {})
    except (ValueError, RecursionError) as error:  # not Unicode; too many digits; too deep
        raise Refused(400, UNREADABLE) from error


def _says_json() -> bool:
    kind, _, subtype = request.mimetype.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))
