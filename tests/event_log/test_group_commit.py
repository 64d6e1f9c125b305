"""SYNC=always: a write is acknowledged once it is synced, and those who wait together share one sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Barrier, Event, Thread

import numpy as np
import pytest

from event_log.batch import Batch
from event_log.errors import LogUnavailable, LogUncertain
from event_log.files import store as store_module
from event_log.files.head import SYNCED_NUMBER
from event_log.files.opening import OpenLog
from event_log.files.store import FilesStore
from event_log.files.syncing import sync
from event_log.log import Log
from event_log.writes import Conditions, Once
from tests.event_log.stores import WALL as START
from tests.servers import until

CLIENTS = 20
EACH = 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FilesStore]:
    made = FilesStore(tmp_path / "log", max_bytes=2**25, sync="always")
    yield made
    made.close()


def synced(store: FilesStore) -> int:
    """The number up to which all is on the disk."""
    assert store.files is not None
    return store.files.words[SYNCED_NUMBER]


def test_none_is_told_too_early(store: FilesStore) -> None:
    log, early = Log(store), list[int]()

    def client(number: int) -> None:
        for i in range(EACH):
            position = log.append_one(f"s{number}", START + i, float(i)).position
            if synced(store) < position:  # each record of one event has a number of its own, and more have none
                early.append(position)

    _at_once(client)
    assert not early
    assert store.end().position == CLIENTS * EACH


def test_a_repetition_waits_for_the_sync_of_what_it_rests_on(store: FilesStore, tmp_path: Path) -> None:
    key = b"k" * 16
    other = FilesStore(tmp_path / "log", max_bytes=2**25, sync="never")
    Log(other).append(Batch([], None, START, np.empty(0)), Conditions(once=Once(key, key)))
    log = Log(store)
    log.catch_up()
    assert synced(store) < store.end().number
    assert log.recall(key) is not None
    assert synced(store) == store.end().number
    other.close()


def test_where_the_disk_fails_it_says_that_the_write_may_have_been_stored(
    store: FilesStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(store)
    log.append_one("a", START, 1.0)

    def fail(files: OpenLog) -> None:
        raise LogUnavailable("the disk is on fire")

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "sync", fail)
        with pytest.raises(LogUncertain, match="the disk is on fire"):
            log.append_one("a", START, 2.0)
    assert log.append_one("a", START, 3.0).position == 3
    assert synced(store) == store.end().number


def test_clients_who_wait_together_share_syncs(store: FilesStore, monkeypatch: pytest.MonkeyPatch) -> None:
    log, syncs = Log(store), list[int]()
    log.append_one("a", START, 0.0)
    begun, go_on = Event(), Event()

    def slow(files: OpenLog) -> None:
        syncs.append(1)
        begun.set()
        assert go_on.wait(60)
        sync(files)

    monkeypatch.setattr(store_module, "sync", slow)
    clients = [Thread(target=log.append_one, args=("a", START, float(number))) for number in range(CLIENTS)]
    clients[0].start()
    assert begun.wait(60)
    for one in clients[1:]:
        one.start()
    files = store.files
    assert files is not None
    until(lambda: len(files.syncs.waiting) == CLIENTS - 1, "the others to gather")
    go_on.set()
    for one in clients:
        one.join(60)
    assert len(syncs) == 2
    assert synced(store) == store.end().number == 1 + CLIENTS


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
