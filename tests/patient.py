"""A worker for tests over TLS. Its module imports nothing that has sockets, for which gevent would warn."""

from __future__ import annotations

from serving.worker import Worker


class Patient(Worker):
    """A worker that waits long for a handshake: a client beside other tests may take more than five seconds."""

    handshake_seconds = 60.0


PATIENT = f"{Patient.__module__}.{Patient.__name__}"
