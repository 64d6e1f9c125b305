"""An LMDB environment of this process: its transactions, with LMDB's errors put into our words."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import lmdb

from event_log.base import LogDamaged, LogUnavailable

MAX_READERS = 1024
MAP_BYTES = 1024**4
"""Only addresses, not memory: so large that no process ever writes what another one's map does not reach. What the log
may take is ours to watch."""
SMALL_MAP_BYTES = 4 * 1024**3
"""Where this process may not have so many addresses."""
PAGE = 4096
FORMAT = 0
"""LMDB's major version that writes the files. Named, because `LMDB_DEFAULT_LIB_VERSION` decides it otherwise."""
DAMAGE = (
    lmdb.BadTxnError,  # a cursor that meets a bad page may just end; what is asked next is told of this instead
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)


class Transaction:
    """`with` it: all of what is done inside, or nothing."""

    __slots__ = ("_env", "_txn", "_write")

    def __init__(self, env: Environment, write: bool) -> None:
        self._env = env
        self._write = write

    def __enter__(self) -> lmdb.Transaction:
        try:
            self._txn = self._env.lmdb.begin(write=self._write)
        except lmdb.Error as fault:
            raise self._env.in_our_words(fault, self._write) from fault
        return self._txn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._txn.commit()
                return
            self._txn.abort()
        except lmdb.Error as fault:
            raise self._env.in_our_words(fault, self._write) from fault
        if isinstance(error, lmdb.Error):
            raise self._env.in_our_words(error, self._write) from error


class Environment:
    """One open environment. Owned by the process that made it; LMDB's own locks order all writers."""

    def __init__(self, path: Path, tables: int, *, sync: bool) -> None:
        self.path = path
        self.fault: str | None = None
        """Why writes fail; None as long as they do not."""
        self.damage: str | None = None
        """What was found that cannot be trusted."""
        try:
            self.lmdb = _open(path, tables, sync)
            self.lmdb.reader_check()
        except lmdb.Error as fault:
            raise self.in_our_words(fault, None) from fault
        except OSError as fault:
            raise LogUnavailable(f"the log at {path.parent} cannot be opened: {fault}") from fault

    def read(self) -> Transaction:
        """A snapshot. Keep it short: while it lasts, LMDB cannot reuse what is deleted."""
        return Transaction(self, write=False)

    def write(self) -> Transaction:
        """Waits for other writers, of any process."""
        return Transaction(self, write=True)

    def table(self, txn: lmdb.Transaction, name: bytes) -> lmdb._Database:
        """A named table, made where there is none."""
        return self.lmdb.open_db(name, txn=txn)

    def in_our_words(self, fault: lmdb.Error, write: bool | None) -> LogUnavailable:
        """The error to raise for one of LMDB's, of a read, a write, or (None) at the opening."""
        if isinstance(fault, DAMAGE):
            return self.damaged(str(fault))
        done = "opened" if write is None else "written" if write else "read"
        words = f"the log at {self.path} cannot be {done}: {fault}"
        if write:
            self.fault = words
        return LogUnavailable(words)

    def damaged(self, reason: str) -> LogDamaged:
        """The error to raise for damage."""
        self.damage = f"the log at {self.path} is damaged: {reason}"
        return LogDamaged(self.damage)

    def clear_dead_readers(self) -> None:
        """Give free the reader slots of processes that died; they would pin what is deleted."""
        self.lmdb.reader_check()

    def close(self) -> None:
        self.lmdb.close()


def bytes_in(txn: lmdb.Transaction, *tables: lmdb._Database) -> int:
    """What the pages of these tables take."""
    stats = [txn.stat(table) for table in tables]
    return sum(stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"] for stat in stats) * PAGE


def _open(path: Path, tables: int, sync: bool) -> lmdb.Environment:
    def mapped(size: int) -> lmdb.Environment:
        readers = MAX_READERS
        return lmdb.open(
            str(path),
            map_size=size,
            max_dbs=tables,
            max_readers=readers,
            sync=sync,
            metasync=sync,
            mode=0o640,
            lib_version=FORMAT,
        )

    try:
        return mapped(MAP_BYTES)
    except (lmdb.MemoryError, MemoryError):
        return mapped(SMALL_MAP_BYTES)
