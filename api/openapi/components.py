"""What operations share: schemas of answers, errors, headers, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.answers import POSITION
from api.openapi.operation import Json
from api.problems import MEDIA_TYPE as PROBLEM

COUNT: Json = {"type": "integer", "minimum": 0}
NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
NUMBER: Json = {"type": "number"}
TEXT: Json = {"type": "string"}
TIME: Json = {"type": "string", "format": "date-time", "examples": ["2025-06-26T14:30:00Z"]}
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
    "Problem": object_of(
        {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT},
        {"errors": {"type": "object", "description": "Field -> messages; of a batch: index -> field -> messages."}},
    ),
}

HEADERS: dict[str, Json] = {
    POSITION: {
        "description": "Of a write: where it stands in the log. Of a read: how far the answering view had read.",
        "schema": COUNT,
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": COUNT},
    "Accept": {"description": "The media types that are accepted.", "schema": TEXT},
    "Accept-Encoding": {"description": "Of bodies: only as they are.", "schema": TEXT},
    "Upgrade": {"description": "The protocol to use.", "schema": TEXT},
    "ETag": {"description": "Which version this is.", "schema": TEXT},
}

HEADER_PARAMETERS: dict[str, Json] = {
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The `id` of the last event received; the stream goes on after it.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    }
}


def error(description: str, *headers: str, schema: str = "Problem", media_type: str = PROBLEM, **more: Any) -> Json:
    """A response that says what went wrong."""
    found: Json = {"description": description, "content": {media_type: {"schema": ref(schema), **more}}}
    if headers:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return found


_EXAMPLE = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "value: Must be a JSON number such as 12.34, not a string.",
    "errors": {"value": ["Must be a JSON number such as 12.34, not a string."]},
}

RESPONSES: dict[str, Json] = {
    "400-Invalid": error(
        "Malformed, or a field or parameter is not valid; `errors` says which. Nothing was stored.", example=_EXAMPLE
    ),
    "404-NotFound": error("There is no such thing."),
    "404-NoSeries": error("There is no such series.", POSITION),
    "413-TooLarge": error("The body is larger than MAX_BODY, or the batch than MAX_BATCH."),
    "415-MediaType": error(
        "Not one of the media types listed, not in UTF-8, or with a Content-Encoding.", "Accept", "Accept-Encoding"
    ),
    "426-NoHandshake": error("Not the handshake of a WebSocket client.", "Upgrade"),
    "429-TooManySeries": error("A new series beyond MAX_SERIES. Nothing was stored."),
    "501-CannotStream": error("The server runs under a worker class that cannot hold streams."),
    "503-Unavailable": error("The log cannot be read or written now, or all places are taken.", "Retry-After"),
}
"""Named by status and kind, as `Operation.errors` lists them."""

POSITIONED = (POSITION,)
"""The headers of answers about events."""
READ_ERRORS = ("400-Invalid", "503-Unavailable")
WRITE_ERRORS = ("400-Invalid", "413-TooLarge", "415-MediaType", "429-TooManySeries", "503-Unavailable")


def share(**schemas: Json) -> None:
    """Add to the schemas that replies name."""
    SCHEMAS.update(schemas)


def share_errors(responses: Mapping[str, Json]) -> None:
    """Add to the responses that `Operation.errors` names."""
    RESPONSES.update(responses)
