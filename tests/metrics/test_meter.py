"""Counters of requests and events."""

from __future__ import annotations

import pytest

from metrics.meter import BUCKETS_SECONDS, OTHER, REASONS, Meter, Totals
from metrics.table import Table

MS = 1_000_000


@pytest.fixture
def meter() -> Meter:
    return Meter(Table())


def test_requests_by_route_method_and_status(meter: Meter) -> None:
    for status in (200, 200, 404):
        meter.request("/a b/<c>", "GET", status, MS)
    meter.request("/ws", "GET", 101, None)
    assert sorted(Totals(meter.table).requests()) == [
        ("/a b/<c>", "GET", "200", 2),
        ("/a b/<c>", "GET", "404", 1),
        ("/ws", "GET", "101", 1),
    ]


def test_a_time_at_a_bound_belongs_to_it(meter: Meter) -> None:
    for nanoseconds in (0, MS // 2, MS // 2 + 1, MS, 2500 * MS, 2500 * MS + 1, 10**13):
        meter.request("/", "GET", 200, nanoseconds)
    [(route, method, buckets, seconds)] = Totals(meter.table).seconds()
    assert (route, method) == ("/", "GET")
    assert [bound for bound, _ in buckets] == [*map(str, BUCKETS_SECONDS), "+Inf"]
    assert [count for _, count in buckets] == [2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 7]
    assert seconds == pytest.approx(10_005.0020, abs=1e-3)


def test_methods_that_clients_make_up_are_one(meter: Meter) -> None:
    for number in range(20_000):
        meter.request("/", f"M{number}", 405, MS)
    assert list(Totals(meter.table).requests()) == [("/", OTHER, "405", 20_000)]
    assert not meter._requests


def test_events(meter: Meter) -> None:
    meter.accepted(3, 1)
    meter.accepted(1, 0)
    meter.refused("limit", 7)
    totals = Totals(meter.table)
    assert (totals.events("stored"), totals.events("expired")) == (4, 1)
    assert totals.refused() == dict.fromkeys(REASONS.values(), 0) | {"limit": 7}
