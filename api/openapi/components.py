"""Components that operations share: schemas of answers, errors, headers, parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from api.answers import POSITION, SERIES_KNOWN, SERIES_MATCHED
from api.idempotency import KEY, PATTERN, REPLAYED
from api.openapi.operation import JSON, Json
from api.problems import MEDIA_TYPE as PROBLEM_JSON
from api.problems import PROBLEM

COUNT: Json = {"type": "integer", "minimum": 0}
NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
NUMBER: Json = {"type": "number"}
TEXT: Json = {"type": "string"}
TIME: Json = {"type": "string", "format": "date-time", "examples": ["2025-06-26T14:30:00Z"]}
TIME_OR_NUMBER: Json = {"anyOf": [TIME, NUMBER], "examples": ["2025-06-26T14:30:00Z", 1750948200.25]}
NAME_OR_NULL: Json = {"type": ["string", "null"]}


def ref(name: str) -> Json:
    """The schema of this name among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Json) -> Json:
    """An array of these."""
    return {"type": "array", "items": items}


def object_of(required: Json, optional: Json | None = None, patterns: Json | None = None) -> Json:
    """An object with these properties and no others; some may be known by a pattern of their name alone."""
    return {
        **({"patternProperties": patterns} if patterns else {}),
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


SCHEMAS: dict[str, Json] = {
    "Text": TEXT,
    "File": {},
    "Document": {"type": "object"},
    PROBLEM: object_of(
        {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT},
        {"errors": {"type": "object", "description": "Field -> messages; of a batch: index -> field -> messages."}},
    ),
}

HEADERS: dict[str, Json] = {
    POSITION: {
        "description": "Of a write: where it stands in the log. Of a read: how far the answering view had read.",
        "schema": COUNT,
    },
    SERIES_KNOWN: {
        "description": "`false` where the series does not exist: the statistics are those of no events.",
        "schema": {"type": "string", "const": "false"},
    },
    SERIES_MATCHED: {
        "description": "Of a question with `series`: how many series matched, of those that the key may see.",
        "schema": COUNT,
    },
    REPLAYED: {
        "description": "`true` where the request was done before, and this is the answer it got then.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": COUNT},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": TEXT},
    "Accept": {"description": "The media types that are accepted.", "schema": TEXT},
    "Accept-Encoding": {"description": "How bodies may be encoded.", "schema": TEXT},
    "Upgrade": {"description": "The protocol to use.", "schema": TEXT},
    "ETag": {"description": "Which version this is.", "schema": TEXT},
}

HEADER_PARAMETERS: dict[str, Json] = {
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The `id` of the last event received; the stream goes on after it.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    },
    KEY: {
        "name": KEY,
        "in": "header",
        "description": "Makes the request safe to send again: within the retention the same request under the same key "
        "gets the same answer and stores nothing. A request that is refused leaves the key free.",
        "schema": {"type": "string", "pattern": f"^{PATTERN}$"},
    },
}


_EXAMPLE = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "value: Must be a JSON number such as 12.34, not a string.",
    "errors": {"value": ["Must be a JSON number such as 12.34, not a string."]},
}
ERRORS: dict[int, tuple[str, ...]] = {
    400: ("Malformed, or a field, line or parameter is not valid; the answer says which. Nothing was stored.",),
    401: ("No access key, or one that is none (any more).", "WWW-Authenticate"),
    403: ("The access key may not do this, or not with these series; or a page of another origin asks.",),
    404: ("There is no such thing.", POSITION),
    408: ("No more of the body came for 30 seconds. Nothing was stored.",),
    413: ("The body is larger than MAX_BODY, or the batch than MAX_BATCH.",),
    414: ("The first line of the request is longer than 8,190 bytes.",),
    415: (
        "Not one of the media types listed, not in UTF-8, or with a Content-Encoding other than gzip.",
        "Accept",
        "Accept-Encoding",
    ),
    421: ("The host asked for is neither localhost, nor an address, nor in ALLOWED_HOSTS.",),
    422: ("The request goes beyond a limit; or the `Idempotency-Key` came before with another one.",),
    426: ("Not the handshake of a WebSocket client.", "Upgrade"),
    429: (
        "More events than the key may write just now, or a new series beyond MAX_SERIES or the key's `max_series`.",
        "Retry-After",
    ),
    501: ("The server runs under a worker class that cannot hold streams.",),
    503: ("The log cannot be read or written now, or all places are taken.", "Retry-After"),
}
"""Descriptions of errors by status, each with the headers of its answer."""
KEY_ERRORS = (401, 403, 421)
"""Errors of requests that may not come in at all."""
WRITE_ERRORS = (400, 408, 413, 415, 422, 429, 503)


def components(shapes: Iterable[str]) -> Json:
    """Return all components of a document in which errors have the shapes that these schemas describe."""
    return {
        "schemas": dict(SCHEMAS),
        "headers": dict(HEADERS),
        "parameters": dict(HEADER_PARAMETERS),
        "securitySchemes": dict(SECURITY_SCHEMES),
        "responses": dict(found for shape in shapes for found in _error_responses(shape)),
    }


def _error_responses(schema: str) -> Iterator[tuple[str, Json]]:
    for status, (description, *headers) in ERRORS.items():
        media: Json = {"schema": ref(schema)}
        if (schema, status) == (PROBLEM, 400):
            media["example"] = _EXAMPLE
        found: Json = {"description": description, "content": {PROBLEM_JSON if schema == PROBLEM else JSON: media}}
        if headers:
            found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
        yield error_name(status, schema), found


def error_name(status: int, schema: str) -> str:
    """Return the name of an error of this shape among the responses."""
    return f"{status}-{schema}"


POSITIONED = (POSITION,)
"""The headers of answers about events."""
POSITIONED_OF_SEVERAL = (*POSITIONED, SERIES_MATCHED)
"""The headers of answers that may be about several series as one."""
WRITTEN = (POSITION, REPLAYED)
"""The headers of answers to events."""


SECURITY_SCHEMES: dict[str, Json] = {
    "token": {"type": "http", "scheme": "bearer", "description": "The token of an access key."},
    "password": {"type": "http", "scheme": "basic", "description": "The token as the password of any user."},
}


def keep_used(document: Json) -> None:
    """Drop the components that no path of the document leads to."""
    components = document["components"]
    used: set[tuple[str, str]] = set()
    found = _refs(document["paths"])
    while found:
        used |= found
        found = {ref for kind, name in found for ref in _refs(components[kind][name])} - used
    for kind, named in components.items():
        if kind == "securitySchemes":
            continue  # operations name them without a reference
        components[kind] = {name: component for name, component in named.items() if (kind, name) in used}


def _refs(node: Any) -> set[tuple[str, str]]:
    """Kinds and names of the components that it refers to."""
    if isinstance(node, list):
        return set().union(*map(_refs, node))
    if not isinstance(node, Mapping):
        return set()
    if isinstance(target := node.get("$ref"), str):
        _, _, kind, name = target.split("/")
        return {(kind, name)}
    return set().union(*map(_refs, node.values()))


def share(**schemas: Json) -> None:
    """Add to the schemas that replies name."""
    SCHEMAS.update(schemas)
