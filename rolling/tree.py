"""A tree: blocks of neighbouring events in order, under decks of summaries, all of them equally deep.

How blocks are found, come in, split and go; what the events in them say is the timeline's affair.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Generic

from rolling.block import EARLIEST
from rolling.deck import FAN_OUT, B, Deck
from rolling.summary import Summary

Path = list[Deck[B]]
"""The decks above a block, the root first."""


class Tree(Generic[B]):
    """Blocks of kind B in order, from `first` on, each knowing the one `following` it."""

    __slots__ = ("_edge", "_root", "asked", "first", "last")

    def __init__(self, block: B) -> None:
        self.reset(block)

    def reset(self, block: B) -> None:
        """Hold this one block and nothing else."""
        self._root: Deck[B] | B = block
        self.first = block
        self.last = block
        self._edge: Path[B] = []  # the decks above the last block
        self.asked = False
        """Whether its lowest decks may have rows; read for each event, as looking at the decks would cost more."""

    def __len__(self) -> int:
        return self._root.summary.count

    @property
    def summary(self) -> Summary:
        """The summary of all its events. Not to be changed."""
        return self._root.summary

    def blocks(self) -> Iterator[B]:
        """All blocks, in order."""
        block: B | None = self.first
        while block is not None:
            yield block
            block = block.following

    def lowest(self) -> list[Deck[B]]:
        """The decks that hold blocks, in order."""
        decks = [self._root] if isinstance(self._root, Deck) else []
        while decks and isinstance(decks[0].children[0], Deck):
            decks = [child for deck in decks for child in deck.children if isinstance(child, Deck)]
        return decks

    def find(self, time: int) -> tuple[Path[B], B, int | None]:
        """The block an event of this time belongs to, the decks above it, and where the next block starts."""
        path: Path[B] = []
        end = None
        node = self._root
        while isinstance(node, Deck):
            path.append(node)
            starts = node.starts
            if time >= starts[-1]:
                node = node.children[-1]
            else:
                index = node.index(time)
                end = starts[index + 1]
                node = node.children[index]
        return path, node, end

    def room(self, time: int, position: int) -> None:
        """Make room for an event where the block it belongs to is full."""
        path, block, end = self.find(time)
        if end is None and time >= block.newest:
            self.insert(path, block, block.successor(time, position))
        else:
            self.insert(path, block, block.split(last=end is None))

    def insert(self, path: Path[B], block: B, new: B) -> None:
        """Put a block behind `block`. The decks of `path` must count its events already."""
        new.following = block.following
        block.following = new
        if block is self.last:
            self.last = new
        self._grow(path, block, new)
        self._edge = self.find(self.last.start)[0]

    def _grow(self, path: Path[B], node: Deck[B] | B, new: Deck[B] | B) -> None:
        if not path:
            self._root = Deck([node, new])
            return
        deck = path[-1]
        deck.insert_after(node, new)
        if len(deck.children) > FAN_OUT:
            self._grow(path[:-1], deck, deck.split(last=deck.children[-1] is new))

    def drop(self, count: int, spare: B) -> B | None:
        """Let go of the blocks that lie whole among the first `count` events, and of empty ones before them; where
        that is all of them, `spare` takes their place. Returns the first block let go of, if any, for whom the others
        follow. O(log n), however many they are."""
        if count >= len(self):
            dropped = self.first
            self.reset(spare)
            return dropped
        node = self._behind(count)
        if node is self.first:
            return None
        dropped, self.first = self.first, node
        node.start, node.start_position = EARLIEST, 0
        self.settle()
        return dropped

    def settle(self) -> None:
        """Bring all in line with a new first block and with what has gone before it."""
        self.refresh_first()
        while isinstance(self._root, Deck) and len(self._root.children) == 1:
            self._root = self._root.children[0]
        self._edge = self.find(self.last.start)[0]

    def _behind(self, count: int) -> B:
        """The first block that ends behind the first `count` events, cut off from those before it."""
        node = self._root
        while isinstance(node, Deck):
            index = 0
            while node.children[index].summary.count <= count:
                count -= node.children[index].summary.count
                index += 1
            del node.children[:index]
            node = node.children[0]
        return node

    def refresh_first(self) -> None:
        """Bring the decks above the first block in line with it."""
        for deck in reversed(self.leftmost()):
            deck.refresh()

    def leftmost(self) -> Path[B]:
        """The decks above the first block."""
        path: Path[B] = []
        node = self._root
        while isinstance(node, Deck):
            path.append(node)
            node = node.children[0]
        return path

    def _check(self) -> None:
        """Every invariant of the structure, as assertions. O(n); for tests."""
        blocks = list(self._check_node(self._root))
        assert blocks[0] is self.first
        assert blocks[-1] is self.last
        assert self.last.following is None
        assert self.find(self.last.start)[:2] == (self._edge, self.last)
        assert (self.first.start, self.first.start_position) == (EARLIEST, 0)
        for left, right in pairwise(blocks):
            assert left.following is right
            assert left.newest <= right.start
            assert (left.start, left.start_position) <= (right.start, right.start_position)
        for block in blocks:
            block._check()
        depths = {depth for depth, _ in self._depths(self._root, 0)}
        assert len(depths) == 1

    def _check_node(self, node: Deck[B] | B) -> Iterator[B]:
        if not isinstance(node, Deck):
            yield node
            return
        assert 1 <= len(node.children) <= FAN_OUT
        assert node.starts == [child.start for child in node.children]
        whole = Summary()
        for child in node.children:
            yield from self._check_node(child)
            whole.merge(child.summary)
        assert whole == node.summary

    def _depths(self, node: Deck[B] | B, depth: int) -> Iterator[tuple[int, B]]:
        if not isinstance(node, Deck):
            yield depth, node
            return
        for child in node.children:
            yield from self._depths(child, depth + 1)
