"""Random walks: what the simulated instruments cost, reproducible from a seed and a name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice, repeat
from random import Random
from typing import NamedTuple

SECOND_US = 1_000_000
LONGEST_SPREAD_US = 60 * SECOND_US
"""The events of one batch are dated over at most this long, however slow the rate."""


class Event(NamedTuple):
    """What is posted: a series, its time in microseconds since the epoch, its value."""

    series: str
    time: int
    value: float


class Walk:
    """One instrument's price: uniform steps of at most `largest_step`, turned back at zero.

    Its generator comes from the seed and the name alone, so its prices depend neither on the other
    instruments nor on the threads. Not thread-safe: a walk belongs to one thread.
    """

    def __init__(
        self, name: str, seed: int | str, start: tuple[float, float], largest_step: float, decimals: int
    ) -> None:
        self.name = name
        self._random = Random(f"{seed}/{name}")  # text is hashed with SHA-512: the same on every machine
        self._price = self._random.uniform(*start)
        self._largest_step = largest_step
        self._decimals = decimals

    def step(self) -> float:
        """The next price. Only the answer is rounded, so steps smaller than its last decimal still add up."""
        self._price = abs(self._price + self._random.uniform(-self._largest_step, self._largest_step))
        return round(self._price, self._decimals)


class Feed:
    """The events of one thread: its walks in turn, at most `budget` events in all (None: without end).

    `one_series`: each batch is of one walk, the next batch of the next walk; else each event is of the next walk.
    """

    def __init__(self, walks: Sequence[Walk], *, batch: int, one_series: bool, budget: int | None = None) -> None:
        self._turns = cycle(walks)
        self._walks = len(walks)
        self._batch = batch
        self._one_series = one_series
        self._left = budget

    def next_size(self) -> int:
        """How many events the next batch holds; 0 at the end."""
        return self._batch if self._left is None else min(self._batch, self._left)

    def take(self, now: int, gap: float) -> list[Event]:
        """The next batch, dated up to `now`. `gap`: seconds between two events of this thread."""
        size = self.next_size()
        if self._left is not None:
            self._left -= size
        walks = repeat(next(self._turns), size) if self._one_series else islice(self._turns, size)
        # A batch of one walk stands for the time since that walk's turn before, so it has the gaps of all of them.
        gap_us = gap * SECOND_US * (self._walks if self._one_series else 1)
        gap_us = min(max(gap_us, 1), LONGEST_SPREAD_US / max(size, 1))
        return [
            Event(walk.name, now - round(gap_us * before), walk.step())
            for before, walk in zip(range(size - 1, -1, -1), walks, strict=False)
        ]


def budgets(count: int, instruments: int, turn: int) -> list[int]:
    """How many of `count` events fall to each instrument when they take turns of `turn` events.

    The same for any number of threads, so a seed and a count give the same events however they are posted.
    """
    full, rest = divmod(count, turn)
    per_instrument = [turn * ((full - k + instruments - 1) // instruments) for k in range(instruments)]
    per_instrument[full % instruments] += rest
    return per_instrument
