"""Long work: a writer yields between two chunks, a reader calls a `Pause` that whoever asks gives it.

A pause may let others in, whatever they do meanwhile, since a reader reads a snapshot; or stop the reader by an
exception, which leaves nothing behind but caches that are whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Pause: TypeAlias = Callable[[], None]


def nothing() -> None:
    """Let nobody in."""
