"""Processes that are killed or halted at any point, and forked children: none costs others more than a moment."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from select import select

import pytest

from event_log.codec import END, WRITE
from event_log.errors import LogFull, LogUnavailable
from event_log.files.store import FilesStore
from event_log.port import Behind, Cursor, Record
from tests.event_log.files.logs import LEAST, add, read_all, read_from, single
from tests.servers import until

CHECKOUT = Path(__file__).resolve().parents[3]
WORKERS = 4
ACKNOWLEDGED = struct.Struct("<QQd")
FORK = multiprocessing.get_context("fork")


def store_at(folder: Path) -> FilesStore:
    return FilesStore(folder, max_bytes=4 * LEAST, boot=lambda: "boot")


def work(folder: Path, pipe: int, seed: int) -> None:
    """Write and follow until killed, and tell of each write that was acknowledged."""
    store, chance = store_at(folder), random.Random(seed)
    cursor = store.manifest().cursor
    for count in range(10**9):
        value = float(seed * 10**7 + count)
        try:
            appended = add(store, single(value))
            os.write(pipe, ACKNOWLEDGED.pack(*appended, value))
            if chance.random() < 0.05:
                add(store, Record(WRITE, chance.randbytes(chance.randint(0, 3000)), chance.randint(0, 3)))
            if chance.random() < 0.02:
                add(store, Record(END, b"", 1, fences=True))
            if chance.random() < 0.02:
                store.sync()
            cursor = store.read(cursor, 1000).cursor
            if chance.random() < 0.05:
                compact(store, cursor)
        except LogFull:
            os.kill(os.getpid(), signal.SIGKILL)


def compact(store: FilesStore, cursor: Cursor) -> None:
    """Put a blob in place of what has been read, if nobody else does meanwhile."""
    manifest = store.manifest()
    if cursor.number > manifest.cursor.number:
        name = store.put_blob(b"%d" % cursor.number)
        store.swap(manifest._replace(generation=manifest.generation + 1, cursor=cursor, blobs=(name,)))


@pytest.mark.soak(seed=(range(1), range(10)), kills=(15, 40))
def test_no_kill_costs_what_was_acknowledged(tmp_path: Path, seed: int, kills: int) -> None:
    chance, seeds = random.Random(seed), itertools.count(1)
    reading, writing = os.pipe()
    acknowledged: dict[float, tuple[int, int]] = {}

    def start() -> BaseProcess:
        process = FORK.Process(target=work, args=(tmp_path / "log", writing, next(seeds)))
        process.start()
        return process

    workers = [start() for _ in range(WORKERS)]
    try:
        for _ in range(kills):
            _listen(reading, acknowledged, chance.random() * 0.05)
            victim = chance.randrange(WORKERS)
            workers[victim].kill()
            workers[victim].join()
            workers[victim] = start()
        follower = store_at(tmp_path / "log")

        def has_done_enough() -> bool:
            _listen(reading, acknowledged, 0.05)
            return len(acknowledged) > 10 * WORKERS and follower.generation() > 1

        until(has_done_enough, "writes and compactions", 300)
        follower.close()
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    _listen(reading, acknowledged, 0)
    os.close(reading)
    os.close(writing)
    store = store_at(tmp_path / "log")
    try:
        found = read_from(store, Cursor(store.manifest().cursor.history))  # compacted ones stay for ten minutes
    except Behind:
        found = read_all(store)  # unless there was so much that they had to make room
    manifest = store.manifest()
    assert [store.blob(name) for name in manifest.blobs] == [b"%d" % manifest.cursor.number]
    add(store, single(-1.0))  # the last swap may have covered all there was
    compact(store, store.read(manifest.cursor, 10**6).cursor)
    assert store.generation() == manifest.generation + 1  # whoever died in a swap has blocked none
    store.close()
    stored: dict[float, tuple[int, int]] = {}
    for number, entry in found.items():
        if entry.kind == single(0.0).kind:
            (value,) = struct.unpack("<d", entry.payload[-8:])
            assert value not in stored
            stored[value] = number, entry.position
    left = {value: at for value, at in acknowledged.items() if at[0] >= min(found)}
    assert {value: stored.get(value) for value in left} == left
    positions = [entry.position for entry in found.values()]
    assert positions == sorted(positions)


def _listen(pipe: int, acknowledged: dict[float, tuple[int, int]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
        data = os.read(pipe, 100 * ACKNOWLEDGED.size)
        for number, position, value in ACKNOWLEDGED.iter_unpack(data):
            acknowledged[value] = number, position
        if time.monotonic() > end and len(data) < 100 * ACKNOWLEDGED.size:
            return


@pytest.fixture
def child() -> Iterator[Callable[[Callable[[], None]], BaseProcess]]:
    """Starts a process, which does not outlive the test."""
    started: list[BaseProcess] = []

    def start(target: Callable[[], None]) -> BaseProcess:
        process = FORK.Process(target=target)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


Starter = Callable[[Callable[[], None]], BaseProcess]


def test_a_halted_writer_keeps_others_waiting_for_two_seconds(tmp_path: Path, child: Starter) -> None:
    store = store_at(tmp_path / "log")
    add(store, single(1.0))

    def halt() -> None:
        other = store_at(tmp_path / "log")
        other.end()
        assert other.files is not None
        other.files.appending.acquire()
        (tmp_path / "halted").touch()
        signal.pause()

    halted = child(halt)
    until((tmp_path / "halted").exists, "a halted process")
    begun = time.monotonic()
    with pytest.raises(LogUnavailable, match="try again"):
        add(store, single(2.0))
    assert time.monotonic() - begun > 1.9
    assert len(read_all(store)) == 1
    late = store_at(tmp_path / "log")
    assert late.end().number == 1
    late.files = None
    halted.kill()
    halted.join()
    assert add(store, single(2.0)).number == 2
    store.close()


def test_a_forked_child_opens_the_log_anew(tmp_path: Path, child: Starter) -> None:
    store = store_at(tmp_path / "log")
    add(store, single(1.0))
    inherited = store.files

    def go_on() -> None:
        assert store.files is None
        assert add(store, single(2.0)).number == 2
        assert store.files is not inherited
        store.close()

    process = child(go_on)
    process.join()
    assert process.exitcode == 0
    assert add(store, single(3.0)).number == 3
    store.close()


def test_a_child_keeps_no_lock_of_a_parent_that_dies(tmp_path: Path, child: Starter) -> None:
    def parent() -> None:
        store = store_at(tmp_path / "log")
        store.end()
        assert store.files is not None
        store.files.appending.acquire()
        if os.fork() == 0:
            (tmp_path / "forked").write_text(str(os.getpid()))
            signal.pause()
        signal.pause()

    process = child(parent)
    until(lambda: (tmp_path / "forked").exists() and (tmp_path / "forked").read_text() != "", "a fork")
    process.kill()
    process.join()
    store = store_at(tmp_path / "log")
    assert add(store, single(1.0)).number == 1
    store.close()
    os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)


HALTED = """
from gevent import monkey
monkey.patch_all()
import faulthandler, sys
from pathlib import Path
import gevent
from event_log.codec import SINGLE, pack_single
from event_log.files import opening
from event_log.files.store import FilesStore
from event_log.port import Guard, Record

faulthandler.dump_traceback_later(60, exit=True)
opening.APPEND_SECONDS = 600.0
store = FilesStore(Path(sys.argv[1]), max_bytes=2**22, boot=lambda: "boot")
cursor = store.manifest().cursor
print("open", flush=True)
sys.stdin.readline()
begun = []

def client():
    begun.append(None)
    store.append(Record(SINGLE, pack_single(1, 1, 1.0), 1), Guard(cursor.history))

clients = [gevent.spawn(client) for _ in range(20)]
while len(begun) < 20:
    gevent.sleep(0.001)
for _ in range(20):
    gevent.sleep(0.001)
print("others run while", sum(not client.ready() for client in clients), "wait", flush=True)
gevent.joinall(clients, raise_error=True)
print(store.end().number, flush=True)
"""


def test_a_halted_writer_holds_up_no_other_greenlet(tmp_path: Path, child: Starter) -> None:
    store = store_at(tmp_path / "log")
    add(store, single(1.0))
    with subprocess.Popen(
        [sys.executable, "-c", HALTED, str(tmp_path / "log")],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        assert worker.stdout.readline() == "open\n"

        def halt() -> None:
            other = store_at(tmp_path / "log")
            other.end()
            assert other.files is not None
            other.files.appending.acquire()
            (tmp_path / "halted").touch()
            os.kill(os.getpid(), signal.SIGSTOP)

        halted = child(halt)
        until((tmp_path / "halted").exists, "a halted process")
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "others run while 20 wait\n"
        halted.kill()
        output, _ = worker.communicate()
    assert output == "21\n"
    store.files = None
