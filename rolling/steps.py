"""Long work: a writer yields between two portions, a reader calls a `Pause` that whoever asks gives it.

A pause may let others in, whatever they do meanwhile, since a reader reads a snapshot; or stop the reader by an
exception, which leaves nothing behind but caches that are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]
Pause: TypeAlias = Callable[[], None]


def nothing() -> None:
    """Let nobody in."""


def finished(steps: Steps[T], pause: Pause = nothing) -> T:
    """Return the result of some steps, with a pause after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        pause()
