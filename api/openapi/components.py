"""What operations share: schemas of answers, errors, headers, parameters."""

from __future__ import annotations

from typing import Any

from api.openapi.operation import JSON, PROBLEM, Json
from api.reading.schemas import SeriesName, Timestamp

_COUNT: Json = {"type": "integer", "minimum": 0}
_NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
_NUMBER: Json = {"type": "number"}
_TEXT: Json = {"type": "string"}
_NAME: Json = {"type": "string", "minLength": 1, "maxLength": SeriesName.json_schema["maxLength"]}
_TIME: Json = {"type": "string", "format": "date-time", "examples": Timestamp.json_schema["examples"]}
_NAME_OR_NULL: Json = {"type": ["string", "null"]}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _object(required: Json, optional: Json | None = None) -> Json:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


_EVENT_OR_NULL: Json = {"anyOf": [_ref("StoredEvent"), {"type": "null"}]}
_BASIC: Json = {"count": _COUNT, "min": _NUMBER_OR_NULL, "max": _NUMBER_OR_NULL, "mean": _NUMBER_OR_NULL}

SCHEMAS: dict[str, Json] = {
    "Accepted": _object({"stored": _COUNT, "expired": _COUNT}),
    "StoredEvent": _object({"timestamp": _TIME, "value": _NUMBER}),
    "Statistics": _object(
        _BASIC,
        {
            "sum": _NUMBER_OR_NULL,
            "variance": _NUMBER_OR_NULL,
            "stddev": _NUMBER_OR_NULL,
            "first": _EVENT_OR_NULL,
            "last": _EVENT_OR_NULL,
        },
    ),
    "SeriesInfo": _object({"series": _NAME, "count": _COUNT, "first": _EVENT_OR_NULL, "last": _EVENT_OR_NULL}),
    "SeriesPage": _object({"series": _array(_ref("SeriesInfo")), "next": _NAME_OR_NULL}),
    "Events": _object({"series": _NAME, "events": _array(_ref("StoredEvent"))}),
    "Status": _object({"status": _TEXT}, {"detail": _TEXT}),
    "Text": _TEXT,
    "File": {},
    "Document": {"type": "object"},
    "Problem": _object(
        {"type": _TEXT, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
        {"errors": {"type": "object", "description": "Field -> messages; of a batch: index -> field -> messages."}},
    ),
    "Detail": _object({"detail": _TEXT}),
    "ValidationFaults": _object(
        {
            "detail": {
                "anyOf": [
                    _TEXT,
                    _array(
                        {
                            "type": "object",
                            "properties": {
                                "type": _TEXT,
                                "loc": _array({"type": ["string", "integer"]}),
                                "msg": _TEXT,
                            },
                            "required": ["type", "loc", "msg"],
                        }
                    ),
                ]
            }
        }
    ),
    "Nothing": _object({}),
    "MinuteOfTicks": _object({"avg": _NUMBER_OR_NULL, "max": _NUMBER_OR_NULL, "min": _NUMBER_OR_NULL, "count": _COUNT}),
    "MinuteOfTransactions": _object(
        {
            "sum": _NUMBER_OR_NULL,
            "avg": _NUMBER_OR_NULL,
            "max": _NUMBER_OR_NULL,
            "min": _NUMBER_OR_NULL,
            "count": _COUNT,
        }
    ),
    "BatchAdded": _object({"status": _TEXT, "message": _TEXT}),
    "BatchStatistics": _object(
        {
            "min": _NUMBER_OR_NULL,
            "max": _NUMBER_OR_NULL,
            "last": _NUMBER,
            "avg": _NUMBER_OR_NULL,
            "var": _NUMBER_OR_NULL,
            "values": _COUNT,
        }
    ),
    "Ticker": _object(
        {
            "id": _NAME,
            "name": _TEXT,
            "current_price": _NUMBER,
            "initial_price": _NUMBER,
            "created_at": _TIME,
            "updated_at": _TIME,
        }
    ),
    "Tickers": _array(_ref("Ticker")),
    "TickerHistory": _object(
        {"ticker": _ref("Ticker"), "history": _array(_object({"value": _NUMBER, "timestamp": _TIME}))}
    ),
}

HEADERS: dict[str, Json] = {
    "Log-Position": {
        "description": "Of a write: where it stands in the log. Of a read: how far the answering view had read.",
        "schema": _COUNT,
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": _COUNT},
    "Accept": {"description": "The media types that are accepted.", "schema": _TEXT},
    "Accept-Encoding": {"description": "Of bodies: only as they are.", "schema": _TEXT},
    "Upgrade": {"description": "The protocol to use.", "schema": _TEXT},
    "ETag": {"description": "Which version this is.", "schema": _TEXT},
}

HEADER_PARAMETERS: dict[str, Json] = {
    "Last-Event-ID": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The `id` of the last event received; the stream goes on behind it.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    }
}


def _error(description: str, *headers: str, schema: str = "Problem", media_type: str = PROBLEM, **more: Any) -> Json:
    found: Json = {"description": description, "content": {media_type: {"schema": _ref(schema), **more}}}
    if headers:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    return found


def _detail(description: str, *headers: str, schema: str = "Detail") -> Json:
    return _error(description, *headers, schema=schema, media_type=JSON)


_EXAMPLE = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "value: Must be a JSON number such as 12.34, not a string.",
    "errors": {"value": ["Must be a JSON number such as 12.34, not a string."]},
}

RESPONSES: dict[str, Json] = {
    "400-Invalid": _error(
        "Malformed, or a field or parameter is not valid; `errors` says which. Nothing was stored.", example=_EXAMPLE
    ),
    "404-NotFound": _error("There is no such thing."),
    "404-NoSeries": _error("There is no such series.", "Log-Position"),
    "413-TooLarge": _error("The body is larger than MAX_BODY, or the batch than MAX_BATCH."),
    "415-MediaType": _error(
        "Not one of the media types listed, not in UTF-8, or with a Content-Encoding.", "Accept", "Accept-Encoding"
    ),
    "426-NoHandshake": _error("Not the handshake of a WebSocket client.", "Upgrade"),
    "429-TooManySeries": _error("A new series beyond MAX_SERIES. Nothing was stored."),
    "501-CannotStream": _error("The server runs under a worker class that cannot hold streams."),
    "503-Unavailable": _error("The log cannot be read or written now, or all places are taken.", "Retry-After"),
    "400-Detail": _detail("The request makes no sense."),
    "404-Detail": _detail("There is no such thing.", "Log-Position"),
    "413-Detail": _detail("The body is larger than MAX_BODY."),
    "422-Detail": _detail("A field or parameter is not valid.", schema="ValidationFaults"),
    "426-Detail": _detail("Not the handshake of a WebSocket client.", "Upgrade"),
    "429-Detail": _detail("A new series beyond MAX_SERIES. Nothing was stored."),
    "501-Detail": _detail("The server runs under a worker class that cannot hold streams."),
    "503-Detail": _detail("The log cannot be read or written now.", "Retry-After"),
}
"""Named by status and kind, as `Operation.errors` lists them."""
