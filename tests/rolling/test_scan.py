"""Percentiles by reading every value, in portions, while events come and go."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from rolling import memory, scan, units
from rolling.block import Values
from rolling.percentiles import Percentiles
from rolling.span import Range, Span
from rolling.steps import Steps, finished
from rolling.units import Unit
from tests.rolling.model import percentiles_of
from tests.rolling.test_last_of_all import MEDIAN, happen, quiet
from tests.rolling.test_view import Pair

MANY = Percentiles(tuple(Fraction(number, 12) for number in range(13)), linear=True)
Found = list[float | None]


def in_portions(steps: Steps[Found], between: Callable[[int], None]) -> Found:
    portions = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Found = end.value
            return found
        portions += 1
        between(portions)


def of_each(pair: Pair) -> list[Range]:
    """All that each series keeps or has."""
    horizon = pair.model.horizon
    return [Range(window, window.live(horizon)) for window in pair.view.windows.values() if window.live(horizon)]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("rounds", [0, 2, 20])
@pytest.mark.parametrize("wanted", [MEDIAN, MANY])
def test_the_percentiles_are_those_of_the_last_moment(
    few: int, rounds: int, wanted: Percentiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With sketches and without, whatever comes, goes or ends between two portions."""
    monkeypatch.setattr(scan, "FEW", few)
    monkeypatch.setattr(scan, "ROUNDS", rounds)
    for seed in range(8):
        generator = random.Random(seed)
        pair = quiet(seed, 12, moments=300)
        found = in_portions(
            scan.scan(lambda pair=pair: of_each(pair), wanted),  # type: ignore[misc]
            lambda portions, pair=pair, generator=generator: happen(pair, generator, 300, portions),  # type: ignore[misc]
        )
        rows = pair.model.rows(None, None, pair.model.horizon, None)
        assert found == percentiles_of([value for _, _, value in rows], wanted)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("series", [None, 0])
@pytest.mark.parametrize("prune", [3, 20, 40, 60, 80])
def test_a_range_whose_rows_find_no_room_is_read(series: int | None, prune: int) -> None:
    pair = Pair.keeping(0, 0)
    pair.view._memory = memory.Memory(0)
    generator = random.Random(3)
    pair.add([(i % 2, i, generator.choice([-0.0, 0.0, 0.5, generator.uniform(-1, 1)])) for i in range(1, 900)])

    def between(portions: int) -> None:
        pair.add([(portions % 2, generator.randrange(300, 1000), 0.25)])
        if portions >= prune and portions % 4 == 0:
            pair.prune(150 + 2 * portions)

    found = in_portions(pair.view.percentiles(series, Span(0, 90, 800), MANY), between)
    rows = pair.model.rows(series, 90, 0, None, 800)
    assert found == percentiles_of([value for _, _, value in rows], MANY)
    assert len(rows) > 100


@pytest.mark.usefixtures("small_blocks")
def test_as_many_events_need_not_be_the_same() -> None:
    """A series loses a block and gets as many events, and is asked for the last so many of them before and after."""
    pair = Pair.keeping(0, 0)
    pair.add([(i % 2, i, float(i)) for i in range(1, 400)])
    window = pair.view.window(0)
    size = len(window)

    def between(portions: int) -> None:
        if portions in (3, 8, 14):
            pair.prune(pair.model.horizon + 40)
            pair.add([(0, 400 + i, 0.5) for i in range(size - len(window))])

    ranges = [Range(window, 150)]
    found = in_portions(scan.scan(lambda: ranges, MANY), between)
    assert found == percentiles_of([value for _, _, value in pair.model.rows(0, None, 0, 150)], MANY)
    assert len(window) == size
    assert pair.model.horizon > 0


@pytest.mark.usefixtures("small_blocks")
def test_more_is_kept_where_too_much_has_come_meanwhile() -> None:
    """So many low values that the bounds first found no longer enclose any rank."""
    pair = Pair.keeping(*[10**6] * 4)
    pair.add([(i % 4, i, float(i)) for i in range(1, 1000)])

    def between(portions: int) -> None:
        if portions < 30:
            pair.add([(portions % 4, 2000, -float(portions))] * 120)

    found = in_portions(scan.scan(lambda: of_each(pair), MANY), between)
    rows = pair.model.rows(None, None, 0, None)
    assert found == percentiles_of([value for _, _, value in rows], MANY)


@pytest.mark.parametrize("events", [1, 12])
def test_no_portion_reads_many_values_or_series(events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are; the last reads only those of series that have changed."""
    own = {"PORTION": 2**11, "FEW": 2**11, "SMALLEST": 100, "STRIDE": 64, "SLACK": 16, "ROUNDS": 10}
    for size, value in own.items():
        monkeypatch.setattr(scan, size, value)  # those of the others here are small
    sizes: list[int] = []
    read = units.read

    def counted(unit: Unit) -> Steps[Values]:
        sizes.append(unit.begin - unit.end)
        return (yield from read(unit))

    monkeypatch.setattr(scan, "read", counted)
    pair = Pair.keeping(*[10**6] * 2000)
    pair.add([(series, 1 + i, float((series * 7 + i * 31) % 5000)) for i in range(events) for series in range(2000)])
    readings = 1 if 2000 * events <= 2**11 else 2
    portions, looked = 0, 0

    def between(number: int) -> None:
        nonlocal portions, looked
        portions, looked = number, looked + len(sizes)
        assert sum(max(size, scan.SMALLEST) for size in sizes) <= scan.PORTION
        sizes.clear()
        if number == 30:
            pair.add([(5, 100, 1.0), (900, 100, 2.0)])

    last = Span(pair.model.horizon, None, None, 10**9)
    pair.prune(50_000)
    found = in_portions(pair.view.percentiles(None, last, MEDIAN), between)
    assert found == percentiles_of([value for _, _, value in pair.model.rows(None, None, 50_000, None)], MEDIAN)
    assert portions >= 2000 // (2**11 // 100)
    assert len(sizes) <= 2
    assert 2000 * readings <= looked + len(sizes) <= 2000 * readings + 2


def test_few_values_of_many_series_are_not_read_in_one_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, size, value in ((scan, "PORTION", 2**15), (scan, "SMALLEST", 100), (memory, "SORTED_AT_ONCE", 8192)):
        monkeypatch.setattr(module, size, value)
    looked = 0
    read = units.read

    def counted(unit: Unit) -> Steps[Values]:
        nonlocal looked
        looked += 1
        return read(unit)

    for module in (scan, units):
        monkeypatch.setattr(module, "read", counted)
    pair = Pair.keeping(*[1] * 3000)
    pair.add([(series, 1, float(series)) for series in range(3000)])
    pair.prune(50)
    most = 0

    def between(portions: int) -> None:
        nonlocal most, looked
        most, looked = max(most, looked), 0

    found = in_portions(pair.view.percentiles(None, Span(50, None, None, 2500), MEDIAN), between)
    assert found == percentiles_of([float(series) for series in range(500, 3000)], MEDIAN)
    assert 0 < max(most, looked) <= scan.PORTION // scan.SMALLEST


def test_nothing_has_no_percentiles() -> None:
    assert finished(scan.scan(list, MEDIAN)) == [None, None]
