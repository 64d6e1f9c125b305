"""Kept events of the log on Redis in chunks, and a step of cleaning as it is proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from event_log.base import Rules
from event_log.records import Columns, pack_columns

NOTHING: Columns = (np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0))
CHUNK = 512
"""Events in a chunk."""
CHUNK_BYTES = 100
"""What Redis takes for a chunk beside its bytes, about."""


class Chunk(NamedTuple):
    """Some kept events, as they are stored under the position they end at."""

    end: int
    data: bytes


@dataclass(slots=True)
class Step:
    """What is proposed."""

    mark: int
    folded: int
    base: Rules
    sweep: int
    sweeping: int
    swept: int
    freed: int = 0
    passed: list[tuple[int, bytes]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    keeps: dict[int, int] = field(default_factory=dict)
    forgotten: dict[int, int] = field(default_factory=dict)
    more: bool = False

    def forget(self, columns: Columns, dead: NDArray[np.bool_]) -> None:
        """Note what leaves."""
        positions, ids = columns[0][dead], columns[1][dead]
        order = np.argsort(positions, kind="stable")  # of one series the last one stays
        for number, position in zip(ids[order].tolist(), positions[order].tolist(), strict=True):
            self.forgotten[number] = max(position, self.forgotten.get(number, 0))


def chunks_of(rows: Sequence[bytes]) -> list[Chunk]:
    """From the answer to ZRANGEBYSCORE with scores."""
    return [Chunk(int(float(end)), data) for data, end in zip(rows[::2], rows[1::2], strict=True)]


def chosen(columns: Columns, rows: NDArray[np.bool_]) -> Columns:
    """The chosen rows."""
    positions, ids, times, values = columns
    return positions[rows], ids[rows], times[rows], values[rows]


def joined(pieces: Sequence[Columns]) -> Columns:
    """These pieces, one behind the other."""
    if not pieces:
        return NOTHING
    positions, ids, times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return positions, ids, times, values


def put(step: Step, columns: Columns) -> None:
    """Have these events, which are in order, kept in chunks."""
    positions, ids, times, values = columns
    for start in range(0, len(positions), CHUNK):
        rows = slice(start, start + CHUNK)
        end = int(positions[rows][-1])
        data = pack_columns(ids[rows], times[rows], values[rows], positions[rows], end)
        step.chunks.append(Chunk(end, data))
        step.freed -= len(data) + CHUNK_BYTES
