"""The keys in force follow the file, and outlive its bad moments."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.keys import Key, Keys, hash_of, parse_keys
from access.watch import Watch
from watched.file import LOOK_SECONDS, PAUSE_SECONDS, STALE_SECONDS, BadFile
from watched.memory import MOST_BYTES, Memory

from .test_keys import TOKEN, entry


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(entry())
    return path


def names(keys: Keys) -> list[str]:
    return [key.name for key in keys]


def look(watch: Watch, clock: Clock) -> list[str]:
    """The names of the keys once the time for a look has come."""
    clock.now += LOOK_SECONDS
    return names(watch.keys())


def no_pause(seconds: float) -> None:
    raise AssertionError("nobody waits while requests come")


def test_a_change_is_taken_at_the_second_look(path: Path, clock: Clock) -> None:
    watch = Watch(path, clock, Memory(), no_pause)
    path.write_text(entry(name='"other"'))
    assert names(watch.keys()) == ["ingest"]  # not looked at yet: a request costs no look at the file
    assert look(watch, clock) == ["ingest"]
    assert look(watch, clock) == ["other"]


def test_a_file_that_is_being_written_is_not_taken_before_it_stands_still(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(path, clock, Memory(), no_pause)
    whole = (
        entry(name='"other"', series='["web/*"]', expires="2027-01-01")
        + "\n\n"
        + entry(name='"more"', hash=f'"{hash_of("more")}"')
    )
    for end in range(0, len(whole), 7):
        path.write_text(whole[:end])
        assert look(watch, clock) == ["ingest"]
    path.write_text(whole)
    assert [look(watch, clock), look(watch, clock)] == [["ingest"], ["other", "more"]]
    assert watch.fault() is None
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_text_that_comes_and_goes_is_not_taken(path: Path, clock: Clock) -> None:
    watch = Watch(path, clock, Memory(), no_pause)
    whole, other = path.read_text(), entry(name='"other"')
    for text in (other, whole, other, whole, other):
        path.write_text(text)
        assert look(watch, clock) == ["ingest"]
    assert look(watch, clock) == ["other"]


def test_after_a_silence_both_looks_are_taken_at_once(path: Path, clock: Clock) -> None:
    pauses: list[float] = []
    watch = Watch(path, clock, Memory(), pauses.append)
    clock.now += STALE_SECONDS
    assert names(watch.keys()) == ["ingest"]
    assert pauses == []  # nothing has changed
    path.write_text(entry(name='"other"'))
    clock.now += STALE_SECONDS
    assert names(watch.keys()) == ["other"]
    assert pauses == [PAUSE_SECONDS]


def test_a_file_that_is_written_during_the_pause_is_not_taken(path: Path, clock: Clock) -> None:
    whole = entry(name='"other"') + "\n" + 'series = ["web/*"]'
    watch = Watch(path, clock, Memory(), lambda seconds: path.write_text(whole))
    path.write_text(entry(name='"other"'))
    clock.now += STALE_SECONDS
    assert names(watch.keys()) == ["ingest"]
    assert look(watch, clock) == ["other"]
    [key] = watch.keys()
    assert str(key.series) == "web/*"


@given(st.lists(st.floats(0, 4), max_size=6), st.floats(0, 4))
def test_whenever_it_is_asked_a_change_is_in_force_within_two_seconds(gaps: list[float], changes: float) -> None:
    with TemporaryDirectory() as folder:
        path, clock = Path(folder, "keys.toml"), Clock()
        path.write_text(entry())
        watch = Watch(path, clock, Memory(), lambda seconds: None)
        for gap in gaps:
            if clock.now < changes <= clock.now + gap:
                path.write_text(entry(name='"other"'))
            clock.now += gap
            found = names(watch.keys())
            assert clock.now < changes + 2 or found == ["other"] or changes == 0


def test_all_who_ask_after_a_silence_wait_for_the_two_looks(path: Path, clock: Clock) -> None:
    paused, go_on = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        paused.set()
        go_on.wait(60)

    watch = Watch(path, clock, Memory(), pause)
    path.write_text(entry(name='"other"'))
    clock.now += STALE_SECONDS
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(watch.keys)
        assert paused.wait(60)
        second = pool.submit(watch.keys)
        assert wait([second], 0.05).not_done
        go_on.set()
        assert names(first.result(60)) == names(second.result(60)) == ["other"]


def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_named_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(path, clock, Memory())
    path.write_text("[[key")
    with caplog.at_level(logging.INFO, "tidemark.access"):
        for _ in range(5):
            assert look(watch, clock) == ["ingest"]
        [record] = caplog.records
    assert "is not TOML" in record.getMessage()
    assert record.getMessage().endswith(watch.fault() or "no fault")
    path.write_text(entry(name='"other"'))
    assert [look(watch, clock), look(watch, clock)] == [["ingest"], ["other"]]
    assert watch.fault() is None


def test_a_file_that_goes_and_comes_back_unchanged(path: Path, clock: Clock) -> None:
    watch = Watch(path, clock, Memory())
    text = path.read_text()
    path.unlink()
    clock.now += LOOK_SECONDS
    assert "cannot be read: No such file" in (watch.fault() or "")
    assert names(watch.keys()) == ["ingest"]
    path.write_text(text)
    assert [look(watch, clock), look(watch, clock)] == [["ingest"], ["ingest"]]
    assert watch.fault() is None


def test_the_first_reading_must_be_good(path: Path, clock: Clock) -> None:
    path.write_text("")
    with pytest.raises(BadFile, match=r"keys\.toml: it has no key"):
        Watch(path, clock, Memory())


def test_a_worker_that_starts_while_the_file_is_broken_has_the_last_good_one(path: Path, clock: Clock) -> None:
    memory = Memory()
    Watch(path, clock, memory)
    path.write_text("[[key")
    later = Watch(path, clock, memory, lambda seconds: None)
    assert names(later.keys()) == ["ingest"]
    assert later.fault()


def test_a_worker_that_starts_while_the_file_is_written_has_the_last_good_one(path: Path, clock: Clock) -> None:
    memory = Memory()
    Watch(path, clock, memory)
    whole = entry(series='["web/*"]')
    path.write_text(entry(name='"other"'))
    later = Watch(path, clock, memory, lambda seconds: path.write_text(whole))
    assert names(later.keys()) == ["ingest"]
    clock.now += LOOK_SECONDS
    [key] = later.keys()
    assert str(key.series) == "web/*"


def test_forked_processes_share_the_memory(path: Path) -> None:
    memory = Memory()
    child = multiprocessing.get_context("fork").Process(target=memory.put, args=(b"from the child",))
    child.start()
    child.join()
    assert memory.get() == b"from the child"


def test_half_a_text_is_none() -> None:
    memory = Memory()
    assert memory.get() is None
    memory.put(b"whole")
    memory._map[9:10] = b"x"
    assert memory.get() is None


def test_a_file_beyond_all_bounds_is_refused(path: Path, clock: Clock) -> None:
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(BadFile, match="larger than 1048576 bytes"):
        Watch(path, clock, Memory())
    path.write_bytes(entry().encode().ljust(MOST_BYTES, b"\n"))
    assert len(Watch(path, clock, Memory()).keys()) == 1


def test_a_directory_is_no_file(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(BadFile, match="it cannot be read: Is a directory"):
        Watch(tmp_path, clock, Memory())


def test_tokens_are_found_through_the_watch(path: Path, clock: Clock) -> None:
    found = Watch(path, clock, Memory()).keys().find(TOKEN.encode(), 0)
    assert isinstance(found, Key)
    assert parse_keys(entry(hash=f'"{hash_of("other")}"').encode()).find(TOKEN.encode(), 0) is None
