"""The series of the log as this process knows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from threading import RLock
from typing import NamedTuple

import numpy as np

from event_log.base import Batch, Series
from event_log.entries import pack_series, unpack_series

NOTHING = "-1  "
"""The stand of a registry without series."""
Rows = Iterable[tuple[int, bytes | None, bytes | None]]
"""Ids, entries and tokens; None where the series has left."""
LEFT_ROW = np.dtype([("id", "<u4"), ("position", "<u8")])


class Known(NamedTuple):
    """What a write needs to know of its series."""

    ids: list[int]
    """-1 where it has yet to be registered."""
    stand: str


class Registry(Mapping[int, Series]):
    """All series by id. Grows as the log tells; begins anew where it turns out to be of another history."""

    def __init__(self) -> None:
        self._lock = RLock()
        # All below: under _lock.
        self._entries: dict[int, Series] = {}
        self._tokens: dict[int, str] = {}
        self._forgotten: dict[int, int] = {}
        self._ids: dict[str, int] = {}  # of those that live
        self._ended: dict[int, int] = {}  # where the others ended
        self.stand = NOTHING
        self.step = -1  # the step of cleaning up to which `forgotten` is known

    def __getitem__(self, number: int) -> Series:
        entry = self._entries[number]
        forgotten = self._forgotten.get(number, 0)
        return replace(entry, forgotten=forgotten) if forgotten > entry.forgotten else entry

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def newest(self) -> int:
        """The highest id ever given, as far as this knows."""
        return int(self.stand.partition(" ")[0])

    def lives(self, number: int) -> bool:
        """Whether this is a series that has not ended."""
        return number in self._entries and number not in self._ended

    def number(self, name: str) -> tuple[int, str]:
        """The id of a living series, -1 without one; and the stand it is known from."""
        with self._lock:
            return self._ids.get(name, -1), self.stand

    def known(self, names: Sequence[str]) -> Known:
        """The same for several."""
        with self._lock:
            return Known([self._ids.get(name, -1) for name in names], self.stand)

    def token(self, number: int) -> str:
        """Of the write that registered a series; "" where it is not known."""
        return self._tokens.get(number, "")

    def learn(self, entries: Rows, before: str, stand: str, *, anew: bool = False) -> bool:
        """Take in entries behind those known at `before`, after which the registry stands there; `anew`: in the place
        of those known, which were of another history. False, having done nothing, where it has moved on meanwhile.
        Raises LogDamaged."""
        with self._lock:
            if self.stand != before:
                return False
            if anew:
                self._entries, self._tokens, self._forgotten, self._ids, self._ended = {}, {}, {}, {}, {}
                self.step = -1
            for number, data, token in entries:
                if data is not None and token is not None:  # else the series has left
                    self._take(number, unpack_series(number, data), token.decode())
            self.stand = stand
            return True

    def _take(self, number: int, entry: Series, token: str) -> None:
        self._entries[number] = entry
        self._tokens[number] = token
        self._ids[entry.name] = number

    def learned(self, fresh: Mapping[int, Series], stand: str, before: str) -> None:
        """Take in what this process has registered when it stood at `before`."""
        with self._lock:
            if self.stand != before:
                return  # it will be read
            token = stand.split(" ")[1]
            for number, entry in fresh.items():
                self._take(number, entry, token)
            self.stand = stand

    def end(self, number: int, position: int) -> None:
        """A series has ended."""
        with self._lock:
            entry = self._entries.get(number)
            if entry is not None and not entry.ended:
                self._entries[number] = replace(entry, ended=position)
                self._ended[number] = position
                if self._ids.get(entry.name) == number:
                    del self._ids[entry.name]

    def rebase(self, keeps: Mapping[int, int]) -> None:
        """What series keep of their own as a reader from START begins."""
        with self._lock:
            for number, keep in keeps.items():
                if number in self._entries and self._entries[number].keep != keep:
                    self._entries[number] = replace(self._entries[number], keep=keep)

    def forget(self, forgotten: Mapping[int, int], step: int) -> None:
        """The highest positions of events that have left, by series, as of a step of cleaning."""
        with self._lock:
            for number, position in forgotten.items():
                self._forgotten[number] = max(position, self._forgotten.get(number, 0))
            self.step = step

    def drop(self, folded: int) -> None:
        """Forget the series whose end nobody is told any more."""
        with self._lock:
            for number in [number for number, position in self._ended.items() if position <= folded]:
                del self._entries[number], self._tokens[number], self._ended[number]
                self._forgotten.pop(number, None)

    def fresh(self, batch: Batch, known: Known, keep: int | None) -> dict[int, Series]:
        """The entries for the series of a batch that have yet to be registered."""
        found: dict[int, Series] = {}
        newest = int(known.stand.partition(" ")[0])
        for index, (name, number) in enumerate(zip(batch.names, known.ids, strict=True)):
            if number < 0:
                found[newest + 1 + len(found)] = Series(name, *batch.first(index), keep)
        return found


def pack_fresh(fresh: Mapping[int, Series]) -> list[bytes]:
    """The entries as they are stored."""
    return [pack_series(number, entry) for number, entry in fresh.items()]


def pack_left(forgotten: Mapping[int, int]) -> bytes:
    """A note of what a step of cleaning has made leave."""
    return np.array(list(forgotten.items()), LEFT_ROW).tobytes()


def unpack_left(data: bytes) -> dict[int, int]:
    table = np.frombuffer(data, LEFT_ROW)
    return dict(zip(table["id"].tolist(), table["position"].tolist(), strict=True))
