"""SYNC=always: a write is acknowledged once it is synced, and those who wait together share one sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
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
from event_log.group_commit import GroupCommit
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
    assert store._files is not None
    return store._files.words[SYNCED_NUMBER]


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
        one.join(60)
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
