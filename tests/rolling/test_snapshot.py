from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from rolling.percentiles import Percentiles, percent
from rolling.snapshot import Snapshot
from rolling.span import Span
from rolling.steps import Steps
from rolling.summary import Summary
from tests.rolling.model import percentiles_of, summary_of
from tests.rolling.test_view import KEEP_LAST, Pair

SINCE = 20
MEDIAN = Percentiles((percent("50"),))
Found = tuple[Summary, list[float | None]]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def some(count: int) -> Pair:
    pair = Pair.keeping(*[0] * count)
    pair.add([(i % count, 15 + i % 50, float(i % 7)) for i in range(20 * count)])
    return pair


def snapshot(pair: Pair, stack: ExitStack, looks: list[int], last: int | None = None) -> Snapshot[Found]:
    """What each series has later than SINCE, or of its last events; notes at what was looked."""
    span = Span(0, None if last else SINCE, None, last, horizon=pair.view.horizon)

    def find(series: int) -> Steps[Found]:
        looks.append(series)
        yield
        tail, found = yield from pair.view.figures(series, span, ends=False, wanted=MEDIAN)
        return tail.summary, found

    series = list(pair.model.series)
    return stack.enter_context(pair.view.snapshots.take(pair.view.horizon, series, find))


def expected(pair: Pair, last: int | None = None) -> dict[int, Found]:
    """The same as of now, from the model."""
    found: dict[int, Found] = {}
    for series in pair.model.series:
        values = [value for _, _, value in pair.model.rows(series, None if last else SINCE, 0, last)]
        found[series] = summary_of(values), percentiles_of(values, MEDIAN)
    return found


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("seed", range(10))
def test_all_that_is_found_is_of_the_first_moment(seed: int, stack: ExitStack) -> None:
    generator = random.Random(seed)
    pair, looks = some(20), list[int]()
    wanted = expected(pair)
    found = snapshot(pair, stack, looks)
    for number, _ in enumerate(found.find_all()):
        count = generator.choice((1, 100))  # one by one, or in columns
        if number % 5 == 0:
            there = list(pair.model.series)
            pair.add([(generator.choice(there), generator.randrange(10, 90), 0.5) for _ in range(count)])
        if number % 9 == 0:
            pair.prune(pair.view.horizon + 5)
        if number == 3:
            pair.end_series(19)
        if number == 12:
            pair.change_keep(generator.choice((None, 5)), pair.view.horizon, 4, [])
    assert {series: found[series] for series in wanted} == wanted
    pair.view._check()


def test_each_series_is_looked_at_once_however_often_it_changes(stack: ExitStack) -> None:
    pair, looks = some(20), list[int]()
    found = snapshot(pair, stack, looks)
    for _ in found.find_all():
        pair.add([(series, 60, 1.0) for series in range(20)])
    assert len(looks) <= 21  # one may be under way when it changes
    assert set(looks) == set(range(20))


def test_a_batch_has_one_series_at_a_time_looked_at(stack: ExitStack) -> None:
    pair, looks = some(20), list[int]()
    snapshot(pair, stack, looks)
    ids = np.arange(100, dtype=np.uint32) % 20
    work = pair.view.add_many(ids, np.full(100, 70), np.ones(100), np.arange(1000, 1100))
    most = 0
    for _ in work:
        most = max(most, len(looks))
        looks.clear()
    assert most == 1


def test_what_dies_meanwhile_is_still_there(stack: ExitStack) -> None:
    pair, looks = Pair.keeping(0), list[int]()
    pair.add([(0, time, 1.0) for time in range(30, 90)])
    found = snapshot(pair, stack, looks)
    pair.prune(80)
    for _ in found.find_all():
        pass
    assert found[0] == (summary_of([1.0] * 60), [1.0])
    stack.close()
    pair.prune(81)
    assert len(pair.view) < 60


@pytest.mark.parametrize(("own", "changed"), [(5, 0), (None, 0), (None, None)])
def test_what_is_kept_no_more_was_kept(own: int | None, changed: int | None, stack: ExitStack) -> None:
    pair, looks = Pair.keeping(own), list[int]()
    pair.add([(0, 10 + i, float(i)) for i in range(5)])
    pair.prune(50)
    wanted = expected(pair, last=5)
    found = snapshot(pair, stack, looks, last=5)
    for keep in (1, 5):
        pair.change_keep(changed, 50, keep, [])
    for _ in found.find_all():
        pass
    assert found[0] == wanted[0]
    assert found[0][0].count == (own or KEEP_LAST)


def test_only_what_is_still_wanted_is_looked_at(stack: ExitStack) -> None:
    pair, looks = some(20), list[int]()
    found = snapshot(pair, stack, looks)
    found.only([7, 2])
    pair.add([(series, 60, 1.0) for series in range(20)])
    for _ in found.find_all():
        pass
    assert sorted(looks) == [2, 7]


def test_nobody_is_asked_for_a_snapshot_that_has_ended(stack: ExitStack) -> None:
    pair, looks = some(20), list[int]()
    snapshot(pair, stack, looks)
    stack.close()
    pair.add([(series, 60, 1.0) for series in range(20)])
    assert not looks
