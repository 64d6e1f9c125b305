from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from rolling import together
from rolling.steps import Steps
from rolling.summary import Summary
from rolling.together import Together
from tests.rolling.model import summary_of
from tests.rolling.sizes import SMALL
from tests.rolling.test_view import Pair

SINCE = 20
CAPACITY = SMALL["CAPACITY"]


def counting(pair: Pair, looks: list[int]) -> Together[Summary]:
    """The summaries of what each series has since then; notes at what was looked."""

    def find(series: int) -> Steps[Summary]:
        looks.append(series)
        yield
        return pair.view.tail(series, SINCE, 0, None, False).summary

    return pair.view.together(SINCE, find)


def find_all(found: Together[Summary], series: Iterable[int]) -> Steps[None]:
    while stale := found.stale(list(series)):
        yield from found.find(stale)


def some(count: int) -> Pair:
    pair = Pair.keeping(*[0] * count)
    pair.add([(i % count, 15 + i % 50, float(i % 7)) for i in range(20 * count)])
    return pair


@pytest.mark.parametrize("rounds", [0, 2, 20])
def test_all_that_is_found_is_of_the_last_moment(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "AT_A_TIME", 3)
    monkeypatch.setattr(together, "ROUNDS", rounds)
    generator = random.Random(1)
    pair, looks = some(20), list[int]()
    found = counting(pair, looks)
    for number, _ in enumerate(find_all(found, pair.model.series)):
        if number % 5 == 0:
            pair.add([(generator.choice(list(pair.model.series)), generator.randrange(10, 90), 0.5)])
        if number == 7:
            pair.end_series(3)
        if number == 30:
            pair.prune(40)
    assert not found.stale(pair.model.series)
    for series in pair.model.series:
        rows = pair.model.rows(series, SINCE, 0, None)
        assert found[series] == summary_of([value for _, _, value in rows])


def test_what_has_not_changed_is_not_looked_at_again() -> None:
    pair, looks = some(20), list[int]()
    found = counting(pair, looks)
    for _ in find_all(found, range(20)):
        pass
    assert sorted(looks) == list(range(20))
    looks.clear()
    pair.prune(10)
    pair.add([(4, 30, 1.0), (7, 5, 1.0)])
    assert found.stale(range(20)) == [4, 7]
    for _ in find_all(found, range(20)):
        pass
    assert looks == [4, 7]
    pair.prune(16)
    assert not found.stale(range(20))  # nothing later than SINCE has gone
    pair.prune(30)
    assert found.stale(range(20))


@pytest.mark.usefixtures("small_blocks")
def test_what_has_died_and_is_gone_meanwhile_is_not_taken_for_live() -> None:
    pair, looks = Pair.keeping(0), list[int]()
    pair.add([(0, time, 1.0) for time in (*[30] * CAPACITY, *[80] * CAPACITY)])
    found = counting(pair, looks)
    for _ in find_all(found, [0]):
        pass
    assert found[0].count == 2 * CAPACITY
    pair.prune(50)
    assert pair.view.window(0).first.oldest == 80  # as if it had never had others
    assert found.stale([0]) == [0]


def test_what_is_kept_no_more_is_gone_also_where_as_many_are_kept_again() -> None:
    pair, looks = Pair.keeping(5), list[int]()
    pair.add([(0, 10 + i, 1.0) for i in range(5)])
    pair.prune(50)

    def find(series: int) -> Steps[Summary]:
        looks.append(series)
        yield
        return pair.view.tail(series, None, 50, 5, False).summary

    found = pair.view.together(SINCE, find)
    for count in (5, 1):
        for _ in find_all(found, [0]):
            pass
        assert found[0].count == count
        for keep in (1, 5):
            pair.change_keep(0, 50, keep, [])
    assert looks == [0, 0]
