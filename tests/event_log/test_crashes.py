"""Power cuts: each image that one may leave is opened after a pretended reboot, compared, written on and cleaned."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import lmdb
import numpy as np
import pytest

from event_log.base import Batch, Rules, Terms
from event_log.lmdb_log import LmdbLog
from tests.event_log.crashes import LOSSES, PAGE, Recorder, check, composed, images, lay_out, mixed
from tests.event_log.logs import MIB, batch, ids
from tests.event_log.reader import Reader


def open_log(path: Path, boot: str, sync: str = "never") -> LmdbLog:
    """Opened without syncs where the disk is not at stake any more: the images are made already."""
    return LmdbLog(path, max_bytes=4 * MIB, sync=sync, boot=lambda: boot)


def live_through(recorder: Recorder, steps: int, chance: random.Random) -> None:
    """Writes, changes, cleaning and settling, as a service does them."""
    log = recorder.log
    log.claim(Rules(60, 3), "start")
    reader = Reader(log)
    for step in range(steps):
        now = 100 + 10 * step
        for i in range(chance.randint(1, 40)):
            log.append_one(f"s{chance.randint(0, 9)}", now + i % 7, float(i))
            recorder.note()
        log.append(batch([(f"s{chance.randint(0, 12)}", now - i, float(i)) for i in range(chance.randint(1, 30))]))
        recorder.note()
        log.append(Batch(["one"], None, now + np.arange(300), np.arange(300.0)))
        recorder.note()
        if step % 4 == 1:
            log.append(batch([(f"s{step % 10}", now, 1.0)]), Terms(keep=chance.randint(0, 9)))
        if step % 4 == 2:
            log.claim(Rules(60, chance.randint(1, 6)), f"start {step}")
        if step % 4 == 3:
            log.end_series(next(iter(ids(log).values())))
        recorder.note()
        reader.follow()
        reader.clean(now - 60)
        log._settle_all()


@pytest.mark.no_cover
@pytest.mark.parametrize("sync", ["everysec", "always"])
@pytest.mark.soak(tries=(90, 900))
def test_no_power_cut_costs_what_was_settled(tmp_path: Path, sync: str, tries: int) -> None:
    chance = random.Random(sync)
    steps = tries // len(LOSSES) if sync == "everysec" else 2
    log = open_log(tmp_path / "log", "before", sync)
    recorder = Recorder(log, always=sync == "always")
    live_through(recorder, steps, chance)
    tried: Counter[str] = Counter()
    moments = recorder.moments if sync == "everysec" else chance.sample(recorder.moments, tries // len(LOSSES))
    for moment in moments:
        for loss, image in images(moment, chance):
            lay_out(tmp_path / "image", tmp_path / "log", image, mixed(moment.fresh, chance))
            again = open_log(tmp_path / "image", "after")
            check(again, recorder, moment)
            again.close()
            tried[loss] += 1
    assert set(tried) == set(LOSSES)
    assert tried.total() >= tries
    log.close()
    if sync == "always":
        assert all(moment.acknowledged >= moment.given - 301 for moment in recorder.moments)


def test_a_cut_in_the_very_first_second(tmp_path: Path) -> None:
    """The file of a log that never got through its first transaction is no damage."""
    chance = random.Random(1)
    log = open_log(tmp_path / "log", "before")
    log.position()
    after = (tmp_path / "log" / "settled" / "data.mdb").read_bytes()
    log.close()
    lmdb.open(str(tmp_path / "empty")).close()
    before = (tmp_path / "empty" / "data.mdb").read_bytes()
    files = [b"", bytes(PAGE), before[:PAGE], before, bytes(PAGE) + before[PAGE:], before[:PAGE] + bytes(PAGE)]
    for loss in LOSSES:
        files += [composed(start, after, loss, chance) for start in (before, bytes(len(before))) if loss != "none"]
    for content in files:
        lay_out(tmp_path / "image", tmp_path / "log", content, b"")
        again = open_log(tmp_path / "image", "after")
        assert again.append_one("a", 1, 1.0) == 1
        assert len(Reader(again).log.read(Reader(again).place)) == 1
        again.close()


def test_a_cut_before_anything_was_settled_tells_of_it(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log", "before")
    last = log.append_one("a", 1, 1.0)
    store = log._process.get()
    lay_out(tmp_path / "image", tmp_path / "log", (store.settled.path / "data.mdb").read_bytes(), b"")
    again = open_log(tmp_path / "image", "after")
    assert again.append_one("a", 2, 2.0) > again.jumps[0][1] > last
    assert "power cut" in (again.notice() or "")
    for one in (log, again):
        one.close()


def test_a_restart_of_the_machine_after_all_have_left_is_no_loss(tmp_path: Path) -> None:
    for boot, last in (("one", 1), ("two", 2), ("three", 3)):
        log = open_log(tmp_path, boot, "everysec")
        assert log.append_one("a", 1, 1.0) == last
        assert (list(log.jumps), log.notice()) == ([], None)
        log.close()
    assert len(list((tmp_path / "fresh").iterdir())) == 1


def test_each_cut_goes_on_from_the_one_before(tmp_path: Path) -> None:
    given: list[int] = []
    for boot in ("one", "two", "three", "four"):
        log = open_log(tmp_path, boot)
        given.append(log.append_one("a", len(given), 1.0))
        log._settle_all()
        given.append(log.append_one("a", len(given), 1.0))  # lost
        log._process.get().disown()  # as if by a cut
        log._process._store = None
    log = open_log(tmp_path, "five")
    assert len(log.read(Reader(log).place)) == 4
    assert given == sorted(set(given))
    assert [start for start, _ in log.jumps] == given[::2]
    log.close()
