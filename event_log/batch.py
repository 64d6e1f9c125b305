"""Events on their way into the log, and the columns that events are kept in everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Ids = NDArray[np.uint32]
EARLIEST = -(2**63)
"""Among times: before all others."""
ON_ARRIVAL = 2**63 - 1
"""Among times: the event is stamped on arrival. No timestamp that anybody writes is so late."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one request in order of arrival, to be stored all or not at all."""

    names: Sequence[str]
    """The distinct series of the batch."""
    name_indexes: Ids | None
    """For each event the index of its series in `names`; None when all belong to names[0]."""
    times: Times | int
    """Microseconds since the epoch; one int when all events share it."""
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def firsts(self) -> list[tuple[int, float]]:
        """Return time and value of the first event of each series by arrival, in the order of `names`."""
        rows = np.zeros(len(self.names), np.intp)
        if self.name_indexes is not None:
            used, places = np.unique(self.name_indexes, return_index=True)
            rows[used] = places
        times = [self.times] * len(rows) if isinstance(self.times, int) else self.times[rows].tolist()
        return list(zip(times, self.values[rows].tolist(), strict=True))
