"""Files as this log uses them: with their room, whole or not at all, and on the disk before anything relies on them."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from event_log.errors import LogFull, LogUnavailable

_ZEROS = bytes(1024**2)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = ("nfs", "cifs", "smb", "9p", "virtiofs", "fuse", "ceph", "afs", "lustre")


class File:
    """An open file, closed when its last user lets go of it: another thread may read what this one no longer needs."""

    def __init__(self, path: Path, flags: int) -> None:
        self.number = -1
        self.number = os.open(path, flags | os.O_CLOEXEC, 0o640)

    def close(self) -> None:
        """At once."""
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    __del__ = close


def refusal(path: Path, fault: OSError) -> LogUnavailable:
    """Return the error for a log where the system refused a call; a disk that is full is named as that."""
    if fault.errno in _FULL:
        return LogFull(f"the disk of the log at {path} is full; make room on it")
    return LogUnavailable(f"the log at {path} cannot be read or written: {fault}")


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Raises LogFull or LogUnavailable where the system refuses a call."""
    try:
        yield
    except OSError as fault:
        raise refusal(path, fault) from fault


def allocate(file: int, size: int) -> None:
    """Give a file its room on the disk; where the system has no call for that, by zeros. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    for offset in range(0, size, len(_ZEROS)):
        write_all(file, _ZEROS[: size - offset], offset)


def write_all(file: int, data: bytes | memoryview, offset: int) -> None:
    """Raises OSError, also where the disk takes only a part."""
    if data and os.pwrite(file, data, offset) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def sync_file(file: int) -> None:
    """Wait until what was written to a file is on the disk. Raises OSError."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, where fsync leaves it in the disk's own memory
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(file)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk. Raises OSError."""
    file = File(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(file.number)


def make_folder(path: Path) -> None:
    """Make a folder with its parents, on the disk. Raises OSError."""
    if not path.is_dir():
        make_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir(0o750)
        sync_folder(path.parent)


def write_aside(folder: Path, *parts: bytes) -> Path:
    """Write parts, one behind the other, to a file under a name that nobody knows, and wait until it is on the disk.
    Raises OSError."""
    path = folder / f"{uuid4().hex}.tmp"
    try:
        file = File(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        end = 0
        for part in parts:
            for offset in range(0, len(part), len(_ZEROS)):
                write_all(file.number, memoryview(part)[offset : offset + len(_ZEROS)], end + offset)
            end += len(part)
        sync_file(file.number)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def network_file_system(path: Path) -> str | None:
    """The kind of the file system, if it is one of another machine, where locks and maps cannot be relied on."""
    device = path.stat().st_dev
    own = f"{os.major(device)}:{os.minor(device)}"
    with suppress(FileNotFoundError):  # there is no such list on macOS
        for line in _MOUNTS.read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind = after.split(" ", 1)[0]
            if before.split(" ")[2] == own and kind.startswith(_NETWORK):
                return kind
    return None
