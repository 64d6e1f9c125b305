"""Work in portions: a generator that yields between two portions and returns its result.

Whoever runs it may let others in at each yield, whatever they do to the view meanwhile: the result is the exact one
for the moment at which the generator ends, and so agrees with whatever is asked under the same hold of the lock.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]


def finished(steps: Steps[T]) -> T:
    """The result, with all portions done at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
