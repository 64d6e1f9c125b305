"""One error shape: `application/problem+json` (RFC 9457), and another below a prefix that has its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.http import HTTP_STATUS_CODES

from api.answers import LINE_END, encode
from api.context import settings
from api.logs import request_id
from api.other_protocols import instead
from event_log.errors import LogFull, LogUnavailable, LogUncertain, OverBudget, TooManySeries

MEDIA_TYPE = "application/problem+json"
PROBLEM = "Problem"
"""Name of the schema of an error in the OpenAPI document, where no prefix has another shape."""
MOST_ERRORS = 20
"""Maximum number of wrong fields or items that an answer lists; it counts the rest."""
BODY = "body"
"""The name in an error for the body as a whole."""
_SHAPES = "tidemark_error_shapes"
_LONGEST_NAME = 100
_RETRY_SECONDS = 1
_RETRY_SECONDS_WHEN_FULL = 10
"""Room comes back as events expire, which takes longer than a lock or a hiccup of the disk."""

Errors = Mapping[str, Any]
"""Field -> messages; of a batch: item index -> field -> messages."""
ExtraHeaders = Mapping[str, str | list[str]]
"""Headers of the answer; a list is of several lines with the same name."""


class Problem(HTTPException):
    """A request that cannot be served, and what the client is told."""

    def __init__(
        self, status: int, detail: str, *, errors: Errors | None = None, headers: ExtraHeaders | None = None
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.detail = detail
        self.errors = errors
        self.extra_headers = dict(headers or {})


Shape = Callable[[Problem], Response]
"""Words an error."""


def invalid(errors: Errors, more: int = 0) -> Problem:
    """400 for fields or items that are wrong; `more` is the number of wrong items that are not listed."""
    listed = {_printable(name): found for name, found in islice(errors.items(), MOST_ERRORS)}
    more += len(errors) - len(listed)
    detail = " ".join(_sentences(listed, limit=3)) or "The request is not valid."
    if more:
        detail += f" And {more} more that {'is' if more == 1 else 'are'} not listed."
    return Problem(400, detail, errors=listed)


def invalid_body(message: str) -> Problem:
    """400 for a body that is wrong as a whole."""
    return invalid({BODY: [message]})


def _printable(name: str) -> str:
    """A field's name as the client sent it, cut to a sensible length; UTF-8 cannot write a lone surrogate."""
    return name[:_LONGEST_NAME].encode(errors="backslashreplace").decode()


def _sentences(errors: Errors, limit: int, path: str = "") -> list[str]:
    found: list[str] = []
    for name, inner in errors.items():
        here = f"{path}.{name}" if path else str(name)
        if isinstance(inner, Mapping):
            found += _sentences(inner, limit, here)
        else:
            found.append(f"{here}: {' '.join(inner)}")
        if len(found) >= limit:
            break
    return found[:limit]


def problem_shape(problem: Problem) -> Response:
    """RFC 9457."""
    status = problem.code or 500
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Error"),
        "status": status,
        "detail": problem.detail,
    }
    if problem.errors is not None:
        body["errors"] = problem.errors
    return shaped(body, problem, MEDIA_TYPE)


def add_shape(app: Flask, prefix: str, shape: Shape, schema: str) -> None:
    """Answer the errors of paths below `prefix` in this shape, where no view or blueprint has answered itself; it is
    described by this schema of the OpenAPI document."""
    app.extensions.setdefault(_SHAPES, {})[prefix] = shape, schema


def shape_of(app: Flask, path: str) -> tuple[Shape, str]:
    """Return the shape that errors have at this path, and the name of its schema."""
    shapes: dict[str, tuple[Shape, str]] = app.extensions.get(_SHAPES, {})
    found = (shape for prefix, shape in shapes.items() if path.startswith(prefix))
    return next(found, (problem_shape, PROBLEM))


def overloaded_at(app: Flask) -> Callable[[str], Response]:
    """Return a function that gives the answer of an overloaded worker at a path, worded once in each shape."""
    detail = "This worker has more to do than it can; nothing was stored. Try again later."
    word = cache(lambda shape: shape(Problem(503, detail, headers={"Retry-After": "1"})))
    return lambda path: word(shape_of(app, path)[0])


def shaped(body: Mapping[str, Any], problem: Problem, media_type: str, end: bytes = LINE_END) -> Response:
    """The answer to a problem, with its status and headers."""
    return Response(encode(body, end), problem.code, problem.extra_headers, content_type=media_type)


def render(problem: Problem) -> Response:
    """The answer in the shape that holds at the path asked for."""
    shape, _ = shape_of(current_app, request.path)
    return shape(problem)


def register(app: Flask) -> None:
    """Answer every error of `app` as a problem."""
    app.register_error_handler(HTTPException, lambda error: render(_from_http(error)))
    app.register_error_handler(InternalServerError, lambda error: render(_from_bug()))
    app.register_error_handler(LogUnavailable, lambda error: render(_from_log(error)))
    app.register_error_handler(OverBudget, lambda error: render(_from_over_budget(error)))
    app.register_error_handler(TooManySeries, lambda error: render(_from_too_many_series(error)))


def _from_http(error: HTTPException) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, NotFound):
        path = request.path
        other = instead(request.method, path)
        return Problem(404, f"There is nothing at {path[:_LONGEST_NAME]}; the paths are listed at /docs.{other}")
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        other = instead(request.method, request.path)
        detail = f"{request.method} does not work here; use {allowed}.{other}"
        return Problem(405, detail, headers={"Allow": allowed})
    if isinstance(error, RequestEntityTooLarge):
        return Problem(413, f"The body is larger than {settings().max_body} bytes (MAX_BODY); send it in parts.")
    return Problem(error.code or 500, error.description or error.name)


def _from_bug() -> Problem:
    # Flask has logged the traceback before it comes here.
    id_ = request_id()
    detail = f"The server failed at this request; its log has the reason under request id {id_}."
    return Problem(500, detail, headers={"X-Request-ID": id_})


def _from_log(error: LogUnavailable) -> Problem:
    seconds = _RETRY_SECONDS_WHEN_FULL if isinstance(error, LogFull) else _RETRY_SECONDS
    reason = str(error) or "unavailable"
    detail = f"The log cannot serve this request now, nothing was stored: {reason}. Try again later."
    if isinstance(error, LogUncertain):
        detail = (
            f"The log has not told whether this request was stored, so it may have been: {reason}. "
            "Sent again with the `Idempotency-Key` that it had, it counts once."
        )
    return Problem(503, detail, headers={"Retry-After": str(seconds)})


def _from_over_budget(error: OverBudget) -> Problem:
    seconds = max(1, math.ceil(error.retry_after))
    detail = f"The access key may not write so many events just now, nothing was stored. Try again in {seconds} s."
    return Problem(429, detail, headers={"Retry-After": str(seconds)})


def _from_too_many_series(error: TooManySeries) -> Problem:
    there_are = f"there are {error.most} already, which is the limit (MAX_SERIES)"
    if error.owner:
        there_are = f"the key {error.owner} may have begun at most {error.most} that live (max_series)"
    return Problem(
        429, f"The request names a new series, and {there_are}; use a series that exists. Nothing was stored."
    )
