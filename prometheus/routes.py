"""The routes below `/prometheus/api/v1`, by GET and by POST forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, TypeVar

import numpy as np
from flask import Blueprint, Response, current_app

from access.keys import READ
from api.context import service
from api.guard import needs, visible
from api.openapi.components import object_of, share
from api.openapi.operation import Operation, Reply
from api.stream_answers import client_socket
from prometheus import alerting
from prometheus.answers import Refused, bad_data, instant, matrix, success
from prometheus.arguments import argument, arguments
from prometheus.evaluation import Evaluation
from prometheus.parsing import duration, moment, parse, selector_of
from prometheus.source import Limits, Source
from prometheus.vectors import METRIC, NAME, SERIES, Times, labels_of
from settings import VERSION
from streaming.polling import is_disconnected
from view.portions import giving_way

MOST_STEPS = 11_000
MOST_POINTS = 100_000
"""Maximum number of points in an answer."""
MOST_SECONDS = 30.0
MOST_SELECTORS = 20
RANGES_AT_A_TIME = 2
"""Maximum number of range questions that a worker works at; others wait."""
_PLACES = "tidemark_prometheus_ranges"

share(
    PrometheusAnswer={"type": "object", "required": ["status"]},
    PrometheusError=object_of(
        {"status": {"const": "error"}, "errorType": {"type": "string"}, "error": {"type": "string"}}
    ),
)
_DESCRIBED = Operation(
    description="As Prometheus' HTTP API has it, with the parameters in the query or in a form.",
    replies={200: Reply("The answer.", "PrometheusAnswer")},
    errors=(400, 408, 413, 415, 422, 503),
)
bp = Blueprint("prometheus", __name__)
View = TypeVar("View", bound=Callable[..., Response])


@bp.record_once
def _make_places(state: Any) -> None:
    state.app.extensions[_PLACES] = BoundedSemaphore(RANGES_AT_A_TIME)


def _route(path: str) -> Callable[[View], View]:
    """Return the decorator that gives a view its routes, opens it to keys that may read, and describes it."""

    def add(view: View) -> View:
        for route in (bp.get, bp.post):  # two rules: the document describes each method
            view = route(f"/api/v1/{path}")(view)
        return needs(READ)(_DESCRIBED(view))

    return add


def _limits() -> Limits:
    wanted = duration("timeout", text) / 1e6 if (text := argument("timeout")) else MOST_SECONDS
    sock = client_socket()
    return Limits.of(min(wanted, MOST_SECONDS), lambda: sock is not None and is_disconnected(sock))


def _source(limits: Limits | None = None) -> Source:
    return Source(service(), visible(), limits or _limits())


@contextmanager
def _place(limits: Limits) -> Iterator[None]:
    places: BoundedSemaphore = current_app.extensions[_PLACES]
    if not places.acquire(timeout=limits.seconds):
        detail = f"{RANGES_AT_A_TIME} range queries have been under way for {limits.seconds:g} s; ask again"
        raise Refused(503, "timeout", detail)
    try:
        yield
    finally:
        places.release()


@_route("query")
def query() -> Response:
    """Answer a question of one moment."""
    expression = parse(argument("query"))
    source = _source()
    time = moment("time", text) if (text := argument("time")) else source.now
    evaluation = Evaluation(source, np.array([time]))
    found = evaluation.evaluate(expression)
    return success(instant(found, time), position=source.position, warnings=evaluation.warnings)


@_route("query_range")
def query_range() -> Response:
    """Answer a question of moments a step apart."""
    expression, times, limits = parse(argument("query")), _steps(), _limits()
    with _place(limits):
        source = _source(limits)
        evaluation = Evaluation(source, times)
        found = evaluation.evaluate(expression)
        points = len(times) if isinstance(found, np.ndarray) else sum(int(one.there.sum()) for one in found.values())
        if points > MOST_POINTS:
            raise Refused(
                422, "execution", f"the answer has {points} points, and {MOST_POINTS} are the most; ask for less"
            )
        return success(matrix(found, times), position=source.position, warnings=evaluation.warnings)


def _steps() -> Times:
    start, end = moment("start", argument("start")), moment("end", argument("end"))
    step = duration("step", argument("step"))
    if end < start:
        raise bad_data('invalid parameter "end": end timestamp must not be before start time')
    if (end - start) // step > MOST_STEPS:
        raise bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return np.arange(start, end + 1, step, dtype=np.int64)


def _limit() -> int | None:
    text = argument("limit", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise bad_data(f'invalid parameter "limit": {text!r}; write a whole number, 0 for all')
    return int(text) or None


def _matching() -> tuple[list[str], int]:
    """Return the series that any `match[]` selects, all without one, and the position of the log."""
    texts = arguments().getlist("match[]")
    if len(texts) > MOST_SELECTORS:
        raise bad_data(f"there are {len(texts)} match[], and {MOST_SELECTORS} are the most; ask in several requests")
    for name in ("start", "end"):
        if text := argument(name):
            moment(name, text)
    selectors = [selector_of(text) for text in giving_way(texts)]
    source = _source()
    return source.names(lambda name: not selectors or any(one(name) for one in selectors)), source.position


@_route("series")
def series() -> Response:
    """List the label sets of the series that match."""
    if not arguments().getlist("match[]"):
        raise bad_data("no match[] parameter provided")
    limit, (names, position) = _limit(), _matching()
    return success([dict(labels_of(name)) for name in names[:limit]], position=position)


@_route("labels")
def labels() -> Response:
    """List the names of the labels."""
    limit, (names, position) = _limit(), _matching()
    return success([NAME, SERIES][:limit] if names else [], position=position)


@_route("label/<name>/values")
def label_values(name: str) -> Response:
    """List the values of a label."""
    limit, (names, position) = _limit(), _matching()
    values = {SERIES: names, NAME: [METRIC] if names else []}.get(name, [])
    return success(values[:limit], position=position)


@_route("metadata")
def metadata() -> Response:
    """Say what the metric is."""
    wanted = argument("metric", METRIC) == METRIC
    about = {"type": "gauge", "help": "The events of a series.", "unit": ""}
    return success({METRIC: [about]} if wanted else {})


@_route("status/buildinfo")
def buildinfo() -> Response:
    """Say which version this is."""
    names = ("revision", "branch", "buildUser", "buildDate", "goVersion")
    return success({"version": VERSION, **dict.fromkeys(names, "")})


@_route("rules")
def rules() -> Response:
    """List the rules of alerts."""
    found, position = alerting.groups()
    return success({"groups": found}, position=position)


@_route("alerts")
def alerts() -> Response:
    """List the alerts that are pending or firing."""
    found, position = alerting.alerts()
    return success({"alerts": found}, position=position)
