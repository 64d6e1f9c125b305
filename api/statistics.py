"""The statistics, each declared once: what it is of some figures, and how the document describes it.

From the table follow the names that `include=` and `sort=` take, what answers show, and the schemas of the document.
Beside those in the table there are the percentiles, of which there are too many for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from api.openapi.components import COUNT, NUMBER, NUMBER_OR_NULL, TIME, object_of, ref, share
from api.openapi.operation import Json
from rolling.percentiles import Percentiles, percent
from times import format_timestamp
from view.answers import Extras, Figures

EVENT_OR_NULL: Json = {"anyOf": [ref("StoredEvent"), {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic: the function that reads it off figures, as JSON can say it, and the schema of the result."""

    read: Callable[[Figures], Any]
    schema: Json
    edge: bool = False
    """True if it needs the first and the last event of the window, which the service finds at an extra cost."""


def edge(event: tuple[int, float] | None) -> dict[str, Any] | None:
    """An event of a known series as answers show it."""
    return None if event is None else {"timestamp": format_timestamp(event[0]), "value": event[1]}


STATISTICS = {
    "count": Statistic(lambda found: found.summary.count, COUNT),
    "min": Statistic(lambda found: found.summary.min, NUMBER_OR_NULL),
    "max": Statistic(lambda found: found.summary.max, NUMBER_OR_NULL),
    "mean": Statistic(lambda found: found.summary.mean, NUMBER_OR_NULL),
    "sum": Statistic(lambda found: found.summary.sum, NUMBER_OR_NULL),
    "variance": Statistic(lambda found: found.summary.variance, NUMBER_OR_NULL),
    "stddev": Statistic(lambda found: found.summary.stddev, NUMBER_OR_NULL),
    "first": Statistic(lambda found: edge(found.first), EVENT_OR_NULL, edge=True),
    "last": Statistic(lambda found: edge(found.last), EVENT_OR_NULL, edge=True),
}
"""By name, in the order of an answer that has them all."""
BASIC = ("count", "min", "max", "mean")
"""Those that every answer has."""
INCLUDABLE = tuple(name for name in STATISTICS if name not in BASIC)
"""Those that a request asks for by name."""
MEDIAN = "median"
MOST_PERCENTILES = 20
"""In one request."""
PERCENTILE = "^p(100([.]0{1,4})?|0?[0-9]{1,2}([.][0-9]{1,4})?)$"
OTHER_NAMES = {
    "avg": "mean",
    "average": "mean",
    "minimum": "min",
    "maximum": "max",
    "total": "sum",
    "std": "stddev",
    "stdev": "stddev",
    "var": "variance",
    "stdvar": "variance",
}
"""Names of statistics elsewhere, each with the name here."""
KNOWN = f"{', '.join(INCLUDABLE)}, {MEDIAN}, and p0 to p100 with up to 4 decimals, such as p99.9"
"""List of all statistics, for the error about an unknown one."""
NAME_SCHEMA: Json = {
    "anyOf": [{"type": "string", "enum": [*BASIC, *INCLUDABLE, MEDIAN]}, {"type": "string", "pattern": PERCENTILE}]
}


def no_such_statistic(name: str, known: str) -> str:
    """Return the message about a name that no statistic has; `known` lists those that are taken."""
    other = OTHER_NAMES.get(name.lower())
    suggestion = f"; it is called {other} here" if other else ""
    return f"There is no {name[:40]!r}{suggestion}; known are {known}."


def is_percentile(name: str) -> bool:
    """Return whether it names a percentile."""
    return name == MEDIAN or re.fullmatch(PERCENTILE, name, re.ASCII) is not None


def is_includable(name: str) -> bool:
    """Return whether a request may ask for it."""
    return name in INCLUDABLE or is_percentile(name)


def extras(names: Iterable[str], *, linear: bool = False) -> Extras:
    """Return the additions to a summary that these statistics need."""
    names = tuple(names)
    shares = tuple(percent("50" if name == MEDIAN else name[1:]) for name in names if is_percentile(name))
    edges = any(name in STATISTICS and STATISTICS[name].edge for name in names)
    return Extras(edges, Percentiles(shares, linear) if shares else None)


def shown(found: Figures, include: Iterable[str] = ()) -> dict[str, Any]:
    """The statistics that every answer has, then the included ones, as answers show them. The percentiles of the
    figures must be those of `extras` for the same names."""
    percentiles = iter(found.percentiles)
    return {
        name: STATISTICS[name].read(found) if name in STATISTICS else next(percentiles) for name in (*BASIC, *include)
    }


def rank_value(name: str) -> Callable[[Figures], float | None]:
    """Return the function that gives the rank of a series by a statistic: its number, or the value of its event."""
    if is_percentile(name):
        return lambda found: found.percentiles[0]
    read = STATISTICS[name].read
    if not STATISTICS[name].edge:
        return read
    return lambda found: None if (event := read(found)) is None else event["value"]


share(
    StoredEvent=object_of({"timestamp": TIME, "value": NUMBER}),
    Statistics=object_of(
        {name: STATISTICS[name].schema for name in BASIC},
        {**{name: STATISTICS[name].schema for name in INCLUDABLE}, MEDIAN: NUMBER_OR_NULL},
        patterns={PERCENTILE: NUMBER_OR_NULL},
    ),
)
