"""Check of every error outside the dialects."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from werkzeug.test import TestResponse


def assert_problem(response: TestResponse, status: int, says: str = "") -> dict[str, Any]:
    """An RFC 9457 answer with this status whose detail contains `says`; returns its body."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = orjson.loads(response.data)
    assert body.keys() - {"errors"} == {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    assert HTTPStatus(status)
    assert says in body["detail"]
    assert "Traceback" not in response.text
    return body


def assert_names(response: TestResponse, field: str, says: str = "") -> None:
    """A 400 whose `errors` name the field (or, with dots, the item and its field) and say this of it."""
    found: Any = assert_problem(response, 400)["errors"]
    for name in field.split("."):
        assert name in found, found
        found = found[name]
    assert isinstance(found, list)
    assert any(says in message for message in found), found
