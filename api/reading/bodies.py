"""Request bodies: their bytes, their media type, their JSON."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import IO, Any

import orjson
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.context import settings
from api.guard import look_again
from api.gzip_coding import GZIP, TooLarge, unpack
from api.problems import Problem, invalid_body
from view.portions import paced

JSON = "application/json"
_CHARSETS = ("utf-8", "utf8")
_MOST_DIGITS = 400
"""Maximum digits of a whole number that is read as one; a longer one is no finite double."""
_PLAIN = {"identity", ""}
"""Content-Encodings that change nothing."""
_GZIPS = {GZIP, f"x-{GZIP}"}
_BROKEN_CHUNKS = (
    "The chunked body is malformed or broke off; send correct chunks, or the whole body with its Content-Length."
)
_BROKEN = "The body broke off while it was read; send it again."
_STALLED = "The body came so slowly that it was given up, nothing was stored; send it again, all of it."
_NO_ROOM = "This worker holds as many bytes of bodies as it may (MAX_BODIES); nothing was stored. Try again later."


def read_body() -> bytes:
    """Return the body of this request, unpacked; 413 when it has more than MAX_BODY bytes, announced or not, packed or
    not; 401 when the access key has expired meanwhile."""
    environ = request.environ
    packed = "HTTP_CONTENT_ENCODING" in environ and _is_packed(environ["HTTP_CONTENT_ENCODING"])
    body = _read(environ)
    look_again()
    return _unpacked(body) if packed else body


def _read(environ: Mapping[str, Any]) -> bytes:
    try:
        if "HTTP_TRANSFER_ENCODING" not in environ and (length := environ.get("CONTENT_LENGTH", "")).isdigit():
            return _read_announced(environ["wsgi.input"], int(length))
        # Werkzeug ends a chunked body at its limit without a word; so that limit is a byte more than ours.
        body = request.get_data(cache=False)
    except (Problem, RequestEntityTooLarge):
        raise
    except Exception as fault:  # each server has classes of its own for chunks that make no sense
        raise unread(environ, fault) from fault
    if len(body) > settings().max_body:
        raise RequestEntityTooLarge
    return body


def unread(environ: Mapping[str, Any], fault: Exception) -> Problem:
    """Return the problem for an error that reading a body has raised."""
    for cause in (fault, fault.__context__):  # Werkzeug raises its own for it
        if isinstance(cause, TimeoutError):
            return Problem(408, _STALLED)
        if isinstance(cause, OSError) and cause.errno == errno.ENOBUFS:
            return Problem(503, _NO_ROOM, headers={"Retry-After": "1"})
    return invalid_body(_BROKEN_CHUNKS if "HTTP_TRANSFER_ENCODING" in environ else _BROKEN)


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
    if request.environ.get("CONTENT_TYPE") == JSON:  # the usual one, without parsing it
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


def _is_packed(encoding: str) -> bool:
    """Return whether this Content-Encoding is gzip; 415 where it is anything else but nothing."""
    codings = [coding for part in encoding.split(",") if (coding := part.strip().lower()) not in _PLAIN]
    if len(codings) > 1 or not _GZIPS.issuperset(codings):
        raise Problem(
            415,
            f"Send the body as it is or with Content-Encoding gzip, not {encoding[:100]!r}.",
            headers={"Accept-Encoding": GZIP},
        )
    return bool(codings)


def _unpacked(body: bytes) -> bytes:
    most = settings().max_body
    try:
        return unpack(body, most)
    except TooLarge as fault:
        raise Problem(413, f"The body unpacks to more than {most} bytes (MAX_BODY); send it in parts.") from fault
    except ValueError as fault:
        raise invalid_body(f"Not the gzip that Content-Encoding announces: {fault}.") from fault


def load_json(body: bytes, explain: Callable[[Any], object]) -> Any:
    """Parse JSON; 400 when it is none, by `explain` if that can name the field at fault."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        explain_loosely(body, explain)
        raise invalid_body(f"Not valid JSON: {fault}." if body.strip() else "The body is empty; send JSON.") from fault


def explain_loosely(body: bytes, explain: Callable[[Any], object]) -> None:
    """Let `explain` name the field at fault where JSON has no word for its value (NaN, 1e400, a lone surrogate).

    The standard library reads such values all the same. `explain` is given the result, and raises if it finds a fault.
    """
    with suppress(ValueError, RecursionError):  # not even that; the fault that orjson found says it best
        explain(json.loads(body, parse_int=_whole, object_hook=paced(lambda found: found)))


def _whole(digits: str) -> float:
    """A whole number; Python has none of more than 4,300 digits, but an infinite double, which is as far beyond it."""
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
