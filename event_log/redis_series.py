"""How a process learns of the series of the log on Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from event_log.own_lock import OwnLock
from event_log.redis_head import Head
from event_log.redis_keys import Keys
from event_log.redis_link import Link
from event_log.redis_registry import NOTHING, Registry, unpack_left

PORTION = 1000
"""Of series in one reading: some 1 ms of Redis' time."""
NOTES = 64
"""So many steps of cleaning are noted. One that has missed more reads all."""


class SeriesReader:
    """Keeps a registry up to date."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self.registry = Registry()
        self._link = link
        self._keys = keys
        self._one = OwnLock()  # one refresh at a time; those who waited find it done
        self._folded = 0

    def refresh(self, seen: str | None = None) -> None:
        """Learn all there is; does nothing where the registry is another one already than the one `seen`."""
        with self._one:
            while seen is None or self.registry.stand == seen:
                if self._refresh():
                    return

    def follow(self, head: Head, notes: Sequence[Any], base: Sequence[bytes] | None) -> None:
        """Learn what is new as of this head, with the notes since the registry's step."""
        if head.stand != self.registry.stand:
            self.refresh()
        if head.step > self.registry.step:
            if self.registry.step < 0 or len(notes) >= NOTES:
                self._read_forgotten(head.step)
            else:
                self.registry.forget(_sum(notes), head.step)
        if base is not None:
            self.registry.rebase(_numbers(base))
        if head.folded > self._folded:
            self._folded = head.folded
            self.registry.drop(head.folded)

    def _refresh(self) -> bool:
        """False where a write of this process was first, so that it has to be asked again."""
        registry, keys = self.registry, self._keys
        before = registry.stand
        newest, own_token, _ = before.split(" ")
        stand, token, ended = self._link.look(
            ("HGET", keys.head, "stand"), ("HGET", keys.tokens, newest), ("HGETALL", keys.ended)
        )
        stand = (stand or NOTHING.encode()).decode()
        anew = (token or b"").decode() != own_token
        start = 0 if anew else int(newest) + 1
        end = int(stand.split(" ")[0]) + 1
        entries: list[tuple[int, bytes | None, bytes | None]] = []
        for first in range(start, end, PORTION):
            numbers = range(first, min(first + PORTION, end))
            found = self._link.look(("HMGET", keys.series, *numbers), ("HMGET", keys.tokens, *numbers))
            entries.extend(zip(numbers, *found, strict=True))
        if not registry.learn(entries, before, stand, anew=anew):
            return False
        for number, position in _numbers(ended).items():
            registry.end(number, position)
        return True

    def _read_forgotten(self, step: int) -> None:
        """What has left of all series."""
        found: dict[int, int] = {}
        for first in range(0, self.registry.newest + 1, PORTION):
            numbers = range(first, min(first + PORTION, self.registry.newest + 1))
            (positions,) = self._link.look(("HMGET", self._keys.forgotten, *numbers))
            found |= {number: int(value) for number, value in zip(numbers, positions, strict=True) if value is not None}
        self.registry.forget(found, step)


def _sum(notes: Sequence[Any]) -> Mapping[int, int]:
    """What left in these steps of cleaning."""
    found: dict[int, int] = {}
    for _, (_, data) in notes:
        for number, position in unpack_left(data).items():
            found[number] = max(position, found.get(number, 0))
    return found


def _numbers(pairs: Sequence[bytes]) -> dict[int, int]:
    """The answer to HGETALL where all are numbers."""
    return dict(zip(map(int, pairs[::2]), map(int, pairs[1::2]), strict=True))
