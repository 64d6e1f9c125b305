"""Time that passes only when it is slept, for tests of what waits; and a server that is not there."""

from __future__ import annotations

import socket


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
