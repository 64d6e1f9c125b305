"""The last events of all series, found in portions, while events come and go."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from rolling import last_of_all
from rolling.percentiles import Percentiles
from rolling.span import Span
from tests.rolling.model import assert_tail, percentiles_of
from tests.rolling.test_view import Pair

MEDIAN = Percentiles((Fraction(1, 2), Fraction(1, 1)))


def quiet(seed: int, series: int, *, moments: int) -> Pair:
    """Series that keep some of their events, nearly all of them behind the horizon, at so many moments."""
    generator = random.Random(seed)
    pair = Pair.keeping(*(generator.choice([0, 3, 20, 1000]) for _ in range(series)))
    pair.add(
        [(generator.randrange(series), generator.randrange(1, moments), float(i % 11)) for i in range(40 * series)]
    )
    pair.prune(moments - moments // 20)
    return pair


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("moments", [3, 40, 5000])
@pytest.mark.parametrize("rounds", [0, 2, 20])
def test_what_happens_between_two_portions_counts(moments: int, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_of_all, "ROUNDS", rounds)
    for seed in range(6):
        for last in (1, 7, 60, 200, 333, 10**6):
            generator = random.Random(seed)
            pair = quiet(seed, 12, moments=moments)
            cutoff = pair.model.horizon
            steps = pair.view.figures(None, Span(cutoff, None, None, last), ends=True, wanted=MEDIAN)
            portions = 0
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    tail, percentiles = end.value
                    break
                portions += 1
                happen(pair, generator, moments, portions)
            rows = pair.model.rows(None, None, cutoff, last)
            assert_tail(tail, rows)
            assert percentiles == percentiles_of([value for _, _, value in rows], MEDIAN)


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
