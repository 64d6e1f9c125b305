"""Opening a log: what is refused, and in which words; nothing stored is ever thrown away."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import lmdb
import numpy as np
import pytest

from event_log.base import Batch, LogDamaged, LogUnavailable
from event_log.lmdb_log import LmdbLog
from event_log.records import FORMAT, pack_one, pack_position
from tests.event_log.logs import MIB, START, batch, open_lmdb, rows_behind
from tests.servers import CHECKOUT

ROWS = [("a", START, 1.0), ("b", START + 1, 2.0)]


def filled(path: Path, rows: int = 2000) -> Path:
    """A closed log of some records, deep enough for pages of every kind."""
    log = open_lmdb(path)
    for i in range(rows):
        log.append_one(f"s{i % 10}", START + i, float(i))
    log.append(Batch(["batch"], None, START, np.arange(2000.0)))
    log.append_one("s0", START, 1.0)
    log.close()
    return path


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path)
    log.append(batch(ROWS), symbol=True)
    log.clean(START - 9, lambda series: (0, 0))
    log.append_one("c", START, 3.0)
    before = rows_behind(log), log.read(0).horizon, list(log.series), dict(log.symbols), log.position()
    log.close()
    log = open_lmdb(tmp_path)
    assert (rows_behind(log), log.read(0).horizon, list(log.series), dict(log.symbols), log.position()) == before
    assert log.append(batch(ROWS)) == 5
    log.close()


def test_missing_directories_are_made_and_others_may_not_read_them(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path / "a" / "b")
    assert log.position() == 0
    mode = (tmp_path / "a" / "b" / "data.mdb").stat().st_mode
    assert not mode & (stat.S_IRWXO | stat.S_IXGRP | stat.S_IWGRP)
    log.close()


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path / "log")
    assert not log.series
    log.sync()
    log.close()
    assert not (tmp_path / "log").exists()


def test_a_process_opens_it_once(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path / "log")
    log.append_one("a", START, 1.0)
    (tmp_path / "link").symlink_to(tmp_path / "log")
    for path in (tmp_path / "log", tmp_path / "link"):
        with pytest.raises(LogUnavailable, match="already open in this process"):
            open_lmdb(path).position()
    assert rows_behind(log) == [(1, ("a", START, 1.0))]
    log.close()


def test_another_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    env = lmdb.open(str(tmp_path), max_dbs=8)
    with env.begin(write=True) as txn:
        txn.put(b"format", b"tidemark log 99")
    env.close()
    with pytest.raises(LogDamaged) as caught:
        open_lmdb(tmp_path).position()
    for part in ("'tidemark log 99'", repr(FORMAT.decode()), str(tmp_path), "TIDEMARK_LOG_URL"):
        assert part in str(caught.value)


def test_a_foreign_lmdb_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    env = lmdb.open(str(tmp_path))
    with env.begin(write=True) as txn:
        txn.put(b"theirs", b"precious")
    env.close()
    before = (tmp_path / "data.mdb").read_bytes()
    with pytest.raises(LogDamaged, match="something else"):
        open_lmdb(tmp_path).position()
    assert (tmp_path / "data.mdb").read_bytes() == before


@pytest.mark.parametrize("content", [b"x", b"no database at all " * 1000, bytes(64 * 1024)])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(LogDamaged, match="damaged"):
        open_lmdb(tmp_path).position()
    assert (tmp_path / "data.mdb").read_bytes() == content


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_file_cut_off_is_refused(tmp_path: Path, part: float) -> None:
    data = filled(tmp_path) / "data.mdb"
    size = data.stat().st_size
    os.truncate(data, max(1, int(size * part)))
    with pytest.raises(LogDamaged, match=r"damaged|cut off"):
        open_lmdb(tmp_path).position()


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("mine")
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        open_lmdb(tmp_path / "log").position()
    assert (tmp_path / "log").read_text() == "mine"


OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from event_log.base import LogError
from event_log.lmdb_log import LmdbLog
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    LmdbLog(Path(sys.argv[1]), max_bytes=2**20).position()
except LogError as fault:
    print(type(fault).__name__, fault)
"""


@pytest.mark.parametrize("existing", [True, False])
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path, existing: bool) -> None:
    # Not under tmp_path, whose parents only its owner may enter.
    folder = Path(shutil.copytree(filled(tmp_path) if existing else tmp_path, f"/tmp/tidemark-{os.getpid()}"))
    try:
        for path in (*folder.iterdir(), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", OPEN_AS_NOBODY, str(folder)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert done.stdout.startswith("LogUnavailable the log at ")
    assert "Permission denied" in done.stdout


def damage(path: Path, position: int, record: bytes) -> None:
    """Overwrite the bytes of a record where they stand in the file."""
    data = path / "data.mdb"
    content = bytearray(data.read_bytes())
    at = content.index(pack_position(position) + record) + len(pack_position(position))
    content[at + len(record) // 2] ^= 0x40
    data.write_bytes(content)


def test_a_damaged_record_is_named_and_reported_from_then_on(tmp_path: Path) -> None:
    damage(filled(tmp_path), 1234, pack_one(3, START + 1233, 1233.0))
    log = open_lmdb(tmp_path)
    log.check()
    for _ in range(2):
        with pytest.raises(LogDamaged, match="position 1234 does not match its checksum; restore it") as caught:
            log.read(0)
    with pytest.raises(LogDamaged) as again:
        log.check()
    assert str(again.value) == str(caught.value)
    assert len(log.read(1234)) == 766 + 2001
    log.close()


def without(path: Path, *positions: int) -> None:
    """Take records out as no cleaning would."""
    env = lmdb.open(str(path), max_dbs=8)
    records = env.open_db(b"records")
    with env.begin(write=True) as txn:
        for position in positions:
            assert txn.delete(pack_position(position), db=records)
    env.close()


@pytest.mark.parametrize("position", [1, 2, 1000, 1999, 4000])
@pytest.mark.parametrize("limit", [1, 7, 10**6])
def test_a_missing_record_is_damage(tmp_path: Path, position: int, limit: int) -> None:
    without(filled(tmp_path), position)
    log = open_lmdb(tmp_path)
    with pytest.raises(LogDamaged, match="missing or out of order"):
        rows_behind(log, 0, limit)
    log.close()


def test_records_that_were_cleaned_away_are_not_missed(tmp_path: Path) -> None:
    log = open_lmdb(filled(tmp_path))
    while log.clean(START + 1000, lambda series: (START + 500 + 10 * series, 0)):
        pass
    everything = rows_behind(log)
    assert 2001 + 1000 < len(everything) < 2001 + 1500 + 10
    for limit in (1, 7):
        assert rows_behind(log, 0, limit) == everything
    for after in (1, 700, 999, 1000, 1001, 1002):
        assert rows_behind(log, after) == [(position, row) for position, row in everything if position > after]
    log.close()


def test_a_key_of_another_table_is_damage(tmp_path: Path) -> None:
    env = lmdb.open(str(filled(tmp_path)), max_dbs=8)
    with env.begin(write=True) as txn:
        txn.put(b"\0\0\0\1", pack_one(0, START, 1.0), db=env.open_db(b"records", txn=txn))
    env.close()
    log = open_lmdb(tmp_path)
    with pytest.raises(LogDamaged, match="damaged"):
        log.read(0)
    log.close()


def test_whatever_lmdb_refuses_is_said_in_our_words(tmp_path: Path) -> None:
    log = open_lmdb(filled(tmp_path), sync="everysec")
    log.append_one("s0", START, 1.0)
    log._process.get().close()  # behind the back of the log
    for ask, words in (
        (lambda: log.read(0), "cannot be read"),
        (lambda: log.append_one("s0", START, 1.0), "cannot be written"),
        (lambda: log.clean(START, lambda series: (0, 0)), "cannot be written"),
        (log.sync, "cannot be synced"),
    ):
        with pytest.raises(LogUnavailable, match=words):
            ask()
    with pytest.raises(LogUnavailable, match="cannot be synced"):
        log.close()


def test_a_lost_head_is_damage(tmp_path: Path) -> None:
    env = lmdb.open(str(filled(tmp_path)), max_dbs=8)
    with env.begin(write=True) as txn:
        txn.delete(b"meta")
    env.close()
    log = open_lmdb(tmp_path)
    for ask in (lambda: log.read(0), lambda: log.append_one("new", START, 1.0), log.check):
        with pytest.raises(LogDamaged, match="lost its head"):
            ask()
    log.close()


def test_a_smaller_limit_than_the_file_is_no_loss(tmp_path: Path) -> None:
    filled(tmp_path, 30_000)
    log = LmdbLog(tmp_path, max_bytes=MIB)
    assert len(rows_behind(log)) == 32_001
    log.close()
