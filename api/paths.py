"""Series names in paths: any character goes, slashes too, so that `BTC/USD` and `BTC%2FUSD` are one series."""

from __future__ import annotations

from flask import Flask, request
from marshmallow import ValidationError
from werkzeug.routing import BaseConverter

from api.problems import invalid
from api.reading.schemas import series_name

_REPLACED = "\ufffd"
"""What Werkzeug puts in the place of bytes that are not UTF-8."""


class SeriesConverter(BaseConverter):
    """`<series:series>` takes all that stands there; `series_in_path` says what is wrong with it."""

    regex = r"[\s\S]+"
    part_isolating = False
    weight = 200


def register(app: Flask) -> None:
    """Teach the routes of `app` the converter, and that `//` is not `/`."""
    app.url_map.converters["series"] = SeriesConverter
    app.url_map.merge_slashes = False


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
