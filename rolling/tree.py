"""A tree: blocks of neighbouring events in order, under decks of summaries, all of them equally deep.

It finds, adds, splits and drops blocks; the timeline knows the meaning of their events. Whoever changes a
block owns it first, and with it all decks above it: what a snapshot has too is copied. The last block and the decks
above it are always owned, as events on time come there without a look at any epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Generic

from rolling.block import EARLIEST, LATEST
from rolling.deck import FAN_OUT, B, Deck, lowest
from rolling.epochs import Epochs
from rolling.runs import Scale
from rolling.summary import Summary

Path = list[Deck[B]]
"""The decks above a block, the root first."""


class Tree(Generic[B]):
    """Blocks of kind B in order."""

    __slots__ = ("_edge", "_root", "epochs", "first", "last", "scales")

    def __init__(self, block: B, epochs: Epochs | None = None) -> None:
        self.epochs = Epochs() if epochs is None else epochs
        self.scales: list[Scale] = []
        """By what the percentiles of its events are found; shared by all copies."""
        self.reset(block)

    def reset(self, block: B) -> None:
        """Hold this one block and nothing else."""
        block.epoch = self.epochs.now
        self._root: Deck[B] | B = block
        self.first = block
        self.last = block
        self._edge: Path[B] = []  # the decks above the last block

    def __len__(self) -> int:
        return self._root.summary.count

    @property
    def summary(self) -> Summary:
        """The summary of all its events. Not to be changed."""
        return self._root.summary

    def blocks(self, oldest: int = EARLIEST, newest: int = LATEST) -> Iterator[B]:
        """Return all blocks that may hold events from `oldest` to `newest`, both included, in order."""
        return _blocks(self._root, oldest, newest)

    def lowest(self) -> list[Deck[B]]:
        """The decks that hold blocks, in order."""
        return list(lowest(self._root)) if isinstance(self._root, Deck) else []

    def find(self, time: int) -> tuple[Path[B], B, int | None]:
        """The block an event of this time belongs to, the decks above it, and where the next block starts."""
        path: Path[B] = []
        end = None
        node = self._root
        while isinstance(node, Deck):
            path.append(node)
            index = node.index(time)
            if index + 1 < len(node.starts):
                end = node.starts[index + 1]
            node = node.children[index]
        return path, node, end

    def own(self, path: Path[B], block: B) -> tuple[Path[B], B]:
        """Return a block and the decks above it, to be changed: copies in their place where a snapshot has them."""
        if block.epoch > self.epochs.frozen:
            return path, block
        owned = self.own_decks(path)
        other = block.copy(self.epochs.now)
        self._replace(block, other, owned)
        if block is self.first:
            self.first = other
        if block is self.last:
            self.last, self._edge = other, owned
        return owned, other

    def own_decks(self, path: Path[B]) -> Path[B]:
        """Return the decks above a block, to be changed."""
        owned: Path[B] = []
        for deck in path:
            mine = deck
            if deck.epoch <= self.epochs.frozen:
                mine = deck.copy(self.epochs.now)
                self._replace(deck, mine, owned)
            owned.append(mine)
        return owned

    def _replace(self, node: Deck[B] | B, other: Deck[B] | B, above: Path[B]) -> None:
        """Put another node in place of one below these decks."""
        if above:
            children = above[-1].children
            children[children.index(node)] = other
        else:
            self._root = other

    def own_last(self) -> None:
        """Own the last block."""
        self.own(self._edge, self.last)

    def open(self, block: B) -> B:
        """Return a block, with its columns at hand. Nothing to do here."""
        return block

    def room(self, time: int, position: int) -> None:
        """Make room for an event where the block it belongs to is full."""
        path, block, end = self.find(time)
        path, block = self.own(path, block)
        if end is None and time >= block.newest:
            self.insert(path, block, type(block)(time, position, self.epochs.now))
        else:
            self.insert(path, block, self.open(block).split(end is None, self.epochs.now))

    def insert(self, path: Path[B], block: B, new: B) -> None:
        """Put a block, made in this epoch, behind one that is owned. The decks of `path` must count its events
        already."""
        if block is self.last:
            self.last = new
        self._grow(path, block, new)
        self._edge = self.find(LATEST)[0]

    def _grow(self, path: Path[B], node: Deck[B] | B, new: Deck[B] | B) -> None:
        if not path:
            self._root = Deck([node, new], self.epochs.now)
            return
        deck = path[-1]
        deck.insert_after(node, new)
        if len(deck.children) > FAN_OUT:
            self._grow(path[:-1], deck, deck.split(deck.children[-1] is new, self.epochs.now))

    def drop(self, count: int, spare: B) -> Iterator[B]:
        """Let go of the blocks that lie whole among the first `count` events, and of empty ones before them; where
        that is all of them, `spare` takes their place. Returns those let go of. O(log n), however many they are."""
        if count >= len(self):
            gone = [self._root]
            self.reset(spare)
        else:
            gone = self._cut_off(count)
        return (block for node in gone for block in _blocks(node))

    def _cut_off(self, count: int) -> list[Deck[B] | B]:
        """Let go of what lies before the first block that ends behind the first `count` events."""
        path: Path[B] = []
        node = self._root
        while isinstance(node, Deck):
            path.append(node)
            for child in node.children:
                if child.summary.count > count:
                    node = child
                    break
                count -= child.summary.count
        if node is self.first:
            return []
        path, block = self.own(path, node)
        gone: list[Deck[B] | B] = []
        below: list[Deck[B] | B] = [*path[1:], block]
        for deck, child in zip(path, below, strict=True):
            index = deck.children.index(child)
            gone += deck.children[:index]
            del deck.children[:index]
        self.first = block
        self.settle()
        return gone

    def own_first(self) -> None:
        """Own the first block."""
        self.own(*self.find(EARLIEST)[:2])

    def settle(self) -> None:
        """Bring all in line with a new first block, which is owned, and with what has gone before it."""
        self.first.start, self.first.start_position = EARLIEST, 0
        self.refresh_first()
        while isinstance(self._root, Deck) and len(self._root.children) == 1:
            self._root = self._root.children[0]
        self._edge = self.find(LATEST)[0]

    def refresh_first(self) -> None:
        """Bring the decks above the first block, which are owned, in line with it."""
        for deck in reversed(self.find(EARLIEST)[0]):
            deck.refresh()

    def adopt(self, root: Deck[B] | B) -> None:
        """Have this root and all below it in place of all that was."""
        self._root = root
        self.first = self.find(EARLIEST)[1]
        self._edge, self.last, _ = self.find(LATEST)
        self.own_first()
        self.own_last()
        self.settle()
        if self._edge:
            self._edge[-1].leave()  # events on time would not be noted there

    def check(self) -> None:
        """Assert every invariant of the structure. O(n); for tests."""
        blocks = list(self._check_node(self._root))
        assert blocks == list(self.blocks())
        assert blocks[0] is self.first
        assert blocks[-1] is self.last
        assert self.find(self.last.start)[:2] == (self._edge, self.last)
        assert not self._edge or self._edge[-1].held is None
        assert (self.first.start, self.first.start_position) == (EARLIEST, 0)
        for left, right in pairwise(blocks):
            assert left.newest <= right.start
            assert (left.start, left.start_position) <= (right.start, right.start_position)
        for block in blocks:
            block.check()
        assert len({len(self.find(block.start)[0]) for block in blocks}) == 1

    def check_epochs(self) -> None:
        """Assert that whoever writes finds out what a snapshot has. For tests, of what may be written to."""
        for epoch in (*(deck.epoch for deck in self._edge), self.last.epoch):
            assert self.epochs.frozen < epoch <= self.epochs.now
        nodes, alive = [self._root], self.epochs.alive
        for node in nodes:
            if isinstance(node, Deck):
                assert all(node.epoch > epoch or child.epoch <= epoch for child in node.children for epoch in alive)
                nodes += node.children

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


def _blocks(node: Deck[B] | B, oldest: int = EARLIEST, newest: int = LATEST) -> Iterator[B]:
    """Return the blocks below a node that may hold events from `oldest` to `newest`, in order."""
    if not isinstance(node, Deck):
        yield node
        return
    # Events of one time may begin in the block before the first that starts with that time.
    first = node.index(oldest - 1)
    for child, start in zip(node.children[first:], node.starts[first:], strict=True):
        if start > newest:
            return
        yield from _blocks(child, oldest, newest)
