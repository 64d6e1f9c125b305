"""The last events of all series, as of one moment, while events come and go."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

import pytest

from rolling.percentiles import Percentiles
from rolling.span import Span
from rolling.window import RollingWindow
from tests.rolling.model import assert_tail, percentiles_of
from tests.rolling.test_view import Pair

MEDIAN = Percentiles((Fraction(1, 2), Fraction(1, 1)))


def quiet(seed: int, series: int, *, moments: int) -> Pair:
    """Series that keep some of their events, nearly all of them behind the horizon, dated among `moments`."""
    generator = random.Random(seed)
    pair = Pair.keeping(*(generator.choice([0, 3, 20, 1000]) for _ in range(series)))
    pair.add(
        [(generator.randrange(series), generator.randrange(1, moments), float(i % 11)) for i in range(40 * series)]
    )
    pair.prune(moments - moments // 20)
    return pair


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("moments", [3, 40, 5000])
@pytest.mark.soak(seeds=(1, 6))
def test_what_happens_in_pauses_does_not_count(moments: int, seeds: int) -> None:
    all_pauses = 0
    for seed in range(seeds):
        for last in (1, 7, 60, 200, 333, 10**6):
            generator = random.Random(seed)
            pair = quiet(seed, 12, moments=moments)
            cutoff = pair.model.horizon
            rows = pair.model.rows(None, None, cutoff, last)
            held = pair.hold()
            tail, pauses = held.ask_while(
                partial(happen, pair, generator, moments),
                lambda reading, cutoff=cutoff, last=last: reading.figures(  # type: ignore[misc]
                    None, Span(cutoff, None, None, last), ends=True, wanted=MEDIAN
                ),
            )
            all_pauses += pauses
            assert_tail(tail, rows)
            assert tail.percentiles == percentiles_of([value for _, _, value in rows], MEDIAN)
            held.close()
    assert all_pauses > 200


@pytest.mark.parametrize("last", [2, 100, 10**6])
def test_what_is_kept_no_more_is_gone_also_where_as_many_are_kept_again(last: int) -> None:
    pair = Pair.keeping(*[5] * 200)
    pair.add([(series, 1 + i, float(series)) for i in range(5) for series in range(200)])
    pair.prune(50)
    rows = pair.model.rows(None, None, 50, last)
    held = pair.hold()
    for keep in (1, 5):
        for series in range(200):
            pair.change_keep(series, 50, keep, [])
    span = Span(50, None, None, last)
    assert_tail(held.view.figures(None, span, ends=True), rows)
    held.close()
    assert_tail(pair.view.figures(None, span, ends=True), pair.model.rows(None, None, 50, last))


@pytest.mark.parametrize("last", [1, 2500, 10**6])
def test_few_series_are_looked_into_between_two_pauses(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of series does not matter, and each is looked into a few times."""
    looked = most = all_looked = 0

    def counted(name: str) -> None:
        method = getattr(RollingWindow, name)

        def call(*args: object) -> object:
            nonlocal looked
            looked += 1
            return method(*args)

        monkeypatch.setattr(RollingWindow, name, call)

    pair = Pair.keeping(*[10] * 2000)
    pair.add([(series, 1 + (series * 7 + i * 31) % 5000, float(i)) for series in range(2000) for i in range(4)])
    pair.prune(5000)
    for name in ("row", "live", "count_after", "tail"):
        counted(name)

    def note(pauses: int) -> None:
        nonlocal looked, most, all_looked
        looked, most, all_looked = 0, max(most, looked), all_looked + looked

    held = pair.hold()
    tail, pauses = held.ask_while(note, lambda reading: reading.figures(None, Span(5000, None, None, last), ends=True))
    assert most <= 5
    assert pauses >= 2000
    assert all_looked <= 12 * 2000
    assert tail.summary.count == min(last, 8000)


def happen(pair: Pair, generator: random.Random, moments: int, portions: int) -> None:
    some = list(pair.model.series)
    if portions % 3 == 0:
        pair.add([(generator.choice(some), generator.randrange(1, moments + 9), 0.5)])
    if portions % 40 == 7 and len(some) > 3:
        pair.end_series(some[0])
    if portions % 11 == 5:
        pair.prune(pair.model.horizon + 1)
    if portions % 50 == 20:
        pair.change_keep(some[-1], pair.model.horizon, generator.choice([0, 5, 500]), [])
