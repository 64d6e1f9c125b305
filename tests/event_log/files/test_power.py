"""Power cuts: each image that one may leave is opened after a pretended start of the machine, and written on."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path

import pytest

from event_log import codec
from event_log.codec import SINGLE, WRITE, pack_single
from event_log.errors import LogFull
from event_log.files.head import SYNCED_NUMBER
from event_log.files.store import FilesStore
from event_log.port import Record
from tests.event_log.files.logs import add, open_files, read_all
from tests.event_log.files.power import LOSSES, Disk
from tests.event_log.stores import WALL, Clocks
from times import HOUR, SECOND


@dataclass
class Life:
    """Writes to a log, as somebody remembers them who survives every power cut."""

    records: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
    """Position, kind and payload by number; what a cut lost is dropped."""
    blobs: dict[int, bytes] = field(default_factory=dict)
    """Content of the blob of each generation."""
    highest: int = 0
    """The highest position that was ever given."""
    boots: int = 0
    generation: int = 0

    def copy(self) -> Life:
        return Life(dict(self.records), dict(self.blobs), self.highest, self.boots, self.generation)


def open_log(folder: Path, life: Life, clocks: Clocks, sync: str = "everysec") -> FilesStore:
    return open_files(folder, clocks, f"boot {life.boots}", sync)


def check(store: FilesStore, life: Life, synced: int, generations: set[int]) -> None:
    """Nothing synced is lost, nothing is made up, nothing is given twice, and the log works on."""
    manifest = store.manifest()
    assert manifest.generation in generations
    for name in manifest.blobs:
        assert store.blob(name) == life.blobs[manifest.generation]
    found = read_all(store)
    jumps = [number for number, entry in found.items() if entry.kind == codec.JUMP]
    lost = [number for number in life.records if manifest.cursor.number < number <= synced and number not in found]
    assert not lost
    for number, entry in found.items():
        if number not in jumps:
            assert life.records[number] == (entry.position, entry.kind, entry.payload), number
    assert not [number for number in jumps if number <= synced and life.records.get(number, (0, 0))[1] != codec.JUMP]
    end = store.end()
    assert end.number == max(found, default=manifest.cursor.number)
    life.records = {number: (entry.position, entry.kind, bytes(entry.payload)) for number, entry in found.items()}
    highest, appended = life.highest, append(store, life, Record(WRITE, b"after", 1))
    assert appended > highest


def append(store: FilesStore, life: Life, record: Record) -> int:
    appended = add(store, record)
    life.records[appended.number] = appended.position, record.kind, record.payload
    life.highest = max(life.highest, appended.position)
    return appended.position


class Trial:
    """One life of a log with cuts, and lives that go on from what the cuts leave."""

    def __init__(self, folder: Path, seed: str, forgets: str | None = None) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.clocks = Clocks()
        self.forgets = forgets
        self.tried: Counter[str] = Counter()
        self._images = 0
        self._losses = cycle(self.chance.sample(LOSSES, len(LOSSES)))

    def run(self, folder: Path, life: Life, steps: int, odds: float, sync: str, depth: int = 0) -> None:
        stores: list[FilesStore] = []
        generations = {life.generation}

        def cut(disk: Disk, point: str) -> None:
            opened = [store.files for store in stores if store.files is not None]
            synced = max((int(files.words[SYNCED_NUMBER]) for files in opened), default=0)
            for loss in islice(self._losses, 2):
                self._after_cut(disk, life, loss, point, synced, generations, depth)

        disk = Disk(folder, self.chance, cut, odds)
        disk.forgets = self.forgets
        try:
            with disk.watching():
                stores += [open_log(folder, life, self.clocks, sync) for _ in range(2)]
                for step in range(steps):
                    self._step(self.chance.choice(stores), life, step, sync, generations)
                for store in stores:
                    store.close()
        finally:
            disk.close()

    def _step(self, store: FilesStore, life: Life, step: int, sync: str, generations: set[int]) -> None:
        chance = self.chance
        self.clocks.advance(chance.randint(0, SECOND))
        for _ in range(chance.randint(1, 60)):
            self._append(store, life, Record(SINGLE, pack_single(chance.randint(0, 9), WALL, 1.0), 1))
        self._append(store, life, Record(WRITE, chance.randbytes(chance.randint(0, 5000)), chance.randint(0, 9)))
        if sync == "always":
            store.confirm(store.end())
        if step % 5 == 1:
            self._append(store, life, Record(codec.END, b"end", 1, fences=True))
            moment = self.clocks.wall
            self._append(store, life, Record(codec.HORIZON, b"", timed=True, raises=(moment, HOUR)))
        if step % 3 == 2:
            store.sync()
        if step % 9 == 5:
            self._compact(store, life, generations)

    def _append(self, store: FilesStore, life: Life, record: Record) -> None:
        try:
            number = store.end().number + 1
            life.records[number] = store.end().position + record.takes, record.kind, record.payload
            append(store, life, record)
        except LogFull:
            del life.records[number]
            self._compact(store, life, set())

    def _compact(self, store: FilesStore, life: Life, generations: set[int]) -> None:
        generation = store.generation() + 1
        cursor = store.manifest().cursor
        while (chunk := store.read(cursor, 1000)).more:
            cursor = chunk.cursor
        life.blobs[generation] = self.chance.randbytes(self.chance.randint(0, 20_000))
        name = store.put_blob(life.blobs[generation])
        generations.add(generation)
        assert store.swap(store.manifest()._replace(generation=generation, cursor=cursor, blobs=(name,)))
        generations.discard(generation - 1)

    def _after_cut(
        self, disk: Disk, life: Life, loss: str, point: str, synced: int, generations: set[int], depth: int
    ) -> None:
        self._images += 1
        image = self.folder / f"image {self._images}"
        disk.image(image, loss)
        after = life.copy()
        after.boots += 1
        self.tried[loss] += 1
        store = open_log(image, after, self.clocks)
        check(store, after, synced, generations)
        after.generation = store.generation()
        store.close()
        if depth == 0 and self.chance.random() < 0.4:
            after.boots += self.chance.randint(0, 1)
            self.run(image, after, 4, 0.02, "everysec", depth + 1)
        shutil.rmtree(image)


@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.soak(seed=(range(1), range(20)), steps=(6, 20), odds=(0.02, 0.03), least=(20, 250))
def test_no_power_cut_costs_what_was_synced(
    tmp_path: Path, sync: str, seed: int, steps: int, odds: float, least: int
) -> None:
    trial = Trial(tmp_path, f"{sync} {seed}")
    for life in count():  # how many cuts one has depends on the order in which its file system names files
        trial.run(trial.folder / f"log {life}", Life(), steps, odds, sync)
        if sum(trial.tried.values()) >= least and set(trial.tried) == set(LOSSES):
            return


@pytest.mark.parametrize("forgotten", ["fdatasync", "fsync", "flush"])
def test_these_cuts_find_a_sync_that_is_missing(tmp_path: Path, forgotten: str) -> None:
    def live() -> None:
        for life in range(10):
            trial = Trial(tmp_path / f"life {life}", f"forgetful {life}", forgotten)
            trial.run(trial.folder / "log", Life(), 20, 0.03, "everysec")

    with pytest.raises(AssertionError):
        live()
