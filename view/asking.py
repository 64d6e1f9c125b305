"""Asking: a question is a plain function of what is seen of the log; its answer is of the moment at which it began.

It is put to the live projection first, which is locked for some milliseconds at most. If that is not enough, it is put
to a snapshot, and lets others in every few milliseconds. A kind of question that took long the last time is put to a
snapshot at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from event_log.aside import give_way
from rolling.steps import nothing
from view.level import Level
from view.projection import Projection
from view.snapshots import Seen, Snapshot

SECONDS = 0.005
"""Seconds that others are kept waiting, roughly."""

T = TypeVar("T")
Question = Callable[[Seen], T]


class _TooLong(Exception):
    """A question takes longer than the live projection may be locked."""


class _Replaced(Exception):
    """Another projection has taken the place of the one that was asked."""


class _Turns:
    """The turns of a question on a snapshot: called again and again with the lock held, it yields to others whenever
    a turn is over."""

    def __init__(self, level: Level, projection: Projection, seen: Seen) -> None:
        self._level = level
        self._projection = projection
        self._seen = seen
        self.holds = True
        """True if the lock is held."""
        self.yields = 0
        self._begin()

    def _begin(self) -> None:
        self._seen.view.pause_by(self)
        self._end = time.perf_counter() + SECONDS

    def __call__(self) -> None:
        if time.perf_counter() < self._end:
            return
        self.yields += 1
        self.holds = False
        self._level.lock.release()
        give_way()
        self._level.lock.acquire()
        self.holds = True
        if self._level.projection is not self._projection:
            raise _Replaced
        self._begin()


def ask(level: Level, kind: str, question: Question[T]) -> T:
    """Return the answer to a question of a kind, put to a projection that knows all that was acknowledged by now; anew
    where another one takes its place meanwhile. Not with the lock held."""
    while True:
        projection = level.acquire()
        turns = None
        try:
            try:
                return _ask_live(projection, kind, question)
            except _TooLong:
                projection.snapshots.slow.add(kind)
            snapshot = projection.snapshot()
            if snapshot is not None:
                turns = _Turns(level, projection, snapshot)
                return _ask_snapshot(projection, snapshot, turns, kind, question)
        except _Replaced:
            continue
        finally:
            if turns is None or turns.holds:
                level.lock.release()
        give_way()  # until one of the others has its answer


def _ask_live(projection: Projection, kind: str, question: Question[T]) -> T:
    """Return the answer from the live projection. Raises _TooLong."""
    if kind in projection.snapshots.slow:
        raise _TooLong
    end = time.perf_counter() + SECONDS

    def stop() -> None:
        if time.perf_counter() >= end:
            raise _TooLong

    projection.view.pause_by(stop)
    try:
        return question(projection)
    finally:
        projection.view.pause_by(nothing)


def _ask_snapshot(projection: Projection, snapshot: Snapshot, turns: _Turns, kind: str, question: Question[T]) -> T:
    """Return the answer from a snapshot. Raises _Replaced."""
    try:
        found = question(snapshot)
    finally:
        projection.snapshots.leave(snapshot)
    if not turns.yields:
        projection.snapshots.slow.discard(kind)
    return found
