"""Request bodies: their bytes, their media type, their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import IO, Any

import orjson
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.context import settings
from api.problems import Problem, invalid_body

JSON = "application/json"
_CHARSETS = ("utf-8", "utf8")
_PLAIN = ("identity", "")
"""Content-Encodings that change nothing."""
_BROKEN_CHUNKS = (
    "The chunked body is malformed or broke off; send correct chunks, or the whole body with its Content-Length."
)
_BROKEN = "The body broke off while it was read; send it again."


def read_body() -> bytes:
    """The body of this request; 413 when it has more than MAX_BODY bytes, announced or not."""
    environ = request.environ
    try:
        if "HTTP_TRANSFER_ENCODING" not in environ and (length := environ.get("CONTENT_LENGTH", "")).isdigit():
            return _read_announced(environ["wsgi.input"], int(length))
        # Werkzeug ends a chunked body at its limit without a word; so that limit is a byte more than ours.
        body = request.get_data(cache=False)
    except (Problem, RequestEntityTooLarge):
        raise
    except Exception as fault:  # each server has classes of its own for chunks that make no sense
        raise invalid_body(_BROKEN_CHUNKS if "HTTP_TRANSFER_ENCODING" in environ else _BROKEN) from fault
    if len(body) > settings().max_body:
        raise RequestEntityTooLarge
    return body


def _read_announced(stream: IO[bytes], length: int) -> bytes:
    """The usual body, without what Werkzeug does for the unusual ones: measured, a tenth of a small request."""
    if length > settings().max_body:
        raise RequestEntityTooLarge
    body = stream.read(length)
    if len(body) < length:
        raise invalid_body(
            f"Ended after {len(body)} of the {length} bytes that Content-Length announces; send all of them."
        )
    return body


def media_type(accepted: Collection[str] = (JSON,)) -> str:
    """The one of `accepted` that the request says it is, plainly in UTF-8; else 415 that names them."""
    environ = request.environ
    if "HTTP_CONTENT_ENCODING" in environ:
        _refuse_encoding(environ["HTTP_CONTENT_ENCODING"])
    if environ.get("CONTENT_TYPE") == JSON:  # the usual one, without parsing it
        return JSON
    kind = request.mimetype
    if kind in accepted and request.mimetype_params.get("charset", "utf-8").lower() in _CHARSETS:
        return kind
    found = request.content_type
    raise Problem(
        415,
        f"Send {' or '.join(accepted)} in UTF-8, not {repr(found[:100]) if found else 'a body without Content-Type'}.",
        headers={"Accept": ", ".join(accepted)},
    )


def _refuse_encoding(encoding: str) -> None:
    if encoding.strip().lower() not in _PLAIN:
        raise Problem(
            415,
            f"Send the body as it is, not with Content-Encoding {encoding[:100]!r}.",
            headers={"Accept-Encoding": "identity"},
        )


def load_json(body: bytes, explain: Callable[[Any], object]) -> Any:
    """What the JSON says; 400 when it is none, by `explain` if that can name the field at fault."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        explain_loosely(body, explain)
        raise invalid_body(f"Not valid JSON: {fault}." if body.strip() else "The body is empty; send JSON.") from fault


def explain_loosely(body: bytes, explain: Callable[[Any], object]) -> None:
    """What JSON has no word for (NaN, 1e400, a lone surrogate) the standard library reads all the same.

    That serves `explain`: it is given the result, and raises if it can name the field at fault.
    """
    with suppress(ValueError, RecursionError):  # not even that; the fault that orjson found says it best
        explain(json.loads(body))
