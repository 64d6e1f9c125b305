"""The last so many events of all series, where they reach behind the cutoff, into what each series keeps of its own.

The timeline of all series ends at the horizon. So a bound is looked for, a time and position, with just so many live
events behind it; each series has its *share* of them. With ten thousand series that takes portions, and meanwhile
events come and go: a share holds for as long as its series has the same events, and at the end, in one portion, those
that have changed are found again and the bound is moved past the few events that this makes too many or too few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from operator import itemgetter

import numpy as np

from rolling.block import EARLIEST
from rolling.span import Range
from rolling.steps import Steps, finished
from rolling.summary import Summary
from rolling.timeline import Row, merged
from rolling.window import RollingWindow

AT_A_TIME = 50
"""How many shares are found in one portion: a millisecond or so."""
COUNTED_AT_A_TIME = 300
"""In how many series events are counted in one portion."""
FEW = 100
"""So many shares are found, or so many events passed one by one, without letting others in: some milliseconds."""
FAR = 5000
"""Farther from the right one, in events, a bound is looked for anew."""
ROUNDS = 200
"""So many times is looked for what has changed while others were let in; then nobody is let in any more."""

Key = tuple[int, int]
"""The time and position of an event, in which they are ordered."""


@dataclass(slots=True)
class Share:
    """What one series has of the events: its last `count`, of the last `most`, which are live; and how many it had
    taken then and kept, how often that had changed, and where the horizon stood."""

    taken: int
    keep: int
    keeps: int
    horizon: int
    most: int
    count: int
    first: Key | None
    """The first of them."""
    before: Key | None
    """The live one before that."""
    summary: Summary
    newest: int
    """The time of the last of them; EARLIEST without any."""
    part: Range
    """Where they are."""


class LastOfAll:
    """The shares in the last `count` events that are later than a cutoff or kept. Not thread safe: the caller holds
    the view's lock."""

    def __init__(
        self, windows: Mapping[int, RollingWindow], horizon: Callable[[], int], cutoff: int, count: int
    ) -> None:
        """The cutoff is the horizon, once that is later."""
        self._windows = windows
        self._horizon = horizon
        self._cutoff = cutoff
        self._count = count
        self._bound: Key = EARLIEST, 0
        self._shares: dict[RollingWindow, Share] = {}
        self._found = 0
        """How many events all shares have."""
        self._total = self._squares = 0
        """Their exact sums."""

    def find(self) -> Steps[None]:
        """Find the shares as things stand at the end; takes portions."""
        rounds = 0
        while True:
            patient = rounds < ROUNDS
            rounds += 1
            stale = self._stale()
            for number, window in enumerate(stale, 1):
                self._share(window)
                if patient and len(stale) > FEW and number % AT_A_TIME == 0:
                    yield
            if patient and len(stale) > FEW:
                continue
            if len(self._shares) > len(self._windows):
                self._forget_ended()
            excess = self._found - self._count
            if excess <= 0 and all(share.before is None for share in self._shares.values()):
                return
            if abs(excess) <= FEW:
                self._move(excess)
                return
            if not patient:
                finished(self._divide())
            elif abs(excess) <= FAR:
                self._move(max(-FEW, min(FEW, excess)))
                yield
            else:
                yield from self._divide()

    def ranges(self) -> list[Range]:
        """Where the events are; after `find`."""
        return [share.part for share in self._shares.values() if share.count]

    def summary(self) -> Summary:
        """A new summary of the events; after `find`."""
        some = [share.summary for share in self._shares.values() if share.count]
        if not some:
            return Summary()
        lowest, highest = min([summary.minimum for summary in some]), max([summary.maximum for summary in some])
        return Summary(self._found, self._total, self._squares, lowest, highest)

    def ends(self) -> tuple[Row | None, Row | None]:
        """The first and the last of the events; after `find`."""
        if not self._found:
            return None, None
        firsts = [share.first for share in self._shares.values() if share.first is not None]
        newests = [share.newest for share in self._shares.values()]
        oldest, newest = min(firsts), max(newests)
        [first] = [share.part for share in self._shares.values() if share.first == oldest]
        lasts = [share.part.timeline.row(1) for share in self._shares.values() if share.newest == newest]
        return first.timeline.row(first.begin), max(lasts)

    def _stale(self) -> list[RollingWindow]:
        """The series whose share is not known. One holds as long as the same events of the series are live: a horizon
        that rises takes none of those it keeps. Cheap: asked of all in one portion."""
        share_of, horizon = self._shares.get, self._horizon()
        by_age = horizon > self._cutoff
        return [
            window
            for window in self._windows.values()
            if (share := share_of(window)) is None
            or share.taken != window.taken
            or share.keeps != window.keeps
            or (by_age and share.most > share.keep and share.horizon != horizon)
        ]

    def _forget_ended(self) -> None:
        """Forget the shares of series that are no longer there."""
        there = set(self._windows.values())
        self._hold({window: share for window, share in self._shares.items() if window in there})

    def _share(self, window: RollingWindow) -> None:
        """Find the share of a series."""
        most = window.live(max(self._cutoff, self._horizon()))
        self._cut(window, most, min(most, _count_from(window, self._bound)))

    def _cut(self, window: RollingWindow, most: int, count: int) -> None:
        first = window.row(count)[:2] if count else None
        before = window.row(count + 1)[:2] if count < most else None
        summary, newest = window.tail(count), window.last.newest if count else EARLIEST
        if known := self._shares.get(window):
            self._count_in(known.summary, -1)
        self._count_in(summary, 1)
        self._shares[window] = Share(
            window.taken,
            window.keep,
            window.keeps,
            self._horizon(),
            most,
            count,
            first,
            before,
            summary,
            newest,
            Range(window, count),
        )

    def _count_in(self, summary: Summary, sign: int) -> None:
        self._found += sign * summary.count
        self._total += sign * summary.total
        self._squares += sign * summary.squares

    def _hold(self, shares: dict[RollingWindow, Share]) -> None:
        whole = merged(share.summary for share in shares.values())
        self._shares = shares
        self._found, self._total, self._squares = whole.count, whole.total, whole.squares

    def _move(self, excess: int) -> None:
        """Move the bound past so many of the first events; if negative, past the last ones before it."""
        if not excess:
            return
        counts: dict[RollingWindow, int] = {}
        sign = 1 if excess > 0 else -1
        heap = self._next_to_pass(excess)
        for _ in range(abs(excess)):
            if not heap:
                break
            time, position, number, window = heap[0]
            count = counts[window] = counts.get(window, self._shares[window].count) - sign
            self._bound = (time, position + 1) if excess > 0 else (-time, -position)
            if count == (0 if excess > 0 else self._shares[window].most):
                heappop(heap)
            else:
                row = window.row(count if excess > 0 else count + 1)
                heapreplace(heap, (sign * row[0], sign * row[1], number, window))
        for window, count in counts.items():
            self._cut(window, self._shares[window].most, count)

    def _next_to_pass(self, excess: int) -> list[tuple[int, int, int, RollingWindow]]:
        """A heap with the next event to pass, of each series of which one may be passed, in the order of passing."""
        sign = 1 if excess > 0 else -1
        keys = [
            (sign * key[0], sign * key[1], window)
            for window, share in self._shares.items()
            if (key := share.first if excess > 0 else share.before) is not None
        ]
        passed = min(abs(excess), len(keys))
        if not passed:
            return []
        times = np.fromiter(map(itemgetter(0), keys), np.int64, len(keys))
        farthest = int(np.partition(times, passed - 1)[passed - 1])
        heap = [
            (time, position, number, window) for number, (time, position, window) in enumerate(keys) if time <= farthest
        ]
        heapify(heap)
        return heap

    def _divide(self) -> Steps[None]:
        """Look for a bound near the right one; takes portions, in which events may come and go."""
        live = {window: share.most for window, share in self._shares.items() if share.most}
        newest = sorted((window.last.newest for window in live), reverse=True)
        low = min(window.first.oldest for window in live) - 1
        if self._count <= len(newest):
            low = max(low, newest[self._count - 1] - 1)
        high = newest[0]
        rivals = [(window, most) for window, most in live.items() if window.last.newest > low]
        later = 0
        while high - low > 1:
            middle = (low + high) // 2
            total = 0
            for number, (window, most) in enumerate(rivals, 1):
                total += min(window.count_after(middle), most)
                if number % COUNTED_AT_A_TIME == 0:
                    yield
            if abs(total - self._count) <= FEW // 2:
                self._put((middle + 1, 0))
                return
            if total > self._count:
                low = middle
            else:
                high, later = middle, total
        self._put((high, (yield from self._divide_moment(rivals, high, self._count - later))))

    def _put(self, bound: Key) -> None:
        """Put the bound elsewhere, and forget the shares that are others by that."""
        self._bound = bound
        self._hold(
            {
                window: share
                for window, share in self._shares.items()
                if (share.before is None or share.before < bound) and (share.first is None or bound <= share.first)
            }
        )

    def _divide_moment(self, rivals: list[tuple[RollingWindow, int]], time: int, count: int) -> Steps[int]:
        """The position of the `count`-th last live event of this very time, or 0."""
        pieces = [np.empty(0, np.int64)]
        for number, (window, most) in enumerate(rivals, 1):
            here = min(window.count_after(time - 1), most) - min(window.count_after(time), most)
            columns = window.within((time, 0), (time + 1, 0)) if here else None
            if columns is not None:
                pieces.append(columns[1][-here:])
            if number % COUNTED_AT_A_TIME == 0:
                yield
        positions = np.concatenate(pieces)
        if not 0 < count <= len(positions):
            return 0
        return int(np.partition(positions, len(positions) - count)[len(positions) - count])


def _count_from(window: RollingWindow, bound: Key) -> int:
    """How many events of a series are not before a time and position."""
    time, position = bound
    if time == EARLIEST:
        return len(window)
    later = window.count_after(time - 1)
    if not position or not later:
        return later
    columns = window.within((time, 0), (time, position))
    return later - (0 if columns is None else len(columns[0]))
