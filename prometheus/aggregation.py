"""Aggregations over the series of a vector."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, inf, isnan, nan

import numpy as np
import promql_parser as promql

from api.answers import in_portions
from prometheus.answers import bad_data
from prometheus.vectors import NAME, Column, Floats, Labels, Present, Vector


def aggregate(expression: promql.AggregateExpr, of: Vector, parameter: Floats | None) -> Vector:
    """Return a vector's aggregation. Raises Refused for one that is not there."""
    name = str(expression.op)
    groups: dict[Labels, list[Labels]] = {}
    for labels in of:
        groups.setdefault(_group(expression.modifier, labels), []).append(labels)
    if name in ("topk", "bottomk"):
        assert parameter is not None
        return _ranked(of, list(groups.values()), parameter, largest=name == "topk")
    if name not in _AGGREGATIONS:
        raise bad_data(f"{name} is not there; there are {', '.join([*_AGGREGATIONS, 'topk', 'bottomk'])}")
    return {group: _AGGREGATIONS[name](*_stacked(of, members)) for group, members in groups.items()}


def _group(modifier: promql.AggModifier | None, labels: Labels) -> Labels:
    if modifier is None:
        return ()
    if modifier.type == promql.AggModifierType.By:
        return tuple(pair for pair in labels if pair[0] in modifier.labels)
    return tuple(pair for pair in labels if pair[0] not in modifier.labels and pair[0] != NAME)


def _stacked(of: Vector, members: list[Labels]) -> tuple[Floats, Present]:
    return np.stack([of[one].values for one in members]), np.stack([of[one].there for one in members])


def _any(there: Present) -> Present:
    found: Present = np.logical_or.reduce(there, axis=0)
    return found


def _counted(values: Floats, there: Present) -> Column:
    return Column(there.sum(axis=0).astype(np.float64), _any(there))


def _summed(values: Floats, there: Present) -> Column:
    steps = in_portions(zip(values.T, there.T, strict=True))
    return Column(np.array([_sum(row[chosen].tolist()) for row, chosen in steps]), _any(there))


def _averaged(values: Floats, there: Present) -> Column:
    total = _summed(values, there)
    return Column(total.values / np.maximum(there.sum(axis=0), 1), total.there)


def _sum(values: list[float]) -> float:
    try:
        return fsum(values)
    except OverflowError:
        return float(np.sum(values))
    except ValueError:  # both infinities
        return nan


def _extreme(least: np.ufunc, none: float) -> Callable[[Floats, Present], Column]:
    def of(values: Floats, there: Present) -> Column:
        numbers = there & ~np.isnan(values)
        found = least.reduce(np.where(numbers, values, none), axis=0)
        return Column(np.where(numbers.any(axis=0), found, nan), _any(there))

    return of


_AGGREGATIONS: dict[str, Callable[[Floats, Present], Column]] = {
    "sum": _summed,
    "min": _extreme(np.minimum, inf),
    "max": _extreme(np.maximum, -inf),
    "avg": _averaged,
    "count": _counted,
}


def _ranked(of: Vector, groups: list[list[Labels]], limits: Floats, *, largest: bool) -> Vector:
    """Return the `limits` largest or smallest of each group at each step, ordered as at the first; NaN is last."""
    kept = {labels: np.zeros(len(limits), np.bool_) for labels in of}

    def rank(labels: Labels, step: int) -> tuple[bool, float]:
        value = float(of[labels].values[step])
        return isnan(value), -value if largest else value

    for step, limit in in_portions(enumerate(limits.tolist())):
        most = int(min(max(limit, 0), len(of))) if not isnan(limit) else 0
        for members in groups:
            here = [labels for labels in members if of[labels].there[step]]
            for labels in sorted(here, key=lambda one: rank(one, step))[:most]:
                kept[labels][step] = True
    order = sorted(of, key=lambda one: rank(one, 0))
    return {labels: Column(of[labels].values, kept[labels]) for labels in order}
