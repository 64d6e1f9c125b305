"""A reading: every series and all of them as one, as of one moment, to be asked.

Either the live windows, for a question that is answered before anything else happens, or a snapshot of them, which
stays as it is while others write. What takes long calls a pause again and again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rolling.all_series import AllSeries
from rolling.block import EARLIEST
from rolling.figures import Figures, figures_of
from rolling.histogram import Divide, Histogram, histogram
from rolling.history import bounds_of, sweep
from rolling.last_of_several import last_of_several
from rolling.percentiles import Percentiles
from rolling.ranks import Ranks
from rolling.several import SERIES_AT_ONCE, first_and_last, percentiles_of_steps, summarised, sweep_several
from rolling.span import Range, Span
from rolling.steps import Pause, nothing
from rolling.suffixes import Suffixes
from rolling.summary import Summary
from rolling.timeline import Timeline
from rolling.window import RollingWindow

Ids = int | None | Sequence[int]
"""A series, all of them, or several that are there."""


class Reading:
    """All series by id. Not thread safe: the caller holds a lock, but within a pause."""

    windows: Mapping[int, RollingWindow]

    def __init__(
        self,
        windows: Mapping[int, RollingWindow],
        all_series: AllSeries,
        ranks: Ranks,
        suffixes: Suffixes,
    ) -> None:
        self.windows = windows
        self.horizon = 0
        self.taken = 0
        """Number of events that all series were ever given."""
        self.pause: Pause = nothing
        """Is called again and again by what takes long."""
        self.all_series = all_series
        self.ranks = ranks
        self._suffixes = suffixes

    def pause_by(self, pause: Pause) -> None:
        """Have all that is asked from now on call this."""
        self.pause = self.all_series.pause = pause

    def __len__(self) -> int:
        return sum(len(window) for window in self.windows.values())

    def ranges(self, series: Ids, span: Span) -> Sequence[Range]:
        """Return the ranges of the events of a span: one, or one of each series where they are those of several, or the
        last ones of all series and reach behind the cutoff, where every series keeps its own. No range is empty."""
        if isinstance(series, Sequence):
            return self._of_several(series, span)
        timeline = self._timeline(series)
        if timeline is None:
            return []
        if span.after is not None:
            begin = timeline.count_after(max(span.after, self.horizon))
        else:
            cutoff = max(span.cutoff, self.horizon)
            begin = self.windows[series].live(cutoff) if series is not None else timeline.count_after(cutoff)
        end = 0 if span.until is None else timeline.count_after(span.until)
        if span.last is not None and span.last <= begin - end:
            begin = end + span.last
        elif span.after is None and series is None:
            return self._of_several(self.windows, span)
        return [Range(timeline, begin, end)] if end < begin else []

    def _of_several(self, series: Collection[int], span: Span) -> Sequence[Range]:
        each = span._replace(last=None)
        after = EARLIEST if span.after is None else max(span.after, self.horizon)
        found: list[Range] = []
        for done, number in enumerate(series):
            if span.after is None:
                found += self.ranges(number, each)
            elif (window := self.windows[number]).last.newest > after:
                begin, end = window.count_after(after), 0 if span.until is None else window.count_after(span.until)
                if end < begin:
                    found.append(Range(window, begin, end))
            if done % SERIES_AT_ONCE == 0:
                self.pause()
        return found if span.last is None else last_of_several(found, span.last, self.pause)

    def figures(
        self, series: Ids, span: Span, *, ends: bool, wanted: Percentiles | None = None, moves: bool = False
    ) -> Figures:
        """The figures of the events of a span, with their percentiles if wanted. Of a window that moves, what is worked
        out is remembered for the next."""
        ranges = self.ranges(series, span)
        percentiles = () if wanted is None else self.ranks.percentiles(ranges, wanted, self.pause)
        found = self.figures_of(ranges, ends, self._suffixes if moves else None)
        return Figures(found.summary, found.first, found.last, percentiles) if percentiles else found

    def figures_of(self, ranges: Sequence[Range], ends: bool, suffixes: Suffixes | None = None) -> Figures:
        """The figures of ranges, one for each series, without percentiles."""
        if len(ranges) == 1 and not ranges[0].end:
            summary = ranges[0].timeline.tail(ranges[0].begin, suffixes)
        else:
            summary = summarised(ranges, self.pause)
        self.pause()
        return figures_of(summary, *first_and_last(ranges, self.pause)) if ends else Figures(summary)

    def percentiles(self, series: Ids, span: Span, wanted: Percentiles) -> list[float | None]:
        """The percentiles of the events of a span."""
        return self.ranks.percentiles(self.ranges(series, span), wanted, self.pause)

    def histogram(self, series: Ids, span: Span, divide: Divide) -> Histogram:
        """Count the events of a span by their values."""
        ranges = self.ranges(series, span)
        return histogram(ranges, self.figures_of(ranges, ends=False).summary, divide, self.pause)

    def history(
        self,
        series: Ids,
        after: int,
        until: int,
        edges: Sequence[int],
        *,
        ends: bool = False,
        wanted: Percentiles | None = None,
    ) -> list[Figures]:
        """The figures of the events of each step, from an edge up to the next, of those with `after` < time <= `until`.
        Edges ascend."""
        bounds = bounds_of(edges, max(after, self.horizon), until)
        timelines = self._timelines(series)
        if len(timelines) == 1:
            points = sweep(timelines[0], bounds, ends=ends, pause=self.pause)
        else:
            points = sweep_several(timelines, bounds, ends=ends, pause=self.pause)
        if wanted is None:
            return points
        counts = [point.summary.count for point in points]
        if len(timelines) == 1:
            found = self._percentiles_of_steps(timelines[0], bounds, counts, wanted)
        else:
            found = percentiles_of_steps(timelines, bounds, counts, wanted, self.pause)
        return [replace(point, percentiles=own) for point, own in zip(points, found, strict=True)]

    def _percentiles_of_steps(
        self, timeline: Timeline[Any], bounds: list[int], counts: list[int], wanted: Percentiles
    ) -> Iterator[list[float | None]]:
        begin = timeline.count_after(bounds[0]) if bounds else 0
        for count in counts:
            part = [Range(timeline, begin, begin - count)] if count else []
            yield self.ranks.percentiles(part, wanted, self.pause)
            begin -= count
            self.pause()

    def newest(self, series: Ids) -> int:
        """The time of the newest event; EARLIEST where there is none."""
        return max((timeline.last.newest for timeline in self._timelines(series) if timeline), default=EARLIEST)

    def _timelines(self, series: Ids) -> Sequence[Timeline[Any]]:
        if isinstance(series, Sequence):
            return [self.windows[number] for number in series]
        timeline = self._timeline(series)
        return [] if timeline is None else [timeline]

    def _timeline(self, series: int | None) -> Timeline[Any] | None:
        """None for a series that is not there, or no longer: it has no events."""
        return self.all_series if series is None else self.windows.get(series)

    def check(self) -> None:
        """Every invariant, as assertions. For tests."""
        self.ranks.check()
        self.all_series.check()
        timelines: list[Timeline[Any]] = [self.all_series, *self.windows.values()]
        self._suffixes.check({block: timeline.open for timeline in timelines for block in timeline.blocks()})
        recent = Summary()
        for window in self.windows.values():
            window.check()
            recent.merge(window.tail(window.count_after(self.horizon)))
        assert self.all_series.tail(self.all_series.count_after(self.horizon)) == recent
