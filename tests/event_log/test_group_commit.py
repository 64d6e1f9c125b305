"""SYNC=always: a write is acknowledged once it is settled, and those who wait together share one settling."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import Batch, LogUnavailable, LogUncertain, Once, Terms
from tests.event_log.logs import START, open_lmdb

CLIENTS = 20
EACH = 20


def test_all_who_wait_share_a_settling_and_none_is_told_too_early(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path, sync="always")
    log.append_one("a", START, 0.0)
    store = log._process.get()
    settlings: list[str] = []
    store.settling.at = lambda point: settlings.append(point) if point == "settled" else None
    begin, early = Barrier(CLIENTS), list[int]()

    def client(number: int) -> None:
        begin.wait()
        for i in range(EACH):
            position = log.append_one(f"s{number}", START + i, float(i))
            if store.settled_position() < position:
                early.append(position)

    clients = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert not early
    assert len(log.read(BEGIN)) == CLIENTS * EACH + 1 == log.position()
    assert len(settlings) < CLIENTS * EACH * 3 / 4
    log.close()


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
