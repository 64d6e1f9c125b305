from __future__ import annotations

import random

import pytest

from rolling import suffixes
from rolling.block import EARLIEST, Block
from rolling.suffixes import MOST_BLOCKS, MOST_SEEN, Suffixes
from tests.rolling.model import assert_tail
from tests.rolling.test_block import append, extend
from tests.rolling.test_view import Pair

VALUES = (
    [float(number % 13 - 6) for number in range(40)],
    [1e300, -1e300, 1.5, 5e-324, 0.1] * 8,  # too wide to be cut into limbs
    [-0.0, 0.0, 1e-310, 3e-310] * 10,
    [123.456, -98.7654321, 1e6 / 3] * 13,
)


def block_of(values: list[float]) -> Block:
    block = Block(EARLIEST, 0)
    extend(block, [(10 * (number // 2), number, value) for number, value in enumerate(values)])
    return block


def opened(block: Block) -> Block:
    return block


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Block]:
    """The blocks whose sums were worked out."""
    made: list[Block] = []
    original = suffixes.SuffixSums

    def make(block: Block) -> suffixes.SuffixSums:
        made.append(block)
        return original(block)

    monkeypatch.setattr(suffixes, "SuffixSums", make)
    return made


@pytest.mark.parametrize("values", VALUES)
def test_every_tail_is_the_exact_one(values: list[float]) -> None:
    block, tails = block_of(values), Suffixes()
    for _ in range(3):
        for count in range(1, len(values) + 1):
            assert tails.tail(block, count) == block.tail(count)
        for time in range(-5, 10 * len(values), 5):
            count = block.count_after(time)
            assert not count or tails.tail(block, count) == block.tail(count)


def test_sums_are_worked_out_at_the_second_cut_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, block, tails = counted(monkeypatch), block_of(VALUES[1]), Suffixes()
    for expected in ([], [block], [block], [block]):
        tails.tail(block, block.count_after(35))
        assert made == expected


def test_a_block_that_has_changed_is_worked_out_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made, block, tails = counted(monkeypatch), block_of(VALUES[0]), Suffixes()
    for _ in range(2):
        tails.tail(block, 7)
    append(block, (25, 1000, 9.5))
    for _ in range(3):
        assert tails.tail(block, 30) == block.tail(30)
        assert tails.tail(block, block.count_after(20)).count == block.count_after(20)
    assert made == [block, block]


def test_the_block_that_was_cut_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    made, tails = counted(monkeypatch), Suffixes()
    blocks = [block_of(VALUES[3]) for _ in range(MOST_BLOCKS + 1)]
    for block in blocks:
        tails.tail(block, 5)
        tails.tail(block, 5)
    tails.tail(blocks[-1], 5)
    assert made == blocks
    tails.tail(blocks[0], 5)
    tails.tail(blocks[0], 5)
    assert made == [*blocks, blocks[0]]
    tails.check(dict.fromkeys(blocks, opened))


def test_windows_at_random_have_no_sums_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made, tails = counted(monkeypatch), Suffixes()
    blocks = [block_of(VALUES[3]) for _ in range(MOST_SEEN + 1)]
    for _ in range(3):
        for block in blocks:
            assert tails.tail(block, 5) == block.tail(5)
    assert not made
    tails.check(dict.fromkeys(blocks, opened))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.soak(seed=(range(2), range(5)))
def test_windows_that_move_over_late_events_and_the_horizon(seed: int) -> None:
    generator = random.Random(seed)
    pair = Pair.keeping(0, 40, None)
    for now in range(100, 400, 3):
        late = generator.choice((0, 0, 0, 60))
        pair.add([(generator.randrange(3), now - late, generator.uniform(-5, 5)) for _ in range(3)])
        if now % 10 == 0:
            pair.prune(now - 90)
        for series in (None, 0, 1):
            for after, last in ((now - 50, None), (now - 50, None), (None, 20), (None, 20)):
                rows = pair.model.rows(series, after, now - 80, last)
                assert_tail(pair.tail(series, after, now - 80, last, True), rows)
    pair.view.check()
