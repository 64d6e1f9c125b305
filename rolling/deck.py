"""Decks: summaries of neighbouring blocks, of neighbouring decks, and so on up to one.

Any tail of a hundred million events is then a few dozen ready summaries and a part of one block.
All blocks of a timeline lie equally deep; a deck that outgrows FAN_OUT splits in two. A lowest deck whose
percentiles somebody asked for has its values in a sorted run, and leaves it whenever it loses some of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

from rolling.block import Block, Values
from rolling.runs import Holder
from rolling.summary import Summary

FAN_OUT = 32
MOST_LATE = 4096
"""Maximum number of values that come to a deck before its run is given up, unless somebody asks for it meanwhile."""

B = TypeVar("B", bound=Block)


class Deck(Generic[B]):
    """At most FAN_OUT blocks, or decks, in order of time; `starts` repeats theirs, `summary` covers them all."""

    __slots__ = ("children", "epoch", "held", "late", "starts", "summary")

    def __init__(self, children: list[Deck[B] | B], epoch: int = 0) -> None:
        self.children = children
        self.epoch = epoch
        self.held: Holder | None = None
        """Holder of its sorted run, shared by decks that were copied from one another."""
        self.late: array[float] | None = None
        """The values that have come since the run was sorted."""
        self.refresh()

    @property
    def start(self) -> int:
        return self.starts[0]

    def copy(self, epoch: int) -> Deck[B]:
        """Return another deck of the same children, to be changed in this epoch."""
        other: Deck[B] = object.__new__(Deck)
        other.children, other.starts, other.summary = self.children[:], self.starts[:], self.summary.copy()
        other.epoch, other.held = epoch, self.held
        other.late = None if self.late is None else self.late[:]
        return other

    def refresh(self) -> None:
        """Bring `starts` and `summary` in line with the children, and leave the run."""
        self.leave()
        self.starts = [child.start for child in self.children]
        self.summary = Summary()
        self.summary.merge_all([child.summary for child in self.children])

    def leave(self) -> None:
        """Have no sorted run any more."""
        self.held = self.late = None

    def take(self, values: Values) -> None:
        """Note values that come to one of its blocks."""
        if self.held is None:
            return
        if self.late is None:
            self.late = array("d")
        self.late.frombytes(values.tobytes())
        if self.held.run is None or len(self.late) > MOST_LATE:
            self.leave()

    def index(self, time: int) -> int:
        """Return the index of the child for an event of this time: the last that starts by then, or the first."""
        return max(bisect_right(self.starts, time) - 1, 0)

    def insert_after(self, child: Deck[B] | B, new: Deck[B] | B) -> None:
        """Put `new` behind `child`. Its events must be in `summary` already."""
        place = self.children.index(child) + 1
        self.children.insert(place, new)
        self.starts.insert(place, new.start)

    def split(self, last: bool, epoch: int) -> Deck[B]:
        """Move the later children to a new deck of this epoch, which is returned; the `last` of all decks keeps
        most."""
        cut = len(self.children) - 2 if last else len(self.children) // 2
        right = Deck(self.children[cut:], epoch)
        del self.children[cut:]
        self.refresh()
        return right


def lowest(deck: Deck[B]) -> Iterator[Deck[B]]:
    """Yield the decks that hold blocks, at or below this one, in order."""
    if not isinstance(deck.children[0], Deck):
        yield deck
        return
    for child in deck.children:
        assert isinstance(child, Deck)
        yield from lowest(child)
