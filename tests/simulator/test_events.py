from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.events import LONGEST_SPREAD_US, Feed, budgets
from simulator.prices import Walk

NOW = 1_750_948_200_000_000


def walk(name: str) -> Walk:
    return Walk(name, 7, (100, 100), 0.5, 2)


def feed(names: str, **options: int | bool | None) -> Feed:
    wanted = {"batch": 1, "one_series": False} | options
    return Feed([walk(name) for name in names], **wanted)  # type: ignore[arg-type]


def test_events_take_turns() -> None:
    turns = feed("abc", batch=4).take(NOW, 0)
    assert [event.series for event in turns] == ["a", "b", "c", "a"]


def test_batches_take_turns_when_each_is_of_one_series() -> None:
    source = feed("ab", batch=3, one_series=True)
    assert [[event.series for event in source.take(NOW, 0)] for _ in range(3)] == [["a"] * 3, ["b"] * 3, ["a"] * 3]


def test_a_batch_is_dated_over_the_time_it_stands_for() -> None:
    mixed = feed("ab", batch=3).take(NOW, 0.5)
    assert [NOW - event.time for event in mixed] == [1_000_000, 500_000, 0]
    single = feed("ab", batch=3, one_series=True).take(NOW, 0.5)
    assert [NOW - event.time for event in single] == [2_000_000, 1_000_000, 0]


def test_events_as_fast_as_possible_are_a_microsecond_apart() -> None:
    assert [NOW - event.time for event in feed("ab", batch=3).take(NOW, 0)] == [2, 1, 0]


def test_a_slow_batch_is_not_dated_back_beyond_a_minute() -> None:
    oldest = feed("a", batch=1000).take(NOW, 10.0)[0]
    assert NOW - oldest.time <= LONGEST_SPREAD_US


def test_a_feed_ends_with_its_budget() -> None:
    source = feed("ab", batch=4, budget=6)
    assert [len(source.take(NOW, 0)) for _ in range(2)] == [4, 2]
    assert source.next_size() == 0


@given(st.integers(1, 3000), st.integers(1, 12), st.integers(1, 40), st.integers(1, 12))
def test_every_thread_count_gives_each_series_the_same_events(
    count: int, instruments: int, turn: int, threads: int
) -> None:
    threads = min(threads, instruments)
    shares = budgets(count, instruments, turn)
    assert sum(shares) == count
    posted = dict.fromkeys(range(instruments), 0)
    for thread in range(threads):
        mine = range(instruments)[thread::threads]
        source = Feed([walk(str(k)) for k in mine], batch=turn, one_series=True, budget=sum(shares[thread::threads]))
        while source.next_size():
            for event in source.take(NOW, 0):
                posted[int(event.series)] += 1
    assert list(posted.values()) == shares
