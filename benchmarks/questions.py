"""Time that the engine takes for a question, from a thousand events to ten million."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.timing import NOW, microseconds, view_of
from rolling.span import Span
from rolling.view import View
from times import HOUR, MINUTE

SERIES = 10
Window = Callable[[random.Random], int]


class Question(NamedTuple):
    """A question, of one series in turn or of all."""

    name: str
    window: Window | None
    last: Window | None
    one: bool


def fixed(number: int) -> Window:
    """The same each time, but for an instant, since time goes on between two questions."""
    return lambda generator: number - generator.randrange(1000)


def up_to(most: int) -> Window:
    """Any, each time another."""
    return lambda generator: generator.randint(1, most)


ASKED = [
    (name, window, last)
    for name, window, last in (
        ("1 minute", fixed(MINUTE), None),
        ("5 minutes", fixed(5 * MINUTE), None),
        ("1 hour", fixed(HOUR), None),
        ("random window", up_to(HOUR), None),
        ("last 1,000", None, lambda _: 1000),
        ("last N, random", None, up_to(10**7)),
    )
]
ALL = [Question(name, window, last, one) for one in (True, False) for name, window, last in ASKED]


def time_questions(sizes: list[int], times: int, *, in_order: bool) -> list[list[float]]:
    """For each question of ALL, the median microseconds at each size."""
    columns = []
    for size in sizes:
        view = view_of(size, SERIES, in_order=in_order)
        columns.append([_time(view, question, size, times) for question in ALL])
    return [list(row) for row in zip(*columns, strict=True)]


def _time(view: View, question: Question, size: int, times: int) -> float:
    generator = random.Random(size)
    own = size // SERIES if question.one else size

    def ask() -> None:
        series = generator.randrange(SERIES) if question.one else None
        after = None if question.window is None else NOW - question.window(generator)
        last = None if question.last is None else max(1, question.last(generator) % own)
        summary = view.figures(series, Span(NOW - HOUR, after, None, last), ends=False, moves=True).summary
        summary.count, summary.min, summary.max, summary.mean  # noqa: B018  # worked out when asked for

    return microseconds(ask, times)


def rows(sizes: list[int], times: int) -> list[list[str]]:
    """The table: a row for each question and order of arrival, a column for each size."""
    table = []
    for in_order in (True, False):
        for question, medians in zip(ALL, time_questions(sizes, times, in_order=in_order), strict=True):
            table.append(
                [
                    question.name,
                    "one" if question.one else "all",
                    "in order" if in_order else "random",
                    *(f"{median:.0f}" for median in medians),
                    f"{max(medians) / min(medians):.1f}",
                ]
            )
    return table
