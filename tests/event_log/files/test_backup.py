"""`python -m event_log backup`: a copy of a log in use, restored and compared."""

from __future__ import annotations

import errno
import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from event_log.__main__ import NICENESS, main
from event_log.compaction import compact
from event_log.errors import LogUnavailable
from event_log.files import backup, disk
from event_log.files.backup import back_up
from event_log.files.opening import OpenLog, Options
from event_log.files.store import FilesStore
from event_log.log import Log
from event_log.log_time import Moment
from event_service import EventService
from settings import Settings
from tests.event_log.files.checking import faults
from tests.event_log.files.logs import LEAST, add, open_files, read_all, single
from tests.event_log.projection import Projection
from tests.event_log.stores import Clocks
from tests.servers import CHECKOUT
from times import wall_clock


@pytest.fixture
def files(tmp_path: Path) -> Iterator[OpenLog]:
    """A log as the backup has it open, beside whoever writes to it."""
    opened = OpenLog(Options(tmp_path / "log", LEAST, boot=lambda: "boot", clock=Clocks()))
    yield opened
    opened.disown()


def written(folder: Path, count: int) -> FilesStore:
    store = open_files(folder)
    for value in range(count):
        add(store, single(float(value)))
    return store


def service_on(folder: Path) -> EventService:
    return EventService(FilesStore(folder, max_bytes=8 * LEAST), Settings(keep_last=0), wall_clock)


def answers(service: EventService) -> tuple[int, float | None, float | None]:
    found = service.statistics().summary
    return found.count, found.min, found.max


def test_what_was_backed_up_while_a_service_wrote_is_what_it_had_then(tmp_path: Path) -> None:
    service, ended, written = service_on(tmp_path / "log"), threading.Event(), [0]
    positions: list[int] = []

    def write() -> None:
        while not ended.is_set():
            values = np.arange(written[0], written[0] + 50.0)
            positions.append(service.add_many(["a"], None, None, values).position)
            written[0] += 50
            service.tick()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        env = os.environ | {"TIDEMARK_LOG_URL": f"file:{tmp_path / 'log'}", "TIDEMARK_LOG_MAX_BYTES": "4M"}
        while len(positions) < 20:
            assert writer.is_alive()
            ended.wait(0.01)
        command = [sys.executable, "-m", "event_log", "backup", str(tmp_path / "backups" / "one")]
        done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        ended.set()
        writer.join()
    told = re.fullmatch(r"position (\d+): [\d.]+ MiB in .*/backups/one\n", done.stdout)
    assert told is not None
    count = 50 * (positions.index(int(told[1])) + 1)
    restored = service_on(tmp_path / "backups" / "one")
    assert answers(restored) == (count, 0.0, count - 1.0)
    assert answers(service) == (written[0], 0.0, written[0] - 1.0)
    assert restored.add("a", restored.clock(), 1.0).position > service.position()  # none is given twice
    assert restored.notice() is not None
    for each in (service, restored):
        each.close()


def test_a_compacted_log_of_many_segments_is_copied_whole(tmp_path: Path, files: OpenLog) -> None:
    store = written(tmp_path / "log", 5000)
    projection = Projection(Log(store))
    projection.follow()
    assert compact(store, projection.judge)
    assert store.manifest().blobs
    for value in range(3000):
        add(store, single(float(value)))
    position, size = back_up(files, tmp_path / "copy")
    assert position == store.end().position
    assert size > 3000 * 40
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["blobs", "head", "segments"]
    restored = open_files(tmp_path / "copy")
    assert restored.manifest().blobs == store.manifest().blobs
    *records, jump = read_all(restored).values()
    assert records == list(read_all(store).values())
    assert jump.position > position
    assert not faults(OpenLog(Options(tmp_path / "copy", LEAST, boot=lambda: "boot", clock=Clocks())))
    for each in (store, restored):
        each.close()


def test_nobody_compacts_meanwhile_and_somebody_may_afterwards(tmp_path: Path, files: OpenLog) -> None:
    store, allowed = written(tmp_path / "log", 10), list[bool]()

    def copy(*args: object) -> None:
        allowed.append(store.may_compact(60))
        raise OSError(errno.ENOSPC, "full")

    with patch.object(backup, "write_all", copy), pytest.raises(OSError, match="full"):
        back_up(files, tmp_path / "copy")
    assert allowed == [False]
    assert store.may_compact(60)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]  # nothing is left of it
    with patch.object(backup, "WAIT_SECONDS", 0.05), pytest.raises(LogUnavailable, match="compacted all the time"):
        back_up(files, tmp_path / "copy")
    store.close()


def test_it_begins_anew_where_the_log_was_replaced_by_another_history(tmp_path: Path, files: OpenLog) -> None:
    store, pread, histories = written(tmp_path / "log", 10), os.pread, iter([1, 2, None])

    def read(*args: int) -> bytes:
        if (history := next(histories, None)) is not None:
            with files.appending.held():
                files.publish(files.head.tail()[1]._replace(history=history))
        return pread(*args)

    with patch.object(os, "pread", read):
        assert back_up(files, tmp_path / "copy").position == 10
    with patch.object(backup, "ATTEMPTS", 0), pytest.raises(LogUnavailable, match="changed 0 times"):
        back_up(files, tmp_path / "another")
    store.close()


def test_no_more_than_a_chunk_waits_to_be_synced(tmp_path: Path, files: OpenLog) -> None:
    store, waiting = written(tmp_path / "log", 200), [0]
    write_all, sync_file = disk.write_all, disk.sync_file

    def write(file: int, data: bytes | memoryview, offset: int) -> None:
        waiting.append(waiting[-1] + len(data))
        write_all(file, data, offset)

    def sync(file: int) -> None:
        waiting.append(0)
        sync_file(file)

    with (
        patch.object(backup, "CHUNK", 1000),
        patch.object(backup, "write_all", write),
        patch.object(backup, "sync_file", sync),
    ):
        size = back_up(files, tmp_path / "copy").size
    assert max(waiting) == 1000
    assert sum(waiting) == size
    restored = open_files(tmp_path / "copy")
    assert list(read_all(restored).values())[:-1] == list(read_all(store).values())
    for each in (store, restored):
        each.close()


def test_the_command_lets_the_service_have_the_processor_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["event_log"])
    with patch.object(os, "nice") as nice, pytest.raises(SystemExit):
        runpy.run_path(str(CHECKOUT / "event_log" / "__main__.py"), run_name="__main__")
    nice.assert_called_once_with(NICENESS)


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path, files: OpenLog) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(FileExistsError, match="name a folder that is not"):
        back_up(files, tmp_path / "copy")
    assert list((tmp_path / "copy").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [("memory:", "names no folder"), ("redis://localhost/1", "BGSAVE"), ("file:{}/none", "no log"), ("lmdb:x", "LMDB")],
)
def test_what_cannot_be_backed_up_is_told_in_one_line(
    url: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDEMARK_LOG_URL", url.format(tmp_path))
    assert main(["backup", str(tmp_path / "copy")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("event_log: ")
    assert reason in line
    assert list(tmp_path.iterdir()) == []


def test_the_log_of_a_service_that_is_stopped_is_backed_up_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FilesStore(tmp_path / "log", max_bytes=LEAST, clock=Moment.now)
    add(store, single(1.0))
    store.close()
    monkeypatch.setenv("TIDEMARK_LOG_URL", f"file:{tmp_path / 'log'}")
    assert main(["backup", str(tmp_path / "copy")]) == 0
    assert capsys.readouterr().out.startswith("position 1: ")
    assert main(["backup", str(tmp_path / "copy")]) == 2
    assert "is there already" in capsys.readouterr().err
