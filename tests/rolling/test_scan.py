"""Percentiles by reading every value, as of one moment, while events come and go."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from rolling import cut, scan
from rolling.block import Values
from rolling.percentiles import Percentiles
from rolling.reading import Reading
from rolling.span import Range, Span
from rolling.steps import nothing
from tests.rolling.model import percentiles_of
from tests.rolling.test_last_of_several import MEDIAN, happen, quiet
from tests.rolling.test_view import Pair

MANY = Percentiles(tuple(Fraction(number, 12) for number in range(13)), linear=True)
Found = list[float | None]


def of_each(reading: Reading) -> list[Range]:
    """All that each series keeps or has."""
    windows = reading.windows.values()
    return [Range(window, window.live(reading.horizon)) for window in windows if window.live(reading.horizon)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("wanted", [MEDIAN, MANY])
def test_the_percentiles_are_those_of_the_first_moment(
    few: int, wanted: Percentiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sketches and without, whatever comes, goes or ends in the pauses."""
    monkeypatch.setattr(scan, "FEW", few)
    for seed in range(8):
        generator = random.Random(seed)
        pair = quiet(seed, 12, moments=300)
        rows = pair.model.rows(None, None, pair.model.horizon, None)
        held = pair.hold()
        found, pauses = held.ask_while(
            lambda number, pair=pair, generator=generator: happen(pair, generator, 300, number),  # type: ignore[misc]
            lambda reading: scan.scan(of_each(reading), wanted, lambda: reading.pause()),
        )
        assert pauses > 1
        assert found == percentiles_of([value for _, _, value in rows], wanted)
        held.close()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("series", [None, 0])
@pytest.mark.parametrize("prune", [3, 20, 40])
def test_a_range_whose_runs_find_no_room_is_read(series: int | None, prune: int) -> None:
    pair = Pair.keeping(0, 0)
    pair.view.ranks.most_bytes = 0
    generator = random.Random(3)
    pair.add([(i % 2, i, generator.choice([-0.0, 0.0, 0.5, generator.uniform(-1, 1)])) for i in range(1, 900)])
    rows = pair.model.rows(series, 90, 0, None, 800)

    def between(pauses: int) -> None:
        pair.add([(pauses % 2, generator.randrange(300, 1000), 0.25)])
        if pauses >= prune and pauses % 4 == 0:
            pair.prune(150 + 2 * pauses)

    held = pair.hold()
    found, pauses = held.ask_while(between, lambda reading: reading.percentiles(series, Span(0, 90, 800), MANY))
    assert found == percentiles_of([value for _, _, value in rows], MANY)
    assert len(rows) > 100
    assert pauses > 10
    assert pair.view.ranks.held == 0


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0], [0.0, -0.0, 5.0]])
def test_equal_values_are_counted_and_not_retained(values: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that encloses a rank from both sides is the answer."""
    sizes: list[int] = []
    partition = np.partition

    def counted(values: Values, place: int) -> object:
        sizes.append(len(values))
        return partition(values, place)

    monkeypatch.setattr(np, "partition", counted)
    pair = Pair.keeping(*[10**6] * 4)
    pair.add([(i % 4, i, values[i // 4 % len(values)]) for i in range(1, 2000)])
    rows = pair.model.rows(None, None, 0, None)
    found = scan.scan(of_each(pair.view), MANY, nothing)
    assert found == percentiles_of([value for _, _, value in rows], MANY)
    assert sum(sizes) < 200


@pytest.mark.parametrize("events", [1, 12])
def test_few_values_and_series_are_read_between_two_pauses(events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number does not matter."""
    own = {"PORTION": 2**11, "SMALLEST": 100}
    for size, value in own.items():
        monkeypatch.setattr(cut, size, value)  # those of the others here are small
    monkeypatch.setattr(scan, "FEW", 2**11)
    cuts = 0
    original = cut.cut

    def counted(part: Range) -> cut.Cut:
        nonlocal cuts
        cuts += 1
        return original(part)

    monkeypatch.setattr(cut, "cut", counted)
    pair = Pair.keeping(*[10**6] * 2000)
    pair.add([(series, 1 + i, float((series * 7 + i * 31) % 5000)) for i in range(events) for series in range(2000)])
    pair.prune(50_000)
    most = looked = 0

    def between(pauses: int) -> None:
        nonlocal most, looked, cuts
        most, looked, cuts = max(most, cuts), looked + cuts, 0

    held = pair.hold()
    last = Span(pair.model.horizon, None, None, 10**9)
    found, _ = held.ask_while(between, lambda reading: reading.percentiles(None, last, MEDIAN))
    assert found == percentiles_of([value for _, _, value in pair.model.rows(None, None, 50_000, None)], MEDIAN)
    assert most <= 2 * (2**11 // 100 + 1)  # the last ones of the first reading, and the first of the second
    assert looked + cuts == 2000 * (1 if 2000 * events <= 2**11 else 2)


def test_nothing_has_no_percentiles() -> None:
    assert scan.scan([], MEDIAN, nothing) == [None, None]
