"""Arithmetic and comparison between numbers and vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import promql_parser as promql

from prometheus.answers import bad_data
from prometheus.vectors import Column, Floats, Value, Vector, nameless

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def apply(expression: promql.BinaryExpr, left: Value, right: Value) -> Value:
    """Return the value of an operation. Raises Refused for what is not there."""
    operator, modifier = str(expression.op), expression.modifier
    if operator not in _ARITHMETIC and operator not in _COMPARISONS:
        raise bad_data(f"`{operator}` is not there; compare, or ask in several queries")
    if modifier is not None and (modifier.matching or modifier.card != promql.VectorMatchCardinality.OneToOne):
        raise bad_data("on, ignoring and group are not there; vectors match where all their labels are the same")
    with np.errstate(all="ignore"):
        return _apply(operator, bool(modifier and modifier.return_bool), left, right)


def _apply(operator: str, as_number: bool, left: Value, right: Value) -> Value:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return _computed(operator, left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        others = {nameless(labels): column for labels, column in right.items()}
        pairs = [(labels, one, others[key]) for labels, one in left.items() if (key := nameless(labels)) in others]
        rows = [(labels, one.values, other.values, one.there & other.there, one.values) for labels, one, other in pairs]
    elif isinstance(left, dict):
        assert isinstance(right, np.ndarray)
        rows = [(labels, one.values, right, one.there, one.values) for labels, one in left.items()]
    else:
        assert isinstance(right, dict)
        rows = [(labels, left, one.values, one.there, one.values) for labels, one in right.items()]
    found: Vector = {}
    filters = operator in _COMPARISONS and not as_number
    for labels, one, other, there, kept in rows:
        result = _computed(operator, one, other)
        if filters:
            found[labels] = Column(kept, there & (result != 0))
        else:
            found[nameless(labels)] = Column(result, there)
    return found


def _computed(operator: str, left: Floats, right: Floats) -> Floats:
    function = _ARITHMETIC.get(operator) or _COMPARISONS[operator]
    return np.asarray(function(left, right), np.float64)
