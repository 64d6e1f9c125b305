"""The statistics, each declared once: what it is of an answer, and how the document describes it.

From the table follow the names that `include=` takes, what answers show, and the schemas of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from api.openapi.components import COUNT, NUMBER, NUMBER_OR_NULL, TIME, object_of, ref, share
from api.openapi.operation import Json
from event_service import Answer
from times import format_timestamp

EVENT_OR_NULL: Json = {"anyOf": [ref("StoredEvent"), {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Statistic:
    """How it is read off an answer, as JSON can say it, and the schema of that."""

    read: Callable[[Answer], Any]
    schema: Json
    edge: bool = False
    """Whether the service has to be asked for the ends of the window, which cost extra."""


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
NAME_SCHEMA: Json = {"type": "string", "enum": list(INCLUDABLE)}


def is_includable(name: str) -> bool:
    """Whether a request may ask for it."""
    return name in INCLUDABLE


def has_edge(names: Iterable[str]) -> bool:
    """Whether any of these needs the ends of the window."""
    return any(STATISTICS[name].edge for name in names)


def shown(found: Answer, include: Iterable[str] = ()) -> dict[str, Any]:
    """The statistics that every answer has, then the included ones, as answers show them."""
    return {name: STATISTICS[name].read(found) for name in (*BASIC, *include)}


share(
    StoredEvent=object_of({"timestamp": TIME, "value": NUMBER}),
    Statistics=object_of(
        {name: STATISTICS[name].schema for name in BASIC}, {name: STATISTICS[name].schema for name in INCLUDABLE}
    ),
)
