"""Opening a log on LMDB: what is put in order, what is refused, in which words; nothing is ever thrown away."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import Terms
from event_log.batch import Batch
from event_log.entries import pack_position
from event_log.errors import LogDamaged, LogUnavailable
from event_log.lmdb_log import LmdbLog
from event_log.opening import damage_in
from event_log.pages import Pages
from event_log.records import FORMAT
from event_log.rules import Rules
from tests.event_log.logs import START, batch, ids, open_lmdb
from tests.event_log.reader import Reader, changes_behind, rows_behind
from tests.servers import CHECKOUT

ROWS = [("a", START, 1.0), ("b", START + 1, 2.0)]
RECORDS = (b"records0", b"records1")
Damage = Callable[[Path], None]


def filled(path: Path, rows: int = 2000) -> Path:
    """A closed log of some records, deep enough for pages of every kind, with kept events too."""
    log = open_lmdb(path)
    log.claim(Rules(60, 100), "start")
    for i in range(rows):
        log.append_one(f"s{i % 10}", START + i, float(i))
    log.append(Batch(["batch"], None, START + np.arange(2000), np.arange(2000.0)))
    log.append(batch([("s0", START + 9000, 1.0)]), Terms(keep=50))
    log._settle_all()
    reader = Reader(log)
    reader.clean_all(START + 1000)
    log.close()
    return path


def data_of(path: Path) -> Path:
    return path / "settled" / "data.mdb"


def stop(log: LmdbLog) -> None:
    """As if all processes were killed."""
    log._process.get().disown()
    log._process._store = None


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path)
    log.claim(Rules(60, 5), "start")
    log.append(batch(ROWS), Terms(keep=9))
    log.clean(START - 9, lambda series: (0, 0), 2)
    log.append_one("c", START, 3.0)
    log.append(batch(ROWS), Terms(keep=10))
    log.end_series(ids(log)["c"])

    def known() -> object:
        events = log.read(BEGIN)
        return rows_behind(log), changes_behind(log), events.horizon, events.rules, dict(log.series), log.position()

    before = known()
    for leave in (log.close, lambda: stop(log), log._settle_all, log.close):
        leave()
        assert known() == before
    log.claim(Rules(60, 5), "another start")
    assert known() == before
    log.close()


def test_missing_directories_are_made_and_others_may_not_read_them(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path / "a" / "b")
    assert log.position() == 0
    mode = data_of(tmp_path / "a" / "b").stat().st_mode
    assert not mode & (stat.S_IRWXO | stat.S_IXGRP | stat.S_IWGRP)
    log.close()


def test_nothing_is_opened_before_it_is_used(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path / "log")
    assert not log.series
    assert not log.jumps
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
    with lmdb.open(str(filled(tmp_path) / "settled"), max_dbs=9) as env, env.begin(write=True) as txn:
        txn.put(b"format", b"tidemark log 99")
    before = data_of(tmp_path).read_bytes()
    with pytest.raises(LogDamaged) as caught:
        open_lmdb(tmp_path).position()
    for part in ("'tidemark log 99'", repr(FORMAT.decode()), str(tmp_path), "TIDEMARK_LOG_URL"):
        assert part in str(caught.value)
    assert data_of(tmp_path).read_bytes() == before


def test_the_first_format_is_refused_with_the_way_on(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), max_dbs=8) as env, env.begin(write=True) as txn:
        txn.put(b"format", b"tidemark log 1")
    with pytest.raises(LogDamaged, match=r"first format .* move its data.mdb and lock.mdb away"):
        open_lmdb(tmp_path).position()


@pytest.mark.parametrize("content", [b"x", b"no database at all " * 1000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settled").mkdir()
    data_of(tmp_path).write_bytes(content)
    with pytest.raises(LogDamaged, match="nothing in it can be saved; restore a backup, or move"):
        open_lmdb(tmp_path).position()
    assert data_of(tmp_path).read_bytes() == content


def test_a_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("mine")
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        open_lmdb(tmp_path / "log").position()
    assert (tmp_path / "log").read_text() == "mine"


OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from event_log.errors import LogError
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
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", OPEN_AS_NOBODY, str(folder)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    finally:
        for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            path.chmod(0o755)
        shutil.rmtree(folder)
    assert done.stdout.startswith("LogUnavailable the log at ")
    assert "Permission denied" in done.stdout


def test_a_file_shorter_than_its_head_says_may_be_sound(tmp_path: Path) -> None:
    """LMDB does not write pages at its end that one transaction has both taken and given back."""
    data = data_of(filled(tmp_path))
    pages = Pages(data)
    head = pages.heads()[0]
    used = max(number for number in range(len(pages.data) // 4096) if any(pages.data[number * 4096 + 16 :][:4080]))
    content = bytearray(data.read_bytes())
    for meta in (0, 1):
        at = meta * 4096 + 16 + 24 + 96  # the number of the last page
        content[at : at + 8] = (max(head.last_page, used) + 5).to_bytes(8, "little")
    data.write_bytes(content)
    log = open_lmdb(tmp_path)
    assert log.position() == 4002
    assert len(rows_behind(log)) > 2000
    assert log.append_one("a", START, 1.0) == 4003
    assert log.notice() is None
    log.close()


# Damage, and what is saved of it.


def cut_off(path: Path) -> None:
    data = data_of(path)
    os.truncate(data, data.stat().st_size * 2 // 3)


def spoil_a_record(path: Path) -> None:
    """Turn a bit of the newest batch of the queue."""
    log = open_lmdb(path)
    with log._process.get().settled.read() as txn:
        record = bytes(list(log._process.get().settled.items(txn, 0))[-3][1])
    log.close()
    data = data_of(path)
    content = bytearray(data.read_bytes())
    content[content.index(record) + len(record) // 2] ^= 0x40
    data.write_bytes(content)


def spoil_pages(path: Path) -> None:
    """Overwrite every fourth page but the heads and the main tree, as was noticed before the start."""
    data = data_of(path)
    pages = Pages(data)
    content = bytearray(data.read_bytes())
    for number in range(5, len(content) // 4096, 4):
        if number != pages.heads()[0].root:
            content[number * 4096 : (number + 1) * 4096] = b"\xa5" * 4096
    data.write_bytes(content)
    (path / "damaged").write_text("found while running")


def find_damage(path: Path) -> str:
    """Read all until damage is found, or nothing is left to read."""
    log = open_lmdb(path)
    try:
        rows_behind(log)
    except LogDamaged as fault:
        return str(fault)
    finally:
        stop(log)
    return ""


def everything(path: Path) -> dict[int, tuple[str, int, float]]:
    log = open_lmdb(path)
    found = dict(rows_behind(log))
    log.close()
    return found


def test_damage_met_while_running_stops_writes_and_reads_until_the_next_start(tmp_path: Path) -> None:
    spoil_a_record(filled(tmp_path))
    log = open_lmdb(tmp_path)
    other = open_lmdb(tmp_path)
    other._process = log._process
    log.append_one("s0", START, 1.0)
    with pytest.raises(LogDamaged, match=r"does not match its checksum; restart Tidemark"):
        rows_behind(log)
    for ask in (
        lambda: log.append_one("s0", START, 1.0),
        lambda: log.append(batch([("s0", START, 1.0)])),
        lambda: other.append_one("new", START, 1.0),
        lambda: log.read(BEGIN),
        other.position,
        log.check,
        log._settle_all,
    ):
        with pytest.raises(LogDamaged, match="restart Tidemark"):
            ask()
    stop(log)
    assert len(rows_behind(log)) > 2000
    log.check()
    assert log.append_one("s0", START, 1.0) == 4004
    assert "damage was found" in (log.notice() or "")
    log.close()


@pytest.mark.parametrize("spoil", [spoil_a_record, spoil_pages, cut_off])
def test_what_is_intact_is_saved_and_the_rest_set_aside(tmp_path: Path, spoil: Damage) -> None:
    before = everything(filled(tmp_path))
    spoil(tmp_path)
    if spoil is spoil_a_record:
        assert "does not match its checksum" in find_damage(tmp_path)
    damaged = data_of(tmp_path).read_bytes()
    after = everything(tmp_path)
    assert 0.3 * len(before) < len(after) < len(before)
    assert all(before[position][1:] == row[1:] for position, row in after.items())
    [aside] = tmp_path.glob("settled.damaged-*")
    assert (aside / "data.mdb").read_bytes()[: len(damaged)] == damaged
    log = open_lmdb(tmp_path)
    assert aside.name in (log.notice() or "")
    assert all(any(start < at <= to for start, to in log.jumps) for at in range(1002, 4003) if at not in {*after, 4001})
    assert log.append_one("s0", START, 1.0) > 4002
    log._settle_all()
    Reader(log).clean_all(START + 5000)
    assert Reader(log).read() is not None
    log.close()


def test_a_second_salvage_within_an_hour_is_refused(tmp_path: Path) -> None:
    now = [1e9]
    for hour in range(3):
        filled(tmp_path / str(hour))
    shutil.copytree(tmp_path / "0", tmp_path / "log")
    for seconds, refused in ((0, False), (3000, True), (700, False)):
        now[0] += seconds
        shutil.copy(data_of(tmp_path / "0"), data_of(tmp_path / "log"))
        cut_off(tmp_path / "log")
        log = open_lmdb(tmp_path / "log", clock=lambda: now[0])
        if refused:
            with pytest.raises(LogDamaged, match="less than an hour ago"):
                log.position()
        else:
            assert log.position() >= 4002
            log.close()


def test_no_salvage_where_nothing_may_be_lost(tmp_path: Path) -> None:
    cut_off(filled(tmp_path))
    before = data_of(tmp_path).read_bytes()
    with pytest.raises(LogDamaged, match="with SYNC=always nothing is given up unasked"):
        open_lmdb(tmp_path, sync="always").position()
    assert data_of(tmp_path).read_bytes() == before
    assert everything(tmp_path)


@pytest.mark.parametrize("moment", ["building", "between", "after"])
def test_a_salvage_that_was_cut_short_is_finished(tmp_path: Path, moment: str) -> None:
    filled(tmp_path / "log")
    cut_off(tmp_path / "log")
    shutil.copytree(tmp_path / "log", tmp_path / "saved")
    saved = everything(tmp_path / "saved")
    log, new = tmp_path / "log", tmp_path / "log" / "settled.new"
    (log / "damaged").write_text("found while running")
    if moment == "building":
        new.mkdir()
        (new / "data.mdb").write_bytes(data_of(tmp_path / "saved").read_bytes()[:20_000])
    elif moment == "between":
        (log / "settled").rename(log / "settled.damaged-20010909T014640Z")
        shutil.copytree(tmp_path / "saved" / "settled", new)
    else:
        shutil.rmtree(log / "settled")
        shutil.copytree(tmp_path / "saved" / "settled", log / "settled")
        shutil.rmtree(log / "fresh")
    if moment != "after":
        assert everything(log) == saved
        assert not new.exists()
        assert not (log / "damaged").exists()
    assert set(everything(log)) == set(saved)


def test_a_settled_part_that_was_exchanged_sets_the_fresh_one_aside(tmp_path: Path) -> None:
    shutil.copytree(filled(tmp_path / "one"), tmp_path / "backup")
    log = open_lmdb(tmp_path / "one")
    for i in range(9):
        log.append_one("new", START + 9000, float(i))
        log._settle_all()
    last = log.append_one("new", START + 9001, 1.0)
    stop(log)
    shutil.copy(data_of(tmp_path / "backup"), data_of(tmp_path / "one"))
    assert rows_behind(log)[-1][0] == 4002
    assert log.append_one("a", START, 1.0) > log.jumps[-1][1] > last
    assert len(list((tmp_path / "one" / "fresh").glob("*.aside-*"))) == 1
    log.close()


def with_fresh_events(path: Path, **options: Any) -> LmdbLog:
    """An open log of ten events that are settled, and ten that are not."""
    log = open_lmdb(path, **options)
    for i in range(20):
        log.append_one("a", START + i, float(i))
        if i == 9:
            log._settle_all()
    return log


def spoil_record(log: LmdbLog) -> None:
    fresh = log._process.get().fresh
    with fresh.write() as txn:
        head = fresh.head(txn)
        key, data = next(fresh.records_behind(txn, head.active, 14))
        txn.put(bytes(key), bytes(data[:-1]) + b"\xff", db=fresh.records[head.active])


def lose_record(log: LmdbLog) -> None:
    fresh = log._process.get().fresh
    with fresh.write() as txn:
        assert txn.delete(pack_position(15), db=fresh.records[fresh.head(txn).active])


def lose_head(log: LmdbLog) -> None:
    fresh = log._process.get().fresh
    with fresh.write() as txn:
        txn.put(b"head", b"short")


def spoil_tree(log: LmdbLog) -> None:
    with (log._process.get().fresh.path / "data.mdb").open("r+b") as file:
        for page in range(2, file.seek(0, os.SEEK_END) // 4096):
            file.seek(page * 4096 + 8)
            file.write(b"\xff" * 16)


def spoil_page(log: LmdbLog) -> None:
    """Garbage that a cursor just ends at: LMDB speaks of it, as of a transaction gone bad, only when asked again."""
    data = log._process.get().fresh.path / "data.mdb"
    pages = Pages(data)
    _, roots = pages.tables(pages.heads()[0])
    with data.open("r+b") as file:
        file.seek(roots[b"records1"] * 4096)
        file.write(b"\xa5" * 4096)


@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.parametrize("spoil", [spoil_record, lose_record, lose_head, spoil_tree, spoil_page])
def test_what_is_fresh_and_damaged_is_set_aside_and_what_is_settled_goes_on(
    tmp_path: Path, spoil: Callable[[LmdbLog], None], sync: str
) -> None:
    log = with_fresh_events(tmp_path, sync="everysec")
    spoil(log)
    with pytest.raises(LogDamaged):
        rows_behind(log)
    with pytest.raises(LogDamaged):
        log.append_one("a", START + 20, 20.0)
    stop(log)
    for _ in range(2):
        log = open_lmdb(tmp_path, sync=sync)
        assert [position for position, *_ in rows_behind(log)][:10] == list(range(1, 11))
        assert log.append_one("a", START + 20, 20.0) > log.jumps[-1][1] >= 10**9
        assert "what was not yet settled was damaged" in str(log.notice())
        assert len(log.jumps) == 1
        log.close()
    assert len(list((tmp_path / "fresh").glob("*.aside-*"))) == 1
    assert not list(tmp_path.glob("settled.damaged-*"))
    assert not (tmp_path / "damaged").exists()


@pytest.mark.parametrize("garbage", [bytes(4096), b"\xa5" * 4096])
def test_where_free_pages_are_not_known_a_start_goes_on_from_what_is_settled(tmp_path: Path, garbage: bytes) -> None:
    """All can be read, and nothing written."""
    log = with_fresh_events(tmp_path)
    data = log._process.get().fresh.path / "data.mdb"
    with data.open("r+b") as file:
        file.seek(Pages(data).heads()[0].free * 4096)
        file.write(garbage)
    assert len(rows_behind(log)) == 20
    for _ in range(2):
        with pytest.raises(LogDamaged, match="restart Tidemark"):
            log.append_one("a", START + 20, 20.0)
    with pytest.raises(LogDamaged, match="restart Tidemark"):
        log.check()
    stop(log)
    log = open_lmdb(tmp_path, sync="everysec")
    assert [position for position, *_ in rows_behind(log)] == list(range(1, 11))
    assert log.append_one("a", START + 20, 20.0) > log.jumps[-1][1] >= 10**9
    assert "what was not yet settled was damaged" in str(log.notice())
    log.check()
    log.close()
    assert not list(tmp_path.glob("settled.damaged-*"))
    assert not (tmp_path / "damaged").exists()


@pytest.mark.parametrize("garbage", [bytes(4096), b"\xa5" * 4096])
def test_no_garbage_page_ends_the_process_that_looks_for_damage(tmp_path: Path, garbage: bytes) -> None:
    """As LMDB does for some that a cursor comes to."""
    log = open_lmdb(tmp_path / "log")
    for i in range(500):
        log.append_one("a", START + i, float(i))
    stop(log)
    [data] = (tmp_path / "log").glob("fresh/*/data.mdb")
    assert damage_in(data.parent, thoroughly=True) is None
    content, pages = data.read_bytes(), Pages(data)
    [root] = [root for root in (pages.tables(pages.heads()[0])[1][name] for name in RECORDS) if root < 2**63]
    leaves = list(pages._children(root))
    assert len(leaves) > 2
    for leaf in leaves:
        data.write_bytes(content[: leaf * 4096] + garbage + content[(leaf + 1) * 4096 :])
        assert damage_in(data.parent, thoroughly=True) == "some of its pages are garbage"


READ_WHEN_TOLD = """
import sys
from pathlib import Path
from event_log.base import START
from event_log.errors import LogDamaged
from event_log.lmdb_log import LmdbLog
log = LmdbLog(Path(sys.argv[1]), max_bytes=2**20)
print(log.position(), flush=True)
sys.stdin.readline()
try:
    log.read(START)
except LogDamaged as fault:
    print(fault)
"""


def test_what_was_noted_first_of_damage_stays(tmp_path: Path) -> None:
    log = with_fresh_events(tmp_path)
    command = [sys.executable, "-c", READ_WHEN_TOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "20\n"
        spoil_record(log)
        with pytest.raises(LogDamaged, match="does not match its checksum"):
            rows_behind(log)
        heard, _ = other.communicate("now\n")
    assert "was found damaged; restart Tidemark" in heard
    assert "does not match its checksum" in (tmp_path / "damaged").read_text()
    stop(log)


@pytest.mark.parametrize("spoil", [spoil_tree, spoil_page])
def test_damage_that_a_write_meets_is_noted(tmp_path: Path, spoil: Callable[[LmdbLog], None]) -> None:
    log = with_fresh_events(tmp_path)
    spoil(log)
    with pytest.raises(LogDamaged, match="restart Tidemark"):
        log.append_one("a", START + 20, 20.0)
    noted = (tmp_path / "damaged").read_text()
    assert "MDB_" in noted
    for ask in (log.check, log._settle_all, lambda: log.append(batch(ROWS)), lambda: log.claim(Rules(1, 1), "start")):
        with pytest.raises(LogDamaged, match="restart Tidemark"):
            ask()
    assert (tmp_path / "damaged").read_text() == noted
    stop(log)


def test_damage_of_what_is_settled_costs_nothing_that_is_fresh(tmp_path: Path) -> None:
    log = with_fresh_events(tmp_path, sync="everysec")
    settled = log._process.get().settled
    with settled.write() as txn:
        key, data = next(settled.items(txn, 0))
        txn.put(bytes(key), bytes(data[:-1]) + b"\xff", db=settled.records)
    with pytest.raises(LogDamaged):
        rows_behind(log)
    stop(log)
    log = open_lmdb(tmp_path, sync="everysec")
    assert [position for position, *_ in rows_behind(log)][-10:] == list(range(11, 21))
    log.close()


def test_a_missing_record_is_damage(tmp_path: Path) -> None:
    log = open_lmdb(filled(tmp_path))
    settled = log._process.get().settled
    with settled.write() as txn:
        keys = [bytes(key) for key, _ in settled.items(txn, 0)]
        assert txn.delete(keys[4], db=settled.records)
    with pytest.raises(LogDamaged, match="records are missing behind position"):
        rows_behind(log)
    stop(log)


def test_a_record_at_another_position_is_damage(tmp_path: Path) -> None:
    log = open_lmdb(filled(tmp_path))
    settled = log._process.get().settled
    with settled.write() as txn:
        (one, first), (other, second) = list(settled.items(txn, 2001))[:2]
        txn.put(bytes(one), bytes(second), db=settled.records)
        txn.put(bytes(other), bytes(first), db=settled.records)
    assert pack_position(2001) < bytes(one) < bytes(other)
    with pytest.raises(LogDamaged, match="checksum"):
        rows_behind(log)
    stop(log)


def test_without_a_boot_id_a_file_in_memory_tells_restarts_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from event_log import boot

    assert boot.boot_id() == boot.boot_id() != ""
    monkeypatch.setattr(boot, "_KERNEL", tmp_path / "hidden")
    monkeypatch.setattr(boot, "_MEMORY", tmp_path / "memory")
    first = boot.boot_id()
    assert first == boot.boot_id() != ""
    (tmp_path / "memory").unlink()
    assert boot.boot_id() != first
    monkeypatch.setattr(boot, "_MEMORY", tmp_path / "missing" / "memory")
    with pytest.raises(LogUnavailable, match="could not be told from a restart"):
        boot.boot_id()
