"""The `rate` of a stream of statistics: events accepted a second, from one answer to the next."""

from __future__ import annotations

from collections.abc import Hashable

from times import SECOND

MOST_SUBJECTS = 10_000
"""Maximum number of subjects whose last look is remembered; of others the rate starts anew."""


class Rates:
    """Counts arrivals from one look at a subject to the next, whatever times the events are dated."""

    def __init__(self) -> None:
        self._looks: dict[Hashable, tuple[int, int]] = {}  # what had arrived, and when; the oldest look first

    def since_last(self, subject: Hashable, arrived: int, now: int, interval: int) -> float | None:
        """Events a second since the last look, `arrived` being all so far; None when that was not about an interval
        ago, or what had arrived then was counted otherwise: by a projection that has been replaced since."""
        before = self._looks.pop(subject, None)
        self._looks[subject] = arrived, now
        if len(self._looks) > MOST_SUBJECTS:
            del self._looks[next(iter(self._looks))]
        if before is None or arrived < before[0] or not interval // 2 <= now - before[1] <= 2 * interval:
            return None
        return (arrived - before[0]) * SECOND / (now - before[1])
