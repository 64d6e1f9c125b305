"""All who need what is newest in the log share a read of it. Trips to Redis would go one after the other."""

from __future__ import annotations

from threading import Event, Thread

from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.memory_store import MemoryStore
from event_log.port import Chunk, Cursor
from tests.servers import until

MANY = 32
SOON = 60.0
"""Far more seconds than any step takes; a test that waits so long has failed."""


class Source(MemoryStore):
    """Is read when the test says so; counts the reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.reading, self.go_on = Event(), Event()
        self.fault: LogUnavailable | None = None

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        self.reads += 1
        self.reading.set()
        assert self.go_on.wait(SOON)
        if self.fault is not None:
            raise self.fault
        return super().read(cursor, limit)


def caught_up(source: Source) -> list[str]:
    """Have one read, and many come meanwhile; return what they were told."""
    log, told = Log(source), list[str]()

    def catch_up() -> None:
        try:
            log.catch_up()
            told.append("level")
        except LogUnavailable as fault:
            told.append(str(fault))

    threads = [Thread(target=catch_up, daemon=True) for _ in range(1 + MANY)]
    threads[0].start()
    assert source.reading.wait(SOON)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(log.flight.waiting) == MANY, "all to come")
    source.go_on.set()
    for thread in threads:
        thread.join(SOON)
    return told


def test_all_who_gather_share_one_read() -> None:
    source = Source()
    assert caught_up(source) == ["level"] * (1 + MANY)
    assert source.reads == 2


def test_a_read_that_fails_fails_all_who_gathered() -> None:
    source = Source()
    source.fault = LogUnavailable("gone")
    assert caught_up(source) == ["gone"] * (1 + MANY)
    assert source.reads == 2
