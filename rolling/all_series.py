"""All series as one: the recent events of every series in one order, without a second copy of them.

Its blocks hold summaries and know which series have events in them. Only the newest blocks, and those
a question has cut through lately, hold columns; another fetches its own from the series when asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from rolling.block import CAPACITY, EARLIEST, NOTHING, Block, Columns, Values
from rolling.deck import Deck
from rolling.exact import summarise
from rolling.steps import Steps, finished
from rolling.summary import Summary
from rolling.timeline import Timeline, joined
from rolling.window import RollingWindow

Ids = NDArray[np.uint32]
Stretch = tuple[tuple[int, int], tuple[int, int] | None]
"""From one (time, position) up to another, or to the end."""

BLOCKS_A_STEP = 4
"""How many blocks take events in, or lose those of a series, at a time."""
MEMBERS_A_STEP = 100
"""How many series a block that fetches its columns looks into at a time: a millisecond of work."""
LOADED = 256
"""How many blocks may hold columns at a time: some 7 MB."""
MEMBERS_AT_ONCE = 500
"""About how many series are looked into for one piece of values: some 5 ms of work."""
LOADED_SINGLY = 2
"""Up to so many blocks without columns load them one by one for a question about several."""


class SharedBlock(Block):
    """A block over several series, with columns only while it is loaded."""

    __slots__ = ("_load", "members")

    def __init__(self, start: int, start_position: int, load: Callable[[SharedBlock], None]) -> None:
        super().__init__(start, start_position)
        self._load = load
        self.members = array("I")
        """While it is loaded, the series of each row; else those with events here, some of them more than once."""

    @property
    def loaded(self) -> bool:
        return self._values is not None

    def successor(self, start: int, start_position: int) -> SharedBlock:
        return SharedBlock(start, start_position, self._load)

    def append(self, time: int, value: float, position: int) -> None:
        if not self.summary.count:
            self._load(self)  # most likely the newest of all, which will be asked for soon
        if self.loaded:
            super().append(time, value, position)
        else:
            self._stretch(time, time)

    def extend(self, columns: Columns) -> None:
        if self.loaded:
            super().extend(columns)
        else:
            self._stretch(int(columns[0][0]), int(columns[0][-1]))

    def note(self, series: int) -> None:
        """One row more has come, of this series."""
        members = self.members
        if self._values is not None or not members or members[-1] != series:
            members.append(series)

    def note_many(self, ids: Ids, *, alone: bool) -> None:
        """So many rows more have come, of these series; of one series, if `alone`."""
        if self.loaded:
            self.members.frombytes(ids.tobytes())
        else:
            self.members.frombytes(ids[:1].tobytes() if alone else np.unique(ids).tobytes())

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
        right.members = self.members[self.summary.count :]
        del self.members[self.summary.count :]
        self._load(right)
        return right

    def drop(self, count: int) -> None:
        super().drop(count)
        del self.members[:count]

    def hold(self, columns: Columns, members: Ids) -> None:
        """Be loaded with these events, given in order, and their series."""
        self.store(columns)
        self.members = array("I", members.tobytes())

    def replace(self, columns: Columns, members: Ids) -> None:
        """Have these events, given in order, in place of others; hold them only if it held those."""
        self.summary = summarise(columns[2])
        if not len(columns[0]):
            return
        loaded = self.loaded
        self.hold(columns, members)
        if not loaded:
            self.unload()

    def forget(self, series: int) -> None:
        """While it is not loaded: none of its events is of this series."""
        self.members = array("I", set(self.members) - {series})

    def unload(self) -> None:
        """Drop the columns, until the next question that needs them."""
        self._times = self._positions = self._values = None
        self.members = array("I", np.unique(np.frombuffer(self.members, np.uint32)).tobytes())

    def _check(self) -> None:
        """Its events are checked by AllSeries, which knows where they are."""

    def _sort(self) -> NDArray[np.intp]:
        order = super()._sort()
        members = np.frombuffer(self.members, np.uint32)
        members[:] = members[order]
        return order

    def _stretch(self, oldest: int, newest: int) -> None:
        if self.summary.count:
            oldest, newest = min(self.oldest, oldest), max(self.newest, newest)
        self.oldest, self.newest = oldest, newest


class AllSeries(Timeline[SharedBlock]):
    """The events of all series that are later than the horizon: those and no others, so that what the series
    have let go of, or took in too late, is never missed or met when a block fetches its columns."""

    COST = 8

    __slots__ = ("__weakref__", "_loaded", "_loader", "_windows", "removals")

    def __init__(self, windows: Mapping[int, RollingWindow]) -> None:
        self._windows = windows
        self._loader = loader_of(self)
        self.removals = 0
        self._start()

    def _start(self) -> None:
        self._loaded: dict[SharedBlock, None] = {}  # least recently used first
        self.reset(SharedBlock(EARLIEST, 0, self._loader))

    def take(self, series: int, time: int, value: float, position: int, parts: tuple[int, int]) -> None:
        """`add` for an event of a series. To be called before the series takes it."""
        self.add(time, value, position, parts).note(series)

    def take_many(self, ids: Ids, columns: Columns, summaries: list[Summary] | None = None) -> Iterator[None]:
        """`add_many` for events of several series, in steps. To be called before the series take them; until the last
        step nothing may be asked of any of them."""
        alone = bool((ids == ids[0]).all())
        for number, taken in enumerate(self.add_many(columns, summaries), 1):
            if taken is not None:
                block, i, j = taken
                block.note_many(ids[i:j], alone=alone)
            if taken is None or number % BLOCKS_A_STEP == 0:
                yield

    def ready(self, time: int) -> Iterator[None]:
        """See, in steps, that an event of this time can be taken in at once."""
        _, block, end = self.find(time)
        if block.summary.count >= CAPACITY and (end is not None or time < block.newest):
            yield from self.prepare(block, 0)

    def prepare(self, block: SharedBlock, count: int) -> Iterator[None]:
        """A block that gets full may have to split before the series have the events: then it must hold them itself.
        A new block, most likely the newest of all, will be asked for soon."""
        if block.summary.count and block.summary.count + count < CAPACITY:
            return
        if not block.loaded:
            block.hold(*(yield from self._gather(block)))
        self.load(block)

    def last_of_each(self, count: int, cutoff: int, until: int | None = None) -> dict[RollingWindow, tuple[int, int]]:
        """The last `count` live events of all series, or of those not later than `until`, as a range of each series:
        its last so many events without its last so many.

        Needed only when those reach behind `cutoff`, where a series keeps its last ones and this timeline
        holds nothing. Searches for the time that divides them: O(series * log(time))."""
        ranges = {window: (window.live(cutoff), 0) for window in self._windows.values() if len(window)}
        if until is not None:
            ranges = {window: (begin, window.count_after(until)) for window, (begin, _) in ranges.items()}
        ranges = {window: (begin, end) for window, (begin, end) in ranges.items() if end < begin}
        if sum(begin - end for begin, end in ranges.values()) <= count:
            return ranges
        low, high = _earliest(ranges, count, until) - 1, cutoff if until is None else min(cutoff, until)
        rivals = {window: ends for window, ends in ranges.items() if window.last.newest > low}
        while high - low > 1:
            middle = (low + high) // 2
            if sum(_later(window, middle, ends) for window, ends in rivals.items()) > count:
                low = middle
            else:
                high = middle
        chosen = {window: _later(window, high, ends) for window, ends in rivals.items()}
        self._choose_last(chosen, rivals, high, count - sum(chosen.values()))
        return {window: (end + chosen[window], end) for window, (_, end) in rivals.items()}

    def _choose_last(
        self, chosen: dict[RollingWindow, int], rivals: dict[RollingWindow, tuple[int, int]], time: int, count: int
    ) -> None:
        """Add to `chosen` those `count` live events of this very time that came last."""
        found: list[tuple[int, RollingWindow]] = []
        for window, ends in rivals.items():
            number = _later(window, time - 1, ends) - chosen[window]
            if number:
                positions = window.rows(number + chosen[window] + ends[1])[1][:number]
                found.extend((position, window) for position in positions.tolist())
        found.sort(key=itemgetter(0))
        for _, window in found[len(found) - count :]:
            chosen[window] += 1

    def prune(self, horizon: int) -> None:
        """Let go of all events that are not later than `horizon`. To be called before the series do."""
        if self.first.oldest > horizon:
            return
        dead = before = len(self)
        dead -= self.count_after(horizon)
        block = self.drop(dead, SharedBlock(EARLIEST, 0, self._loader))
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
        self.removals += 1
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
            held = [child for child in node.children if child.summary.count]
            if len(held) < len(node.children) or sum(child.summary.count for child in held) < node.summary.count:
                node.children = held
                node.refresh()  # which costs it its row: not where it has lost nothing
            return
        if series in node.members and not self._subtract(series, node, window):
            node.replace(*(yield from self._gather(node)))
        if node.summary.count:
            left.append(node)
        else:
            self._loaded.pop(node, None)
        yield

    def _subtract(self, series: int, block: SharedBlock, window: RollingWindow) -> bool:
        """Take the events of a series out of the summary of a block, where that can be told from those alone."""
        columns = window.within(*self._span(block, block))
        if columns is None:
            block.forget(series)
            return True
        whole, own = block.summary, summarise(columns[2])
        inside = block.oldest < columns[0][0] and columns[0][-1] < block.newest
        if block.loaded or not inside or not whole.minimum < own.minimum <= own.maximum < whole.maximum:
            return False
        block.forget(series)
        block.summary = Summary(
            whole.count - own.count,
            whole.total - own.total,
            whole.squares - own.squares,
            whole.minimum,
            whole.maximum,
        )
        return True

    def load(self, block: SharedBlock) -> None:
        """See that a block holds its columns, at the cost of the one used longest ago."""
        if not block.loaded:
            block.hold(*finished(self._gather(block)))
        self._loaded.pop(block, None)
        self._loaded[block] = None
        if len(self._loaded) > LOADED:
            oldest = next(iter(self._loaded))
            del self._loaded[oldest]
            oldest.unload()

    def _span(self, first: SharedBlock, last: SharedBlock) -> Stretch:
        """The (time, position) where the events from one block to another begin, and where those behind may; the first
        is not empty."""
        following = last.following
        end = None if following is None else (following.start, following.start_position)
        return max((first.start, first.start_position), (first.oldest, 0)), end

    def values(self, blocks: Sequence[SharedBlock]) -> Iterator[Values]:
        """The values of neighbouring blocks; where one holds no columns, those of some series at a time, each of which
        has to be looked into but once for all the blocks."""
        held = [block for block in blocks if block.summary.count]
        if all(block.loaded for block in held):
            yield from super().values(held)
            return
        members = np.unique(np.concatenate([np.frombuffer(block.members, np.uint32) for block in held])).tolist()
        for start in range(0, len(members), MEMBERS_AT_ONCE):
            found = self._found(self._span(held[0], held[-1]), members[start : start + MEMBERS_AT_ONCE])
            yield np.concatenate([NOTHING[2], *(columns[2] for columns in found.values())])

    def to_read(self, blocks: Sequence[SharedBlock], cut: Sequence[SharedBlock]) -> Sequence[SharedBlock]:
        """All from the first cut one to the last, where several hold no columns: see `values`."""
        if sum(not block.loaded for block in cut) <= LOADED_SINGLY:
            return cut
        return [block for block in blocks[blocks.index(cut[0]) : blocks.index(cut[-1]) + 1] if block.summary.count]

    def ordered(self, blocks: Sequence[SharedBlock]) -> Steps[Columns]:
        """The events of some blocks, in order; those of neighbours, if several hold no columns."""
        if sum(not block.loaded for block in blocks) <= LOADED_SINGLY:
            return (yield from super().ordered(blocks))
        members = np.unique(np.concatenate([np.frombuffer(block.members, np.uint32) for block in blocks])).tolist()
        span = self._span(blocks[0], blocks[-1])
        pieces = [NOTHING]
        for start in range(0, len(members), MEMBERS_AT_ONCE):
            if start:
                yield
            found = self._found(span, members[start : start + MEMBERS_AT_ONCE])
            pieces.append(joined([NOTHING, *found.values()]))  # all at once at the end would be one long portion
        times, positions, values = joined(pieces)
        order = np.lexsort((positions, times))
        return times[order], positions[order], values[order]

    def _gather(self, block: SharedBlock) -> Steps[tuple[Columns, Ids]]:
        """The events of a block, from the series that have them, and of which each is. Nothing may come or go between
        the steps."""
        span = self._span(block, block)
        members = np.unique(np.frombuffer(block.members, np.uint32)).tolist()
        found: dict[int, Columns] = {}
        span = self._span(block, block)
        for start in range(0, len(members), MEMBERS_A_STEP):
            found |= self._found(span, members[start : start + MEMBERS_A_STEP])
            yield
        if not found:
            return NOTHING, np.empty(0, np.uint32)
        times, positions, values = joined(found.values())
        order = np.lexsort((positions, times))
        ids = np.repeat(np.array(list(found), np.uint32), [len(columns[0]) for columns in found.values()])
        return (times[order], positions[order], values[order]), ids[order]

    def _found(self, span: Stretch, members: Iterable[int]) -> dict[int, Columns]:
        """The events of a stretch, by the series that have any."""
        start, end = span
        found = {member: self._windows[member].within(start, end) for member in members if member in self._windows}
        return {member: columns for member, columns in found.items() if columns}

    def _check(self) -> None:
        super()._check()
        assert len(self._loaded) <= LOADED
        assert all(block.loaded for block in self._loaded)
        block: SharedBlock | None = self.first
        while block is not None:
            columns, members = finished(self._gather(block))
            assert summarise(columns[2]) == block.summary
            assert not len(columns[0]) or (columns[0][0], columns[0][-1]) == (block.oldest, block.newest)
            if block.loaded:
                assert [column.tolist() for column in Block.columns(block)] == [column.tolist() for column in columns]
                assert block.members.tolist() == members.tolist()
            assert set(members) <= set(block.members)
            assert len(block.members) <= block.summary.count
            block = block.following


def _later(window: RollingWindow, time: int, ends: tuple[int, int]) -> int:
    """How many events of this range of a series are later than `time`."""
    begin, end = ends
    return max(min(window.count_after(time), begin) - end, 0)


def _earliest(ranges: dict[RollingWindow, tuple[int, int]], count: int, until: int | None) -> int:
    """A time such that at least `count` events of these ranges, which hold more, are as late."""
    newest = sorted((window.last.newest for window in ranges), reverse=True)
    if until is None and count <= len(newest):
        return newest[count - 1]
    return min(window.first.oldest for window in ranges)


def loader_of(all_series: AllSeries) -> Callable[[SharedBlock], None]:
    """Return what loads a block. Blocks refer to their owner weakly: in a cycle with them it would stay when replaced,
    as `gc.freeze` keeps cycles."""
    owner = ref(all_series)

    def load(block: SharedBlock) -> None:
        living = owner()
        assert living is not None, "a block outlives its owner"
        living.load(block)

    return load
