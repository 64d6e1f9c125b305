"""Percentiles of a view under all that can happen to it, against a sorted list."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from math import nextafter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling import deck as decks
from rolling.percentiles import Percentiles
from rolling.reading import Reading
from rolling.span import Span
from rolling.steps import nothing
from rolling.timeline import Timeline
from tests.rolling.model import percentiles_of
from tests.rolling.sizes import small
from tests.rolling.test_view import KEEPS, SERIES, Asked, Held, Pair, asked, burst, portions, take

SHARES = tuple(Fraction(number, 1000) for number in (0, 1, 250, 500, 900, 990, 999, 1000))
NEAREST, LINEAR = Percentiles(SHARES), Percentiles(SHARES, linear=True)
SIZES = pytest.mark.usefixtures("small_blocks")


def walk(count: int) -> list[float]:
    values: list[float] = np.cumsum(np.random.default_rng(count).normal(0, 1e-3, count)).tolist()
    return values


def near(count: int) -> list[float]:
    value, found = 1.0, []
    for _ in range(count):
        value = nextafter(value, 2.0)
        found.append(value)
    return found


KINDS: dict[str, Callable[[int], list[float]]] = {
    "equal": lambda count: [4.25] * count,
    "two values": lambda count: [1.0, 2.0] * (count // 2) + [2.0] * (count % 2),
    "orders of magnitude": lambda count: [(-1.0) ** i * 10.0 ** (i * 37 % 601 - 300) for i in range(count)],
    "near-equal": near,
    "walk": walk,
    "prices": lambda count: [round(100 + value, 2) for value in walk(count)],
    "subnormal": lambda count: [5e-324 * (i * 7 % 11 - 5) for i in range(count)],
    "zeros": lambda count: [0.0, -0.0, -0.0] * (count // 3) + [-0.0] * (count % 3),
    "ends": lambda count: [1.7976931348623157e308 * (-1) ** i for i in range(count)],
}
ARRANGED: tuple[Callable[[list[int]], list[int]], ...] = (sorted, lambda times: sorted(times, reverse=True), list)


def check(pair: Asked, series: int | None, span: Span, wanted: Percentiles) -> None:
    rows = pair.model.rows(series, span.after, span.cutoff, span.last, span.until)
    found = pair.view.percentiles(series, span, wanted)
    assert found == percentiles_of([value for _, _, value in rows], wanted)
    assert all(value is None or str(value) != "-0.0" for value in found)


def check_runs(reading: Reading) -> None:
    """Each deck's run and what came late to it are all its values."""
    timelines: list[Timeline[Any]] = [reading.all_series, *reading.windows.values()]
    for timeline in timelines:
        for deck in timeline.lowest():
            if deck.held is not None and (run := deck.held.run) is not None:
                late = np.array(deck.late or (), np.float64)
                values = timeline.values(deck.children, nothing)
                assert np.array_equal(np.sort(np.concatenate((run.values(), late))), np.sort(values))


def close(held: Held) -> None:
    """See that a snapshot has the percentiles that it had at first."""
    horizon = held.model.horizon
    for series in (None, *held.model.series):
        for span in (Span(horizon), Span(horizon, horizon + 20, horizon + 90), Span(horizon, None, None, 30)):
            check(held, series, span, NEAREST)
    check_runs(held.view)
    held.close()


def check_all(pair: Pair, oldest: int, newest: int, wanted: Percentiles = NEAREST) -> None:
    spread = newest - oldest
    for series in (None, *pair.model.series):
        for after in (None, oldest, oldest + spread // 7, oldest + spread // 3, newest - spread // 50):
            for until in (None, newest - spread // 9, oldest + spread // 2):
                for last in (None, 30):
                    check(pair, series, Span(oldest, after, until, last), wanted)
        pair.view.check()


@pytest.mark.no_cover
@SIZES
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.soak(turn=(range(1), range(len(ARRANGED))), size=(300, 1200))
def test_any_values_in_any_order_of_arrival(kind: str, turn: int, size: int) -> None:
    """Each kind in one order in the suite, each order with three kinds; in a soak all kinds in all orders."""
    pair = Pair.keeping(5, 5)
    arranged = ARRANGED[(list(KINDS).index(kind) + turn) % len(ARRANGED)]
    times = arranged(np.random.default_rng(3).permutation(size).tolist())
    events = [(i % 2, time + 1, value) for i, (time, value) in enumerate(zip(times, KINDS[kind](size), strict=True))]
    for start in range(0, size, 150):
        pair.add(events[start : start + 150])
        check_all(pair, 0, size)
    check_all(pair, 0, size, LINEAR)


asked_percentiles = st.tuples(st.just("percentiles"), asked, st.booleans())
history = st.lists(
    st.one_of(
        st.tuples(st.just("add"), portions),
        st.tuples(st.just("prune"), st.integers(0, 25)),
        st.tuples(
            st.just("change"), st.none() | SERIES, st.integers(0, 10), st.sampled_from([0, 2, 30, 10**6]), portions
        ),
        st.tuples(st.just("end"), SERIES),
        st.tuples(st.just("maintain"), st.integers(0, 3)),
        asked_percentiles,
        asked_percentiles,
    ),
    max_size=25,
)


@pytest.mark.no_cover
@SIZES
@given(history, st.sampled_from([0, 600, 4000, 2**28]))
def test_any_history_gives_the_percentiles_of_the_model(history: list[tuple[Any, ...]], most_bytes: int) -> None:
    pair = Pair.keeping(*KEEPS)
    pair.view.ranks.most_bytes = most_bytes
    moment = 0
    held: list[Held] = []
    for number, step in enumerate(history):
        if number % 4 == 1:
            held.append(pair.hold())
        match step:
            case ("percentiles", (series, after, cutoff, last, until), linear):
                check(pair, series, Span(cutoff, after, until, last), LINEAR if linear else NEAREST)
            case ("maintain", further):
                moment += further
                pair.view.maintain(moment, 4)
            case _:
                take(pair, step)
        pair.view.check()
        check_runs(pair.view)
        assert pair.view.ranks.held <= most_bytes
        if len(held) > 1:
            close(held.pop(number % 2))
    for one in held:
        close(one)
    check_all(pair, pair.model.horizon, 200)


@pytest.mark.no_cover
@pytest.mark.soak(seed=(range(1, 3), range(30)), steps=(12, 30))
def test_stress_in_both_sizes(seed: int, steps: int, sizes: None) -> None:
    generator = random.Random(seed)
    pair = Pair.keeping(0, 3, 50, 1000)
    if seed % 3 == 2:
        pair.view.ranks.most_bytes = 20_000
    now = 1_000_000
    for _ in range(steps):
        now += generator.randrange(3000)
        stress_step(pair, generator, now)
        pair.view.check()


def stress_step(pair: Pair, generator: random.Random, now: int) -> None:
    horizon = pair.model.horizon
    action = generator.random()
    if action < 0.4:
        kind = generator.choice(list(KINDS.values()))
        events = burst(generator, now, horizon)
        pair.add(
            [(series, time, value) for (series, time, _), value in zip(events, kind(len(events)), strict=True)]
            if generator.random() < 0.7
            else events
        )
    elif action < 0.5:
        pair.prune(now - generator.randrange(20_000, 120_000))
    elif action < 0.53:
        pair.change_keep(generator.randrange(4), max(horizon, now - 100_000), 5000, burst(generator, now, horizon))
    elif action < 0.6:
        pair.view.maintain(now, 20_000)
    else:
        after = generator.choice([None, now - generator.randrange(1, 100_000), now - generator.randrange(1, 1000)])
        last = generator.choice([None, None, generator.randrange(1, 3000)])
        until = generator.choice([None, None, now - generator.randrange(100_000)])
        span = Span(now - 100_000, after, until, last)
        check(pair, generator.choice([None, 0, 1, 2, 3]), span, generator.choice([NEAREST, LINEAR]))


def arrivals(pair: Pair, generator: random.Random, *, prune: bool) -> Iterator[int]:
    for number in range(10**6):
        pair.add(
            [
                (generator.randrange(2), generator.randrange(200, 1200), generator.uniform(0, 9))
                for _ in range(generator.choice([1, 3, 20]))
            ]
        )
        if prune and number % 2:
            pair.prune(pair.model.horizon + 9)
        yield number


@pytest.mark.no_cover
@SIZES
@pytest.mark.parametrize(
    ("series", "most_bytes", "prune"), [(None, 0, True), (None, 2**28, False), (0, 0, False), (0, 2**28, True)]
)
@pytest.mark.soak(seeds=(1, 10))
def test_what_happens_in_pauses_does_not_count(series: int | None, most_bytes: int, prune: bool, seeds: int) -> None:
    for seed in range(seeds):
        generator = random.Random(seed)
        pair = Pair.keeping(3, 3)
        pair.view.ranks.most_bytes = most_bytes
        pair.add([(i % 2, i, generator.uniform(0, 9)) for i in range(1, 1000)])
        happening = arrivals(pair, generator, prune=prune)
        for span in (Span(0, 100), Span(0, None, None, 700)):
            ask_in_pauses(pair, series, span, happening)
        assert next(happening)


def ask_in_pauses(pair: Pair, series: int | None, span: Span, happening: Iterator[int]) -> None:
    rows = pair.model.rows(series, span.after, span.cutoff, span.last)
    held = pair.hold()

    def between(pauses: int) -> None:
        if next(happening) % 25 == 0:
            check(pair, series, span, LINEAR)  # another asks, and sorts runs
            pair.view.maintain(pauses, 20)

    found, pauses = held.ask_while(between, lambda reading: reading.percentiles(series, span, NEAREST))
    assert found == percentiles_of([value for _, _, value in rows], NEAREST)
    assert pauses > 5
    pair.view.check()
    held.close()
    check_runs(pair.view)


@SIZES
@pytest.mark.parametrize("most_bytes", [0, 2**28])
def test_percentiles_after_a_series_has_ended_and_blocks_have_gone(most_bytes: int) -> None:
    generator = random.Random(7)
    pair = Pair.keeping(0, 0, 50)
    pair.view.ranks.most_bytes = most_bytes
    pair.add([(i % 3, i // 2, generator.uniform(0, 9)) for i in range(2, 900)])
    check_all(pair, 0, 450)
    pair.end_series(1)
    check_all(pair, 0, 450)
    pair.prune(200)
    check_all(pair, 200, 450)
    pair.change_keep(2, 300, 3, [(2, 305, 1.0), (0, 225, 2.0)])
    check_all(pair, 300, 450)
    pair.end_series(0)
    pair.prune(1000)
    check_all(pair, 0, 1250)


@SIZES
def test_the_end_of_a_series_leaves_the_runs_of_decks_without_it_as_they_are() -> None:
    pair = Pair.keeping(0, 0)
    pair.add([(0, i, float(i % 7)) for i in range(1, 600)])
    pair.add([(1, i, 1.0) for i in range(600, 700)])
    pair.add([(0, i, float(i % 5)) for i in range(700, 1200)])
    check(pair, None, Span(0, 0), NEAREST)
    runs = {id(deck.held) for deck in pair.view.all_series.lowest() if deck.held}
    assert len(runs) > 8
    pair.end_series(1)
    left = {id(deck.held) for deck in pair.view.all_series.lowest() if deck.held}
    assert left < runs
    assert len(left) > len(runs) / 2
    check_all(pair, 0, 1200)


@SIZES
def test_a_question_goes_on_with_the_runs_and_late_values_that_it_took_together() -> None:
    """In every pause all runs are dropped, and another question sorts them anew."""
    pair = Pair.keeping(0)
    pair.add([(0, i, float(i % 97)) for i in range(1, 1500)])
    span = Span(0, 10)
    check(pair, 0, span, NEAREST)
    pair.add([(0, 7 * i, 0.5) for i in range(2, 200)])  # late ones
    rows = pair.model.rows(0, 10, 0, None)
    held = pair.hold()

    def between(pauses: int) -> None:
        pair.add([(0, 11 * pauses % 1400, 0.25)])
        for holder in list(pair.view.ranks.holders):
            pair.view.ranks.drop(holder)
        check(pair, 0, span, NEAREST)

    found, pauses = held.ask_while(between, lambda reading: reading.percentiles(0, span, NEAREST))
    assert pauses > 10
    assert found == percentiles_of([value for _, _, value in rows], NEAREST)
    held.close()


@SIZES
def test_what_comes_late_to_a_deck_is_not_in_the_snapshot_that_shares_its_run() -> None:
    pair = Pair.keeping(0)
    pair.add([(0, 100 * i, float(i % 97)) for i in range(1, 500)])
    check(pair, 0, Span(0, 10), NEAREST)
    for late in (3, 4, 5, 40):  # once few and once more than may wait
        pair.add([(0, 1000 + late + i, 0.5) for i in range(late)])
        held = pair.hold()
        pair.add([(0, 1500 + late + i, 0.25) for i in range(3)])
        check_runs(pair.view)
        close(held)
        check(pair, 0, Span(0, 10), NEAREST)
        check_runs(pair.view)


@SIZES
def test_a_deck_that_becomes_the_last_one_has_no_run() -> None:
    """Nobody would tell it of the events that come on time."""
    pair = Pair.keeping(0, 0)
    pair.add([(0, i, float(i % 7)) for i in range(1, 600)])
    pair.add([(1, i, 1.0) for i in range(600, 900)])
    check(pair, None, Span(0, 0), NEAREST)
    pair.end_series(1)
    pair.view.check()
    pair.add([(0, 1000 + i, 3.5) for i in range(40)])
    check(pair, None, Span(0, 0), NEAREST)
    check_runs(pair.view)


@SIZES
def test_a_deck_to_which_much_comes_late_leaves_its_run() -> None:
    pair = Pair.keeping(0)
    pair.add([(0, 100 * i, float(i % 97)) for i in range(1, 500)])
    check(pair, 0, Span(0, 10), NEAREST)
    for i in range(200):
        pair.add([(0, 1000 + i, 0.5)])
        assert all(len(deck.late or ()) <= decks.MOST_LATE for deck in pair.view.windows[0].lowest())
    check(pair, 0, Span(0, 10), NEAREST)
    check_runs(pair.view)


def test_the_runs_asked_for_longest_ago_go_first() -> None:
    pair = Pair.keeping(0, 0)
    with small():
        pair.add([(i % 2, i, float(i % 97)) for i in range(1, 1600)])
        ranks = pair.view.ranks
        check(pair, 0, Span(0, 10), NEAREST)
        ranks.most_bytes = ranks.held + 500
        check(pair, 1, Span(0, 800), NEAREST)
        assert ranks.held <= ranks.most_bytes
        assert not all(deck.held and deck.held.run for deck in pair.view.windows[0].lowest()[:-1])
        assert any(deck.held and deck.held.run for deck in pair.view.windows[1].lowest())
