"""All series as one: the recent events of every series in one order, without a second copy of them.

Its blocks hold summaries and know which series have events in them. Only the newest blocks, and those
a question has cut through lately, hold columns; another fetches its own from the series when asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from rolling.block import CAPACITY, EARLIEST, NOTHING, Block, Columns
from rolling.deck import Deck
from rolling.exact import summarise
from rolling.summary import Summary
from rolling.timeline import Timeline, joined
from rolling.window import RollingWindow

Ids = NDArray[np.uint32]

BLOCKS_A_STEP = 4
"""How many blocks a series is taken out of at a time."""
LOADED = 256
"""How many blocks may hold columns at a time: some 7 MB."""


class SharedBlock(Block):
    """A block over several series, with columns only while it is loaded."""

    __slots__ = ("_load", "members")

    def __init__(self, start: int, start_position: int, load: Callable[[SharedBlock], None]) -> None:
        super().__init__(start, start_position)
        self._load = load
        self.members = array("I")
        """Ids of the series with events here; repeated ones, and a few without, do no harm."""

    @property
    def loaded(self) -> bool:
        return self._values is not None

    def successor(self, start: int, start_position: int) -> SharedBlock:
        return SharedBlock(start, start_position, self._load)

    def expect(self, count: int) -> None:
        """A block that gets full may have to split before the series have the events: then it must hold
        them itself. A new block, most likely the newest of all, will be asked for soon."""
        if not self.summary.count or self.summary.count + count >= CAPACITY:
            self._load(self)

    def append(self, time: int, value: float, position: int) -> None:
        if not self.summary.count:
            self.expect(1)
        if self.loaded:
            super().append(time, value, position)
        else:
            self._stretch(time, time)

    def extend(self, columns: Columns) -> None:
        if self.loaded:
            super().extend(columns)
        else:
            self._stretch(int(columns[0][0]), int(columns[0][-1]))

    def fill(self, columns: Columns, summary: Summary) -> None:
        """Hold the summary only: so many events at once are seldom asked for one by one."""
        self._stretch(int(columns[0][0]), int(columns[0][-1]))
        self.summary = summary
        self._values = None

    def columns(self) -> Columns:
        self._load(self)
        return super().columns()

    def split(self, last: bool) -> SharedBlock:
        right = super().split(last)
        right.members.extend(self.members)
        self._load(right)
        return right

    def replace(self, columns: Columns) -> None:
        """Have these events, given in order, in place of others; hold them only if it held those."""
        self.summary = summarise(columns[2])
        if not len(columns[0]):
            return
        if self.loaded:
            self.store(columns)
        else:
            self.oldest, self.newest = int(columns[0][0]), int(columns[0][-1])

    def unload(self) -> None:
        """Drop the columns, until the next question that needs them."""
        self._times = self._positions = self._values = None
        self.members = array("I", np.unique(np.frombuffer(self.members, np.uint32)).tobytes())

    def _check(self) -> None:
        """Its events are checked by AllSeries, which knows where they are."""

    def _stretch(self, oldest: int, newest: int) -> None:
        if self.summary.count:
            oldest, newest = min(self.oldest, oldest), max(self.newest, newest)
        self.oldest, self.newest = oldest, newest


class AllSeries(Timeline[SharedBlock]):
    """The events of all series that are later than the horizon: those and no others, so that what the series
    have let go of, or took in too late, is never missed or met when a block fetches its columns."""

    __slots__ = ("_loaded", "_windows")

    def __init__(self, windows: Mapping[int, RollingWindow]) -> None:
        self._windows = windows
        self._start()

    def _start(self) -> None:
        self._loaded: dict[SharedBlock, None] = {}  # least recently used first
        self.reset(SharedBlock(EARLIEST, 0, self._load))

    def take(self, series: int, time: int, value: float, position: int, parts: tuple[int, int]) -> None:
        """`add` for an event of a series. To be called before the series takes it."""
        members = self.add(time, value, position, parts).members
        if not members or members[-1] != series:
            members.append(series)

    def take_many(self, ids: Ids, columns: Columns, summaries: list[Summary] | None = None) -> None:
        """`add_many` for events of several series. To be called before the series take them."""
        alone = [int(ids[0])] if (ids == ids[0]).all() else None
        for block, i, j in self.add_many(columns, summaries):
            block.members.extend(alone or np.unique(ids[i:j]).tolist())

    def last_of_each(self, count: int, cutoff: int) -> dict[RollingWindow, int]:
        """How many of its last events each series has among the last `count` live ones of all series.

        Needed only when those reach behind `cutoff`, where a series keeps its last ones and this timeline
        holds nothing. Searches for the time that divides them: O(series * log(time))."""
        live = {window: window.live(cutoff) for window in self._windows.values() if len(window)}
        if sum(live.values()) <= count:
            return live
        low, high = _earliest(live, count) - 1, cutoff
        rivals = {window: most for window, most in live.items() if window.last.newest > low}
        while high - low > 1:
            middle = (low + high) // 2
            if sum(min(window.count_after(middle), most) for window, most in rivals.items()) > count:
                low = middle
            else:
                high = middle
        chosen = {window: min(window.count_after(high), most) for window, most in rivals.items()}
        self._choose_last(chosen, rivals, high, count - sum(chosen.values()))
        return chosen

    def _choose_last(
        self, chosen: dict[RollingWindow, int], live: dict[RollingWindow, int], time: int, count: int
    ) -> None:
        """Add to `chosen` those `count` live events of this very time that came last."""
        rivals: list[tuple[int, RollingWindow]] = []
        for window, most in live.items():
            number = min(window.count_after(time - 1), most) - chosen[window]
            if number:
                positions = window.rows(number + chosen[window])[1][:number]
                rivals.extend((position, window) for position in positions.tolist())
        rivals.sort(key=itemgetter(0))
        for _, window in rivals[len(rivals) - count :]:
            chosen[window] += 1

    def prune(self, horizon: int) -> None:
        """Let go of all events that are not later than `horizon`. To be called before the series do."""
        if self.first.oldest > horizon:
            return
        dead = before = len(self)
        dead -= self.count_after(horizon)
        block = self.drop(dead, SharedBlock(EARLIEST, 0, self._load))
        while block is not None and block is not self.first:
            self._loaded.pop(block, None)
            block = block.following
        dead -= before - len(self)
        if dead:
            self.first.drop(dead)
            self.refresh_first()

    def remove(self, series: int, window: RollingWindow) -> Iterator[None]:
        """Let go of the events of a series, whose window has gone from the others: a few blocks at a time. Until the
        last step nothing may be asked of it or added."""
        left: list[SharedBlock] = []
        for number, _ in enumerate(self._without(series, window, self._root, left)):
            if number % BLOCKS_A_STEP == 0:
                yield
        if not left:
            self._start()
            return
        for block, following in pairwise(left):
            block.following = following
        self.first, self.last = left[0], left[-1]
        self.last.following = None
        self.first.start, self.first.start_position = EARLIEST, 0
        self.settle()

    def _without(
        self, series: int, window: RollingWindow, node: Deck[SharedBlock] | SharedBlock, left: list[SharedBlock]
    ) -> Iterator[None]:
        """Take a series out of what is under `node`, and note the blocks that have events left."""
        if isinstance(node, Deck):
            for child in node.children:
                yield from self._without(series, window, child, left)
            node.children = [child for child in node.children if child.summary.count]
            node.refresh()
            return
        if series in node.members and not self._subtract(node, window):
            node.replace(self._gather(node))
        if node.summary.count:
            left.append(node)
        else:
            self._loaded.pop(node, None)
        yield

    def _subtract(self, block: SharedBlock, window: RollingWindow) -> bool:
        """Take the events of a series out of the summary of a block, where that can be told from those alone."""
        columns = window.within(*self._span(block))
        if columns is None:
            return True
        whole, own = block.summary, summarise(columns[2])
        inside = block.oldest < columns[0][0] and columns[0][-1] < block.newest
        if block.loaded or not inside or not whole.minimum < own.minimum <= own.maximum < whole.maximum:
            return False
        block.summary = Summary(
            whole.count - own.count,
            whole.total - own.total,
            whole.squares - own.squares,
            whole.minimum,
            whole.maximum,
        )
        return True

    def _load(self, block: SharedBlock) -> None:
        """See that a block holds its columns, at the cost of the one used longest ago."""
        if not block.loaded:
            block.store(self._gather(block))
        self._loaded.pop(block, None)
        self._loaded[block] = None
        if len(self._loaded) > LOADED:
            oldest = next(iter(self._loaded))
            del self._loaded[oldest]
            oldest.unload()

    def _span(self, block: SharedBlock) -> tuple[tuple[int, int], tuple[int, int] | None]:
        """The (time, position) where the events of a block begin, and where those of the next one may."""
        following = block.following
        end = None if following is None else (following.start, following.start_position)
        return max((block.start, block.start_position), (block.oldest, 0)), end

    def _gather(self, block: SharedBlock) -> Columns:
        """The events of a block, from the series that have them."""
        start, end = self._span(block)
        members = np.unique(np.frombuffer(block.members, np.uint32)).tolist()
        found = {member: self._windows[member].within(start, end) for member in members if member in self._windows}
        block.members = array("I", [member for member, columns in found.items() if columns])
        if not block.members:
            return NOTHING
        times, positions, values = joined(columns for columns in found.values() if columns)
        order = np.lexsort((positions, times))
        return times[order], positions[order], values[order]

    def _check(self) -> None:
        super()._check()
        assert len(self._loaded) <= LOADED
        assert all(block.loaded for block in self._loaded)
        block: SharedBlock | None = self.first
        while block is not None:
            columns = self._gather(block)
            assert summarise(columns[2]) == block.summary
            assert not len(columns[0]) or (columns[0][0], columns[0][-1]) == (block.oldest, block.newest)
            block = block.following


def _earliest(live: dict[RollingWindow, int], count: int) -> int:
    """A time such that at least `count` of these live events, of which there are more, are as late."""
    newest = sorted((window.last.newest for window, most in live.items() if most), reverse=True)
    return newest[count - 1] if count <= len(newest) else min(window.first.oldest for window in live)
