"""A file of the operator's that is read again when it has changed: what it says now, or as it last was good."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from settings import PREFIX
from watched.memory import MOST_BYTES, Memory

LOOK_SECONDS = 0.5
"""Maximum age in seconds of what we know of the file. It is read, not asked for its age: a few microseconds twice a
second, and no copy, mount or clock can hide a change."""
STALE_SECONDS = 1.5
"""Age of the last look from which on a change may not wait for the next one, to be in force within two seconds."""
PAUSE_SECONDS = 0.25
"""Seconds between the two looks that one request takes."""
T = TypeVar("T")


class BadFile(Exception):
    """A file cannot be used; the message is one line for the person who wrote it."""


@cache
def inherited(path: Path) -> Memory:
    """The memory of this file that this process shares with those it forks; made by the first to ask."""
    return Memory()


def read(path: Path) -> bytes:
    """Return the content of a file. Raises BadFile."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as fault:
        raise BadFile(f"it cannot be read: {fault.strerror or fault}") from fault
    if len(text) > MOST_BYTES:
        raise BadFile(f"it is larger than {MOST_BYTES} bytes")
    return text


class WatchedFile(Generic[T]):
    """Content of one file, read again when it has changed.

    A text is taken once two looks have found it the same: half of a file can be good TOML, of which the last limits are
    missing. Any thread may ask; one at a time looks at the file, and the others go on with what was known.
    """

    name = "file"
    """Name of the file in messages."""
    setting = ""
    """Name of the setting that holds its path."""
    logger = logging.getLogger("tidemark")

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        memory: Memory | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Raises BadFile where the file is no good and none was before."""
        self._path = path
        self._clock = clock
        self._memory = inherited(path) if memory is None else memory
        self.pause = pause
        self._lock = threading.Lock()
        self.looked_at = clock()
        """Time of the last look."""
        self._seen: bytes | None = None  # the text taken last, or found no good
        self._found: bytes | None = None  # another one, that one look has found
        self._fault: str | None = None
        self._content = self._first()

    def parse(self, text: bytes) -> T:
        """Return what a text says. Raises BadFile."""
        raise NotImplementedError

    def content(self) -> T:
        """Return the content in force; costs a look at the clock. After a silence the file may have changed long ago:
        then both looks are taken now, and all who ask wait for them."""
        age = self._clock() - self.looked_at
        if age >= LOOK_SECONDS and self._lock.acquire(blocking=age >= STALE_SECONDS):
            try:
                self._look_again()
            finally:
                self._lock.release()
        return self._content

    def fault(self) -> str | None:
        """Return the fault of the file as it is now, so that an older one is in force; None if there is none."""
        self.content()
        return self._fault

    def _look_again(self) -> None:
        began = self._clock()
        age = began - self.looked_at
        if age < LOOK_SECONDS:
            return  # somebody else has looked meanwhile
        self._look()
        if age >= STALE_SECONDS and self._found is not None:
            self.pause(PAUSE_SECONDS)
            self._look()
        self.looked_at = began  # not before: until then all who ask after a silence wait

    def _first(self) -> T:
        """Return the first content. Where others of this service have another text, this one may be half written."""
        kept = self._memory.get()
        try:
            text = read(self._path)
            if kept is None or kept == text:
                return self._load(text)
        except BadFile as fault:
            if kept is None:
                raise BadFile(f"{PREFIX}{self.setting}: {self._path}: {fault}") from fault
            self._note(str(fault))
        self.looked_at = -math.inf
        assert kept is not None
        return self.parse(kept)

    def _look(self) -> None:
        """Take the file over if it has changed, stands still and is good; else say why not, once."""
        try:
            text = read(self._path)
        except BadFile as fault:
            self._seen = self._found = None  # once it can be read again, even unchanged, it is news
            self._note(str(fault))
            return
        found, self._found = self._found, None if text == self._seen else text
        if self._found is not None and text == found:
            self._found = None
            self._change(text)

    def _change(self, text: bytes) -> None:
        try:
            self._content = self._load(text)
            self.logger.info("the %s was read again", self.name)
        except BadFile as fault:
            self._note(str(fault))

    def _load(self, text: bytes) -> T:
        self._seen = text
        content = self.parse(text)
        self._memory.put(text)
        self._fault = None
        return content

    def _note(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self.logger.error(
                "the %s %s is not used as it is now, the last good one is: %s", self.name, self._path, fault
            )
