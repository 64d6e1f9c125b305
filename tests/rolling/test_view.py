from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.figures import Figures
from rolling.reading import Reading
from rolling.span import Span
from rolling.steps import nothing
from rolling.summary import Summary
from rolling.view import Snapshot, View
from tests.rolling.model import Model, assert_tail

Event = tuple[int, int, float]
"""Series, time and value."""
T = TypeVar("T")
KEEPS = (0, None, 40, 10**6, None)
KEEP_LAST = 3
SERIES = st.integers(0, len(KEEPS) - 1)


@dataclass
class Asked:
    """A reading and the model beside it, asked the same."""

    view: Reading
    model: Model

    def tail(
        self, series: int | None, after: int | None, cutoff: int, last: int | None, ends: bool, until: int | None = None
    ) -> Figures:
        """The figures of a window that moves."""
        return self.view.figures(series, Span(cutoff, after, until, last), ends=ends, moves=True)

    def ask(
        self, series: int | None, after: int | None, cutoff: int, last: int | None, until: int | None = None
    ) -> None:
        rows = self.model.rows(series, after, cutoff, last, until)
        assert_tail(self.tail(series, after, cutoff, last, True, until), rows)
        assert self.tail(series, after, cutoff, last, False, until) == Figures(
            self.tail(series, after, cutoff, last, True, until).summary
        )
        assert_tail(self.view.figures(series, Span(cutoff, after, until, last), ends=True), rows)

    def ask_all(self, cutoff: int) -> None:
        for series in (None, *self.model.series):
            for last in (None, 1, 2, 17, 10**9):
                for after in (None, cutoff, cutoff + 5, cutoff + 40):
                    self.ask(series, after, cutoff, last)
                self.ask(series, None, cutoff, last, cutoff + 9)
                self.ask(series, cutoff + 5, cutoff, last, cutoff + 20)


@dataclass
class Held(Asked):
    """A snapshot, and the model as it was when that was taken."""

    view: Snapshot

    def close(self) -> None:
        """See that it says what it said at first."""
        self.view.check()
        horizon = self.model.horizon
        for series in (None, *self.model.series):
            for after, last, until in ((None, None, None), (horizon + 5, None, horizon + 40), (None, 17, None)):
                self.ask(series, after, horizon, last, until)
        self.view.close()

    def ask_while(self, happen: Callable[[int], None], question: Callable[[Reading], T]) -> tuple[T, int]:
        """Put a question to it; something happens in each pause. Returns the answer and the number of pauses."""
        pauses = 0

        def pause() -> None:
            nonlocal pauses
            pauses += 1
            happen(pauses)

        self.view.pause_by(pause)
        answer = question(self.view)
        self.view.pause_by(nothing)
        return answer, pauses


@dataclass
class Pair(Asked):
    """A view and the model beside it, given the same and asked the same."""

    view: View = field(default_factory=View)
    model: Model = field(default_factory=Model)
    position: int = 0

    @classmethod
    def keeping(cls, *keeps: int | None) -> Pair:
        """Return a pair whose series 0, 1 and so on have these keeps; None: no keep of their own."""
        pair = cls(View(KEEP_LAST, keeps.__getitem__), Model(KEEP_LAST))
        for series, keep in enumerate(keeps):
            pair.view.window(series)
            pair.model.register(series, keep)
        return pair

    def add(self, events: Sequence[Event]) -> None:
        """One portion of the log."""
        positions = np.arange(self.position + 1, self.position + 1 + len(events))
        self.position += len(events)
        give(self.view, events, positions.tolist())
        for (series, time, value), position in zip(events, positions.tolist(), strict=True):
            self.model.add(series, time, value, position)

    def prune(self, horizon: int) -> None:
        self.view.raise_horizon(horizon)
        run(self.view.prune(horizon))
        self.model.prune(horizon)

    def change_keep(self, series: int | None, horizon: int, keep: int, events: Sequence[Event]) -> None:
        """Take in a chunk that has such a change in it."""
        run(self.view.change_keep(series, horizon, keep))
        self.model.change_keep(series, horizon, keep)
        self.add(events)
        self.prune(horizon)

    def end_series(self, series: int) -> None:
        run(self.view.end_series(series))
        self.model.end_series(series)

    def hold(self) -> Held:
        """Take a snapshot of both."""
        return Held(self.view.snapshot(), deepcopy(self.model))


def run(steps: Iterator[None]) -> int:
    """Take all of these steps; how many there were."""
    return sum(1 for _ in steps)


def give(view: View, events: Sequence[Event], positions: Sequence[int]) -> None:
    run(
        view.add_many(
            np.array([series for series, _, _ in events], np.uint32),
            np.array([time for _, time, _ in events], np.int64),
            np.array([value for _, _, value in events], np.float64),
            np.array(positions, np.int64),
        )
    )


def events_from(low: int, high: int, most: int) -> st.SearchStrategy[list[Event]]:
    values = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9))
    return st.lists(st.tuples(SERIES, st.integers(low, high), values), max_size=most)


def by_time(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event[1])


portions = st.one_of(events_from(1, 60, 12), events_from(1, 200, 70), events_from(30, 32, 60))
asked = st.tuples(
    st.none() | SERIES,
    st.none() | st.integers(0, 210),
    st.integers(0, 210),
    st.none() | st.integers(1, 120),
    st.none() | st.integers(0, 210),
)
steps = st.one_of(
    st.tuples(st.just("add"), portions),
    st.tuples(st.just("add"), portions.map(by_time)),
    st.tuples(st.just("prune"), st.integers(0, 25)),
    st.tuples(st.just("change"), st.none() | SERIES, st.integers(0, 10), st.sampled_from([0, 2, 30, 10**6]), portions),
    st.tuples(st.just("end"), SERIES),
    st.tuples(st.just("ask"), asked),
)


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@given(st.lists(steps, max_size=25))
def test_any_history_gives_the_answers_of_the_model(history: list[tuple[Any, ...]]) -> None:
    pair = Pair.keeping(*KEEPS)
    held: list[Held] = []
    for number, step in enumerate(history):
        if number % 3 == 0:  # while the snapshot before it is still held
            held.append(pair.hold())
        take(pair, step)
        pair.view.check()
        if len(held) > 1:
            held.pop(number % 2).close()
    pair.ask_all(pair.model.horizon)
    for one in held:
        one.close()


def take(pair: Pair, step: tuple[Any, ...]) -> None:
    match step:
        case ("add", events):
            pair.add(events)
        case ("prune", further):
            pair.prune(pair.model.horizon + further)
        case ("change", series, further, keep, events):
            pair.change_keep(series, pair.model.horizon + further, keep, events)
        case ("end", series):
            pair.end_series(series)
            pair.view.window(series)
            pair.model.register(series, KEEPS[series])
        case ("ask", question):
            pair.ask(*question)
        case _:
            raise AssertionError(step)


@pytest.mark.usefixtures("small_blocks")
def test_a_series_ends_in_steps_and_leaves_nothing_behind() -> None:
    pair = Pair.keeping(0, 5, None)
    pair.add([(i % 3, i // 2, float(i)) for i in range(2, 400)])
    pair.add([(1, 200 + i // 2, float(i)) for i in range(300)])
    pair.ask_all(20)  # some blocks hold columns
    assert run(pair.view.end_series(1)) > 20
    pair.model.end_series(1)
    pair.view.check()
    pair.ask_all(20)
    assert len(pair.view) == 266
    pair.add([(i % 2 * 2, i, 0.5) for i in range(30, 250)])
    pair.view.check()
    pair.ask_all(30)
    for series in (0, 2):
        pair.end_series(series)
    pair.view.check()
    assert (len(pair.view), len(pair.view.all_series), pair.view.windows) == (0, 0, {})
    assert pair.view.all_series.first is pair.view.all_series.last
    assert run(pair.view.end_series(7)) == 0


@pytest.mark.usefixtures("small_blocks")
def test_a_series_of_its_own_blocks_ends_and_the_rest_stays_as_it_is() -> None:
    pair = Pair.keeping(0, 0)
    pair.add([(0, i, float(i)) for i in range(1, 200)])
    pair.add([(1, i, float(i)) for i in range(200, 400)])
    pair.add([(0, i, float(i)) for i in range(400, 600)])
    pair.end_series(1)
    pair.view.check()
    pair.ask_all(0)
    pair.add([(0, i, 0.5) for i in (5, 250, 350, 700)])
    pair.view.check()
    pair.ask_all(0)


@pytest.mark.usefixtures("small_blocks")
def test_a_window_knows_what_it_has_let_go_of() -> None:
    pair = Pair.keeping(10, 0)
    pair.add([(0, time, 1.0) for time in (5, 90, *range(10, 60), 80)])
    window = pair.view.window(0)
    assert window.forgotten == 0
    pair.prune(58)
    held = set(window.rows(100)[1].tolist())
    assert window.forgotten == max(set(range(1, 54)) - held) > 0
    pair.change_keep(0, 58, 1000, [])
    held = set(window.rows(100)[1].tolist())
    assert len(held) == 10
    assert window.forgotten == max(set(range(1, 54)) - held)
    assert pair.view.taken == window.taken == 53


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@given(events_from(1, 100, 150), st.lists(st.integers(0, 150), max_size=4), st.integers(0, 60))
def test_the_same_events_in_any_portions_give_the_same_answers(
    events: list[Event], cuts: list[int], horizon: int
) -> None:
    whole = Pair.keeping(*KEEPS)
    whole.add(events)
    whole.prune(horizon)
    parts = Pair.keeping(*KEEPS)
    bounds = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(bounds):
        parts.add(events[start:end])
        parts.prune(min(horizon, start))
    parts.prune(horizon)
    for pair in (whole, parts):
        pair.view.check()
        pair.ask_all(horizon)


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@given(events_from(1, 100, 120), st.randoms(use_true_random=False), st.integers(0, 60))
def test_the_order_of_arrival_decides_only_between_events_of_one_time(
    events: list[Event], shuffler: random.Random, horizon: int
) -> None:
    shuffled = list(events)
    shuffler.shuffle(shuffled)
    first, second = Pair.keeping(*KEEPS), Pair.keeping(*KEEPS)
    for pair, order in ((first, events), (second, shuffled)):
        pair.add(order)
        pair.prune(horizon)
    for after in (0, 17, 50, 100):
        for series in (None, *range(len(KEEPS))):
            assert first.tail(series, after, horizon, None, False) == second.tail(series, after, horizon, None, False)


@pytest.mark.no_cover
@pytest.mark.soak(seed=(range(2), range(40)), steps=(25, 50))
def test_stress_in_both_sizes(seed: int, steps: int, sizes: None) -> None:
    generator = random.Random(seed)
    pair = Pair.keeping(0, 3, 50, 1000)
    now = 1_000_000
    for _ in range(steps):
        now += generator.randrange(3000)
        stress_step(pair, generator, now)
    pair.view.check()


def stress_step(pair: Pair, generator: random.Random, now: int) -> None:
    horizon = pair.model.horizon
    action = generator.random()
    if action < 0.45:
        pair.add(burst(generator, now, horizon))
    elif action < 0.55:
        pair.prune(now - generator.randrange(20_000, 120_000))
    elif action < 0.57:
        pair.change_keep(generator.randrange(4), max(horizon, now - 100_000), 5000, burst(generator, now, horizon))
    else:
        after = generator.choice([None, now - generator.randrange(1, 100_000), now - generator.randrange(1, 1000)])
        last = generator.choice([None, 1, generator.randrange(1, 100), generator.randrange(1, 3000)])
        until = generator.choice([None, now - generator.randrange(100_000), now - generator.randrange(1000)])
        pair.ask(generator.choice([None, 0, 1, 2, 3]), after, now - 100_000, last, until)
    if generator.random() < 0.1:
        pair.view.check()


def burst(generator: random.Random, now: int, horizon: int) -> list[Event]:
    """Some events of one series or of several: punctual, late, early, at one instant, sorted or reversed."""
    chosen = generator.choice([[0], [1], [2], [3], [0, 1, 2, 3]])
    size = generator.choice([1, 1, 5, 49, 100, 600, 1500])
    times = [time_of_event(generator, now, horizon) for _ in range(size)]
    arrangements: list[Callable[[list[int]], Iterable[int]]] = [
        sorted,
        reversed,
        list,
        lambda times: [now - 5] * len(times),
    ]
    arrange = generator.choice(arrangements)
    return [
        (
            generator.choice(chosen),
            time,
            generator.choice([0.1, generator.uniform(-1, 1) * 10 ** generator.randint(-3, 3)]),
        )
        for time in arrange(times)
    ]


def time_of_event(generator: random.Random, now: int, horizon: int) -> int:
    return max(
        1,
        generator.choice(
            [
                now,
                now - generator.randrange(5000),
                now - generator.randrange(100) // 10 * 10,
                now - generator.randrange(200_000),
                now + generator.randrange(60),
                horizon + generator.randrange(-3, 4),
            ]
        ),
    )


@pytest.mark.usefixtures("small_blocks")
def test_a_block_that_fills_up_within_a_batch_while_unloaded_holds_the_batch_itself() -> None:
    pair = Pair.keeping(1000, 1000)
    pair.add([(i % 2, 10 * i, float(i)) for i in range(200)])
    for late in (301, 302, 303, 304, 5, 5, 5, 1501):
        pair.add([(1, late, 1.0), (0, late, 2.0), (1, 1990, 3.0)] * 5)
        pair.view.check()
        pair.ask(None, late - 1, 0, None)


@pytest.mark.usefixtures("small_blocks")
def test_a_block_that_straddles_the_horizon_answers_for_what_is_live_in_it() -> None:
    pair = Pair.keeping(0, 0, 0)
    pair.add([(i % 3, i, float(i)) for i in range(1, 200)])
    for horizon in range(1, 198):
        pair.prune(horizon)
        pair.view.check()
        pair.ask(None, None, horizon, None)
        pair.ask(None, None, horizon, 5)


@pytest.mark.usefixtures("small_blocks")
def test_late_events_behind_the_horizon_do_not_show_in_all_series() -> None:
    pair = Pair.keeping(5, 5)
    pair.add([(i % 2, i, float(i)) for i in range(1, 100)])
    pair.prune(50)
    pair.add([(0, time, 1000.0) for time in range(40, 60)])
    pair.add([(1, time, 2000.0) for time in (50, 50, 51, 51)])
    pair.view.check()
    pair.ask_all(50)


@pytest.mark.usefixtures("small_blocks")
def test_everything_expires_and_life_goes_on() -> None:
    pair = Pair.keeping(0, 2)
    pair.add([(i % 2, i, float(i)) for i in range(1, 100)])
    pair.prune(1000)
    pair.view.check()
    assert len(pair.view) < 20
    pair.ask_all(1000)
    pair.add([(0, 1001, 1.0), (1, 1000, 2.0), (1, 999, 3.0)])
    pair.ask_all(1000)


@pytest.mark.usefixtures("small_blocks")
def test_the_last_of_all_reach_behind_the_cutoff_into_what_each_series_keeps() -> None:
    pair = Pair.keeping(4, 9, 1, 0)
    pair.add([(i % 4, 100 + i // 8, float(i)) for i in range(160)])
    pair.prune(110)
    for last in range(1, 60):
        for until in (None, 118, 115, 111, 107):
            pair.ask(None, None, 115, last, until)


@pytest.mark.usefixtures("small_blocks")
def test_a_portion_may_raise_what_is_kept_and_then_split_a_block_that_has_lost_all() -> None:
    pair = Pair.keeping(0, 0)
    pair.add([(0, time, 1.0) for time in range(1, 60)])
    pair.change_keep(0, 40, 10**6, [(1, 5, 0.5), (1, 45, 0.5)] * 3)
    pair.view.check()
    pair.ask_all(40)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("horizon", [30, 37, 45])
def test_a_portion_may_raise_what_is_kept_and_then_split_the_block_at_the_horizon(horizon: int) -> None:
    pair = Pair.keeping(3, 0)
    pair.add([(i % 2, i, float(i)) for i in range(1, 100)])
    later = [(1, time, 0.5) for time in range(horizon - 9, horizon + 10) for _ in range(3)]
    pair.change_keep(0, horizon, 10**6, later)
    pair.view.check()
    pair.ask_all(horizon)


def test_a_question_reaches_no_further_back_than_the_horizon() -> None:
    pair = Pair.keeping(0)
    pair.add([(0, time, 1.0) for time in range(1, 60)])
    pair.prune(30)
    assert pair.tail(0, 10, 5, None, False).summary.count == 29
    assert pair.tail(None, 10, 5, None, False).summary.count == 29
    pair.prune(20)
    assert pair.view.horizon == 30


def test_what_a_series_may_keep_starts_at_its_last_events() -> None:
    pair = Pair.keeping(0, 2, 5)
    pair.add([(series, time, 1.0) for time in range(1, 8) for series in (0, 1)] + [(2, 3, 1.0)])
    assert pair.view.windows[0].kept_since() > (2**62, 0)
    assert pair.view.windows[1].kept_since() == (6, 12)
    assert pair.view.windows[2].kept_since() < (-(2**62), 1)


def test_an_empty_view_has_empty_answers() -> None:
    pair = Pair.keeping(0, 5)
    assert len(pair.view) == 0
    pair.view.check()
    pair.ask_all(0)
    assert View().figures(None, Span(0, None, None, 5), ends=True, moves=True) == Figures(Summary())
