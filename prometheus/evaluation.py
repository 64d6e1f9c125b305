"""Evaluation of a PromQL expression, each node for all steps at once."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

import numpy as np
import promql_parser as promql

from prometheus import operators
from prometheus.aggregation import aggregate
from prometheus.answers import Refused, bad_data
from prometheus.parsing import DEEPEST, Matchers, instant_of, microseconds
from prometheus.source import Source
from prometheus.vectors import Column, Floats, Times, Value, Vector, labels_of, nameless
from prometheus.windows import FUNCTIONS, KEEP_NAME, Function, over, quantile
from times import MINUTE, format_duration, format_timestamp

MOST_VALUES = 1_000_000
"""Maximum number of values that a question works out: steps by series, each subexpression counted."""
LOOKBACK = 5 * MINUTE
"""Maximum age of the value of a bare selector, in microseconds."""
_INSTEAD = {
    "rate": "count_over_time(x[W]) / seconds",
    "irate": "count_over_time(x[W]) / seconds",
    "increase": "count_over_time(x[W])",
    "delta": "last_over_time(x[W]) - first_over_time(x[W])",
}
_KNOWN = ", ".join([*FUNCTIONS, "absent_over_time", "quantile_over_time"])


class Evaluation:
    """One question over a source, at some moments."""

    def __init__(self, source: Source, times: Times) -> None:
        self._source, self._times = source, times
        self._values = self._depth = 0
        self.warnings: set[str] = set()

    def evaluate(self, expression: Any) -> Value:
        """Return the value of an expression at each step. Raises Refused."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise bad_data(f"the query is nested more than {DEEPEST} deep; ask in several queries")
        self._source.check_time()
        try:
            return self._evaluate(expression)
        finally:
            self._depth -= 1

    @singledispatchmethod
    def _evaluate(self, expression: Any) -> Value:
        kind = type(expression).__name__
        if isinstance(expression, promql.MatrixSelector):
            raise bad_data("a range such as x[5m] has no value of its own; write last_over_time(x[5m])")
        if isinstance(expression, promql.SubqueryExpr):
            raise bad_data("subqueries are not there; write f_over_time(x[W]) and ask for a range in steps")
        raise bad_data(f"{kind} is not there; write numbers, selectors, functions and operators")

    @_evaluate.register
    def _(self, expression: promql.NumberLiteral) -> Value:
        self._charge(1)
        return np.full(len(self._times), float(expression.val))

    @_evaluate.register
    def _(self, expression: promql.ParenExpr) -> Value:
        return self.evaluate(expression.expr)

    @_evaluate.register
    def _(self, expression: promql.UnaryExpr) -> Value:
        found = self.evaluate(expression.expr)
        if isinstance(found, np.ndarray):
            return -found
        return {nameless(labels): Column(-column.values, column.there) for labels, column in found.items()}

    @_evaluate.register
    def _(self, expression: promql.BinaryExpr) -> Value:
        left, right = self.evaluate(expression.lhs), self.evaluate(expression.rhs)
        self._charge(max(len(side) if isinstance(side, dict) else 1 for side in (left, right)))
        return operators.apply(expression, left, right)

    @_evaluate.register
    def _(self, expression: promql.AggregateExpr) -> Value:
        of = self.evaluate(expression.expr)
        parameter = None if expression.param is None else self._scalar(expression.param)
        assert isinstance(of, dict)
        self._charge(len(of))
        return aggregate(expression, of, parameter)

    @_evaluate.register
    def _(self, expression: promql.VectorSelector) -> Value:
        width = min(LOOKBACK, self._source.retention)
        return self._over(expression, width, FUNCTIONS["last_over_time"], keep_name=True)

    @_evaluate.register
    def _(self, expression: promql.Call) -> Value:
        name, arguments = expression.func.name, expression.args
        if name not in FUNCTIONS and name not in ("absent_over_time", "quantile_over_time"):
            instead = f"write {_INSTEAD[name]}" if name in _INSTEAD else f"there are {_KNOWN}"
            raise bad_data(f"{name}() is not there; {instead}")
        matrix = arguments[-1]
        if not isinstance(matrix, promql.MatrixSelector):
            raise bad_data(f"{name}() takes a range of a selector, such as tidemark[5m]; subqueries are not there")
        width = microseconds(matrix.range)
        if width > self._source.retention:
            longest = format_duration(self._source.retention)
            raise bad_data(
                f"a range of {format_duration(width)} is longer than the retention; write at most [{longest}]"
            )
        selector = matrix.vector_selector
        if name == "absent_over_time":
            return self._absent(selector, width)
        if name == "quantile_over_time":
            shares = self._scalar(arguments[0])
            return self._over(selector, width, quantile(shares, self._source.check_time))
        return self._over(selector, width, FUNCTIONS[name], keep_name=name in KEEP_NAME)

    def _scalar(self, expression: Any) -> Floats:
        found = self.evaluate(expression)
        if not isinstance(found, np.ndarray):
            raise bad_data("a number is wanted here, not a vector; write a number such as 0.9")
        return found

    def _over(
        self, selector: promql.VectorSelector, width: int, function: Function, *, keep_name: bool = False
    ) -> Vector:
        names = self._source.names(Matchers(selector))
        self._charge(len(names))
        ends = self._ends(selector)
        found: dict[str, Column] = {}
        for some, samples in self._source.groups(names, int(ends.min()) - width, int(ends.max())):
            values, there = over(samples, ends, width, function)
            found.update(zip(some, map(Column, values, there), strict=True))
        reachable = self._reachable(ends, width)  # after the reading, in which events may have gone
        labels = {name: labels_of(name) if keep_name else nameless(labels_of(name)) for name in found}
        return {labels[name]: Column(values, there & reachable) for name, (values, there) in found.items()}

    def _absent(self, selector: promql.VectorSelector, width: int) -> Vector:
        found = self._over(selector, width, FUNCTIONS["present_over_time"])
        there = self._reachable(self._ends(selector), width)
        for column in found.values():
            there &= ~column.there
        return {tuple(sorted(Matchers(selector).equal.items())): Column(np.ones(len(there)), there)}

    def _ends(self, selector: promql.VectorSelector) -> Times:
        """Return the ends of a selector's windows, one for each step."""
        ends = self._times
        if selector.at is not None:
            named = {"Start": int(ends[0]), "End": int(ends[-1])}
            kind = str(selector.at.type).partition(".")[2]
            at = named[kind] if kind in named else instant_of(selector.at)
            ends = np.full(len(ends), at)
        return ends - (microseconds(selector.offset) if selector.offset is not None else 0)

    def _reachable(self, ends: Times, width: int) -> Any:
        """Return a mask of the windows within the retention, and warn where some are not."""
        cutoff = self._source.cutoff()
        there = ends - width >= cutoff
        if not there.all():
            since = format_timestamp(cutoff + width)
            self.warnings.add(
                f"windows of {format_duration(width)} are exact from {since} on; steps before are left out"
            )
        return there

    def _charge(self, series: int) -> None:
        self._values += series * len(self._times)
        if self._values > MOST_VALUES:
            detail = f"the query would work out more than {MOST_VALUES} values; take fewer steps or series"
            raise Refused(422, "execution", detail)
