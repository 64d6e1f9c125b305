"""A view: every series of the log and all of them as one, built by taking in the log's events in order.

What a view answers depends on the events taken, the horizon and the cutoffs of the question, and on
nothing else: not on when or in what portions the events came, nor on when it was pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from rolling.all_series import BLOCKS_A_STEP, AllSeries
from rolling.block import Columns, part
from rolling.epochs import Epochs
from rolling.ranks import Ranks
from rolling.reading import Reading
from rolling.shared_block import Ids
from rolling.suffixes import Suffixes
from rolling.summary import exact
from rolling.timeline import ADDED_SINGLY, each
from rolling.window import RollingWindow

PERCENTILE_BYTES = 2**28
"""Maximum bytes of the sorted runs of a view: those of 33 million different values."""
TAKEN_SINGLY = 48
"""Maximum number of events that are taken in one by one: columns would cost more."""
SERIES_A_STEP = 64
"""Number of series that are given their events in a step."""
WINDOWS_A_STEP = 256
"""Number of series that are looked at in a step."""


class Snapshot(Reading):
    """A reading that stays as it is until it is closed, whatever is written meanwhile."""

    def __init__(self, view: View) -> None:
        self._epochs, self._epoch = view.epochs, view.epochs.freeze()
        windows = view.windows.copy()
        super().__init__(windows, view.all_series.snapshot(windows), view.ranks, view._suffixes)
        self.horizon, self.taken = view.horizon, view.taken

    def close(self) -> None:
        """Have writers own what this has. To be called once, with the lock held."""
        self._epochs.thaw(self._epoch)


class View(Reading):
    """The live windows, each taken up with its first event. Not thread safe: the caller holds a lock.

    What may take long is done in steps, of a millisecond or so: an iterator that has to be run to its end."""

    def __init__(
        self,
        keep_last: int = 0,
        own_keep: Callable[[int], int | None] = lambda series: None,
        percentile_bytes: int = PERCENTILE_BYTES,
    ) -> None:
        """`own_keep` is asked for the keep of a series when it is taken up; None: as `keep_last` says."""
        self.keep_last = keep_last
        """Number of last events that a series keeps unless it has a keep of its own."""
        self._own_keep = own_keep
        self.epochs = Epochs()
        self.windows: dict[int, RollingWindow] = {}
        super().__init__(self.windows, AllSeries(self.windows, self.epochs), Ranks(percentile_bytes), Suffixes())

    def snapshot(self) -> Snapshot:
        """Take a snapshot. Not while something is being taken in."""
        return Snapshot(self)

    def window(self, series: int) -> RollingWindow:
        """The events of a series, to be written to; it is taken up if it is new."""
        found = self.windows.get(series)
        if found is None:
            keep = self._own_keep(series)
            found = RollingWindow(self.keep_last if keep is None else keep, self.epochs, own_keep=keep is not None)
            self.windows[series] = found
        elif found.epoch <= self.epochs.frozen:
            found = self.windows[series] = found.copy()
        return found

    def change_keep(self, series: int | None, horizon: int, keep: int) -> Iterator[None]:
        """Let a series, or all without a keep of their own, keep `keep` from here on, `horizon` being the log's at this
        point: what is dead under it by what they kept until now is gone for good."""
        self.raise_horizon(horizon)  # what the series now let go of, all series as one must have let go of before
        if series is not None:
            window = self.window(series)
            window.change_keep(horizon, keep)
            window.own_keep = True
            return
        self.keep_last = keep
        for number, (other, window) in enumerate(list(self.windows.items()), 1):
            if not window.own_keep:
                self.window(other).change_keep(horizon, keep)
            if number % WINDOWS_A_STEP == 0:
                yield

    def end_series(self, series: int) -> Iterator[None]:
        """Forget a series and all its events."""
        if series in self.windows:
            window = self.window(series)  # else a snapshot would lose what goes
            del self.windows[series]
            if window.count_after(self.horizon):
                yield from self.all_series.remove(series, window)
            yield from window.let_go()

    def add(self, series: int, time: int, value: float, position: int) -> None:
        """Take in one event, at a position above all others."""
        parts = exact(value)
        if time > self.horizon:
            self.all_series.take(series, time, value, position, parts)
        window = self.window(series)
        window.add(time, value, position, parts)
        window.taken += 1
        self.taken += 1

    def add_many(
        self, ids: Ids, times: NDArray[np.int64], values: NDArray[np.float64], positions: NDArray[np.int64]
    ) -> Iterator[None]:
        """Take in events in log order, at positions above all others, in steps: until the last nothing may be asked,
        nor the horizon raised, nor anything let go of."""
        if len(values) <= TAKEN_SINGLY:
            yield from self.add_few(zip(positions.tolist(), ids.tolist(), times.tolist(), values.tolist(), strict=True))
            return
        if np.any(times[1:] < times[:-1]):
            order = np.argsort(times, kind="stable")
            ids, times, values, positions = ids[order], times[order], values[order], positions[order]
        columns = times, positions, values
        alone = bool((ids == ids[0]).all())
        late = int(times.searchsorted(self.horizon, side="right"))
        if late < len(times):
            recent = times[late:], positions[late:], values[late:]
            yield
            yield from self.all_series.take_many(ids[late:], recent)
        if alone:
            yield from self._take(int(ids[0]), columns)
        else:
            yield from self._deal(ids, columns)

    def _deal(self, ids: Ids, columns: Columns) -> Iterator[None]:
        """Give each series its events, which stay in order."""
        order = np.argsort(ids, kind="stable")
        ids, columns = ids[order], (columns[0][order], columns[1][order], columns[2][order])
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        yield
        bounds = zip(ids[starts].tolist(), starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True)
        for number, (series, start, end) in enumerate(bounds, 1):
            yield from self._take(series, part(columns, start, end))
            if number % SERIES_A_STEP == 0:
                yield

    def _take(self, series: int, columns: Columns) -> Iterator[None]:
        window = self.window(series)
        count = len(columns[0])
        if count <= ADDED_SINGLY:
            for time, position, value in each(columns):
                window.add(time, value, position, exact(value))
        else:
            for number, _ in enumerate(window.add_many(columns), 1):
                if number % BLOCKS_A_STEP == 0:
                    yield
        window.taken += count
        self.taken += count

    def add_few(self, rows: Iterable[tuple[int, int, int, float]]) -> Iterator[None]:
        """Take in a few events, each as position, series, time and value, as `add_many` does."""
        for position, series, time, value in rows:
            if time < self.all_series.last.start and self.all_series.ready(time):
                yield
            self.add(series, time, value, position)

    def raise_horizon(self, horizon: int) -> None:
        """Raise the horizon: an event that is not later is live only where its series keeps it."""
        if horizon > self.horizon:
            self.horizon = horizon
            self.all_series.prune(horizon)

    def prune(self, horizon: int) -> Iterator[None]:
        """Let go of what is dead under a horizon, if not at once. Not before all is taken in that the log had when it
        was raised: a change among that may still have a series keep what by now looks dead."""
        horizon = min(horizon, self.horizon)
        for number, (series, window) in enumerate(list(self.windows.items()), 1):
            if window.may_prune(horizon) and self.windows.get(series) is window:
                self.window(series).prune(horizon)
            if number % WINDOWS_A_STEP == 0:
                yield

    def maintain(self, moment: int, idle: int) -> None:
        """Let go of what percentiles needed and nobody has asked for lately. See Ranks.maintain."""
        self.ranks.maintain(moment, idle)

    def check(self) -> None:
        super().check()
        self.all_series.check_epochs()
        for window in self.windows.values():
            assert window.own_keep or window.keep == self.keep_last
            if window.epoch > self.epochs.frozen:
                window.check_epochs()
