"""Id of the boot of the machine: data not synced before the machine was started again may be lost."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from event_log.errors import LogUnavailable

_KERNEL = Path("/proc/sys/kernel/random/boot_id")
_MEMORY = Path("/dev/shm/tidemark-boot-id")


def boot_id() -> str:
    """The same for all processes as long as the kernel runs, another one after. Raises LogUnavailable.

    A container that hides /proc has memory files at least: those end with the container, if not before.
    """
    try:
        return _KERNEL.read_text().strip()
    except OSError:
        return _id_in_memory()


def _id_in_memory() -> str:
    try:
        try:
            file = os.open(_MEMORY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(file, uuid4().hex.encode())
            os.close(file)
        except FileExistsError:
            pass
        return _MEMORY.read_text()
    except OSError as fault:
        raise LogUnavailable(
            f"neither {_KERNEL} nor {_MEMORY} can be read, so a power cut could not be told from a restart: {fault}"
        ) from fault
