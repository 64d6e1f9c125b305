"""The LMDB environment under the log: opened once in each process, its errors put into our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import lmdb

from event_log.base import LogDamaged, LogFull, LogUnavailable
from event_log.records import FORMAT, Meta, pack_meta, unpack_meta

MAX_READERS = 1024
SOME_ROOM = 64 * 1024
"""What a common batch takes. A log that has not so much left is not healthy, whatever smaller may still go in."""
USABLE = 0.8
"""The part of the map that live pages may fill. The rest lets a full log be cleaned: LMDB never
overwrites a page in use, so even a deletion first needs free ones."""

LEAST_BYTES = 512 * 1024
"""A smaller map would be full of LMDB's own pages, and could not be cleaned."""

_FORMAT_KEY = b"format"
_META_KEY = b"meta"
_PROBE_KEY = b"probe"
_WAYS_OUT = "raise TIDEMARK_LOG_MAX_BYTES, or wait until events expire"
_DAMAGE = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)


class Store:
    """One open environment. Owned by the process that made it; LMDB's own locks order all writers."""

    def __init__(self, path: Path, max_bytes: int, *, always_sync: bool) -> None:
        self.path = path
        self.pid = os.getpid()
        self.fault: str | None = None
        """Why writes fail; None as long as they do not."""
        self.damage: str | None = None
        """What was found that cannot be trusted."""
        max_bytes = max(max_bytes, LEAST_BYTES)
        self._synced = 0  # the last transaction known to be on the disk
        self._limit = int(max_bytes * USABLE)
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_truncated(path)
            self._env = lmdb.open(
                str(path), map_size=max_bytes, max_dbs=8, max_readers=MAX_READERS, sync=always_sync, mode=0o640
            )
            self._env.reader_check()
            self._open_tables()
        except _DAMAGE as fault:
            raise self.damaged(str(fault)) from fault
        except (OSError, lmdb.Error) as fault:
            raise LogUnavailable(f"the log at {path} cannot be opened: {fault}") from fault

    def _open_tables(self) -> None:
        with self._env.begin(write=True) as txn:
            found = txn.get(_FORMAT_KEY)
            if found not in (None, FORMAT) or (found is None and txn.stat()["entries"]):
                raise LogDamaged(
                    f"{self.path} holds {bytes(found or b'something else').decode(errors='replace')!r}, "
                    f"not {FORMAT.decode()!r}; name another path in TIDEMARK_LOG_URL"
                )
            self.records = self._env.open_db(b"records", txn=txn)
            self.series = self._env.open_db(b"series", txn=txn)
            self.kept = self._env.open_db(b"kept", txn=txn, dupsort=True, dupfixed=True)
            if found is None:
                txn.put(_FORMAT_KEY, FORMAT)
                self.put_meta(txn, Meta())

    @contextmanager
    def read(self) -> Iterator[lmdb.Transaction]:
        """A snapshot. Keep it short: while it lasts, LMDB cannot reuse what is deleted."""
        try:
            with self._env.begin() as txn:
                yield txn
        except _DAMAGE as fault:
            raise self.damaged(str(fault)) from fault
        except lmdb.Error as fault:
            raise LogUnavailable(f"the log at {self.path} cannot be read: {fault}") from fault

    @contextmanager
    def write(self) -> Iterator[lmdb.Transaction]:
        """All of what is done inside, or nothing. Waits for other writers, of any process."""
        try:
            with self._env.begin(write=True) as txn:
                yield txn
        except lmdb.MapFullError as fault:
            self.fault = f"the log at {self.path} is full; {_WAYS_OUT}"
            raise LogFull(self.fault) from fault
        except _DAMAGE as fault:
            raise self.damaged(str(fault)) from fault
        except lmdb.Error as fault:
            self.fault = f"the log at {self.path} cannot be written: {fault}"
            raise LogUnavailable(self.fault) from fault

    def damaged(self, reason: str) -> LogDamaged:
        """The error to raise for damage, which `check` reports from now on."""
        self.damage = f"the log at {self.path} is damaged: {reason}; restore it, or move it away to start anew"
        return LogDamaged(self.damage)

    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when it cannot be read or written. Writes only after a write
        has failed."""
        with self.read() as txn:
            self.ensure_room(txn, SOME_ROOM)
        if self.damage is not None:
            raise LogDamaged(self.damage)
        if self.fault is not None:
            self._probe()
        disk = os.statvfs(self.path)
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < SOME_ROOM:
            raise LogUnavailable(f"the disk under the log at {self.path} is full; make room there")

    def _probe(self) -> None:
        """Forget the fault if there is room for a batch again; one small write may succeed by luck, in pages
        that another has just left."""
        with self.write() as txn:
            txn.put(_PROBE_KEY, bytes(SOME_ROOM))
        with self.write() as txn:
            txn.delete(_PROBE_KEY)
        self.sync()
        self.fault = None

    def ensure_room(self, txn: lmdb.Transaction, size: int) -> None:
        """Raises LogFull when `size` bytes more would pass the limit."""
        stat = txn.stat(self.records)
        pages = stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"]
        if pages * stat["psize"] + size > self._limit:
            raise LogFull(f"the log at {self.path} is full; {_WAYS_OUT}")

    def meta(self, txn: lmdb.Transaction) -> Meta:
        """What the log keeps about itself."""
        data = txn.get(_META_KEY)
        if data is None:
            raise self.damaged("it has lost its head")
        return unpack_meta(data)

    def put_meta(self, txn: lmdb.Transaction, meta: Meta) -> None:
        txn.put(_META_KEY, pack_meta(meta))

    def clear_dead_readers(self) -> None:
        """Give free the reader slots of processes that died; they would pin what is deleted."""
        self._env.reader_check()

    def sync(self) -> None:
        """Bring all to the disk, what other processes wrote too. Raises LogUnavailable."""
        try:
            newest = self._env.info()["last_txnid"]
            if newest != self._synced:
                self._env.sync(True)
            self._synced = newest
        except lmdb.Error as fault:
            self.fault = f"the log at {self.path} cannot be synced: {fault}"
            raise LogUnavailable(self.fault) from fault

    def close(self) -> None:
        self._env.close()


def _refuse_truncated(path: Path) -> None:
    """LMDB maps the file without looking at its length: reading past its end would kill the process."""
    data = path / "data.mdb"
    if not data.exists() or not data.stat().st_size:
        return
    env = lmdb.open(str(path), readonly=True, lock=False, max_dbs=8)
    try:
        needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    finally:
        env.close()
    size = data.stat().st_size
    if size < needed:
        raise LogDamaged(
            f"the log at {path} is cut off: {size:,} of {needed:,} bytes; restore it, or move it away to start anew"
        )


class PerProcess:
    """The Store of this process: opened at first use, and anew after a fork."""

    def __init__(self, path: Path, max_bytes: int, *, always_sync: bool) -> None:
        self._arguments = (path, max_bytes)
        self._always_sync = always_sync
        self._lock = Lock()
        self._store: Store | None = None

    def get(self) -> Store:
        """Raises LogUnavailable when it cannot be opened."""
        store = self._store
        if store is not None and store.pid == os.getpid():
            return store
        with self._lock:
            if self._store is None or self._store.pid != os.getpid():
                if self._store is not None:
                    # The parent's. It has to be closed here, and first: closed later it would take the locks of
                    # ours with it. The parent's own are not touched, but a transaction open at the fork would be.
                    self._store.close()
                self._store = Store(*self._arguments, always_sync=self._always_sync)
            return self._store

    def close(self) -> None:
        """Let go of the environment, which the next use would open again."""
        with self._lock:
            if self._store is not None and self._store.pid == os.getpid():
                self._store.close()
            self._store = None
