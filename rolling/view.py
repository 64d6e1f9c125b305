"""A view: every series of the log and all of them as one, built by taking in the log's events in order.

What a view answers depends on the events taken, the horizon and the cutoffs of the question, and on
nothing else: not on when or in what portions the events came, nor on when it was pruned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rolling.all_series import AllSeries, Ids
from rolling.block import CAPACITY, EARLIEST, Columns
from rolling.exact import summarise_rows
from rolling.history import Bounds, Point, Sweep
from rolling.memory import Memory
from rolling.percentiles import Percentiles
from rolling.ranking import ranking
from rolling.span import Range, Span
from rolling.steps import Steps
from rolling.summary import Summary, exact
from rolling.timeline import BULK, Row, Timeline, merged
from rolling.window import RollingWindow

LATEST = 2**63 - 1
PERCENTILE_BYTES = 2**28
"""What the sorted rows of a view may take of the memory: those of 33 million different values."""
TAKEN_SINGLY = 48
"""Up to so many events are taken in one by one: columns would cost more."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Some events of one series or of all: their summary and, if asked for, the ends."""

    summary: Summary
    first: Row | None = None
    last: Row | None = None


class View:
    """All series by id. Not thread safe: the caller holds a lock."""

    def __init__(self, percentile_bytes: int = PERCENTILE_BYTES) -> None:
        self.horizon = 0
        self.windows: list[RollingWindow] = []
        self._all = AllSeries(self.windows)
        self._memory = Memory(percentile_bytes)

    def __len__(self) -> int:
        return sum(len(window) for window in self.windows)

    def register(self, keep: int) -> None:
        """Make room for one series more, which keeps its last `keep` events."""
        self.windows.append(RollingWindow(keep))

    def raise_keep(self, series: int, horizon: int, keep: int) -> None:
        """Let a series keep more from here on, `horizon` being the log's at this point."""
        self.prune(horizon)  # what the series now lets go of, all series as one must have let go of before
        self.windows[series].raise_keep(horizon, keep)

    def add(self, series: int, time: int, value: float, position: int) -> None:
        """Take in one event, at a position above all others."""
        parts = exact(value)
        if time > self.horizon:
            self._all.take(series, time, value, position, parts)
        window = self.windows[series]
        window.add(time, value, position, parts)
        window.taken += 1

    def add_many(
        self, ids: Ids, times: NDArray[np.int64], values: NDArray[np.float64], positions: NDArray[np.int64]
    ) -> None:
        """Take in events in log order, at positions above all others."""
        if len(values) <= TAKEN_SINGLY:
            for row in zip(ids.tolist(), times.tolist(), values.tolist(), positions.tolist(), strict=True):
                self.add(*row)
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
            self._all.take_many(ids[late:], recent, copies)
        if alone:
            self._take(int(ids[0]), columns, summaries)
        else:
            self._deal(ids, columns)

    def _deal(self, ids: Ids, columns: Columns) -> None:
        """Give each series its events, which stay in order."""
        times, positions, values = columns
        order = np.argsort(ids, kind="stable")
        dealt = ids[order]
        bounds = np.flatnonzero(np.diff(dealt)) + 1
        for own in np.split(order, bounds):
            self._take(int(ids[own[0]]), (times[own], positions[own], values[own]), None)

    def _take(self, series: int, columns: Columns, summaries: list[Summary] | None) -> None:
        window = self.windows[series]
        for _ in window.add_many(columns, summaries):
            pass
        window.taken += len(columns[0])

    def prune(self, horizon: int) -> None:
        """Raise the horizon and let go of what is dead under it."""
        if horizon > self.horizon:
            self.horizon = horizon
            self._all.prune(horizon)
            for window in self.windows:
                window.prune(horizon)

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
        if after is not None and last is None and until is None:
            timeline = self._timeline(series)
            summary = timeline.tail_after(max(after, self.horizon))
            if not (ends and summary.count):
                return Tail(summary)
            return Tail(summary, timeline.row(summary.count), timeline.row(1))
        ranges = self.ranges(series, Span(cutoff, after, until, last))
        summaries = [timeline.summarise(begin, end) for timeline, begin, end in ranges]
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
        timeline, cutoff = self._timeline(series), max(span.cutoff, self.horizon)
        if span.after is not None:
            begin = timeline.count_after(max(span.after, self.horizon))
        else:
            begin = self.windows[series].live(cutoff) if series is not None else timeline.count_after(cutoff)
        end = 0 if span.until is None else timeline.count_after(span.until)
        if span.last is not None and span.last <= begin - end:
            begin = end + span.last
        elif span.after is None and series is None:
            return self._last_of_all(span, cutoff)
        return [Range(timeline, begin, end)] if end < begin else []

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
        sweep = Sweep(self._timeline(series), bounds, ends=ends)
        if wanted is None:
            return sweep.points()
        return sweep.points_with_percentiles(lambda where: self._memory.percentiles(where, wanted))

    def ranking(
        self,
        series: Iterable[tuple[str, int]],
        span: Span,
        statistic: str | Percentiles,
        limit: int,
        *,
        descending: bool,
    ) -> Steps[list[tuple[str, float | None]]]:
        """The first `limit` series by a statistic of a Summary, or by the first of some percentiles; see `ranking`."""

        def score(which: int) -> Steps[float | None]:
            if isinstance(statistic, Percentiles):
                return (yield from self.percentiles(which, span, statistic))[0]
            tail = self.tail(which, span.after, span.cutoff, span.last, False, span.until)
            value: float | None = getattr(tail.summary, statistic)
            return value

        return ranking(series, score, limit, descending=descending)

    def maintain(self, moment: int, idle: int) -> Iterator[None]:
        """Keep what percentiles need in order, between questions; yields between portions. See Memory.maintain."""
        return self._memory.maintain(moment, idle)

    def _timeline(self, series: int | None) -> Timeline[Any]:
        return self._all if series is None else self.windows[series]

    def _last_of_all(self, span: Span, cutoff: int) -> list[Range]:
        count = len(self) if span.last is None else span.last
        chosen = self._all.last_of_each(count, cutoff, span.until)
        return [Range(window, begin, end) for window, (begin, end) in chosen.items() if end < begin]

    def kept_since(self, series: int) -> tuple[int, int]:
        """The (time, position) of the first of the last events that a series keeps."""
        window = self.windows[series]
        if not window.keep:
            return LATEST, 0
        return window.row(window.keep)[:2] if window.keep <= len(window) else (EARLIEST, 0)

    def _check(self) -> None:
        """Every invariant, as assertions. For tests."""
        self._memory._check()
        self._all._check()
        recent = Summary()
        for window in self.windows:
            window._check()
            recent.merge(window.tail(window.count_after(self.horizon)))
        assert self._all.tail(self._all.count_after(self.horizon)) == recent
