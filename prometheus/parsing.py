"""PromQL, parsed by `promql-parser`, which is only shown what it can take."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from math import isfinite

import promql_parser
import re2  # type: ignore[import-untyped]

from prometheus.answers import bad_data
from prometheus.patterns import refuse_large_patterns
from prometheus.vectors import METRIC, NAME, SERIES

LONGEST_QUERY = 8192
"""In bytes."""
DEEPEST = 100
"""Maximum depth of an expression: 10,000 open brackets crash the parser."""
MOST_OPERATORS = 500
"""Maximum number of operators in a query: the parser takes time by their number times the depth."""
LONGEST_PATTERN = 1000
"""In characters."""
_TOKENS = re.compile(
    r"""
      \#[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `[^`]*`      # no operator is in comments and strings,
    | (?<![\w.]) (?:\d+\.?\d*|\.\d+) [eE][+-]\d+                        # or in numbers
    | [()\[\]{},] | [-+*/%^<>] | [=!]= | \b(?:and|or|unless|atan2)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LATEST = 2**50
"""In milliseconds; beyond it microseconds leave 64 bits."""


def parse(query: str) -> promql_parser.Expr:
    """Return the expression that a query says. Raises Refused."""
    if not query:
        raise bad_data('parameter "query" is missing or empty')
    if len(query.encode()) > LONGEST_QUERY:
        raise bad_data(f'"query" is longer than {LONGEST_QUERY} bytes; ask in several queries')
    _refuse_depth(query)
    refuse_large_patterns(query)
    try:
        return promql_parser.parse(query)
    except ValueError as fault:
        raise bad_data(f"parse error: {fault}") from fault


def _refuse_depth(query: str) -> None:
    """Raise Refused for a query that may be nested so deep that the parser must not see it."""
    rows = [0]  # of operators, each of which may be a level; one for each open bracket
    operators = 0
    for found in _TOKENS.finditer(query):
        token = found[0]
        if token in "([{":
            rows.append(0)
        elif token in ")]}":
            rows = rows[:-1] or [0]
        elif token == ",":
            rows[-1] = 0
        elif token[0] not in "#\"'`.0123456789":
            rows[-1] += 1
            operators += 1
        if operators > MOST_OPERATORS:
            raise bad_data(f"the query has more than {MOST_OPERATORS} operators; ask in several queries")
        if len(rows) > DEEPEST + 1 or sum(rows) > 2 * DEEPEST:
            raise bad_data(f"the query is nested more than {DEEPEST} deep; ask in several queries")


class Matchers:
    """The matchers of a selector: equality, regular expressions over the whole value, and their contraries."""

    def __init__(self, selector: promql_parser.VectorSelector) -> None:
        """Raises Refused for a pattern that RE2 does not take."""
        found = [(str(one.op).partition(".")[2], one.name, one.value) for one in selector.matchers.matchers]
        if selector.matchers.or_matchers:
            raise bad_data('`or` between matchers is not there; write one pattern, series=~"a|b"')
        if selector.name is not None:
            found.append(("Equal", NAME, selector.name))
        self.equal = {name: value for op, name, value in found if op == "Equal" and name != NAME}
        self._tests = [
            (op, name, value if op in ("Equal", "NotEqual") else _pattern(value)) for op, name, value in found
        ]

    def __call__(self, series: str) -> bool:
        """Say whether a series matches."""
        labels = {NAME: METRIC, SERIES: series}
        return all(_matches(op, wanted, labels.get(name, "")) for op, name, wanted in self._tests)


def _matches(op: str, wanted: object, value: str) -> bool:
    if isinstance(wanted, str):
        return (wanted == value) == (op == "Equal")
    found: bool = wanted.fullmatch(value) is not None  # type: ignore[attr-defined]
    return found == (op == "Re")


def _pattern(text: str) -> object:
    if len(text) > LONGEST_PATTERN:
        raise bad_data(f"a regular expression is longer than {LONGEST_PATTERN} characters; use several queries")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as fault:
        raise bad_data(f"RE2 does not take the regular expression {text!r}: {fault}") from fault


def selector_of(text: str) -> Matchers:
    """Parse a `match[]`. Raises Refused."""
    expression = parse(text)
    if not isinstance(expression, promql_parser.VectorSelector):
        raise bad_data(f'match[] takes a selector such as tidemark{{series="a"}}, not {text!r}')
    return Matchers(expression)


def moment(name: str, text: str) -> int:
    """Return the microseconds of a time: seconds or RFC 3339. Raises Refused."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise bad_data(f'invalid parameter "{name}": cannot parse {text!r} to a valid timestamp') from None
        if found.tzinfo is None:
            raise bad_data(f'invalid parameter "{name}": {text!r} has no time zone') from None
        seconds = found.timestamp()
    if not isfinite(seconds) or abs(seconds) * 1000 > _LATEST:
        raise bad_data(f'invalid parameter "{name}": {text!r} is out of range')
    return round(seconds * 1000) * 1000


def duration(name: str, text: str) -> int:
    """Return the microseconds of a duration: seconds or such as 1m30s. Raises Refused."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = promql_parser.parse_duration(text).total_seconds()
        except (ValueError, OverflowError):
            raise bad_data(f'invalid parameter "{name}": cannot parse {text!r} to a valid duration') from None
    if not (isfinite(seconds) and seconds >= 0.001 and seconds * 1000 < _LATEST):
        raise bad_data(f'invalid parameter "{name}": zero, negative or too large: {text!r}; use a positive duration')
    return round(seconds * 1000) * 1000


def microseconds(span: timedelta) -> int:
    """Return a span in microseconds. Raises Refused for one beyond what times can be."""
    found = span // timedelta(microseconds=1)
    if abs(found) > _LATEST * 1000 // 4:
        raise bad_data("a duration is out of range; take a shorter one")
    return found


def instant_of(modifier: promql_parser.AtModifier) -> int:
    """Return the microseconds of `@ <time>`. Raises Refused for one beyond what times can be."""
    try:
        assert modifier.at is not None
        return round(modifier.at.timestamp() * 1000) * 1000
    except (ValueError, OverflowError) as fault:
        raise bad_data(f"the time after @ is out of range: {fault}") from fault
