"""SYNC=always: a write is acknowledged once it is settled, and those who wait together share one settling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import Batch, LogUnavailable, LogUncertain, Once, Terms
from tests.event_log.logs import START, open_lmdb
from tests.servers import until

CLIENTS = 20
EACH = 20


def test_none_is_told_too_early(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path, sync="always")
    store, early = log._process.get(), list[int]()

    def client(number: int) -> None:
        for i in range(EACH):
            position = log.append_one(f"s{number}", START + i, float(i))
            if store.settled_position() < position:
                early.append(position)

    _at_once(client)
    assert not early
    assert len(log.read(BEGIN)) == CLIENTS * EACH == log.position()
    log.close()


def test_all_who_wait_share_a_settling(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path, sync="always")
    log.append_one("a", START, 0.0)
    settlings: list[int] = []

    def at(point: str) -> None:
        if point == "settled":
            until(lambda: log.position() == CLIENTS + 1, "all to wait for the first one's settling")
            settlings.append(store.settled_position())

    store = log._process.get()
    store.settling.at = at
    _at_once(lambda number: log.append_one("a", START, float(number)))
    assert len(settlings) <= 2
    assert settlings[-1] == CLIENTS + 1
    log.close()


def _at_once(work: Callable[[int], object]) -> None:
    """Let each client do it, in a thread of its own."""
    begin = Barrier(CLIENTS)

    def client(number: int) -> None:
        begin.wait()
        work(number)

    clients = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()


def test_a_memo_alone_is_settled_too(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path, sync="always")
    once = Once(b"key", b"body", b"answer", START, START + 60)
    log.append(Batch([], None, START, np.empty(0)), Terms(once=once))
    settled = log._process.get().settled
    with settled.read() as txn:
        assert settled.memo(txn, b"key") is not None
    log.close()


def test_where_the_disk_fails_it_says_that_the_write_may_have_been_stored(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path, sync="always")
    log.append_one("a", START, 1.0)

    def fail(point: str) -> None:
        if point == "settling":
            raise LogUnavailable("the disk is on fire")

    log._process.get().settling.at = fail
    with pytest.raises(LogUncertain, match="the disk is on fire"):
        log.append_one("a", START, 2.0)
    log._process.get().settling.at = lambda point: None
    assert log.append_one("a", START, 3.0) == 3
    assert log._process.get().settled_position() == 3
    log.close()
