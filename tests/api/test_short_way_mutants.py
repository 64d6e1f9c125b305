"""What holds the short way to Flask would find it wrong: each of these wrong ones it does find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from api import short_way
from api.answers import Outcome, body_and_headers
from api.reading.bodies import JSON
from api.reading.columns import plain_event
from api.reading.queries import plain_query
from api.short_way import ShortWay
from dialects.plain_batches import plain_batch_in
from tests.api.both_ways import first_difference
from tests.api.generated import ODD_HEADERS
from times import MINUTE

ENOUGH = 15_000
pytestmark = pytest.mark.no_cover

Patch = Callable[[pytest.MonkeyPatch], object]


def _always(name: str, value: object) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(name, value)


def _wrong(name: str, change: Callable[..., Any]) -> Patch:
    """The method of the short way, given to `change` together with its arguments."""
    right = getattr(ShortWay, name)
    return lambda monkeypatch: monkeypatch.setattr(ShortWay, name, lambda *args: change(right, *args))


def _in(environ: dict[str, Any], **other: Any) -> dict[str, Any]:
    return environ | other


def _keeps_body(right: Any, way: ShortWay, environ: dict[str, Any]) -> Any:
    return right(way, dict(environ))  # what is put back, Flask does not see


def _pads_body(right: Any, way: ShortWay, environ: dict[str, Any]) -> Any:
    size = len(environ["wsgi.input"].getvalue())
    return right(way, _in(environ, CONTENT_LENGTH=str(size))) if environ.get("CONTENT_LENGTH") else right(way, environ)


def _latin_name(right: Any, way: ShortWay, path: str) -> str | None:
    return path.partition("/statistics/")[2] or None


def _unbounded(right: Any, way: ShortWay, *args: Any) -> None:
    right(way, *args)
    way._max_body = 10**9


def _stores_before_it_leaves(right: Any, way: ShortWay, environ: dict[str, Any]) -> None:
    right(way, environ)


def _sends(change: Callable[[Outcome], Outcome]) -> Patch:
    return _wrong("_send", lambda right, way, outcome, start: right(way, change(outcome), start))


def _with_spaces(outcome: Outcome) -> tuple[bytes, list[tuple[str, str]]]:
    body, headers = body_and_headers(outcome)
    return body.replace(b":", b": "), headers


def _loose_event(body: bytes) -> Any:
    try:
        return plain_event(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _loose_batch(body: bytes, most: int) -> Any:
    return plain_batch_in(body, most + 1)


def _nested_batch(body: bytes, most: int) -> Any:
    return plain_batch_in(body.replace(b"[[", b"[").replace(b"]]", b"]").replace(b"],[", b","), most)


def _loose_query(query: str, retention: int) -> Any:
    return plain_query(query, 10 * retention)


def _first_query(query: str, retention: int) -> Any:
    return plain_query(query.partition("&")[0], retention)


def _only_query(query: str, retention: int) -> Any:
    return plain_query(query, retention) or (None, None)


MUTANTS: dict[str, Patch] = {
    "any header": _always("api.short_way._WITH_BODY", short_way._WITH_BODY | {name for name, _ in ODD_HEADERS}),
    "pages of others": _always("api.short_way.refusal_of", lambda environ, boundary: None),
    "any media type": _wrong("_post", lambda right, way, environ: right(way, _in(environ, CONTENT_TYPE=JSON))),
    "a query in a post": _wrong("_post", lambda right, way, environ: right(way, _in(environ, QUERY_STRING=""))),
    "any length": _wrong("__init__", lambda right, way, *args: _unbounded(right, way, *args)),
    "the length that there is": _wrong("_post", _pads_body),
    "a body not put back": _wrong("_post", _keeps_body),
    "both ways at once": _wrong("_post", _stores_before_it_leaves),
    "any name in a path": _wrong("_series", _latin_name),
    "slash at the end": _wrong("_series", lambda right, way, path: right(way, path.rstrip("/"))),
    "HEAD is GET": _wrong(
        "_outcome",
        lambda right, way, environ: right(
            way, _in(environ, REQUEST_METHOD="GET") if environ["REQUEST_METHOD"] == "HEAD" else environ
        ),
    ),
    "method in small letters": _wrong(
        "_outcome",
        lambda right, way, environ: right(way, _in(environ, REQUEST_METHOD=environ["REQUEST_METHOD"].upper())),
    ),
    "path of small letters": _wrong(
        "_outcome", lambda right, way, environ: right(way, _in(environ, PATH_INFO=environ["PATH_INFO"].lower()))
    ),
    "slashes merged": _wrong(
        "_outcome",
        lambda right, way, environ: right(way, _in(environ, PATH_INFO=environ["PATH_INFO"].replace("//", "/"))),
    ),
    "always 201": _sends(lambda outcome: outcome._replace(status=201)),
    "position of before": _sends(lambda outcome: outcome._replace(position=outcome.position - 1)),
    "an empty body for none": _sends(lambda outcome: outcome._replace(body=outcome.body or {})),
    "keys twice": _always("api.short_way.plain_event_in", _loose_event),
    "one too many": _always("dialects.short_way.plain_batch_in", _loose_batch),
    "lists in lists": _always("dialects.short_way.plain_batch_in", _nested_batch),
    "any window": _always("api.short_way.plain_query", _loose_query),
    "half a query": _always("api.short_way.plain_query", _first_query),
    "any query": _always("api.short_way.plain_query", _only_query),
    "events two minutes old": _always("dialects.short_way.MINUTE", 2 * MINUTE),
    "any name of an instrument": _always("dialects.short_way._is_name", lambda name: isinstance(name, str)),
    "milliseconds miscounted": _always("dialects.short_way._MILLISECOND", 999),
    "faults of the log as answers": _always("api.short_way.LogError", ZeroDivisionError),
    "the future as an answer": _always("api.short_way.TooFarAhead", ZeroDivisionError),
    "spaces in the JSON": _always("api.short_way.body_and_headers", _with_spaces),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_short_way_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    MUTANTS[name](monkeypatch)
    assert first_difference(ENOUGH)
