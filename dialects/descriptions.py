"""Descriptions of answers and errors that the dialects of `{"detail": ...}` share."""

from __future__ import annotations

from api.openapi.components import TEXT, WRITTEN, array, object_of, share
from api.openapi.operation import Reply

READ_ERRORS = (404, 422, 503)
WRITE_ERRORS = (400, 408, 413, 422, 429, 503)
OLD = Reply("Older than 60 seconds; not stored.", headers=WRITTEN)

_FAULT = {
    "type": "object",
    "properties": {"type": TEXT, "loc": array({"type": ["string", "integer"]}), "msg": TEXT},
    "required": ["type", "loc", "msg"],
}
share(Detail=object_of({"detail": {"anyOf": [TEXT, array(_FAULT)]}}))
