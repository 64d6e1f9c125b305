"""Time that passes only when it is slept, for tests of what waits; and a server that is not there."""

from __future__ import annotations

CLOSED_PORT = 1
"""Nobody listens there. The kernel may give another port, though nobody uses it just now, to somebody else at once."""


class FakeTime:
    """Call it for the seconds since the start; `sleep` advances it and answers `stopped`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.stopped = False

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        """Let the time pass at once."""
        self.slept.append(seconds)
        self.now += seconds
        return self.stopped
