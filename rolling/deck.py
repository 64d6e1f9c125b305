"""Decks: summaries of neighbouring blocks, of neighbouring decks, and so on up to one.

Any tail of a hundred million events is then a few dozen ready summaries and a part of one block.
All blocks of a timeline lie equally deep; a deck that outgrows FAN_OUT splits in two. A lowest deck whose
percentiles somebody asked for has its values sorted in a row, and leaves it whenever it loses some of them.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

from rolling.block import Block
from rolling.rows import Row
from rolling.summary import Summary

FAN_OUT = 32

B = TypeVar("B", bound=Block)


class Deck(Generic[B]):
    """Up to FAN_OUT blocks, or decks, in order of time; `starts` repeats theirs, `summary` covers them all."""

    __slots__ = ("children", "row", "starts", "summary")

    def __init__(self, children: list[Deck[B] | B]) -> None:
        self.children = children
        self.row: Row | None = None
        self.refresh()

    @property
    def start(self) -> int:
        return self.starts[0]

    def refresh(self) -> None:
        """Bring `starts` and `summary` in line with the children, and leave the row."""
        if self.row is not None:
            self.row.leave()
            self.row = None
        self.starts = [child.start for child in self.children]
        self.summary = Summary()
        self.summary.merge_all([child.summary for child in self.children])

    def index(self, time: int) -> int:
        """Which child an event of this time belongs to: the last that starts at or before it, or the first."""
        return max(bisect_right(self.starts, time) - 1, 0)

    def insert_after(self, child: Deck[B] | B, new: Deck[B] | B) -> None:
        """Put `new` behind `child`. Its events must be in `summary` already."""
        place = self.children.index(child) + 1
        self.children.insert(place, new)
        self.starts.insert(place, new.start)

    def split(self, last: bool) -> Deck[B]:
        """Move the later children to a new deck, which is returned; the `last` of all decks keeps most."""
        cut = len(self.children) - 2 if last else len(self.children) // 2
        right = Deck(self.children[cut:])
        del self.children[cut:]
        self.refresh()
        return right
