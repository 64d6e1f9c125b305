"""Epochs: which nodes a snapshot has too, so that whoever changes one copies it first (copy-on-write).

Each block, deck and window says in which epoch it was made. A snapshot ends an epoch: what was made up to there is
frozen while it lives. Above a block that is not frozen no deck is, so that one comparison tells of all of them.
"""

from __future__ import annotations

NONE = -1


class Epochs:
    """The present epoch and the last frozen one. Not thread safe: the caller holds the lock of the windows."""

    __slots__ = ("alive", "frozen", "now")

    def __init__(self) -> None:
        self.now = 0
        self.frozen = NONE
        """Last frozen epoch: blocks and decks of it and of earlier ones may not be changed. NONE without a snapshot."""
        self.alive: list[int] = []
        """The epochs that snapshots have ended which live."""

    def freeze(self) -> int:
        """Freeze all that there is. Returns the epoch that ends with that."""
        self.frozen = self.now
        self.alive.append(self.now)
        self.now += 1
        return self.frozen

    def thaw(self, epoch: int) -> None:
        """Have what was made in an epoch changed again, if no other one is frozen that needs it."""
        self.alive.remove(epoch)
        self.frozen = max(self.alive, default=NONE)
