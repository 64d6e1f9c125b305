"""Descriptions of errors that all dialects share."""

from __future__ import annotations

from api.answers import POSITION
from api.openapi.components import TEXT, WRITTEN, array, error, object_of, share, share_errors
from api.openapi.operation import JSON, Json, Reply

READ_ERRORS = ("404-Detail", "422-Detail", "503-Detail")
WRITE_ERRORS = ("400-Detail", "408-Detail", "413-Detail", "422-Detail", "429-Detail", "503-Detail")
KEY_ERRORS = ("401-Detail", "403-Detail", "421-Detail")
OLD = Reply(description="Older than 60 seconds; not stored.", headers=WRITTEN)


def _detail(description: str, *headers: str, schema: str = "Detail") -> Json:
    return error(description, *headers, schema=schema, media_type=JSON)


share(
    Detail=object_of({"detail": TEXT}),
    ValidationFaults=object_of(
        {
            "detail": {
                "anyOf": [
                    TEXT,
                    array(
                        {
                            "type": "object",
                            "properties": {"type": TEXT, "loc": array({"type": ["string", "integer"]}), "msg": TEXT},
                            "required": ["type", "loc", "msg"],
                        }
                    ),
                ]
            }
        }
    ),
)
share_errors(
    {
        "400-Detail": _detail("The request makes no sense."),
        "401-Detail": _detail("No access key, or one that is none (any more).", "WWW-Authenticate"),
        "403-Detail": _detail(
            "The access key may not do this, or not with these series; or a page of another origin asks. "
            "Nothing was stored."
        ),
        "404-Detail": _detail("There is no such thing.", POSITION),
        "408-Detail": _detail("No more of the body came for 30 seconds. Nothing was stored."),
        "413-Detail": _detail("The body is larger than MAX_BODY."),
        "421-Detail": _detail("The host asked for is neither localhost, nor an address, nor in ALLOWED_HOSTS."),
        "422-Detail": _detail(
            "A field or parameter is not valid, or the `Idempotency-Key` came before with another request.",
            schema="ValidationFaults",
        ),
        "426-Detail": _detail("Not the handshake of a WebSocket client.", "Upgrade"),
        "429-Detail": _detail(
            "More events than the key may write just now, or a new series beyond MAX_SERIES. Nothing was stored.",
            "Retry-After",
        ),
        "501-Detail": _detail("The server runs under a worker class that cannot hold streams."),
        "503-Detail": _detail("The log cannot be read or written now.", "Retry-After"),
    }
)
