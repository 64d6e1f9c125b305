"""What a power cut may leave of a log: images of its files, composed of pages from before and after a sync.

LMDB writes the pages of a transaction, syncs, writes one head, and syncs again. So until the first sync is through any
part of the pages may be on the disk, with the old heads; after it all of them, and either head. What is fresh is never
synced: any mixture of any of its pages may be there.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from event_log.base import START, Change
from event_log.lmdb_log import LmdbLog
from event_log.rules import Rules
from event_log.series import Series
from tests.event_log.reader import Event, Reader, Truth

PAGE = 4096
HEADS = (0, 1)
LOSSES = ("none", "all", "only heads", "all but heads", "oldest first", "newest first", "torn", "random", "random cut")
"""Which of the changed pages the disk lost."""


@dataclass
class Moment:
    """A commit of what is settled: its file before and after, what was fresh, and what was acknowledged by then."""

    before: bytes
    after: bytes
    fresh: bytes
    acknowledged: int
    """All up to here must survive."""
    given: int
    """No position up to here may be given out again."""


@dataclass
class Recorder:
    """Writes down each commit of a log, and all that is in it."""

    log: LmdbLog
    settled: int = 0
    """Up to where all had been settled when the last settling was over."""
    always: bool = False
    acknowledged: int = 0
    moments: list[Moment] = field(default_factory=list)
    events: list[tuple[int, int, Event]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    began: dict[int, Series] = field(default_factory=dict)
    """Each series as it was first known."""
    rules: Rules = field(default_factory=lambda: Rules(0, 0))

    def __post_init__(self) -> None:
        store = self.log._process.get()
        self._file = store.settled.path / "data.mdb"
        self._fresh = store.fresh.path / "data.mdb"
        self._before = self._file.read_bytes()
        self._place = START
        store.settling.at = self._at

    def _at(self, point: str) -> None:
        if point in ("cleaned", "settled"):
            after = self._file.read_bytes()
            floor = self.acknowledged if self.always else self.settled
            moment = Moment(self._before, after, self._fresh.read_bytes(), floor, self.log.position())
            self.moments.append(moment)
            self._before = after
        if point == "dropped":
            self.settled = self.log._process.get().settled_position()

    def note(self) -> None:
        """Write down what is new in the log, and that it was acknowledged."""
        more = True
        while more:
            events = self.log.read(self._place)
            self.rules = self.rules if events.rules is None or self.events else events.rules
            self.began = {**self.log.series, **self.began}
            rows = zip(
                events.ids.tolist(), events.times.tolist(), events.positions.tolist(), events.values, strict=True
            )
            self.events += [
                (position, number, (time, position, float(value))) for number, time, position, value in rows
            ]
            self.changes += events.changes
            self._place, more = events.place, events.more
        self.acknowledged = self._place.position

    def truth(self, position: int, horizon: int) -> Truth:
        """What a view knows that stands there."""
        truth = Truth()
        truth.rules = self.rules
        events = iter([*self.events, (2**63, 0, (0, 0, 0.0))])
        at, number, event = next(events)
        for limit, change in [*((change.position, change) for change in self.changes), (2**63, None)]:
            while at < min(limit, position + 1):
                series = self.began[number]
                truth.add(number, series.name, series.keep, [event])
                at, number, event = next(events)
            if change is not None and limit <= position:
                truth.change(change)
        truth.horizon = horizon
        return truth


def images(moment: Moment, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """What the disk may hold of the settled file, by which pages were lost."""
    for loss in LOSSES:
        yield loss, composed(moment.before, moment.after, loss, chance)


def composed(before: bytes, after: bytes, loss: str, chance: random.Random) -> bytes:
    """One image: pages of `before`, and of `after` those that were not lost."""
    old, new = _pages(before), _pages(after)
    old += [bytes(PAGE)] * (len(new) - len(old))
    changed = [number for number in range(len(new)) if old[number] != new[number] and number not in HEADS]
    cut = chance.randint(0, len(changed))
    written = {
        "none": changed,
        "all": [],
        "only heads": changed,
        "all but heads": changed,
        "oldest first": changed[cut:],
        "newest first": changed[:cut],
        "torn": changed,
    }.get(loss, [number for number in changed if chance.random() < 0.5])
    image = list(old)
    for number in written:
        image[number] = new[number]
        if loss == "torn" and chance.random() < 0.5:
            sectors = 512 * chance.randint(0, 7)
            image[number] = new[number][:sectors] + old[number][sectors:]
    if loss == "none":  # the first sync was through, and so was the second
        image[:2] = new[:2]
    data = b"".join(image)
    return data[: len(before)] if loss == "random cut" and len(before) < len(data) else data


def mixed(pages: bytes, chance: random.Random) -> bytes:
    """Any mixture of what was never synced: pages that are there, empty, or torn, of a file of any length."""
    found = []
    for page in _pages(pages):
        cut = chance.choice((0, PAGE, PAGE, 512 * chance.randint(0, 7)))
        found.append(page[:cut] + bytes(PAGE - cut))
    return b"".join(found[: chance.randint(0, len(found))])


def _pages(data: bytes) -> list[bytes]:
    return [data[at : at + PAGE] for at in range(0, len(data), PAGE)]


def lay_out(folder: Path, like: Path, settled: bytes, fresh: bytes) -> None:
    """A log's folder, like that of another log, with these files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(like, folder)
    (folder / "settled" / "data.mdb").write_bytes(settled)
    [own] = (folder / "fresh").iterdir()
    (own / "data.mdb").write_bytes(fresh)


def check(log: LmdbLog, recorder: Recorder, moment: Moment) -> None:
    """After the reboot: nothing acknowledged in time is lost, nothing is made up, and the log works on."""
    reader = Reader(log)
    reader.follow()
    [(position, to)] = log.jumps
    assert moment.acknowledged <= position <= moment.given < to
    assert reader.live() == recorder.truth(position, reader.horizon).live()
    assert log.append_one("after", 10**6, 1.0) > to
    log._settle_all()
    reader.follow()
    for _ in range(2):
        reader.clean(reader.horizon + 40)
        log._settle_all()
        reader.follow()
    fresh = Reader(log)
    fresh.follow(7)
    assert fresh.live() == reader.live()
    assert log.notice() is not None
