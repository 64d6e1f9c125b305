"""Workers for tests that a busy machine holds up. Their module imports nothing that has sockets, for which gevent would
warn."""

from __future__ import annotations

from importlib import import_module

from serving.worker import Worker


class Patient(Worker):
    """A worker that waits long for a handshake: a client beside other tests may take more than five seconds."""

    handshake_seconds = 60.0


class Lenient(Worker):
    """A worker that gives a slow subscriber long to hear why it was dropped: a flood may go on for longer than ten
    seconds."""

    def load_wsgi(self) -> None:
        """As ever, in the worker's process, so in nobody else's."""
        super().load_wsgi()
        vars(import_module("streaming.feed"))["CUT_SECONDS"] = 600.0


PATIENT = f"{Patient.__module__}.{Patient.__name__}"
LENIENT = f"{Lenient.__module__}.{Lenient.__name__}"
