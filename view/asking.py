"""Asking a view in portions: what takes long is worked out with the view locked for some milliseconds at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from rolling.steps import Steps
from view.log_view import LogView
from view.portions import give_way, run_for
from view.replica import Replica

SECONDS = 0.005
"""About how long a portion takes; the last may take longer, as it puts together what all have found."""

T = TypeVar("T")
Question = Callable[[LogView], Steps[T]]
"""Works something out from a view, of one moment: that of its last portion, or, of a listing, the first. Others are let
in where it yields."""


def ask(replica: Replica, question: Question[T]) -> T:
    """The answer to a question, put to a view that knows all that was acknowledged by now; anew where the history
    becomes another one meanwhile."""
    asked: _Asked[T] | None = None
    try:
        while True:
            with replica if asked is None else replica.held() as seen:
                if asked is None or asked.seen is not seen:
                    asked = _Asked(seen, question)
                if run_for(asked.work, SECONDS):
                    return asked.answer
            give_way()
    finally:
        if asked is not None:
            asked.work.close()  # whoever leaves before the end leaves no snapshot behind


class _Asked(Generic[T]):
    """A question that was put to a view: work, and then an answer."""

    answer: T

    def __init__(self, seen: LogView, question: Question[T]) -> None:
        self.seen = seen
        self.work = self._work(question(seen))

    def _work(self, steps: Steps[T]) -> Steps[None]:
        self.answer = yield from steps
