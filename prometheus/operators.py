"""Arithmetic and comparison between numbers and vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import promql_parser as promql

from prometheus.answers import bad_data
from prometheus.vectors import Column, Floats, Labels, Value, Vector, nameless

_ARITHMETIC: dict[str, np.ufunc] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: dict[str, np.ufunc] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def apply(expression: promql.BinaryExpr, left: Value, right: Value) -> Value:
    """Return the value of an operation. Raises Refused for what is not there."""
    name, modifier = str(expression.op), expression.modifier
    operator = _ARITHMETIC.get(name) or _COMPARISONS.get(name)
    if operator is None:
        raise bad_data(f"`{name}` is not there; compare, or ask in several queries")
    if modifier is not None and (modifier.matching or modifier.card != promql.VectorMatchCardinality.OneToOne):
        raise bad_data("on, ignoring and group are not there; vectors match where all their labels are the same")
    with np.errstate(all="ignore"):
        if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
            return _computed(operator, left, right)
        filters = name in _COMPARISONS and not (modifier and modifier.return_bool)
        return dict(_columns(operator, left, right, filters=filters))


def _columns(operator: np.ufunc, left: Value, right: Value, *, filters: bool) -> Iterator[tuple[Labels, Column]]:
    """Yield the columns of an operation between two values, at least one of which is a vector."""
    others = {nameless(labels): column for labels, column in right.items()} if isinstance(right, dict) else {}
    for labels, column in cast(Vector, left if isinstance(left, dict) else right).items():
        one = column if isinstance(left, dict) else Column(left, column.there)
        other = others.get(nameless(labels)) if isinstance(right, dict) else Column(right, column.there)
        if other is None:
            continue
        result, there = _computed(operator, one.values, other.values), one.there & other.there
        if filters:
            yield labels, Column(column.values, there & (result != 0))
        else:
            yield nameless(labels), Column(result, there)


def _computed(operator: np.ufunc, left: Floats, right: Floats) -> Floats:
    return np.asarray(operator(left, right), np.float64)
