"""A cut: the lowest decks that lie wholly inside a range, and what the range has of the two that it cuts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rolling.block import Values
from rolling.deck import Deck
from rolling.timeline import Timeline


class Cut:
    """A range of a timeline, which is not empty: the decks from `start` up to `stop`, whole blocks of the decks before
    and behind those, and loose events. Good until the timeline changes."""

    __slots__ = (
        "_before",
        "_blocks",
        "_first",
        "_last",
        "_left",
        "_right",
        "_timeline",
        "_upto",
        "_whole",
        "start",
        "stop",
    )

    def __init__(self, timeline: Timeline[Any], index: Mapping[Deck[Any], int], begin: int, end: int) -> None:
        """`index` numbers the lowest decks; without any, all events are loose ones of one block."""
        size = len(timeline)
        self._timeline = timeline
        self._left, self._first, self._before = timeline.place(size - begin)
        self._right, self._last, self._upto = timeline.place(size - end) if end else (None, 0, 0)
        self._blocks: tuple[list[Any], list[Any]] = ([], [])
        if self._left is None:
            self.start = self.stop = 0
            self._upto = self._upto if end else size
            return
        self.start = index[self._left]
        self.stop = len(index) if self._right is None else index[self._right]
        self._whole = whole = self._first + bool(self._before)
        if self._left is self._right:
            self._blocks = (self._left.children[whole : self._last], [])
            return
        ahead = [] if self._right is None else self._right.children[: self._last]
        if whole:
            self.start += 1
            self._blocks = (self._left.children[whole:], ahead)
        else:
            self._blocks = ([], ahead)

    def blocks(self) -> tuple[list[Any], list[Any]]:
        """The blocks wholly inside, of the decks that are not."""
        return self._blocks

    def key(self) -> object:
        """Equal for two cuts of the same rows and blocks, with no deck refreshed meanwhile: then as many of the first
        events, or of the last, of a deck that holds as many, are the same ones."""
        sizes = tuple(sum(block.summary.count for block in blocks) for blocks in self._blocks)
        within = None
        if self._left is not None and self._left is self._right:
            within = sum(block.summary.count for block in self._left.children[: self._whole]), self.start
        return self.start, self.stop, sizes, _size(self._left), _size(self._right), within

    def loose(self) -> list[Values]:
        """The remaining values, of parts of blocks; copies, since a block whose array is looked at cannot grow."""
        block: Any
        if self._left is self._right and self._first == self._last:
            block = self._timeline.first if self._left is None else self._left.children[self._first]
            return [block.columns()[2][self._before : self._upto].copy()]
        pieces = []
        if self._left is not None and self._before:
            block = self._left.children[self._first]
            pieces.append(block.columns()[2][self._before :].copy())
        if self._right is not None and self._upto:
            block = self._right.children[self._last]
            pieces.append(block.columns()[2][: self._upto].copy())
        return pieces


def _size(deck: Deck[Any] | None) -> int:
    return 0 if deck is None else deck.summary.count
