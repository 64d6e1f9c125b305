"""Promises of every store of records: the contract of `event_log.port`, over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from event_log.codec import END, HORIZON, SINGLE, WRITE, Singles, pack_json, pack_single, unpack_single
from event_log.errors import HistoryChanged
from event_log.port import Appended, Behind, Cursor, Entry, Guard, Record, RecordStore, Stale
from tests.event_log.stores import STORES, WALL, Clocks, StoreKind
from times import HOUR, MINUTE, SECOND

LATER = 601 * SECOND
"""After this long what a swap has left behind may go."""


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest, tmp_path: Path, clocks: Clocks) -> Iterator[StoreKind]:
    made = STORES[request.param](tmp_path, clocks)
    yield made
    made.close()


@pytest.fixture
def store(kind: StoreKind) -> RecordStore:
    return kind.open()


def begin(store: RecordStore) -> Cursor:
    return store.manifest().cursor


def guard(store: RecordStore, known: int | None = None, oldest: int | None = None) -> Guard:
    return Guard(begin(store).history, known, oldest)


def single(value: float, series: int = 1, time: int = WALL) -> Record:
    return Record(SINGLE, pack_single(series, time, value), 1)


def horizon(moment: int, span: int = HOUR) -> Record:
    return Record(HORIZON, pack_json(moment), timed=True, raises=(moment, span))


def everything(store: RecordStore, cursor: Cursor | None = None, limit: int = 1_000_000) -> list[Entry]:
    """All records behind a cursor, singles one by one; checks what holds for each chunk."""
    cursor, found, more = cursor or begin(store), list[Entry](), True
    while more:
        chunk = store.read(cursor, limit)
        entries = [entry for some in chunk.entries for entry in _each(some)]
        assert chunk.cursor.number == cursor.number + len(entries)
        assert chunk.cursor.position == (entries[-1].position if entries else cursor.position)
        assert entries or not chunk.more
        found += entries
        cursor, more = chunk.cursor, chunk.more
    return found


def _each(some: Entry | Singles) -> Iterator[Entry]:
    if isinstance(some, Entry):
        yield some._replace(payload=bytes(some.payload))
        return
    fields = (some.rows[field].tolist() for field in ("id", "time", "value"))
    for position, *row in zip(some.positions.tolist(), *fields, strict=True):
        yield Entry(position, 0, SINGLE, 1, pack_single(*row))


def values(entries: list[Entry]) -> list[float]:
    return [unpack_single(entry.payload)[2] for entry in entries]


def test_an_empty_one_stands_at_zero(store: RecordStore) -> None:
    cursor = begin(store)
    assert store.end() == Appended(0, 0)
    assert (cursor.number, cursor.position, store.generation()) == (0, 0, 0)
    assert not store.read(cursor, 10).entries
    assert not store.read(cursor, 10).more


def test_records_are_read_as_they_were_appended(store: RecordStore) -> None:
    records = [single(1.0), Record(WRITE, b"some words", 3), Record(END, b"", 1, fences=True), single(2.0)]
    appended = [store.append(record, guard(store)) for record in records]
    assert appended == [Appended(1, 1), Appended(2, 4), Appended(3, 5), Appended(4, 6)] == [*appended[:3], store.end()]
    assert everything(store) == [
        Entry(1, 0, SINGLE, 1, records[0].payload),
        Entry(4, 0, WRITE, 3, b"some words"),
        Entry(5, 0, END, 1, b""),
        Entry(6, 0, SINGLE, 1, records[3].payload),
    ]


def test_a_record_without_positions_takes_a_number(store: RecordStore) -> None:
    store.append(single(1.0), guard(store))
    assert store.append(Record(WRITE, b"none"), guard(store)) == Appended(2, 1)
    assert store.append(single(2.0), guard(store)) == Appended(3, 2)
    assert [entry.position for entry in everything(store)] == [1, 1, 2]


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_limited_reads_follow_on_from_each_other(store: RecordStore, limit: int) -> None:
    for number in range(100):
        if number % 9 == 8:
            store.append(Record(WRITE, b"x" * number, number % 4), guard(store))
        store.append(single(float(number)), guard(store))
    assert everything(store, limit=limit) == everything(store)
    assert len(store.read(begin(store), 7).entries) < 30


def test_long_runs_of_single_events_come_as_columns(store: RecordStore) -> None:
    for number in range(1000):
        store.append(single(float(number), number % 7, WALL + number), guard(store))
    columns = [entry for entry in store.read(begin(store), 2000).entries if isinstance(entry, Singles)]
    assert sum(map(len, columns)) > 900
    assert values(everything(store)) == list(map(float, range(1000)))


def test_empty_and_large_payloads_come_back(store: RecordStore) -> None:
    payloads = [b"", b"\0", bytes(range(256)) * 4096, np.random.default_rng(1).bytes(3_000_001), b"end"]
    for payload in payloads:
        store.append(Record(WRITE, payload, 1), guard(store))
    assert [entry.payload for entry in everything(store)] == payloads


def test_siblings_see_each_others_records_at_once(kind: StoreKind) -> None:
    store = kind.open()
    other = kind.sibling(store)
    cursor = begin(other)
    for number in range(10):
        store.append(single(float(number)), guard(store))
        assert not other.is_level(cursor)
        chunk = other.read(cursor, 10)
        assert values([entry for some in chunk.entries for entry in _each(some)]) == [float(number)]
        cursor = chunk.cursor
        store, other = other, store
    assert store.end() == other.end() == Appended(10, 10)


def test_level_is_only_said_where_nothing_is_new(store: RecordStore) -> None:
    store.append(single(1.0), guard(store))
    assert not store.is_level(begin(store))
    cursor = store.read(begin(store), 10).cursor
    store.append(Record(WRITE, b"without a position"), guard(store))
    assert not store.is_level(cursor)


class TestGuards:
    def test_a_write_from_another_history_is_refused(self, store: RecordStore) -> None:
        with pytest.raises(HistoryChanged):
            store.append(single(1.0), Guard(begin(store).history + 1))
        assert store.end() == Appended(0, 0)

    def test_a_reader_from_another_history_is_told(self, store: RecordStore) -> None:
        store.append(single(1.0), guard(store))
        with pytest.raises(HistoryChanged):
            store.read(Cursor(begin(store).history + 1, 1, 7), 10)

    def test_behind_a_fence_those_who_have_not_applied_it_are_stale(self, kind: StoreKind) -> None:
        store = kind.open()
        other = kind.sibling(store)
        store.append(single(1.0), guard(store, known=0))
        fence = store.append(Record(END, b"", 1, fences=True), guard(store))
        for known in (0, 1):
            with pytest.raises(Stale):
                other.append(single(2.0), guard(other, known=known))
        other.append(single(3.0), guard(other, known=fence.number))
        other.append(single(4.0), guard(other))
        assert other.end() == Appended(4, 4)

    def test_events_at_or_before_the_published_horizon_are_stale(self, kind: StoreKind) -> None:
        store = kind.open()
        other = kind.sibling(store)
        edge = WALL - HOUR
        store.append(single(1.0, time=edge), guard(store, oldest=edge))
        store.append(horizon(WALL), guard(store))
        with pytest.raises(Stale):
            other.append(single(1.0, time=edge), guard(other, oldest=edge))
        other.append(single(1.0, time=edge + 1), guard(other, oldest=edge + 1))
        assert store.end() == Appended(3, 2)

    def test_the_published_horizon_never_falls(self, store: RecordStore) -> None:
        store.append(horizon(WALL), guard(store))
        store.append(horizon(WALL - MINUTE), guard(store))
        with pytest.raises(Stale):
            store.append(single(1.0), guard(store, oldest=WALL - HOUR))

    def test_no_proposal_takes_the_horizon_ahead_of_the_logs_time(self, store: RecordStore) -> None:
        store.append(horizon(WALL + 2 * HOUR), guard(store))
        store.append(single(1.0), guard(store, oldest=WALL - HOUR + SECOND))
        assert store.end() == Appended(2, 1)


class TestTime:
    def test_only_timed_records_carry_it(self, store: RecordStore, clocks: Clocks) -> None:
        store.append(single(1.0), guard(store))
        clocks.advance(SECOND)
        store.append(Record(WRITE, b"", 0, timed=True), guard(store))
        assert [entry.time for entry in everything(store)] == [0, WALL + SECOND]

    def test_it_does_not_follow_a_clock_of_ours_that_leaps(self, kind: StoreKind, clocks: Clocks) -> None:
        store = kind.open()
        store.append(Record(WRITE, b"", timed=True), guard(store))
        clocks.wall += 2 * HOUR
        clocks.advance(SECOND)
        store.append(Record(WRITE, b"", timed=True), guard(store))
        expected = clocks.wall if kind.has_own_clock else WALL + SECOND
        assert everything(store)[-1].time == store.time() == expected

    def test_it_is_never_set_back(self, kind: StoreKind, clocks: Clocks) -> None:
        store, times = kind.open(), []
        for _ in range(20):
            clocks.wall -= SECOND // 2
            clocks.boot += SECOND // 10
            store.append(Record(WRITE, b"", timed=True), guard(store))
            times.append(everything(store)[-1].time)
        assert times == sorted(times)
        assert kind.has_own_clock or len(set(times)) == len(times)


class TestBlobs:
    def swapped(self, store: RecordStore, cursor: Cursor, blobs: list[bytes], data: bytes = b"") -> tuple[str, ...]:
        names = tuple(store.put_blob(blob) for blob in blobs)
        manifest = store.manifest()
        assert store.swap(manifest._replace(generation=manifest.generation + 1, cursor=cursor, data=data, blobs=names))
        return names

    def test_a_manifest_says_with_what_a_reader_begins(self, kind: StoreKind) -> None:
        store = kind.open()
        for number in range(10):
            store.append(single(float(number)), guard(store))
        cursor = store.read(begin(store), 6).cursor
        names = self.swapped(store, cursor, [b"one", b"", b"3" * 3_000_000], b"words")
        other = kind.sibling(store)
        manifest = other.manifest()
        assert (
            (manifest.generation, manifest.data, manifest.blobs)
            == (1, b"words", names)
            == (
                other.generation(),
                b"words",
                names,
            )
        )
        assert [bytes(other.blob(name)) for name in names] == [b"one", b"", b"3" * 3_000_000]
        assert values(everything(other)) == [6.0, 7.0, 8.0, 9.0]

    def test_of_two_swaps_of_one_generation_the_first_one_counts(self, kind: StoreKind) -> None:
        store = kind.open()
        other = kind.sibling(store)
        store.append(single(1.0), guard(store))
        before = store.manifest()
        cursor = store.read(begin(store), 6).cursor
        self.swapped(store, cursor, [], b"first")
        second = before._replace(generation=1, cursor=cursor, data=b"second", blobs=(other.put_blob(b"b"),))
        assert not other.swap(second)
        assert other.manifest().data == store.manifest().data == b"first"

    def test_a_swap_that_names_a_blob_which_is_gone_is_refused(self, store: RecordStore) -> None:
        manifest = store.manifest()
        assert not store.swap(manifest._replace(generation=1, blobs=("0123456789abcdef" * 2,)))
        assert store.manifest() == manifest

    def test_what_a_swap_leaves_behind_stays_for_ten_minutes(self, store: RecordStore, clocks: Clocks) -> None:
        for number in range(10):
            store.append(single(float(number)), guard(store))
        start = begin(store)
        cursor = store.read(start, 6).cursor
        (old,) = self.swapped(store, cursor, [b"old"])
        self.swapped(store, cursor, [b"new"])
        clocks.advance(LATER - 10 * SECOND)
        store.sync()
        assert bytes(store.blob(old)) == b"old"
        assert len(everything(store, start)) == 10

    def test_then_it_goes_and_readers_of_it_are_told(self, store: RecordStore, clocks: Clocks) -> None:
        for number in range(10):
            store.append(single(float(number)), guard(store))
        cursor = store.read(begin(store), 6).cursor
        (old,) = self.swapped(store, cursor, [b"old"])
        (new,) = self.swapped(store, cursor, [b"new"])
        orphan = store.put_blob(b"that no manifest ever names")
        clocks.advance(LATER)
        store.sync()
        for name in (old, orphan):
            with pytest.raises(Behind):
                store.blob(name)
        assert bytes(store.blob(new)) == b"new"
        assert values(everything(store)) == [6.0, 7.0, 8.0, 9.0]

    def test_it_goes_in_time_where_swap_follows_swap(self, store: RecordStore, clocks: Clocks) -> None:
        start = begin(store)
        for number in range(12):
            store.append(single(float(number)), guard(store))
            self.swapped(store, store.read(begin(store), 100).cursor, [b"blob"])
            clocks.advance(MINUTE)
            store.sync()
        with pytest.raises(Behind):
            store.read(start, 100)
        assert store.manifest().generation == 12

    def test_numbers_and_positions_go_on_where_all_records_are_compacted(
        self, store: RecordStore, clocks: Clocks
    ) -> None:
        for number in range(10):
            store.append(single(float(number)), guard(store))
        self.swapped(store, store.read(begin(store), 100).cursor, [])
        clocks.advance(LATER)
        store.sync()
        assert store.end() == Appended(10, 10)
        assert store.append(single(1.0), guard(store)) == Appended(11, 11)
        assert values(everything(store)) == [1.0]


def test_threads_share_one(store: RecordStore) -> None:
    given: list[Appended] = []

    def work() -> None:
        given.extend(store.append(single(1.0), guard(store)) for _ in range(100))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == [Appended(number, number) for number in range(1, 801)]
    assert [entry.position for entry in everything(store)] == list(range(1, 801))


def test_a_sound_one_has_nothing_to_tell(store: RecordStore) -> None:
    store.check()
    store.confirm(store.append(single(1.0), guard(store)))
    assert store.notice() is None
    assert store.usage().bytes_used > 0


def test_closing_twice_does_no_harm(store: RecordStore) -> None:
    store.append(single(1.0), guard(store))
    store.close()
    store.close()
