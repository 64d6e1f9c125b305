"""The keys in force: those of the file as it is now, or as it last was good."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from access.keys import BadKeys, Keys, parse_keys
from access.memory import MOST_BYTES, Memory

LOOK_SECONDS = 0.5
"""How old what we know of the file may be. It is read, not asked for its age: a few microseconds twice a second, and
no copy, mount or clock can hide a change."""
logger = logging.getLogger("tidemark.access")


@cache
def inherited(path: Path) -> Memory:
    """The memory of this file that this process shares with those it forks; made by the first to ask."""
    return Memory()


def read(path: Path) -> bytes:
    """What the file holds. Raises BadKeys."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as fault:
        raise BadKeys(f"it cannot be read: {fault.strerror or fault}") from fault
    if len(text) > MOST_BYTES:
        raise BadKeys(f"it is larger than {MOST_BYTES} bytes")
    return text


class Watch:
    """The keys of one file, read again when it has changed.

    Any thread may ask; one at a time looks at the file, and the others go on with what was known.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, memory: Memory | None = None) -> None:
        """Raises BadKeys where the file is no good and none was before."""
        self._path = path
        self._clock = clock
        self._memory = inherited(path) if memory is None else memory
        self._lock = threading.Lock()
        self._seen: bytes | None = None
        self._fault: str | None = None
        self._keys = self._first()
        self._next_look = clock() + LOOK_SECONDS

    def keys(self) -> Keys:
        """Those in force; costs a look at the clock."""
        if self._clock() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._next_look = self._clock() + LOOK_SECONDS
                self._lock.release()
        return self._keys

    def fault(self) -> str | None:
        """What is wrong with the file as it is now, so that older keys are in force."""
        self.keys()
        return self._fault

    def _first(self) -> Keys:
        try:
            return self._load(read(self._path))
        except BadKeys as fault:
            text = self._memory.get()
            if text is None:
                raise BadKeys(f"{self._path}: {fault}") from fault
            self._note(str(fault))
            return parse_keys(text)

    def _look(self) -> None:
        """Take the file over if it has changed and is good; else say why not, once."""
        try:
            text = read(self._path)
        except BadKeys as fault:
            self._seen = None  # once it can be read again, even unchanged, it is news
            self._note(str(fault))
            return
        if text != self._seen:
            self._change(text)

    def _change(self, text: bytes) -> None:
        try:
            self._keys = self._load(text)
            logger.info("the key file was read again: %d keys", len(self._keys))
        except BadKeys as fault:
            self._note(str(fault))

    def _load(self, text: bytes) -> Keys:
        self._seen = text
        keys = parse_keys(text)
        self._memory.put(text)
        self._fault = None
        return keys

    def _note(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            logger.error("the key file %s is not used as it is now, the last good one is: %s", self._path, fault)
