"""Counting together: exact, never falling, whatever becomes of the processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from metrics.table import LEVELS, Table

FORK = multiprocessing.get_context("fork")


def run(*works: Callable[[], Any]) -> list[int | None]:
    """Do each in a process of its own, all at once; their exit codes."""
    processes = [FORK.Process(target=work) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def total(table: Table, key: str) -> int:
    return table.totals()[1][key][0]


def test_columns_are_the_same_in_every_process() -> None:
    table = Table()
    table.column("first")

    def child() -> None:
        assert table.column("second", 3) == LEVELS + 1
        table.add(table.column("second", 3) + 2, 5)

    assert run(child) == [0]
    assert table.column("third") == LEVELS + 4
    table.add(table.column("second", 3), 1)
    assert table.totals()[1] == {"first": [0], "second": [1, 0, 5], "third": [0]}


def test_processes_that_name_columns_at_once_agree() -> None:
    table = Table()

    def child() -> None:
        for number in range(200):
            table.add(table.column(f"key {number % 50}"), 1)

    assert run(*[child] * 4) == [0] * 4
    assert [columns for _, columns in sorted(table.totals()[1].items())] == [[16]] * 50


def test_threads_lose_nothing_to_each_other() -> None:
    table = Table()
    column = table.column("key")

    def count() -> None:
        for _ in range(20_000):
            table.add(column, 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(table, "key") == 80_000


def test_the_dead_keep_what_they_counted_and_leave_their_rows() -> None:
    table = Table(rows=4)
    column = table.column("key")

    def child() -> None:
        table.add(column, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    for number in range(1, 30):  # many more than there are rows
        assert run(child) == [-signal.SIGKILL]
        assert total(table, "key") == number


def test_levels_are_those_of_the_living() -> None:
    table = Table()
    table.put(1, 2)
    ready, leave = FORK.Event(), FORK.Event()

    def child() -> None:
        table.put(1, 5)
        ready.set()
        leave.wait()
        os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(target=child)
    process.start()
    ready.wait()
    assert table.totals()[0][1] == 7
    leave.set()
    process.join()
    assert table.totals()[0][1] == 2
    run(lambda: table.put(1, 1))  # takes the row of the dead
    assert table.totals()[0][1] == 2


def test_sums_never_fall_while_processes_come_and_go() -> None:
    table = Table(rows=8)
    column = table.column("key")
    acknowledged = FORK.Value("q", 0)

    def child() -> None:
        while True:
            table.add(column, 1)
            with acknowledged.get_lock():
                acknowledged.value += 1

    seen = 0
    for _ in range(15):
        processes = [FORK.Process(target=child) for _ in range(3)]
        for process in processes:
            process.start()
        for _ in range(20):
            found = total(table, "key")
            assert found >= seen
            seen = found
        with acknowledged.get_lock():  # so that none dies with the lock in its hands
            for process in processes:
                process.kill()
            for process in processes:
                process.join()
            counted = acknowledged.value
        assert counted <= total(table, "key") <= counted + 3 * 15


def test_more_than_it_has_room_for_is_a_bug_that_is_told() -> None:
    table = Table(columns=LEVELS + 2)
    table.column("a", 2)
    with pytest.raises(OverflowError, match="no room is left to count 'b'"):
        table.column("b")


def test_no_descriptor_is_left_behind_by_counting() -> None:
    table = Table()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - descriptors are no files
    for number in range(20):
        table.add(table.column(str(number)), 1)
        table.totals()
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
