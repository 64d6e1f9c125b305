"""SYNC=always: a write is acknowledged once it is settled, and those who wait together share one settling."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Thread

import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import Terms
from event_log.batch import Batch
from event_log.errors import LogUnavailable, LogUncertain
from event_log.group_commit import GroupCommit
from event_log.writes import Once
from tests.event_log.logs import START, open_lmdb
from tests.servers import until

CLIENTS = 20
EACH = 20
CHECKOUT = Path(__file__).resolve().parent.parent.parent

GREENLETS = """
from gevent import monkey
monkey.patch_all()

import faulthandler, sys
from pathlib import Path

import gevent
from event_log.lmdb_log import LmdbLog

faulthandler.dump_traceback_later(60, exit=True)  # a halted hub has no other end
clients, each = int(sys.argv[2]), int(sys.argv[3])
log = LmdbLog(Path(sys.argv[1]), max_bytes=2**25, sync="always")
log.append_one("a", 1, 1.0)
store, syncs = log._process.get(), []
store.settling.at = lambda point: syncs.append(point) if point == "settled" else None

def client():
    for time in range(each):
        position = log.append_one("a", time, 1.0)
        assert store.settled_position() >= position

gevent.joinall([gevent.spawn(client) for _ in range(clients)], raise_error=True)
print(log.position(), len(syncs))
log.close()
"""


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


def test_greenlets_that_write_again_and_again_share_each_settling(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS, str(tmp_path / "log"), str(CLIENTS), str(EACH)],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    position, settlings = map(int, done.stdout.split())
    assert position == 1 + CLIENTS * EACH
    assert settlings <= 3 * EACH


def test_a_failed_sync_is_told_to_all_who_share_it() -> None:
    group, begun, go_on = GroupCommit(lambda: 0), Event(), Event()

    def first() -> None:
        begun.set()
        go_on.wait()
        raise LogUnavailable("no disk")

    told: list[str] = []

    def client(sync: Callable[[], None]) -> None:
        try:
            group.wait(1, sync)
        except LogUnavailable as fault:
            told.append(str(fault))

    def second() -> None:
        raise LogUnavailable("still no disk")

    clients = [Thread(target=client, args=(first,))]
    clients[0].start()
    begun.wait()
    clients += [Thread(target=client, args=(second,)) for _ in range(5)]
    for one in clients[1:]:
        one.start()
    until(lambda: group._next is not None, "the others to gather")
    go_on.set()
    for one in clients:
        one.join()
    assert sorted(told) == ["no disk"] + ["still no disk"] * 5


def test_where_the_one_that_syncs_is_killed_the_others_begin_anew() -> None:
    synced = 0
    group, begun, go_on = GroupCommit(lambda: synced), Event(), Event()

    def killed() -> None:
        begun.set()
        go_on.wait()
        raise SystemExit

    def whole() -> None:
        nonlocal synced
        synced = 1

    def first() -> None:
        with suppress(SystemExit):
            group.wait(1, killed)

    clients = [Thread(target=first)]
    clients[0].start()
    begun.wait()
    clients += [Thread(target=group.wait, args=(1, whole)) for _ in range(5)]
    for one in clients[1:]:
        one.start()
    until(lambda: group._next is not None, "the others to gather")
    go_on.set()
    for one in clients:
        one.join(10)
    assert not any(one.is_alive() for one in clients)
    assert synced == 1
    assert group._running is group._next is None


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
