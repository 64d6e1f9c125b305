"""Request bodies: their bytes, their media type, their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from typing import IO, Any

import orjson
from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from api.context import settings
from api.problems import Problem

JSON = "application/json"
_CHARSETS = ("utf-8", "utf8")


def read_body() -> bytes:
    """The body of this request; 413 when it has more than MAX_BODY bytes, announced or not."""
    environ = request.environ
    try:
        if "HTTP_TRANSFER_ENCODING" not in environ and (length := environ.get("CONTENT_LENGTH", "")).isdigit():
            return _read_announced(environ["wsgi.input"], int(length))
        # Werkzeug ends a chunked body at its limit without a word; so that limit is a byte more than ours.
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as fault:  # each server has classes of its own for chunks that make no sense
        raise Problem(400, f"The body cannot be read: {fault}.") from fault
    if len(body) > settings().max_body:
        raise RequestEntityTooLarge
    return body


def _read_announced(stream: IO[bytes], length: int) -> bytes:
    """The usual body, without what Werkzeug does for the unusual ones: measured, a tenth of a small request."""
    if length > settings().max_body:
        raise RequestEntityTooLarge
    body = stream.read(length)
    if len(body) < length:
        raise ClientDisconnected
    return body


def media_type(accepted: Collection[str] = (JSON,)) -> str:
    """The one of `accepted` that the request says it is, in UTF-8; else 415 that names them."""
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


def load_json(body: bytes, explain: Callable[[Any], object]) -> Any:
    """What the JSON says; 400 when it is none.

    What JSON has no word for (NaN, 1e400, a lone surrogate) the standard library reads all the same.
    That serves `explain`: it is given the result, and raises if it can name the field at fault.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        try:
            loose = json.loads(body)
        except (ValueError, RecursionError):
            pass  # not even that; the fault already caught says it best
        else:
            explain(loose)
        raise _not_json(body, fault) from fault


def _not_json(body: bytes, fault: orjson.JSONDecodeError) -> Problem:
    return Problem(400, f"Not valid JSON: {fault}." if body.strip() else "The body is empty; send JSON.")


def refuse_repeated_keys(documents: Iterable[bytes], quotes: int) -> None:
    """400 if an object names a key twice; `quotes` is how many quotation marks the documents need otherwise.

    orjson, like most, keeps the last one silently. Counting quotation marks clears nearly every
    request at memory speed; what they leave in doubt (a name with an escaped one) is parsed again.
    """
    documents = list(documents)
    if sum(document.count(b'"') for document in documents) != quotes:
        for document in documents:
            json.loads(document, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Problem(400, f"The field {key[:100]!r} stands twice in one object; leave one out.")
        found[key] = value
    return found
