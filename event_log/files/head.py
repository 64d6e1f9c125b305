"""The head page: one page that all processes map, by which they agree on the tail of the log.

Each group of numbers has two slots and a sequence word, whose parity says which slot holds. A writer, who has the lock
for the group, fills the other slot and then stores the word, which is aligned and so never seen half: a reader takes
the slot and has it whole if the word is still the same. A writer that dies on the way has changed nothing.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from secrets import randbits
from struct import Struct
from typing import Any

from event_log.files.disk import File
from event_log.files.layout import (
    CRC,
    FORMAT,
    SECTOR,
    SYNCED_SIZE,
    TAIL,
    Synced,
    Tail,
    pack_synced,
    unpack_synced,
    with_crc,
    without_crc,
)
from event_log.log_time import LogTime

PAGE = 4096
SEQUENCE, SYNCED, TIME, SYNCED_NUMBER, FAILED, GENERATION, OWNER, OWNED_UNTIL, CUT_AT, CUT_AFTER = range(
    SECTOR // 8, SECTOR // 8 + 10
)
"""Aligned words of 8 bytes: three sequence words; the number of the last record known to be on the disk; whether a sync
has failed; the manifest's generation; who has the right to compact, and until when on the boot clock; when on
the boot clock a recovery found that the log had not been left in good order (0: it had), and behind which position."""
TAIL_SLOTS, _SYNCED_SLOTS, _TIMES = ((sector * SECTOR, (sector + 1) * SECTOR) for sector in (2, 4, 6))
_BIRTH = Struct("<16s16s")  # format, boot
_TIME = Struct("<qqqq")


class Head:
    """The head page of an open log, or a copy of it."""

    def __init__(self, page: Any, inode: int = 0) -> None:
        """`page`: the mapped page, or bytes."""
        self.page = page
        self.inode = inode
        self.words = memoryview(page).cast("Q")

    @classmethod
    def mapped(cls, path: Path) -> Head:
        """Raises OSError, ValueError."""
        file = File(path, os.O_RDWR)
        status = os.fstat(file.number)
        if status.st_size != PAGE:
            raise ValueError(f"{path} has {status.st_size} bytes instead of {PAGE}")
        return cls(mmap.mmap(file.number, PAGE), status.st_ino)

    def close(self) -> None:
        self.words.release()
        self.page.close()

    def flush(self) -> None:
        """Write the page to the disk, and wait for it."""
        self.page.flush()

    def tail(self) -> tuple[int, Tail]:
        """The sequence word, and the tail it stands for."""
        sequence, values = self._read(SEQUENCE, TAIL_SLOTS, TAIL)
        return sequence, Tail._make(values)

    def publish_tail(self, tail: Tail) -> None:
        """Only with the append lock."""
        self._write(SEQUENCE, TAIL_SLOTS, TAIL.pack(*tail))

    def synced(self) -> Tail:
        """The place up to which all is known to be on the disk. Only with the sync lock."""
        found = unpack_synced(self._bytes(SYNCED, _SYNCED_SLOTS, SYNCED_SIZE))
        if found is None:
            raise ValueError("the head of the log does not match its checksum")
        return found.tail

    def publish_synced(self, tail: Tail, *, clean: bool = False) -> None:
        """Only with the sync lock."""
        self._write(SYNCED, _SYNCED_SLOTS, pack_synced(Synced(tail, self.words[SYNCED] + 1, clean)))
        self.words[SYNCED_NUMBER] = tail.number

    def time(self) -> LogTime:
        """The log's time as it was noted last."""
        return LogTime._make(self._read(TIME, _TIMES, _TIME)[1])

    def publish_time(self, time: LogTime) -> None:
        """Only with the append lock."""
        self._write(TIME, _TIMES, _TIME.pack(*time))

    def boot(self) -> bytes | None:
        """The boot that the page is of; None where it is none, or torn."""
        birth = without_crc(bytes(self.page[: _BIRTH.size + CRC.size]))
        return None if birth is None or not birth.startswith(FORMAT) else birth[16:]

    def is_sound(self) -> bool:
        """Return whether the first user of the log may go on with a page of this boot."""
        synced = unpack_synced(self._bytes(SYNCED, _SYNCED_SLOTS, SYNCED_SIZE))
        is_end = synced is not None and (not synced.clean or synced.tail == self.tail()[1])
        return is_end and not self.words[FAILED]

    def last_synced(self) -> Synced | None:
        """The last place that a page from before a power cut knows to be synced; either slot may be torn."""
        found = [unpack_synced(bytes(self.page[start : start + SYNCED_SIZE])) for start in _SYNCED_SLOTS]
        return max((slot for slot in found if slot is not None), default=None, key=lambda slot: slot.sequence)

    def last_time(self) -> LogTime:
        """The latest log time that a page from before a power cut has noted."""
        return max(LogTime._make(_TIME.unpack_from(self.page, start)) for start in _TIMES)

    def _bytes(self, word: int, slots: tuple[int, int], size: int) -> bytes:
        start = slots[self.words[word] & 1]
        return bytes(self.page[start : start + size])

    def _read(self, word: int, slots: tuple[int, int], layout: Struct) -> tuple[int, tuple[Any, ...]]:
        while True:
            sequence = self.words[word]
            values = layout.unpack_from(self.page, slots[sequence & 1])
            if self.words[word] == sequence:
                return sequence, values

    def _write(self, word: int, slots: tuple[int, int], data: bytes) -> None:
        sequence = self.words[word] + 1
        start = slots[sequence & 1]
        self.page[start : start + len(data)] = data
        self.words[word] = sequence


def new_page(boot: bytes, tail: Tail, generation: int, time: LogTime, cut_after: int | None = None) -> bytes:
    """The head page of a log whose records up to the tail are on the disk. `cut_after`: the position behind which some
    may have been lost."""
    head = Head(bytearray(PAGE))
    birth = with_crc(_BIRTH.pack(FORMAT, boot))
    head.page[: len(birth)] = birth
    head.words[SEQUENCE] = 2 * randbits(61)  # no cursor of another head is taken for one of this
    head.words[GENERATION] = generation
    if cut_after is not None:
        head.words[CUT_AT], head.words[CUT_AFTER] = max(1, time.boot), cut_after
    head.publish_tail(tail)
    head.publish_synced(tail)
    head.publish_time(time)
    return bytes(head.page)
