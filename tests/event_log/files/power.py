"""A disk that may lose, at any moment, whatever it was not told to sync: the images that a power cut may leave.

While it watches, it notes for each file what was last synced, some of what was written since, and for each folder its
names at its last sync. An image has each page of a file in one of these states, or torn between two, or empty where
nothing of it was synced; each name points to what it did at the last sync or to what it does now.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from event_log.files.head import Head

PAGE, SECTOR = 4096, 512
LOSSES = (
    "nothing",
    "everything",
    "newest first",
    "oldest first",
    "torn",
    "some",
    "names only",
    "pages only",
    "between",
)
"""Kinds of loss: the parts of the data not synced that the disk lost."""
HOOKED = ("pwrite", "fdatasync", "fsync", "posix_fallocate", "unlink", "link", "rename")


@dataclass
class Watched:
    """A file by its inode, kept open so that it can still be read when its name is gone."""

    descriptor: int
    synced: bytes = b""
    between: list[bytes] = field(default_factory=list)

    def now(self) -> bytes:
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)


class Disk:
    """Watches a folder. `cut` is called at moments that chance picks, with the disk as it then is."""

    def __init__(self, folder: Path, chance: random.Random, cut: Callable[[Disk, str], None], odds: float) -> None:
        self.folder = folder
        self._chance = chance
        self._cut = cut
        self._odds = odds
        self._files: dict[int, Watched] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._is_paused = False
        self.forgets: str | None = None
        """The name of a call whose syncs are not carried out: the test must then fail."""
        if folder.exists():
            self._begin()

    def _begin(self) -> None:
        """All that is there is on the disk."""
        for path in [self.folder, *self.folder.rglob("*")]:
            if path.is_dir():
                self._names[self._relative(path)] = self._entries(path)
            else:
                watched = self._watch(path)
                watched.synced = watched.now()

    def close(self) -> None:
        for watched in self._files.values():
            os.close(watched.descriptor)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hook all calls that write."""
        with (
            patch.dict(vars(os), {name: self._hooked(name, getattr(os, name)) for name in HOOKED}),
            patch.object(Head, "flush", self._hooked_flush()),
        ):
            yield

    def _hooked(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def hooked(*args: Any, **options: Any) -> Any:
            self._maybe_cut(f"before {name}")
            result = None
            if name not in ("fdatasync", "fsync"):
                result = call(*args, **options)
            elif not self._is_paused and name != self.forgets:
                self._note_sync(args[0])  # the disk is this one: nothing waits for the other
            self._maybe_cut(f"after {name}")
            return result

        return hooked

    def _hooked_flush(self) -> Callable[[Head], None]:
        def hooked(head: Head) -> None:
            self._maybe_cut("before flush")
            if not self._is_paused and self.forgets != "flush":
                watched = self._files.get(head.inode)
                if watched is not None:
                    watched.synced = watched.now()
            self._maybe_cut("after flush")

        return hooked

    def _maybe_cut(self, point: str) -> None:
        if self._is_paused or not self.folder.exists():
            return
        self._look()
        if self._chance.random() < self._odds:
            with self.paused():
                self._cut(self, point)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither note nor cut."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before

    def _note_sync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if os.fstat(descriptor).st_ino in self._files:
            watched = self._files[os.fstat(descriptor).st_ino]
            watched.synced = watched.now()
            watched.between.clear()
        elif path.is_dir() and path.is_relative_to(self.folder):
            self._names[self._relative(path)] = self._entries(path)

    def _look(self) -> None:
        """Watch what is new, and note now and then what stands in a file."""
        for path in self.folder.rglob("*"):
            if path.is_dir():
                self._names.setdefault(self._relative(path), {})
            else:
                watched = self._watch(path)
                if self._chance.random() < 0.02:
                    watched.between = [*watched.between[-2:], watched.now()]

    def _watch(self, path: Path) -> Watched:
        inode = path.stat().st_ino
        if inode not in self._files:
            self._files[inode] = Watched(os.open(path, os.O_RDONLY))
        return self._files[inode]

    def _entries(self, path: Path) -> dict[str, int]:
        return {entry.name: entry.inode() for entry in os.scandir(path) if entry.is_file()}

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self.folder))

    def image(self, target: Path, loss: str) -> None:
        """Write down what may be left."""
        for name in self._names:
            (target / name).mkdir(parents=True, exist_ok=True)
            for entry, inode in self._left_names(name, loss).items():
                (target / name / entry).write_bytes(self._left_pages(self._files[inode], loss))

    def _left_names(self, folder: str, loss: str) -> dict[str, int]:
        synced, now = self._names[folder], self._entries(self.folder / folder)
        if loss in ("nothing", "pages only"):
            return now
        if loss in ("everything", "names only"):
            return synced
        left = {}
        for name in {*synced, *now}:
            inode = (synced if self._chance.random() < 0.5 else now).get(name)
            if inode is not None:
                left[name] = inode
        return left

    def _left_pages(self, watched: Watched, loss: str) -> bytes:
        synced, now = watched.synced, watched.now()
        if loss in ("nothing", "names only"):
            return now
        size = len(now) if len(now) <= len(synced) or self._chance.random() < 0.7 else len(synced)
        old, new = (_pages(data, size) for data in (synced, now))
        changed = [number for number in range(len(new)) if old[number] != new[number]]
        cut = self._chance.randint(0, len(changed))
        written = {
            "everything": [],
            "pages only": [],
            "newest first": changed[:cut],
            "oldest first": changed[cut:],
        }.get(loss, [number for number in changed if self._chance.random() < 0.5])
        for number in written:
            page = new[number]
            if loss == "between" and watched.between:
                page = _pages(self._chance.choice(watched.between), size)[number]
            if loss == "torn":
                at = SECTOR * self._chance.randint(0, PAGE // SECTOR)
                page = page[:at] + old[number][at:] if self._chance.random() < 0.5 else old[number][:at] + page[at:]
            old[number] = page
        return b"".join(old)[:size]


def _pages(data: bytes, size: int) -> list[bytes]:
    data = data[:size].ljust(-(-size // PAGE) * PAGE, b"\0")
    return [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
