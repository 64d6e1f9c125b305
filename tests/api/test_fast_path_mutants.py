"""Mutation tests of the comparison of the fast path with Flask: it finds each of these wrong fast paths."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
import pytest

from access.foreign import Boundary
from api import fast_path
from api.answers import Outcome, headers_and_body
from api.fast_path import FastPath
from api.reading.bodies import JSON
from api.reading.columns import plain_event
from api.reading.queries import plain_query
from dialects.plain_batches import plain_batch_in
from tests.api.both_ways import ENOUGH, Exchange, first_difference, of_flask
from tests.api.generated import ODD_HEADERS
from times import MINUTE

pytestmark = pytest.mark.no_cover

Patch = Callable[[pytest.MonkeyPatch], object]


def _always(name: str, value: object) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(name, value)


def _wrong(name: str, change: Callable[..., Any]) -> Patch:
    """The method of the fast path, given to `change` together with its arguments."""
    right = getattr(FastPath, name)
    return lambda monkeypatch: monkeypatch.setattr(FastPath, name, lambda *args: change(right, *args))


def _asks(change: Callable[..., tuple[str, str, str, dict[str, str]]]) -> Patch:
    """Another head is asked about than came."""
    return _wrong("of", lambda right, path, *head: right(path, *change(*head)))


def _with_slash(prefix: str, path: str) -> str | None:
    return series_below(prefix, path.rstrip("/"))


series_below = fast_path._series_below


def _unbounded(right: Any, path: FastPath, *args: Any) -> None:
    right(path, *args)
    path._max_body = 10**9


def _open(right: Any, path: FastPath, *args: Any) -> None:
    right(path, *args)
    path._boundary = Boundary(["*"], ["*"], keyed=True)


def _stores_before_it_leaves(right: Any, *args: Any) -> None:
    right(*args)


def _sends(change: Callable[[Outcome], Outcome]) -> Patch:
    return _always("api.fast_path.headers_and_body", lambda outcome: headers_and_body(change(outcome)))


def _with_spaces(outcome: Outcome) -> bytes:
    return headers_and_body(outcome).replace(b'":', b'": ')


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


ODD_NAMES = {name.removeprefix("HTTP_").replace("_", "-") for name, _ in ODD_HEADERS}
MUTANTS: dict[str, Patch] = {
    "any header": _always("api.fast_path._WITH_BODY", fast_path._WITH_BODY | ODD_NAMES),
    "any media type": _wrong("_length", lambda right, path, fields: right(path, {**fields, "CONTENT-TYPE": JSON})),
    "a query in a post": _asks(
        lambda method, path, query, fields: (method, path, "" if method == "POST" else query, fields)
    ),
    "any length": _wrong("__init__", _unbounded),
    "pages of others": _wrong("__init__", _open),
    "both ways at once": _wrong("answer", _stores_before_it_leaves),
    "slash at the end": _always("api.fast_path._series_below", _with_slash),
    "HEAD is GET": _asks(lambda method, *rest: ("GET" if method == "HEAD" else method, *rest)),
    "method in small letters": _asks(lambda method, *rest: (method.upper(), *rest)),
    "path of small letters": _asks(lambda method, path, *rest: (method, path.lower(), *rest)),
    "slashes merged": _asks(lambda method, path, *rest: (method, path.replace("//", "/"), *rest)),
    "always 201": _always("api.fast_path._STATUS_LINES", dict.fromkeys(range(200, 600), b"HTTP/1.1 201 CREATED\r\n")),
    "position of before": _sends(lambda outcome: outcome._replace(position=outcome.position - 1)),
    "an empty body for none": _sends(lambda outcome: outcome._replace(body=outcome.body or {})),
    "keys twice": _always("api.fast_path.plain_event_in", _loose_event),
    "one too many": _always("dialects.fast_path.plain_batch_in", _loose_batch),
    "lists in lists": _always("dialects.fast_path.plain_batch_in", _nested_batch),
    "any window": _always("api.fast_path.plain_query", _loose_query),
    "half a query": _always("api.fast_path.plain_query", _first_query),
    "any query": _always("api.fast_path.plain_query", _only_query),
    "events two minutes old": _always("dialects.fast_path.MINUTE", 2 * MINUTE),
    "any name of an instrument": _always("dialects.fast_path._is_name", lambda name: isinstance(name, str)),
    "milliseconds miscounted": _always("dialects.fast_path._MILLISECOND", 999),
    "faults of the log as answers": _always("api.fast_path.LogError", ZeroDivisionError),
    "the future as an answer": _always("api.fast_path.TooFarAhead", ZeroDivisionError),
    "spaces in the JSON": _always("api.fast_path.headers_and_body", _with_spaces),
}


@cache
def exchanges() -> list[Exchange]:
    """Flask knows nothing of the fast path, so all of them are held to the same answers."""
    return list(of_flask(ENOUGH))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_fast_path_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    held_to = exchanges()
    MUTANTS[name](monkeypatch)
    assert first_difference(held_to)
