"""Answers and errors as Prometheus writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from math import inf, isnan
from typing import Any

import numpy as np
from flask import Response

from api.answers import answer, in_portions
from api.problems import Problem, shaped
from prometheus.vectors import Floats, Times, Vector

JSON = "application/json"
MILLISECOND = 1000
_KINDS = {
    404: "not_found",
    422: "execution",
    500: "internal",
    503: "unavailable",
    401: "unauthorized",
    403: "forbidden",
}
_EXPONENT_BELOW, _EXPONENT_FROM = 1e-6, 1e21


class Refused(Problem):
    """A question that is not answered, with Prometheus' word for why."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(status, detail)
        self.kind = kind


def bad_data(detail: str) -> Refused:
    """400 for a question that is wrong, or of something that is not there."""
    return Refused(400, "bad_data", detail)


def error_shape(problem: Problem) -> Response:
    """Return the answer to a problem as Prometheus would give it."""
    kind = problem.kind if isinstance(problem, Refused) else _KINDS.get(problem.code or 500, "bad_data")
    return shaped({"status": "error", "errorType": kind, "error": problem.detail}, problem, JSON)


def success(data: object, *, position: int | None = None, warnings: Iterable[str] = ()) -> Response:
    """Return the answer to a question."""
    body = {"status": "success", "data": data}
    if found := sorted(set(warnings)):
        body["warnings"] = found
    return answer(body, position=position)


def instant(found: Vector | Floats, time: int) -> dict[str, Any]:
    """Return the data of a question of one moment."""
    at = _moment(time)
    if isinstance(found, np.ndarray):
        return {"resultType": "scalar", "result": [at, number(float(found[0]))]}
    result = [
        {"metric": dict(labels), "value": [at, number(float(column.values[0]))]}
        for labels, column in in_portions(found.items())
        if column.there[0]
    ]
    return {"resultType": "vector", "result": result}


def matrix(found: Vector | Floats, times: Times) -> dict[str, Any]:
    """Return the data of a question of many moments."""
    moments = [_moment(time) for time in times.tolist()]
    if isinstance(found, np.ndarray):
        values = [[at, number(value)] for at, value in zip(moments, found.tolist(), strict=True)]
        return {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}
    return {"resultType": "matrix", "result": list(_rows(found, moments))}


def _rows(found: Vector, moments: list[float]) -> Iterator[dict[str, Any]]:
    for labels, column in in_portions(found.items()):
        steps = np.flatnonzero(column.there).tolist()
        if steps:
            values = in_portions(column.values[steps].tolist())
            yield {
                "metric": dict(labels),
                "values": [[moments[i], number(value)] for i, value in zip(steps, values, strict=True)],
            }


def number(value: float) -> str:
    """Return a number as Prometheus writes it: the shortest that reads back the same, with an exponent only where it
    is very large or small."""
    text = repr(value)
    if "e" not in text and "n" not in text:  # neither an exponent, nor inf or nan
        return text.removesuffix(".0")
    if isnan(value):
        return "NaN"
    if value in (inf, -inf):
        return "+Inf" if value > 0 else "-Inf"
    if value and not _EXPONENT_BELOW <= abs(value) < _EXPONENT_FROM:
        return re.sub(r"(e[+-])0(?=\d)", r"\1", text.replace(".0e", "e"))
    return np.format_float_positional(value, trim="-")


def _moment(time: int) -> float:
    seconds, rest = divmod(round(time / MILLISECOND), 1000)
    return seconds + rest / 1000 if rest else seconds
