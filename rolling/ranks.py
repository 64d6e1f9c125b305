"""Ranks: the value at any rank of any range of a timeline, from rows that stand sorted and a ladder over them.

A range cuts at most two lowest decks. Those between are rows: the ladder counts them. Of the cut ones, the blocks
that lie wholly inside are the *edge*, sorted once for as long as the range ends in the same blocks. What then
remains, parts of two blocks and what came late to the rows, is *loose* and sorted for each question. Two rungs
enclose the rank; the values between them, few by then, are gathered once and remembered with the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf, nextafter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rolling.block import NOTHING, Values
from rolling.cut import Cut
from rolling.deck import Deck
from rolling.ladder import Ladder
from rolling.rows import Late, Row, Shelf
from rolling.timeline import Timeline

PORTION = 2**18
"""About how many values are sorted at a time: some milliseconds of work."""
NEW_RUNGS = 63
"""How many divide a stretch between two rungs that holds too many values."""
SLICE = 2048
"""So many values between two rungs, or this part of all, are few enough."""
SAMPLE = 4096
"""About how many values new rungs are chosen from."""
LATE = 2048
"""So many late values may wait."""
LATE_IN_A_ROW = 1024
"""So many of them may wait for one row."""
PLACES = 4
"""How many places are remembered: windows that are asked in turn."""
SLICES = 64
"""How many slices are remembered of a place."""
PATIENCE = 3
"""So often is read what changes while it is read in portions; the last time in one portion."""

Where = Callable[[], tuple[int, int]]
"""The range of a question, as the timeline stands: the last so many events without the last so many."""
Grant = Callable[[int], bool]
"""Asks for so many bytes of memory."""


class Place:
    """What is remembered of the ranges that end in the same blocks."""

    __slots__ = ("edge", "end", "hints", "slices", "start", "totals")

    def __init__(self, start: int, end: int, edge: Values) -> None:
        self.start = start
        self.end = end
        self.edge = edge
        self.totals: dict[float, int] = {}
        """How many values of rows and edge are below a rung."""
        self.slices: dict[tuple[float, float], Values] = {}
        """Those from one rung up to the next, in order."""
        self.hints: dict[int, float] = {}
        """The rung below the answer to each rank of the last question."""

    def fold(self, column: int, ascending: Values) -> None:
        """These late values are now in the row of a column."""
        if self.start <= column < self.end:
            for rung in self.totals:
                self.totals[rung] += int(ascending.searchsorted(rung))
            for low, high in list(self.slices):
                if ascending.searchsorted(low) < ascending.searchsorted(high):
                    del self.slices[low, high]


class Ranks:
    """The rows of one timeline, its ladder, and the places asked for lately."""

    __slots__ = (
        "_decks",
        "_held",
        "_index",
        "_ladder",
        "_places",
        "_ready",
        "_rows",
        "_shelf",
        "_used",
        "timeline",
        "used",
    )

    def __init__(self, timeline: Timeline[Any]) -> None:
        self.timeline = timeline
        self.used = 0
        """The tick of the last question."""
        self._shelf = Shelf()
        self._ladder = Ladder()
        self._decks: list[Deck[Any]] = []
        self._index: dict[Deck[Any], int] = {}
        # Of each deck: its row, whether that is sorted, its bytes, and when it was last asked for.
        self._rows: list[Row] = []
        self._ready: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._held: NDArray[np.int64] = np.zeros(0, np.int64)
        self._used: NDArray[np.int64] = np.zeros(0, np.int64)
        self._places: dict[object, Place] = {}  # least recently used first

    @property
    def nbytes(self) -> int:
        """What all of it takes of the memory."""
        return int(self._held.sum()) + self._ladder.nbytes + sum(place.edge.nbytes for place in self._places.values())

    def prepare(self, where: Where, tick: int, grant: Grant) -> Iterator[None]:
        """Sort the rows a range needs, which then count as asked for at a tick; yields between portions. At the end
        all are sorted but those that were granted no memory."""
        self.used = tick
        work = 0
        while (deck := self._unsorted(*where(), tick)) is not None:
            if not grant(8 * deck.summary.count):
                return
            yield from self._sort(deck)
            work += deck.summary.count * self.timeline.COST
            if work >= PORTION:
                work = 0
                yield
        yield from self._settle(where)

    def ready(self, begin: int, end: int) -> bool:
        """Whether the rows of a range, which is not empty, stand sorted."""
        self._arrange()
        cut = self._cut(begin, end)
        return bool(self._ready[cut.start : cut.stop].all())

    def find(self, begin: int, end: int, wanted: Sequence[int]) -> dict[int, float] | None:
        """The values at these ranks of a range that is ready. None where the ladder lacked rungs: some have been added,
        a portion of work, and the question is to be put again."""
        cut = self._cut(begin, end)
        place, loose = self._place(cut), self._loose(cut)
        # Whoever changed a deck without telling its row would be found out here, before any answer is wrong.
        assert self._total(place, len(self._ladder.rungs) - 1) + len(loose) == begin - end
        most = max(SLICE, (begin - end) // SLICE)
        found: dict[int, float] = {}
        for number, rank in enumerate(wanted):
            rung = self._bracket(place, loose, rank, place.hints.get(number, 0.0))
            low, high = self._ladder.rungs[rung : rung + 2]
            place.hints[number] = low
            if nextafter(low, inf) == high:  # no other value fits between
                found[rank] = low + 0.0
            elif self._total(place, rung + 1) - self._total(place, rung) > most:
                self._divide(place, rung)
                return None
            else:
                found[rank] = self._pick(place, rung, loose, rank)
        return found

    def fold(self) -> Iterator[None]:
        """Sort late values into their rows, those of most first, until few wait; yields after each row."""
        while len(self._shelf) > LATE_IN_A_ROW:
            self._arrange()
            late = self._shelf.late()
            waiting = np.bincount(late.columns, minlength=1)
            column = int(waiting.argmax())
            if waiting[column] <= LATE_IN_A_ROW and len(late.columns) <= LATE:
                return
            self._fold(column, late)
            yield

    def oldest(self) -> tuple[int, int] | None:
        """The tick and the column of the sorted row that was asked for longest ago."""
        self._arrange()
        columns = np.flatnonzero(self._ready)
        if not len(columns):
            return None
        column = int(columns[self._used[columns].argmin()])
        return int(self._used[column]), column

    def drop(self, column: int) -> None:
        """Let go of a sorted row."""
        self._rows[column].drop()
        self._ready[column], self._held[column] = False, 0
        late = self._shelf.late()
        others = late.columns != column
        self._shelf.replace(Late(late.columns[others], late.values[others]))
        self._forget(column)

    def _arrange(self) -> None:
        """Bring rows and ladder in line with the decks, where those are no longer the same."""
        first = self.timeline.leftmost()[-1:]
        if not self._shelf.stale and first == self._decks[:1]:
            return
        self._shelf.stale = False
        self.timeline.asked = True
        self._decks = self.timeline.lowest()
        self._index = {deck: column for column, deck in enumerate(self._decks)}
        kept = [
            -1 if row is None or row.shelf is not self._shelf else row.column for row in (d.row for d in self._decks)
        ]
        self._ready, self._held, self._used = (_taken(of, kept) for of in (self._ready, self._held, self._used))
        self._shelf.replace(_moved(self._shelf.late(), kept))
        self._ladder.arrange(kept)
        self._rows = [self._row(deck, column) for column, deck in enumerate(self._decks)]
        self._places.clear()

    def _row(self, deck: Deck[Any], column: int) -> Row:
        row = deck.row
        if row is None or row.shelf is not self._shelf:
            row = deck.row = Row(self._shelf, column)
        row.column = column
        return row

    def _unsorted(self, begin: int, end: int, tick: int) -> Deck[Any] | None:
        """The first deck in a range whose row is not sorted."""
        self._arrange()
        if begin <= end:
            return None
        cut = self._cut(begin, end)
        self._used[cut.start : cut.stop] = tick
        missing = np.flatnonzero(~self._ready[cut.start : cut.stop])
        return self._decks[cut.start + int(missing[0])] if len(missing) else None

    def _cut(self, begin: int, end: int) -> Cut:
        return Cut(self.timeline, self._index, begin, end)

    def _sort(self, deck: Deck[Any]) -> Iterator[None]:
        """Sort the row of a deck; yields between the pieces that reading it takes, if there are several."""
        for attempt in range(1, PATIENCE + 1):
            summary, count = deck.summary, deck.summary.count
            pieces: list[Values] = []
            for piece in self.timeline.values(list(deck.children)):
                if pieces and attempt < PATIENCE:
                    yield
                pieces.append(piece)
            if deck.summary is summary and summary.count == count:
                break
        row = deck.row
        if row is None or row.shelf is not self._shelf or row.ready:
            return  # the deck has become another, or somebody who was let in has sorted its row
        row.store(np.sort(np.concatenate(pieces)) + 0.0)
        self._ready[row.column], self._held[row.column] = True, row.nbytes
        self._ladder.measure(row)
        self._forget(row.column)

    def _fold(self, column: int, late: Late) -> None:
        own = late.columns == column
        row, ascending = self._rows[column], np.sort(late.values[own]) + 0.0
        row.store(np.sort(np.concatenate((row.values(), ascending)), kind="stable"))
        self._held[column] = row.nbytes
        self._ladder.add_to(column, ascending)
        for place in self._places.values():
            place.fold(column, ascending)
        self._shelf.replace(Late(late.columns[~own], late.values[~own]))

    def _forget(self, column: int) -> None:
        """Let go of the places that count on a row."""
        self._places = {key: place for key, place in self._places.items() if not place.start <= column < place.end}

    def _settle(self, where: Where) -> Iterator[None]:
        """See that the place of a range is known; yields between the pieces that reading its edge takes."""
        for attempt in range(1, PATIENCE + 1):
            begin, end = where()
            self._arrange()
            if begin <= end or (key := (cut := self._cut(begin, end)).key()) in self._places:
                return
            decks, pieces = self._decks, list[Values]()
            for blocks in cut.blocks():
                for number, piece in enumerate(self.timeline.values(blocks)):
                    if number and attempt < PATIENCE:
                        yield
                    pieces.append(piece)
            begin, end = where()
            self._arrange()
            if self._decks is decks and end < begin and self._cut(begin, end).key() == key:
                self._remember(cut, pieces)
                return

    def _place(self, cut: Cut) -> Place:
        place = self._places.pop(key := cut.key(), None)
        if place is None:
            return self._remember(cut, [piece for blocks in cut.blocks() for piece in self.timeline.values(blocks)])
        self._places[key] = place
        return place

    def _remember(self, cut: Cut, pieces: Sequence[Values]) -> Place:
        place = Place(cut.start, cut.stop, np.sort(np.concatenate([NOTHING[2], *pieces])) + 0.0)
        if len(self._places) >= PLACES:
            del self._places[next(iter(self._places))]
        self._places[cut.key()] = place
        return place

    def _loose(self, cut: Cut) -> Values:
        late = self._shelf.late()
        inside = (late.columns >= cut.start) & (late.columns < cut.stop)
        return np.sort(np.concatenate([late.values[inside], *cut.loose()])) + 0.0

    def _total(self, place: Place, rung: int) -> int:
        """How many values of rows and edge are below a rung."""
        value = self._ladder.rungs[rung]
        total = place.totals.get(value)
        if total is None:
            total = self._ladder.total(rung, place.start, place.end) + int(place.edge.searchsorted(value))
            place.totals[value] = total
        return total

    def _bracket(self, place: Place, loose: Values, rank: int, hint: float) -> int:
        """The last rung with no more values below it than a rank says; looks near a hint first."""
        rungs = self._ladder.rungs
        low, high = 0, len(rungs) - 1
        middle = min(self._ladder.find(hint), high - 1)
        step = 1
        while high - low > 1:
            if self._total(place, middle) + int(loose.searchsorted(rungs[middle])) <= rank:
                low = middle
                middle = low + step
            else:
                high = middle
                middle = high - step
            step *= 4
            if not low < middle < high:
                middle = (low + high) // 2
        return low

    def _divide(self, place: Place, rung: int) -> None:
        """Put rungs between this one and the next, at values that stand there."""
        low, high = self._ladder.rungs[rung : rung + 2]
        edge = place.edge[slice(*place.edge.searchsorted((low, high)).tolist())]
        step = 1 + (self._total(place, rung + 1) - self._total(place, rung)) // SAMPLE
        samples = (row.sample(start, end, step) for row, start, end in self._between(place, rung))
        sample = np.sort(np.concatenate([edge[::step], *samples]))
        chosen = sample[np.linspace(0, len(sample) - 1, NEW_RUNGS).astype(np.intp)]
        repeated = chosen[1:][chosen[1:] == chosen[:-1]]
        with np.errstate(over="ignore"):  # the value behind the largest double is inf, which is a rung already
            new = np.unique(np.concatenate((chosen, np.nextafter(repeated, inf)))) + 0.0
        new = new[(low < new) & (new < high)]
        if not len(new):
            new = np.array([nextafter(low, inf) + 0.0])
        self._ladder.add_rungs(new, self._rows)

    def _between(self, place: Place, rung: int) -> Iterator[tuple[Row, int, int]]:
        """The rows with values that are not below this rung, but below the next, and where those begin and end."""
        starts, ends = self._ladder.bounds(rung, place.start, place.end)
        some = np.flatnonzero(starts != ends)
        for column, start, end in zip(some.tolist(), starts[some].tolist(), ends[some].tolist(), strict=True):
            yield self._rows[place.start + column], start, end

    def _slice(self, place: Place, rung: int) -> Values:
        """The values of rows and edge that are not below this rung, but below the next."""
        low, high = ends = self._ladder.rungs[rung], self._ladder.rungs[rung + 1]
        found = place.slices.get(ends)
        if found is None:
            edge = place.edge[slice(*place.edge.searchsorted((low, high)).tolist())]
            pieces = (row.piece(start, end) for row, start, end in self._between(place, rung))
            found = np.sort(np.concatenate([edge, *pieces]))
            if len(place.slices) >= SLICES:
                place.slices.clear()
            place.slices[ends] = found
        return found

    def _pick(self, place: Place, rung: int, loose: Values, rank: int) -> float:
        """The value at a rank that lies between this rung and the next."""
        first, last = loose.searchsorted(self._ladder.rungs[rung : rung + 2]).tolist()
        few, many = loose[first:last], self._slice(place, rung)
        rank -= self._total(place, rung) + first
        ranks = many.searchsorted(few) + np.arange(len(few))  # of the few among all
        before = int(ranks.searchsorted(rank))
        if before < len(few) and ranks[before] == rank:
            return float(few[before])
        return float(many[rank - before])

    def _check(self) -> None:
        """Every invariant, as assertions. For tests."""
        self._arrange()
        late = self._shelf.late()
        self._ladder._check(self._rows)
        for column, (deck, row) in enumerate(zip(self._decks, self._rows, strict=True)):
            own = late.values[late.columns == column]
            assert (deck.row, row.column, row.ready) == (row, column, bool(self._ready[column]))
            assert not len(own) or row.ready
            if row.ready:
                values = np.concatenate(list(self.timeline.values(deck.children)))
                assert np.array_equal(np.sort(np.concatenate((row.values(), own))), np.sort(values))
        assert len(self._places) <= PLACES
        assert self._held.tolist() == [row.nbytes for row in self._rows]
        for place in self._places.values():
            for rung in set(place.totals) & set(self._ladder.rungs):
                number = self._ladder.rungs.index(rung)
                total = self._ladder.total(number, place.start, place.end) + place.edge.searchsorted(rung)
                assert place.totals[rung] == total


def _taken(old: NDArray[Any], kept: Sequence[int]) -> NDArray[Any]:
    """What was noted of each of these columns; nothing where it is -1."""
    return np.array([old[column] if column >= 0 else 0 for column in kept], old.dtype)


def _moved(late: Late, kept: Sequence[int]) -> Late:
    """Late values under the new columns of their rows; without those of rows that are gone."""
    columns = np.full(max(kept, default=-1) + 2 + int(late.columns.max(initial=0)), -1, np.int64)
    for column, old in enumerate(kept):
        if old >= 0:
            columns[old] = column
    moved = columns[late.columns]
    return Late(moved[moved >= 0].astype(np.uint32), late.values[moved >= 0])
