"""Snapshots: whatever is written meanwhile, each says what it said at first, and what nobody holds costs nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import pytest

from rolling.block import EARLIEST, Block
from rolling.epochs import NONE, Epochs
from rolling.percentiles import Percentiles, percent
from rolling.reading import Reading
from rolling.shared_block import SharedBlock
from rolling.span import Span
from rolling.summary import Summary, exact
from rolling.window import RollingWindow
from tests.rolling.model import percentiles_of, summary_of
from tests.rolling.test_all_series import blocks
from tests.rolling.test_view import KEEP_LAST, Held, Pair

pytestmark = pytest.mark.usefixtures("small_blocks")

SINCE = 20
MEDIAN = Percentiles((percent("50"),))
Found = tuple[Summary, list[float | None]]


def some(count: int) -> Pair:
    pair = Pair.keeping(*[0] * count)
    pair.add([(i % count, 15 + i % 50, float(i % 7)) for i in range(20 * count)])
    return pair


def of_each(series: list[int]) -> Callable[[Reading], list[Found]]:
    """Return what each series has later than SINCE."""

    def question(reading: Reading) -> list[Found]:
        found = []
        for number in series:
            figures = reading.figures(number, Span(0, SINCE), ends=False, wanted=MEDIAN)
            found.append((figures.summary, list(figures.percentiles)))
        return found

    return question


def expected(pair: Pair) -> list[Found]:
    """The same as of now, from the model."""
    found: list[Found] = []
    for series in pair.model.series:
        values = [value for _, _, value in pair.model.rows(series, SINCE, 0, None)]
        found.append((summary_of(values), percentiles_of(values, MEDIAN)))
    return found


@pytest.mark.soak(seed=(range(4), range(10)))
def test_all_that_is_found_is_of_the_first_moment(seed: int) -> None:
    generator = random.Random(seed)
    pair = some(20)
    wanted, series, held = expected(pair), list(pair.model.series), pair.hold()

    def happen(number: int) -> None:
        size = generator.choice((1, 100))  # one by one, or in columns
        if number % 5 == 0:
            there = list(pair.model.series)
            pair.add([(generator.choice(there), generator.randrange(10, 90), 0.5) for _ in range(size)])
        if number % 9 == 0:
            pair.prune(pair.view.horizon + 5)
        if number == 3:
            pair.end_series(19)
        if number == 12:
            pair.change_keep(generator.choice((None, 5)), pair.view.horizon, 4, [])

    found, pauses = held.ask_while(happen, of_each(series))
    assert pauses > 12
    assert found == wanted
    held.close()
    pair.view.check()


@pytest.mark.soak(seed=(range(2), range(6)))
def test_several_are_held_across_changes_of_every_kind_and_closed_in_any_order(seed: int) -> None:
    generator = random.Random(seed)
    keeps = (0, None, 50, 1000)
    pair = Pair.keeping(*keeps)
    held = [pair.hold()]
    for number in range(40):
        series, horizon = generator.randrange(4), pair.model.horizon
        match generator.choice(("add", "late", "all", "prune", "keep", "end", "hold", "hold", "close", "close")):
            case "add":
                pair.add([(series, horizon + 10 * number, 1.0)])
            case "late":
                pair.add([(series, horizon + generator.randrange(10 * number + 1), 2.0) for _ in range(30)])
            case "all":
                pair.add([(i % 4, horizon + 10 * number + i, float(i)) for i in range(120)])
            case "prune":
                pair.prune(horizon + 7)
            case "keep":
                pair.change_keep(generator.choice((None, series)), horizon, generator.choice((0, 5, 100)), [])
            case "end":
                pair.end_series(series)
                pair.view.window(series)
                pair.model.register(series, keeps[series])
            case "hold":
                held.append(pair.hold())
            case "close" if held:
                held.pop(generator.randrange(len(held))).close()
        pair.view.check()
        for other in held:
            other.view.check()
    for other in held:
        other.close()
    assert pair.view.epochs.frozen == NONE
    pair.ask_all(pair.model.horizon)


@pytest.mark.parametrize(("own", "changed"), [(5, 0), (None, 0), (None, None)])
def test_what_is_kept_no_more_was_kept(own: int | None, changed: int | None) -> None:
    pair = Pair.keeping(own)
    pair.add([(0, 10 + i, float(i)) for i in range(5)])
    pair.prune(50)
    held = pair.hold()
    for keep in (1, 5):
        pair.change_keep(changed, 50, keep, [])
    assert held.tail(0, None, 0, 5, False).summary.count == (own or KEEP_LAST)
    held.close()
    assert pair.tail(0, None, 0, 5, False).summary.count == 1


def test_who_gives_a_tree_another_last_block_owns_it_at_once() -> None:
    """An event on time comes to the last block without a look at any epoch."""
    pair = Pair.keeping(0, 0)
    pair.add([(0, i, float(i)) for i in range(1, 200)])
    pair.add([(1, i, 1.0) for i in range(200, 300)])
    held = pair.hold()
    pair.end_series(1)
    pair.view.all_series.check_epochs()
    pair.add([(0, 400, 5.0)])
    held.close()


def test_only_what_is_written_to_is_copied() -> None:
    pair = some(20)
    before = {series: list(window.blocks()) for series, window in pair.view.windows.items()}
    everything = blocks(pair.view.all_series)
    held = pair.hold()
    pair.add([(7, 64, 1.0), (8, 15, 1.0)])  # on time, late
    for series, window in pair.view.windows.items():
        kept = set(before[series]) & set(window.blocks())
        assert len(before[series]) - len(kept) == (series == 8)
        assert (held.view.windows[series] is window) == (series not in (7, 8))
    assert len(set(everything) - set(blocks(pair.view.all_series))) == 2
    held.close()


@pytest.mark.parametrize(("size", "copied"), [(3, True), (4, False), (15, False)])
def test_a_last_block_of_many_events_is_not_copied_for_one_on_time(size: int, copied: bool) -> None:
    """Else the memory of all series would be taken twice, if all are written to while a snapshot lives."""
    pair = Pair.keeping(0, 0)
    pair.add([(series, 10 + i, float(i)) for i in range(size) for series in (0, 1)])
    before = {series: list(window.blocks()) for series, window in pair.view.windows.items()}
    held = pair.hold()
    pair.add([(0, 9 + size, 1.0), (0, 10 + size, 2.0)])
    pair.view.check()
    assert (before[0][-1] not in set(pair.view.windows[0].blocks())) == copied
    assert before[1] == list(pair.view.windows[1].blocks())
    held.ask_all(0)
    held.close()
    pair.ask_all(0)


def test_nothing_is_copied_without_one() -> None:
    pair = some(20)
    pair.hold().close()
    windows = dict(pair.view.windows)
    kept = {block for window in windows.values() for block in window.blocks()}
    pair.add([(series, time, 1.0) for series in range(20) for time in (16, 70)])
    assert pair.view.windows == windows
    assert kept <= {block for window in windows.values() for block in window.blocks()}


def test_an_epoch_is_frozen_until_the_last_one_that_needs_it_is_closed() -> None:
    epochs = Epochs()
    first, second = epochs.freeze(), epochs.freeze()
    assert (first, second, epochs.now, epochs.frozen) == (0, 1, 2, 1)
    epochs.thaw(first)
    assert epochs.frozen == second
    third = epochs.freeze()
    epochs.thaw(third)
    assert epochs.frozen == second
    epochs.thaw(second)
    assert epochs.frozen == NONE


def test_the_check_finds_a_last_block_that_is_not_owned() -> None:
    window = RollingWindow(0)
    for position in count(1):
        window.add(position, 1.0, position, exact(1.0))
        if len(window.lowest()) > 2:
            break
    window.check_epochs()
    window.epochs.freeze()
    with pytest.raises(AssertionError):
        window.check_epochs()
    other = window.copy()
    other.check_epochs()
    with pytest.raises(AssertionError):
        window.check_epochs()


def refuse_frozen(patch: pytest.MonkeyPatch, epochs: Epochs) -> None:
    """Have whoever changes a block fail where a snapshot has it too; one of all series may fetch its columns."""

    def refusing(name: str) -> Callable[..., None]:
        change = getattr(Block, name)

        def refuse(block: Block, *given: object) -> None:
            assert block.epoch > epochs.frozen or (name == "store" and isinstance(block, SharedBlock))
            change(block, *given)

        return refuse

    for name in ("append", "extend", "drop", "store"):
        patch.setattr(Block, name, refusing(name))


def test_nobody_changes_a_block_that_a_snapshot_has_too(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(1)
    pair = Pair.keeping(0, None, 50)
    refuse_frozen(monkeypatch, pair.view.epochs)
    held: list[Held] = []
    for number in range(60):
        now = 10 * number
        pair.add([(generator.randrange(3), now + i, float(i)) for i in range(generator.choice((1, 20)))])
        pair.add([(generator.randrange(3), generator.randrange(now + 1), 2.0) for _ in range(generator.choice((1, 9)))])
        match number % 6:
            case 1:
                pair.change_keep(generator.randrange(3), pair.model.horizon, generator.choice((0, 5, 100)), [])
            case 3:
                pair.prune(pair.model.horizon + 15)
            case 5:
                held.append(pair.hold())
        if len(held) > 2:
            held.pop(0).close()
    for one in held:
        one.close()


def test_whoever_changes_what_a_snapshot_has_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    window = RollingWindow(0)
    window.add(1, 1.0, 1, exact(1.0))
    refuse_frozen(monkeypatch, window.epochs)
    window.add(2, 1.0, 2, exact(1.0))
    window.epochs.freeze()
    with pytest.raises(AssertionError):
        window.add(3, 1.0, 3, exact(1.0))
    window.copy().add(3, 1.0, 3, exact(1.0))


def test_a_copy_of_a_block_is_another_one() -> None:
    block = Block(EARLIEST, 0)
    for position, time in enumerate((5, 3, 9), 1):
        block.append(time, float(time), position * 2)
        block.summary.add(float(time), *exact(float(time)))
    other = block.copy(4)
    other.append(1, 1.0, 9)
    other.summary.add(1.0, *exact(1.0))
    for one, values in ((block, [3.0, 5.0, 9.0]), (other, [1.0, 3.0, 5.0, 9.0])):
        one.check()
        assert one.columns()[2].tolist() == values
    assert (block.epoch, other.epoch) == (0, 4)
