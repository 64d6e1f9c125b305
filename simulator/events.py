"""The events that are posted: the instruments in turn, in batches, dated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice, repeat
from typing import NamedTuple

from simulator.prices import Prices

SECOND_US = 1_000_000
LONGEST_SPREAD_US = 60 * SECOND_US
"""The events of one batch are dated over at most this long, however slow the rate."""


class Event(NamedTuple):
    """An event to be posted: its series, its time in microseconds since the epoch, its value."""

    series: str
    time: int
    value: float


class Feed:
    """The events of one thread: its instruments in turn, at most `budget` events in all (None: without end).

    `one_series`: each batch is of one instrument, the next batch of the next one; else each event is of the next.
    """

    def __init__(
        self, instruments: Sequence[Prices], *, batch: int, one_series: bool, budget: int | None = None
    ) -> None:
        self._turns = cycle(instruments)
        self._instruments = len(instruments)
        self._batch = batch
        self._one_series = one_series
        self._left = budget

    def next_size(self) -> int:
        """Return the number of events in the next batch; 0 at the end."""
        return self._batch if self._left is None else min(self._batch, self._left)

    def take(self, now: int, gap: float) -> list[Event]:
        """The next batch, dated up to `now`. `gap`: seconds between two events of this thread."""
        size = self.next_size()
        if self._left is not None:
            self._left -= size
        instruments = repeat(next(self._turns), size) if self._one_series else islice(self._turns, size)
        # A batch of one instrument stands for the time since its turn before, so it has the gaps of all of them.
        gap_us = gap * SECOND_US * (self._instruments if self._one_series else 1)
        gap_us = min(max(gap_us, 1), LONGEST_SPREAD_US / max(size, 1))
        return [
            Event(instrument.name, now - round(gap_us * before), instrument.next_price())
            for before, instrument in zip(range(size - 1, -1, -1), instruments, strict=False)
        ]


def budgets(count: int, instruments: int, turn: int) -> list[int]:
    """Return the number of each instrument's events among `count` when they take turns of `turn` events.

    The same for any number of threads, so a seed and a count give the same events however they are posted.
    """
    full, rest = divmod(count, turn)
    per_instrument = [turn * ((full - k + instruments - 1) // instruments) for k in range(instruments)]
    per_instrument[full % instruments] += rest
    return per_instrument
