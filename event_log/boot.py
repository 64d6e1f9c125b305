"""Id of the boot of the machine: data not synced before the machine was started again may be lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import uuid4

_KERNEL = Path("/proc/sys/kernel/random/boot_id")
_MEMORY = Path("/dev/shm/tidemark-boot-id")


def boot_id() -> str:
    """The same for all processes as long as the kernel runs, another one after. Raises OSError.

    A container that hides /proc has memory files at least: those end with the container, if not before.
    """
    try:
        return _KERNEL.read_text().strip()
    except OSError:
        with suppress(FileExistsError), _MEMORY.open("x") as file:
            file.write(uuid4().hex)
        return _MEMORY.read_text()
