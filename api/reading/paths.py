"""Series names in paths: any character may stand there, so `series_in_path` says what is wrong with them."""

from __future__ import annotations

from flask import request
from marshmallow import ValidationError

from api.problems import invalid
from api.reading.schemas import series_name

_REPLACED = "\ufffd"
"""Replacement character, which Werkzeug puts in the place of bytes that are not UTF-8."""


def series_in_path(series: str) -> str:
    """The name if it is one, else 400."""
    try:
        _refuse_bytes(series)
        return series_name(series)
    except ValidationError as fault:
        raise invalid({"series": fault.messages}) from fault


def _refuse_bytes(series: str) -> None:
    if _REPLACED in series:
        try:
            request.environ["PATH_INFO"].encode("latin-1").decode()
        except UnicodeDecodeError as fault:
            raise ValidationError("The path is not UTF-8.") from fault
