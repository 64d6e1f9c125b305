"""How the original services say no: `{"detail": ...}`, and for bad input a list of what is wrong and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
from flask import Blueprint, Response
from marshmallow import ValidationError

from api.answers import answer

Fault = dict[str, Any]
"""One thing wrong with a request, in pydantic's words: `type`, `msg`, perhaps `ctx`; `at`: its index in a list."""

MOST_FAULTS = 100
"""How many faults one answer lists; a batch can have 10,000."""
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


MISSING = fault("missing", "Field required")


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


def speak_dialect(bp: Blueprint) -> None:
    """Let the views of `bp` raise Refused. All other errors get this shape from `api.problems`."""
    bp.register_error_handler(Refused, _answer)


def _answer(error: Refused) -> Response:
    return answer({"detail": error.detail}, error.status, position=error.position)
