"""A request as the original services read it, through a schema; and how they say no to a bad one.

The answer is `{"detail": ...}`, which for bad input is a list of what is wrong and where.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import orjson
from flask import Response, request
from marshmallow import Schema, ValidationError
from werkzeug.http import HTTP_STATUS_CODES

from api.problems import Problem, shaped
from api.reading.bodies import JSON
from dialects.answers import END, answer

Fault = dict[str, Any]
"""One thing wrong with a request, in pydantic's words: `type`, `msg`, perhaps `ctx`; `at`: its index in a list."""

MOST_FAULTS = 100
"""Maximum number of faults that one answer lists; a batch can have 10,000."""
LONGEST_ECHO = 1000
"""An input whose JSON takes more bytes is not repeated in the answer."""


class Refused(Exception):
    """The request is answered with this status and `{"detail": detail}`; an answer about events has a position."""

    def __init__(self, status: int, detail: str | list[Fault], *, position: int | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.position = position


def fault(kind: str, msg: str, **context: Any) -> Fault:
    """A fault of pydantic's error type `kind`."""
    return {"type": kind, "msg": msg, **({"ctx": context} if context else {})}


def value_error(msg: str) -> Fault:
    """Return the fault that pydantic makes of a message by an original's own check of a field."""
    return fault("value_error", f"Value error, {msg}", error={})


MISSING = fault("missing", "Field required")
NOT_AN_OBJECT = fault("model_attributes_type", "Input should be a valid dictionary or object to extract fields from")
UNREADABLE = "There was an error parsing the body"


def load_body(
    schema: Schema, data: bytes, read_plain: Callable[[bytes], dict[str, Any] | None] | None = None
) -> dict[str, Any]:
    """The fields of the JSON body `data`. Raises Refused with all that is wrong.

    `read_plain` knows the fields of a plainly valid body faster than the schema, or answers None.
    """
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
    """Return whether the body is JSON by what the request says of it; one of which it says nothing is."""
    if not request.content_type:
        return True
    kind, _, subtype = request.mimetype.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def refuse(problem: Fault, loc: list[str | int], given: Any) -> NoReturn:
    """Answer 422 for one fault at `loc`, where `given` stood."""
    raise Refused(422, [_describe(problem, loc, given)])


def refuse_invalid(error: ValidationError, given: Mapping[str, Any], where: str) -> NoReturn:
    """Answer 422 for all that a schema found wrong with `given`, the request's `where` (body, query, path)."""
    items = [
        _locate(problem, where, name, given)
        for name, problems in error.messages_dict.items()
        for problem in (problems if isinstance(problems, list) else [problems])
    ]
    raise Refused(422, items[:MOST_FAULTS]) from error


def _locate(problem: Fault, where: str, name: str, given: Mapping[str, Any]) -> Fault:
    if name not in given:
        return _describe(problem, [where, name], given if where == "body" else None)
    value = given[name]
    if "at" in problem:
        return _describe(problem, [where, name, problem["at"]], value[problem["at"]])
    return _describe(problem, [where, name], value)


def _describe(problem: Fault, loc: list[str | int], given: Any) -> Fault:
    """The fault as the answer lists it: with its place and, where it is short, the input at fault."""
    item: Fault = {"type": problem["type"], "loc": loc, "msg": problem["msg"]}
    try:
        if len(orjson.dumps(given)) <= LONGEST_ECHO:
            item["input"] = given
    except TypeError:
        pass  # what JSON in UTF-8 cannot say (a lone surrogate, endless nesting) cannot be repeated
    if "ctx" in problem:
        item["ctx"] = problem["ctx"]
    return item


def detail_shape(problem: Problem) -> Response:
    """All other errors as the original services word them: `{"detail": "Not Found"}`."""
    status = problem.code or 500
    generic = status in (404, 405, 500)
    body = {"detail": HTTP_STATUS_CODES[status] if generic else problem.detail}
    return shaped(body, problem, JSON, END)


def answer_refused(error: Refused) -> Response:
    """The answer that a view of a dialect has refused its request with."""
    return answer({"detail": error.detail}, error.status, position=error.position)
