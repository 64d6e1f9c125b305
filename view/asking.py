"""Asking a view in portions: what takes long is worked out with the view locked for some milliseconds at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from rolling.steps import Steps
from view.level import Level
from view.portions import give_way, run_for
from view.projection import Projection

SECONDS = 0.005
"""About how long a portion takes; the last may take longer, as it puts together what all have found."""

T = TypeVar("T")
Question = Callable[[Projection], Steps[T]]
"""Works something out from a view, of one moment: that of its last portion, or, of a listing, the first. Others are let
in where it yields."""


def ask(level: Level, question: Question[T]) -> T:
    """The answer to a question, put to a view that knows all that was acknowledged by now; anew where the history
    becomes another one meanwhile."""
    asked: _Asked[T] | None = None
    try:
        while True:
            with level if asked is None else level.held() as projection:
                if asked is None or asked.projection is not projection:
                    asked = _Asked(projection, question)
                if run_for(asked.work, SECONDS):
                    return asked.answer
            give_way()
    finally:
        if asked is not None:
            asked.work.close()  # whoever leaves before the end leaves no snapshot behind


class _Asked(Generic[T]):
    """A question that was put to a view: work, and then an answer."""

    answer: T

    def __init__(self, projection: Projection, question: Question[T]) -> None:
        self.projection = projection
        self.work = self._work(question(projection))

    def _work(self, steps: Steps[T]) -> Steps[None]:
        self.answer = yield from steps
