"""The keys in force follow the file, and outlive its bad moments."""

from __future__ import annotations

import logging
import multiprocessing
from pathlib import Path

import pytest

from access.keys import BadKeys, Key, Keys, hash_of, parse_keys
from access.memory import MOST_BYTES, Memory
from access.watch import LOOK_SECONDS, Watch

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


def test_a_change_is_in_force_within_two_seconds(path: Path, clock: Clock) -> None:
    watch = Watch(path, clock, Memory())
    assert names(watch.keys()) == ["ingest"]
    path.write_text(entry(name='"other"'))
    assert names(watch.keys()) == ["ingest"]  # not looked at yet: a request costs no look at the file
    clock.now += LOOK_SECONDS
    assert names(watch.keys()) == ["other"]
    assert LOOK_SECONDS < 2


def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_named_once(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(path, clock, Memory())
    path.write_text("[[key")
    with caplog.at_level(logging.INFO, "tidemark.access"):
        for _ in range(5):
            clock.now += LOOK_SECONDS
            assert names(watch.keys()) == ["ingest"]
        [record] = caplog.records
    assert "is not TOML" in record.getMessage()
    assert record.getMessage().endswith(watch.fault() or "no fault")
    assert str(path) not in (watch.fault() or "")  # /health tells it to everybody
    path.write_text(entry(name='"other"'))
    clock.now += LOOK_SECONDS
    assert names(watch.keys()) == ["other"]
    assert watch.fault() is None


def test_a_file_that_goes_and_comes_back_unchanged(path: Path, clock: Clock) -> None:
    watch = Watch(path, clock, Memory())
    text = path.read_text()
    path.unlink()
    clock.now += LOOK_SECONDS
    assert "cannot be read: No such file" in (watch.fault() or "")
    assert names(watch.keys()) == ["ingest"]
    path.write_text(text)
    clock.now += LOOK_SECONDS
    assert watch.fault() is None


def test_the_first_reading_must_be_good(path: Path, clock: Clock) -> None:
    path.write_text("")
    with pytest.raises(BadKeys, match=r"keys\.toml: it has no key"):
        Watch(path, clock, Memory())


def test_a_worker_that_starts_while_the_file_is_broken_has_the_last_good_one(path: Path, clock: Clock) -> None:
    memory = Memory()
    Watch(path, clock, memory)
    path.write_text("[[key")
    later = Watch(path, clock, memory)
    assert names(later.keys()) == ["ingest"]
    assert later.fault()


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
    with pytest.raises(BadKeys, match="larger than 1048576 bytes"):
        Watch(path, clock, Memory())
    path.write_bytes(entry().encode().ljust(MOST_BYTES, b"\n"))
    assert len(Watch(path, clock, Memory()).keys()) == 1


def test_a_directory_is_no_file(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(BadKeys, match="it cannot be read: Is a directory"):
        Watch(tmp_path, clock, Memory())


def test_tokens_are_found_through_the_watch(path: Path, clock: Clock) -> None:
    found = Watch(path, clock, Memory()).keys().find(TOKEN.encode(), 0)
    assert isinstance(found, Key)
    assert parse_keys(entry(hash=f'"{hash_of("other")}"').encode()).find(TOKEN.encode(), 0) is None
