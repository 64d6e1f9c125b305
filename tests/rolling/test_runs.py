"""Sorted runs in their own size."""

from __future__ import annotations

import numpy as np
import pytest

from rolling.runs import Run
from rolling.span import Span
from rolling.view import View
from tests.rolling.test_ranks import KINDS, LINEAR, NEAREST
from tests.rolling.test_view import run


@pytest.mark.parametrize("different", [5, 10**6])
def test_a_sample_of_a_run_is_every_so_many_of_its_values(different: int) -> None:
    """With few different values the run holds each once, with the number of those before; else it holds all."""
    generator = np.random.default_rng(different)
    ascending = np.sort(generator.integers(0, different, 1000).astype(float))
    held = Run(ascending)
    assert len(held) == 1000
    assert held.values().tolist() == ascending.tolist()
    for step in (1, 7, 64, 5000):
        assert held.sample(step).tolist() == ascending[::step].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_many_values_in_a_few_questions_of_each_size(kind: str) -> None:
    """Runs of full size, and a new scale where values crowd between two marks."""
    values = np.array(KINDS[kind](90_000))
    times, late = np.arange(len(values)) + 1, np.arange(500) * 40 + 1
    view = View()
    for start in range(0, len(values), 30_000):
        part = slice(start, start + 30_000)
        run(view.add_many(np.zeros(30_000, np.uint32), times[part], values[part], times[part]))
    run(view.add_many(np.zeros(500, np.uint32), late, values[:500], np.arange(500) + 10**6))
    times, values = np.concatenate((times, late)), np.concatenate((values, values[:500]))
    for after in (0, 10, 40_000, 70_000):
        ascending = np.sort(values[times > after]) + 0.0
        for wanted in (NEAREST, LINEAR):
            assert view.percentiles(0, Span(0, after), wanted) == wanted.of(ascending)
