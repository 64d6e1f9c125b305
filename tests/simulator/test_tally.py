from __future__ import annotations

from random import Random
from threading import Thread

import pytest

from simulator.tally import Latencies, Tally


def test_percentiles_are_right_to_a_hundredth() -> None:
    random = Random(5)
    values = [random.lognormvariate(-7, 1) for _ in range(10_000)]
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    ranked = sorted(values)
    for percent in (1, 50, 90, 99, 99.9, 100):
        assert latencies.percentile(percent) == pytest.approx(ranked[round(percent * 100) - 1], rel=0.011)
    assert latencies.max == ranked[-1]


def test_no_latency_is_zero() -> None:
    assert Latencies().percentile(50) == 0.0


def test_an_immeasurably_short_latency_counts() -> None:
    latencies = Latencies()
    latencies.add(0.0)
    assert latencies.percentile(50) == 0.0


def test_a_tally_adds_up() -> None:
    tally = Tally()
    tally.answered(201, 0.001, 10)
    tally.answered(503, 0.5, 0)
    tally.error("status 503", "The log is full.")
    tally.error("status 503", "Another example.")
    tally.error("timeout")
    totals = tally.totals()
    assert tally.counts() == (10, 3)
    assert (totals.events, totals.requests) == (10, 2)
    assert totals.statuses == {201: 1, 503: 1}
    assert totals.errors == {"status 503": 2, "timeout": 1}
    assert totals.examples["status 503"] == "The log is full."
    assert totals.latencies == {
        "p50": pytest.approx(0.001, rel=0.01),
        "p90": pytest.approx(0.5, rel=0.01),
        "p99": pytest.approx(0.5, rel=0.01),
        "max": 0.5,
    }


def test_threads_lose_no_count() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(2000):
            tally.answered(201, 0.001, 2)
            tally.error("timeout")

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.counts() == (16_000, 8_000)
