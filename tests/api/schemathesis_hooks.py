"""Read by schemathesis, through SCHEMATHESIS_HOOKS: how it can send the text forms of a batch."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
def as_text(_context: Any, value: Any) -> bytes:
    """Text as it is; whatever else is generated as Python writes it."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
