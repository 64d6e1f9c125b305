"""Samples and queries for both: ours and the Prometheus that none of us wrote.

Samples stand at whole milliseconds that end in another digit than 5, questions are asked of moments that end in 5, and
all durations are whole hundredths of a second: so no sample ever lies on the edge of a window, which Prometheus before
its third version counts in. Values are positive, so that no sum of doubles loses more than a few last bits.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from ..conftest import START

MILLISECOND = 1000

END = START // MILLISECOND + 5
"""The last moment asked for, in milliseconds."""
NAMES = ("web/checkout", "web/cart", "web/ü", "BTC/USD", "a", "b", 'quo"te', "back\\slash", "dot.ted", "a b")
SPAN = 3_000_000
"""Milliseconds over which samples lie; ten minutes of the retention are left for the windows before them."""
MATCHERS = {
    "=": ['series="a"', 'series="web/cart"', 'series="quo\\"te"'],
    "!=": ['series!="a"', 'series!="nothing"'],
    "=~": ['series=~"web/.*"', 'series=~"a|b|BTC.USD"', 'series=~"[a-d].*"', 'series=~"(?i)btc/usd|.{1,3}"'],
    "!~": ['series!~"web/.*"', 'series!~"a.*|.*e"'],
}
EXACT = ("count", "min", "max", "last", "present")
ROUNDED = ("sum", "avg")
SPREAD = ("stddev", "stdvar")
FUNCTIONS = (*EXACT, *ROUNDED, *SPREAD, "quantile", "absent")
AGGREGATIONS = ("sum", "min", "max", "avg", "count", "topk", "bottomk")


class Part(NamedTuple):
    """A part of a query; by how much its figures may differ, relative to them."""

    text: str
    error: float


ULP = 2.0**-52
ALLOWED = {**dict.fromkeys(EXACT, 0.0), **dict.fromkeys((*ROUNDED, "quantile"), 4 * ULP), **dict.fromkeys(SPREAD, 1e-9)}


class Query(NamedTuple):
    """A query, what it is made of, and when it is asked: at one moment, or at many that are a step apart."""

    text: str
    error: float
    features: frozenset[str]
    start: int
    end: int
    step: int | None


def samples(seed: int) -> dict[str, list[tuple[int, float]]]:
    """By series, each sample's milliseconds and value, in order of time."""
    random = Random(seed)
    found = {}
    for number, name in enumerate(NAMES):
        moments = random.sample(range((END - SPAN) // 10, END // 10), random.choice((40, 150, 600)))
        moments = sorted(10 * tens + random.choice((0, 1, 2, 3, 4, 6, 7, 8, 9)) for tens in moments)
        level = 10.0 ** (number % 5 - 1)
        found[name] = [(moment, round(level * random.uniform(1, 2), random.randrange(10))) for moment in moments]
    return found


def queries(seed: int, count: int) -> list[Query]:
    """That many queries, of which each function, matcher and so on has its share."""
    return [_Writer(Random(f"{seed} {number}"), number).query() for number in range(count)]


class _Writer:
    """Writes one query. The number decides which of everything comes, so that all come equally often."""

    def __init__(self, random: Random, number: int) -> None:
        self._random, self._number = random, number
        self._features: set[str] = set()

    def query(self) -> Query:
        """The query."""
        part = self._operated(self._aggregated(self._vector()))
        end = END - self._random.randrange(0, 600) * 1000
        start, step = end, None
        if self._number % 3:
            step = self._random.choice((1_000, 7_000, 60_000, 93_210))
            start = end - step * self._random.randrange(1, 25)
        return Query(*part, frozenset(self._features), start, end, step)

    def _choose(self, kind: str, choices: tuple[str, ...]) -> str:
        chosen = choices[self._number % len(choices)]
        self._features.add(f"{kind} {chosen}")
        return chosen

    def _vector(self) -> Part:
        if self._number % 12 == 11:
            self._features.add("bare selector")
            return Part(f"tidemark{self._matcher()}{self._modifier()}", 0)
        name = self._choose("function", FUNCTIONS)
        window = self._random.choice(("30s", "1m", "5m", "7m30s", "10m"))
        selector = f"tidemark{self._matcher()}[{window}]{self._modifier()}"
        if name == "absent":
            gone = self._random.choice((selector, f'tidemark{{series="gone"}}[{window}]'))
            return Part(f"absent_over_time({gone})", 0)
        if name == "quantile":
            q = self._random.choice(("0", "0.25", "0.5", "0.9", "0.99", "1", "0.123"))
            return Part(f"quantile_over_time({q}, {selector})", ALLOWED[name])
        return Part(f"{name}_over_time({selector})", ALLOWED[name])

    def _matcher(self) -> str:
        if self._number % 7 == 6:
            return ""
        return "{" + self._random.choice(MATCHERS[self._choose("matcher", tuple(MATCHERS))]) + "}"

    def _modifier(self) -> str:
        offset, at = self._random.choice(("10s", "2m", "1m30s")), END - self._random.randrange(0, 900) * 1000
        choices = {
            "": "",
            "offset": f" offset {offset}",
            "-offset": f" offset -{offset}",
            "@": f" @ {at / 1000:.3f}",
            "@ end": f" @ end() offset {offset}",
            "@ start": " @ start()",
        }
        return choices[self._choose("modifier", ("", "", "", *choices))]

    def _aggregated(self, part: Part) -> Part:
        if self._number % 5 < 2:
            return part
        name = self._choose("aggregation", AGGREGATIONS)
        if name in ("topk", "bottomk"):
            return Part(f"{name}({self._random.randrange(1, 4)}, {part.text})", part.error)
        by = self._random.choice(("", " by (series)", " without (series)", " by (other)"))
        error = part.error + (16 * ULP if name in ("sum", "avg") else 0)
        return Part(f"{name}{by} ({part.text})", 0 if name == "count" else error)

    def _operated(self, part: Part) -> Part:
        if self._number % 4 != 1:
            return part
        operators = ("+", "*", "/", ">", "<=", "!=", "== bool", ">= bool", "-", "%", "vector")
        operator = self._choose("operator", operators)
        number = self._random.choice(("2", "0.5", "3", "1e-3"))
        if operator == "vector":
            return Part(f"{part.text} / ({part.text} + {number})", 3 * part.error)
        if part.error and operator not in ("+", "*", "/"):  # these would make much of a little
            operator = "*"
        left, right = self._random.choice(((part.text, number), (number, part.text)))
        return Part(f"{left} {operator} {right}", part.error and part.error + 2 * ULP)
