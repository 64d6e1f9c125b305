from __future__ import annotations

import subprocess
import sys
from typing import Any

from serving.garbage import MIDDLE_TO_A_FULL, SPARE, Survivors
from tests.servers import CHECKOUT


class FakeCollector:
    """Objects are counted only: those that a collection looks at, and those set aside."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []
        self.seen = 0
        self.aside = 0
        self.thresholds = (700, 10, 10)

    def collect(self, generation: int = 2) -> int:
        """A collection, as Python makes them; how many objects it had to look at."""
        for callback in self.callbacks:
            callback("start", {"generation": generation})
        looked_at = self.seen
        for callback in self.callbacks:
            callback("stop", {"generation": generation})
        return looked_at

    def freeze(self) -> None:
        self.seen, self.aside = 0, self.aside + self.seen

    def unfreeze(self) -> None:
        self.seen, self.aside = self.seen + self.aside, 0

    def get_threshold(self) -> tuple[int, int, int]:
        return self.thresholds

    def set_threshold(self, *thresholds: int) -> None:
        self.thresholds = thresholds  # type: ignore[assignment]

    def blocks(self) -> int:
        """Return how many there are in all; each object takes one."""
        return self.seen + self.aside


def test_a_collection_looks_at_what_is_new() -> None:
    collector = FakeCollector()
    collector.seen = 200_000
    Survivors(collector, collector.blocks).begin()
    for new in (50_000, 70_000, 0, 90_000):
        collector.seen += new
        assert collector.collect() == new


def test_younger_generations_are_left_alone() -> None:
    collector = FakeCollector()
    Survivors(collector, collector.blocks).begin()
    collector.seen = 500
    assert (collector.collect(0), collector.collect(1), collector.collect()) == (500, 500, 500)


def test_full_collections_come_sooner() -> None:
    collector = FakeCollector()
    Survivors(collector, collector.blocks).begin()
    assert collector.thresholds == (700, 10, MIDDLE_TO_A_FULL)


def test_all_is_looked_at_again_when_there_is_twice_as_much() -> None:
    collector = FakeCollector()
    collector.seen = 200_000
    Survivors(collector, collector.blocks).begin()
    looked_at = []
    for _ in range(250):
        collector.seen += 50_000
        looked_at.append(collector.collect())
    # Once there are more than 3,400,000, the next time.
    assert [amount for amount in looked_at if amount > 50_000] == [3_500_000, 10_100_000]
    assert 2 * 200_000 + SPARE == 3_400_000


def test_garbage_that_was_set_aside_goes_in_the_end() -> None:
    script = """
import gc, sys
from serving import garbage
class Node: pass
garbage.SPARE = 1000
garbage.Survivors().begin()
most, started = 0, sys.getallocatedblocks()
for _ in range(400):
    nodes = [Node() for _ in range(1000)]
    for node in nodes:
        node.itself = node
    gc.collect()  # which sets them aside
    most = max(most, sys.getallocatedblocks())
    del nodes, node
print(started, most)
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    started, most = map(int, run.stdout.split())
    assert most <= 2 * started + 20_000 < 400_000


def test_the_end_leaves_the_collector_as_it_was() -> None:
    script = """
import gc
from serving import garbage
before = list(gc.callbacks)
garbage.Survivors().begin()
assert gc.callbacks != before and gc.get_freeze_count()
garbage.Survivors.end()
print(gc.callbacks == before, gc.get_freeze_count())
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert run.stdout == "True 0\n"
