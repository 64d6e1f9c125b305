"""A view: every series of the log and all of them as one, built by taking in the log's events in order.

What a view answers depends on the events taken, the horizon and the cutoffs of the question, and on
nothing else: not on when or in what portions the events came, nor on when it was pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rolling.all_series import BLOCKS_A_STEP, AllSeries, Ids
from rolling.block import CAPACITY, EARLIEST, LATEST, Columns, part
from rolling.exact import summarise_rows
from rolling.histogram import Divide, Histogram, histogram
from rolling.history import Bounds, Point, Sweep
from rolling.last_of_all import LastOfAll
from rolling.memory import Memory
from rolling.percentiles import Percentiles
from rolling.snapshot import Snapshots
from rolling.span import Range, Span
from rolling.steps import Steps, finished
from rolling.suffixes import Suffixes
from rolling.summary import Summary, exact
from rolling.timeline import ADDED_SINGLY, BULK, Row, Timeline, each, merged
from rolling.window import RollingWindow

PERCENTILE_BYTES = 2**28
"""What the sorted rows of a view may take of the memory: those of 33 million different values."""
TAKEN_SINGLY = 48
"""Up to so many events are taken in one by one: columns would cost more."""
SERIES_A_STEP = 64
"""How many series are given their events in a step."""
WINDOWS_A_STEP = 256
"""How many series are looked at in a step."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Some events of one series or of all: their summary and, if asked for, the ends."""

    summary: Summary
    first: Row | None = None
    last: Row | None = None


class View:
    """All series by id, each taken up with its first event. Not thread safe: the caller holds a lock.

    What may take long is done in steps, of a millisecond or so: an iterator that has to be run to its end."""

    def __init__(
        self,
        keep_last: int = 0,
        own_keep: Callable[[int], int | None] = lambda series: None,
        percentile_bytes: int = PERCENTILE_BYTES,
    ) -> None:
        """`own_keep` is asked, when a series is taken up, how many events it keeps; None: as all that say nothing."""
        self.keep_last = keep_last
        """How many of its last events a series keeps that says nothing else."""
        self._own_keep = own_keep
        self.horizon = 0
        self.taken = 0
        """How many events all series were ever given."""
        self.windows: dict[int, RollingWindow] = {}
        self._all = AllSeries(self.windows)
        self._memory = Memory(percentile_bytes)
        self._suffixes = Suffixes()
        self.snapshots = Snapshots()

    def __len__(self) -> int:
        return sum(len(window) for window in self.windows.values())

    def window(self, series: int) -> RollingWindow:
        """The events of a series, which is taken up if it is new."""
        found = self.windows.get(series)
        if found is None:
            keep = self._own_keep(series)
            found = RollingWindow(self.keep_last if keep is None else keep, own_keep=keep is not None)
            self.windows[series] = found
        return found

    def change_keep(self, series: int | None, horizon: int, keep: int) -> Iterator[None]:
        """Let a series, or all that say nothing else, keep so many from here on, `horizon` being the log's at this
        point: what is dead under it by what they kept until now is gone for good."""
        self.raise_horizon(horizon)  # what the series now let go of, all series as one must have let go of before
        if series is not None:
            window = self.window(series)
            yield from self.snapshots.before_change(series)
            window.change_keep(horizon, keep)
            window.own_keep = True
            return
        self.keep_last = keep
        for number, (other, window) in enumerate(list(self.windows.items()), 1):
            if not window.own_keep:
                yield from self.snapshots.before_change(other)
                window.change_keep(horizon, keep)
            if number % WINDOWS_A_STEP == 0:
                yield

    def end_series(self, series: int) -> Iterator[None]:
        """Forget a series and all its events."""
        yield from self.snapshots.before_change(series)
        window = self.windows.pop(series, None)
        if window is not None:
            if window.count_after(self.horizon):
                yield from self._all.remove(series, window)
            yield from window.let_go()

    def add(self, series: int, time: int, value: float, position: int) -> None:
        """Take in one event, at a position above all others. Not for a series that a snapshot has yet to look at."""
        parts = exact(value)
        if time > self.horizon:
            self._all.take(series, time, value, position, parts)
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
        summaries = summarise_rows(values, CAPACITY) if alone and len(values) >= BULK else None
        late = int(times.searchsorted(self.horizon, side="right"))
        if late < len(times):
            recent = times[late:], positions[late:], values[late:]
            copies = [summary.copy() for summary in summaries] if summaries and not late else None
            yield
            yield from self._all.take_many(ids[late:], recent, copies)
        if alone:
            yield from self._take(int(ids[0]), columns, summaries)
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
            yield from self._take(series, part(columns, start, end), None)
            if number % SERIES_A_STEP == 0:
                yield

    def _take(self, series: int, columns: Columns, summaries: list[Summary] | None) -> Iterator[None]:
        yield from self.snapshots.before_change(series)
        window = self.window(series)
        count = len(columns[0])
        if count <= ADDED_SINGLY:
            for time, position, value in each(columns):
                window.add(time, value, position, exact(value))
        else:
            for number, _ in enumerate(window.add_many(columns, summaries), 1):
                if number % BLOCKS_A_STEP == 0:
                    yield
        window.taken += count
        self.taken += count

    def add_few(self, rows: Iterable[tuple[int, int, int, float]]) -> Iterator[None]:
        """Take in a few events, each as position, series, time and value, as `add_many` does."""
        for position, series, time, value in rows:
            yield from self.snapshots.before_change(series)
            if time < self._all.last.start:
                yield from self._all.ready(time)
            self.add(series, time, value, position)

    def raise_horizon(self, horizon: int) -> None:
        """What is not later is live only where its series keeps it."""
        if horizon > self.horizon:
            self.horizon = horizon
            self._all.prune(horizon)

    def prune(self, horizon: int) -> Iterator[None]:
        """Let go of what is dead under a horizon, if not at once. Not before all is taken in that the log had when it
        was raised: a change among that may still have a series keep what by now looks dead. What was live when a
        snapshot under way was taken stays."""
        horizon = self.snapshots.earliest(min(horizon, self.horizon))
        for number, window in enumerate(list(self.windows.values()), 1):
            window.prune(horizon)
            if number % WINDOWS_A_STEP == 0:
                yield

    def tail(
        self,
        series: int | None,
        after: int | None,
        cutoff: int,
        last: int | None,
        ends: bool,
        until: int | None = None,
    ) -> Tail:
        """The events that a Span of these describes: their summary and, if asked for, the first and the last."""
        timeline = self._timeline(series)
        if timeline is not None and after is not None and last is None and until is None:
            summary = timeline.tail_after(max(after, self.horizon), self._suffixes)
            if not (ends and summary.count):
                return Tail(summary)
            return Tail(summary, timeline.row(summary.count), timeline.row(1))
        ranges = self.ranges(series, Span(cutoff, after, until, last))
        return self._tail(ranges, ends, self._suffixes if len(ranges) == 1 else None)

    def _tail(self, ranges: list[Range], ends: bool, suffixes: Suffixes | None = None) -> Tail:
        summaries = [timeline.summarise(begin, end, suffixes) for timeline, begin, end in ranges]
        summary = summaries[0] if len(summaries) == 1 else merged(summaries)
        if not (ends and ranges):
            return Tail(summary)
        return Tail(
            summary,
            min(timeline.row(begin) for timeline, begin, _ in ranges),
            max(timeline.row(end + 1) for timeline, _, end in ranges),
        )

    def ranges(self, series: int | None, span: Span) -> list[Range]:
        """Where the events of a span are to be found: in one range, or in one of each series where they are the last
        ones of all series and reach behind the cutoff, where every series keeps its own. No range is empty."""
        timeline = self._timeline(series)
        horizon = self.horizon if span.horizon is None else span.horizon
        cutoff = max(span.cutoff, horizon)
        if timeline is None:
            return []
        if span.after is not None:
            begin = timeline.count_after(max(span.after, horizon))
        else:
            begin = self.windows[series].live(cutoff) if series is not None else timeline.count_after(cutoff)
        end = 0 if span.until is None else timeline.count_after(span.until)
        if span.last is not None and span.last <= begin - end:
            begin = end + span.last
        elif span.after is None and series is None:
            return self._last_of_all(span, cutoff)
        return [Range(timeline, begin, end)] if end < begin else []

    def figures(
        self, series: int | None, span: Span, *, ends: bool, wanted: Percentiles | None = None
    ) -> Steps[tuple[Tail, list[float | None]]]:
        """What `tail` and `percentiles` say, both of the moment at the end. Takes portions where nobody asked for
        percentiles lately, and where a span of all series reaches for what each of them keeps."""
        finder = self._finder(series, span)
        if finder is None:
            found = [] if wanted is None else (yield from self.percentiles(series, span, wanted))
            return self._tail(self.ranges(series, span), ends), found

        def where() -> list[Range]:
            finished(finder.find())
            return finder.ranges()

        yield from finder.find()
        found = []
        if wanted is not None:
            found = yield from self._memory.percentiles(where, wanted)
            finished(finder.find())
        return Tail(finder.summary(), *(finder.ends() if ends else ())), found

    def histogram(self, series: int | None, span: Span, divide: Divide) -> Steps[Histogram]:
        """Count the events of a span by their values. Yields between chunks."""
        finder = self._finder(series, span)
        if finder is None:

            def summary() -> Summary:
                return self._tail(self.ranges(series, span), False).summary

            return (yield from histogram(lambda: self.ranges(series, span), summary, divide))

        def where() -> list[Range]:
            finished(finder.find())
            return finder.ranges()

        yield from finder.find()
        return (yield from histogram(where, finder.summary, divide))

    def percentiles(self, series: int | None, span: Span, wanted: Percentiles) -> Steps[list[float | None]]:
        """The percentiles of the events of a span. Takes portions where nobody asked lately; next to none after."""
        return self._memory.percentiles(lambda: self.ranges(series, span), wanted)

    def history(
        self,
        series: int | None,
        after: int,
        until: int,
        edges: Sequence[int],
        *,
        ends: bool = False,
        wanted: Percentiles | None = None,
    ) -> Steps[list[Point]]:
        """A point for the events of each step, edge <= time < the next edge, of those with `after` < time <= `until`.
        Edges ascend. The points are those of the moment of the last portion, all of them."""
        bounds = Bounds(edges, after, until, lambda: self.horizon)
        timeline = self._timeline(series)
        sweep = Sweep(RollingWindow(0) if timeline is None else timeline, bounds, ends=ends)
        if wanted is None:
            return sweep.points()
        return sweep.points_with_percentiles(lambda where: self._memory.percentiles(where, wanted))

    def newest(self, series: int | None) -> int:
        """The time of the newest event; EARLIEST where there is none."""
        timeline = self._timeline(series)
        return timeline.last.newest if timeline else EARLIEST

    def maintain(self, moment: int, idle: int) -> Iterator[None]:
        """Keep what percentiles need in order, between questions; yields between portions. See Memory.maintain."""
        return self._memory.maintain(moment, idle)

    def _timeline(self, series: int | None) -> Timeline[Any] | None:
        """None for a series that is not there, or no longer: it has no events."""
        return self._all if series is None else self.windows.get(series)

    def _finder(self, series: int | None, span: Span) -> LastOfAll | None:
        """What finds the events of a span that reaches behind the cutoff, into what each series keeps; None for any
        other."""
        if series is not None or span.after is not None or span.until is not None or span.last is None:
            return None
        if span.last <= self._all.count_after(max(span.cutoff, self.horizon)):
            return None
        return LastOfAll(self.windows, lambda: self.horizon, span.cutoff, span.last)

    def _last_of_all(self, span: Span, cutoff: int) -> list[Range]:
        count = len(self) if span.last is None else span.last
        chosen = self._all.last_of_each(count, cutoff, span.until)
        return [Range(window, begin, end) for window, (begin, end) in chosen.items() if end < begin]

    def kept_since(self, series: int) -> tuple[int, int]:
        """The (time, position) from which on an event of a series that is not later than the horizon may be live."""
        window = self.windows.get(series)
        if window is None:
            return EARLIEST, 0
        if not window.keep:
            return LATEST, 0
        return window.row(window.keep)[:2] if window.keep <= len(window) else (EARLIEST, 0)

    def _check(self) -> None:
        """Every invariant, as assertions. For tests."""
        self._memory._check()
        self._all._check()
        timelines: list[Timeline[Any]] = [self._all, *self.windows.values()]
        self._suffixes._check({block for timeline in timelines for block in timeline.blocks()})
        recent = Summary()
        for window in self.windows.values():
            window._check()
            assert window.own_keep or window.keep == self.keep_last
            recent.merge(window.tail(window.count_after(self.horizon)))
        assert self._all.tail(self._all.count_after(self.horizon)) == recent
