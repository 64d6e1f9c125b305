"""Opening and leaving a log: what is refused, what an orderly restart keeps, what a replaced folder leads to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from event_log.errors import HistoryChanged, LogDamaged, LogUnavailable
from event_log.files import disk
from event_log.files.store import FilesStore
from event_log.log_time import Moment
from tests.event_log.files.logs import LEAST, add, open_files, read_all, single
from tests.event_log.stores import Clocks
from times import HOUR, SECOND

CHECKOUT = Path(__file__).resolve().parents[3]


class TestRefused:
    @pytest.mark.parametrize("name", ["data.mdb", "settled/data.mdb", "fresh/1/data.mdb"])
    def test_a_log_of_an_older_format_is_not_touched(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"older")
        with pytest.raises(LogDamaged, match="older format"):
            open_files(tmp_path).check()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
        assert (tmp_path / name).read_bytes() == b"older"

    def test_files_of_the_format_before_are_not_touched(self, tmp_path: Path) -> None:
        page = b"tidemark log 3".ljust(4096, b"\0")
        (tmp_path / "head").write_bytes(page)
        with pytest.raises(LogDamaged, match="older format"):
            open_files(tmp_path).check()
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "head"]
        assert (tmp_path / "head").read_bytes() == page

    def test_a_network_file_system_is_named(self, tmp_path: Path) -> None:
        device = tmp_path.stat().st_dev
        mounts = tmp_path / "mountinfo"
        mounts.write_text(
            f"1 2 0:1 / /else rw - ext4 /dev/vda rw\n"
            f"36 35 {os.major(device)}:{os.minor(device)} / /data rw,noatime shared:1 - nfs4 server:/data rw\n"
        )
        with patch.object(disk, "_MOUNTS", mounts), pytest.raises(LogUnavailable, match=r"network .*\(nfs4\)"):
            open_files(tmp_path / "log").check()
        assert not (tmp_path / "log" / "head").exists()

    def test_a_folder_without_rights_is_refused_at_once(self, tmp_path: Path) -> None:
        with patch.object(os, "access", lambda path, mode: False), pytest.raises(LogUnavailable, match="no right"):
            open_files(tmp_path / "log").check()

    def test_a_file_in_its_place_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("")
        with pytest.raises(LogUnavailable, match="log"):
            open_files(tmp_path / "log").check()

    def test_a_log_in_use_under_another_boot_is_left_alone(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        add(store, single(1.0))
        with pytest.raises(LogUnavailable, match="another boot"):
            open_files(tmp_path / "log", boot="another").check()
        assert add(store, single(2.0)).number == 2
        store.close()


class TestRestarts:
    def test_an_orderly_start_of_the_machine_skips_nothing(self, tmp_path: Path) -> None:
        for number in range(1, 5):
            store = open_files(tmp_path / "log", boot=f"boot {number}")
            assert add(store, single(float(number))) == (number, number)
            store.close()
        assert len(list((tmp_path / "log" / "segments").iterdir())) == 1

    def test_the_last_of_several_users_leaves_it_in_good_order(self, tmp_path: Path) -> None:
        stores = [open_files(tmp_path / "log") for _ in range(3)]
        for store in stores:
            add(store, single(1.0))
        for store in stores:
            store.close()
        store = open_files(tmp_path / "log", boot="another")
        assert store.end() == (3, 3)
        store.close()

    def test_where_nobody_left_in_order_positions_jump_to_the_clock(self, tmp_path: Path) -> None:
        clocks = Clocks()
        store = open_files(tmp_path / "log", clocks)
        add(store, single(1.0))
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
        store.close()
        store = open_files(tmp_path / "copy", clocks, boot="another")
        assert store.end() == (2, clocks.wall)
        assert add(store, single(1.0)) == (3, clocks.wall + 1)
        store.close()

    def test_a_log_goes_on_after_all_processes_were_killed(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        add(store, single(1.0))
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
        store.close()
        store = open_files(tmp_path / "copy")
        assert add(store, single(2.0)) == (2, 2)
        assert len(read_all(store)) == 2
        store.close()

    def test_the_logs_time_goes_on_behind_a_clock_that_leapt_while_it_was_off(self, tmp_path: Path) -> None:
        clocks = Clocks()
        store = open_files(tmp_path / "log", clocks)
        before = store.time()
        store.close()
        clocks.wall += 2 * HOUR
        store = open_files(tmp_path / "log", clocks, boot="another")
        clocks.advance(SECOND)
        assert before <= store.time() <= before + 2 * SECOND
        assert "clock" in str(store.notice())
        store.close()


class TestAReplacedFolder:
    def test_each_process_begins_anew_within_a_second(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        add(store, single(1.0))
        cursor = store.read(store.manifest().cursor, 10).cursor
        backup = open_files(tmp_path / "backup")
        for value in range(5):
            add(backup, single(float(value)))
        backup.close()
        (tmp_path / "log").rename(tmp_path / "old")
        (tmp_path / "backup").rename(tmp_path / "log")
        store.sync()
        assert not store.is_level(cursor)
        with pytest.raises(HistoryChanged):
            store.read(cursor, 10)
        assert len(read_all(store)) == 5
        assert add(store, single(9.0)).number == 6
        store.close()


class TestOneProcess:
    def test_opening_and_closing_leaks_no_descriptor(self, tmp_path: Path) -> None:
        def opened() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        store = open_files(tmp_path / "log")
        add(store, single(1.0))
        store.close()
        before = opened()
        for _ in range(20):
            add(store, single(1.0))
            store.read(store.manifest().cursor, 100)
            store.sync()
            store.close()
        assert opened() <= before  # those that other tests have left may be closed meanwhile

    def test_a_refused_opening_leaks_none_either(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        add(store, single(1.0))
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with pytest.raises(LogUnavailable):
                open_files(tmp_path / "log", boot="another").check()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
        store.close()

    def test_a_power_cut_is_told_for_an_hour(self, tmp_path: Path) -> None:
        clocks = Clocks()
        store = open_files(tmp_path / "log", clocks)
        add(store, single(1.0))
        assert store.notice() is None
        store.close()
        assert open_files(tmp_path / "log", clocks, boot="after an orderly restart").notice() is None
        cut = open_files(tmp_path / "cut", clocks)
        add(cut, single(1.0))
        cut.forget()  # it is never closed
        after = open_files(tmp_path / "cut", clocks, boot="another")
        assert "behind position 1 and was not yet synced is lost" in str(after.notice())
        clocks.advance(HOUR)
        assert after.notice() is None
        after.close()

    def test_the_right_to_compact_ends_by_itself(self, tmp_path: Path) -> None:
        clocks = Clocks()
        one, other = (open_files(tmp_path / "log", clocks) for _ in range(2))
        assert one.may_compact(10)
        assert not other.may_compact(10)
        assert one.may_compact(10)
        clocks.advance(11 * SECOND)
        assert other.may_compact(10)
        assert not one.may_compact(10)
        one.close()
        other.close()


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import faulthandler, os, sys
from pathlib import Path
import gevent
from event_log.codec import SINGLE, pack_single
from event_log.files.head import SYNCED_NUMBER
from event_log.files.store import FilesStore
from event_log.port import Guard, Record

faulthandler.dump_traceback_later(300, exit=True)
store = FilesStore(Path(sys.argv[1]), max_bytes=2**26, sync="always")
guard = Guard(store.manifest().cursor.history)
syncs, sync = [], os.fdatasync
os.fdatasync = lambda file: (syncs.append(1), sync(file))

def client():
    for _ in range(20):
        appended = store.append(Record(SINGLE, pack_single(1, 1, 1.0), 1), guard)
        store.confirm(appended)
        assert store.files.words[SYNCED_NUMBER] >= appended.number

gevent.joinall([gevent.spawn(client) for _ in range(50)], raise_error=True)
print(store.end().number, len(syncs))
store.close()
"""


def test_greenlets_share_each_sync(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GREENLETS, str(tmp_path / "log")],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    number, syncs = map(int, done.stdout.split())
    assert number == 1000
    assert syncs <= 60


def test_segments_stay_within_an_eighth_of_the_room() -> None:
    for max_bytes, size in ((1, LEAST // 8), (2**27, 2**24), (2**40, 2**24), (2**25, 2**22)):
        assert FilesStore(Path("nowhere"), max_bytes=max_bytes).options.segment_bytes == size


def test_the_clocks_of_this_machine_are_read() -> None:
    store = FilesStore(Path("nowhere"), max_bytes=1)
    before, read = Moment.now().wall, store.options.clock().wall
    assert before <= read <= Moment.now().wall


THREADS = """
from gevent import monkey
monkey.patch_all()
import faulthandler, sys, threading
from pathlib import Path
import gevent
from event_log.aside import aside, sleep
from event_log.codec import SINGLE, pack_single
from event_log.files.store import FilesStore
from event_log.port import Guard, Record

faulthandler.dump_traceback_later(300, exit=True)
store = FilesStore(Path(sys.argv[1]), max_bytes=2**26)
guard = Guard(store.manifest().cursor.history)

def work():
    for _ in range(500):
        store.append(Record(SINGLE, pack_single(1, 1, 1.0), 1), guard)
    sleep(0.001)
    aside(store.sync)
    return threading.get_native_id()

jobs = [gevent.get_hub().threadpool.spawn(work) for _ in range(4)]
jobs += [gevent.spawn(work) for _ in range(4)]
gevent.joinall(jobs, raise_error=True)
assert len({job.get() for job in jobs}) > 1
assert store.end().number == 4000
hubs = [each for each in __import__("gc").get_objects() if isinstance(each, type(gevent.get_hub()))]
assert len(hubs) == 1, hubs
store.close()
"""


def test_greenlets_and_real_threads_share_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS, str(tmp_path / "log")],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
