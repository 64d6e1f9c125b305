"""A client of Tidemark: sends events so that each counts exactly once, and asks for statistics."""

from __future__ import annotations

from tidemark.answers import Event, Gap, Statistics
from tidemark.buffer import BufferFull
from tidemark.client import Tidemark
from tidemark.errors import (
    Closed,
    Counts,
    NotAllowed,
    NotSent,
    Problem,
    Refused,
    RefusedEvent,
    TidemarkError,
    Unanswered,
)

__all__ = [
    "BufferFull",
    "Closed",
    "Counts",
    "Event",
    "Gap",
    "NotAllowed",
    "NotSent",
    "Problem",
    "Refused",
    "RefusedEvent",
    "Statistics",
    "Tidemark",
    "TidemarkError",
    "Unanswered",
]
