"""The statistics that answers show, in the form in which they show them."""

from __future__ import annotations

from typing import Any

from event_service import Answer
from times import format_timestamp

EDGES = ("first", "last")


def basic(found: Answer) -> dict[str, Any]:
    """The four statistics that every answer has."""
    summary = found.summary
    return {"count": summary.count, "min": summary.min, "max": summary.max, "mean": summary.mean}


def included(found: Answer, names: tuple[str, ...]) -> dict[str, Any]:
    """The statistics a request asks for by name."""
    return {name: edge(getattr(found, name)) if name in EDGES else getattr(found.summary, name) for name in names}


def edge(event: tuple[int, float] | None) -> dict[str, Any] | None:
    """An event of a known series as answers show it."""
    return None if event is None else {"timestamp": format_timestamp(event[0]), "value": event[1]}
