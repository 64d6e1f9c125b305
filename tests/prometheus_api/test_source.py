"""Reading by a question: at one position, in chunks, until nobody waits any more."""

from __future__ import annotations

import socket
from math import inf

import numpy as np
import pytest

from event_service import EventService
from prometheus import source
from prometheus.answers import Refused
from prometheus.source import Limits, Source
from streaming.polling import is_disconnected
from times import SECOND
from view import asking

from ..conftest import START

LIMITS = Limits.of(inf)


def read(of: Source, names: list[str], after: int = 0, until: int = START) -> dict[str, list[float]]:
    groups = [zip(*group, strict=True) for group in of.groups(names, after, until)]
    assert all((np.diff(found.times) >= 0).all() for group in of.groups(names, after, until) for found in group[1])
    return {name: found.values.tolist() for group in groups for name, found in group}


def test_what_comes_after_the_first_reading_is_left_out(service: EventService) -> None:
    for value in (3.0, 1.0):
        service.add("a", START - int(value) * SECOND, value)
    one = Source(service, None, LIMITS)
    service.add("a", START - 2 * SECOND, 2.0)
    service.add("b", None, 4.0)
    assert read(one, ["a", "b"]) == {"a": [3.0, 1.0], "b": []}
    two = Source(service, None, LIMITS)
    assert read(two, ["a", "b"]) == {"a": [3.0, 2.0, 1.0], "b": [4.0]}
    assert two.position == one.position + 2


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_events_are_read_in_order_of_time_in_any_turns(
    service: EventService, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(asking, "SECONDS", seconds)
    rng = np.random.default_rng(1)
    times = START - rng.integers(0, 40, 5_000) * SECOND  # hundreds of events of one moment
    values = np.arange(5_000.0)
    for begin in range(0, 5_000, 500):
        service.add_many(["a"], None, times[begin : begin + 500], values[begin : begin + 500])
    after, until = START - 30 * SECOND, START - 3 * SECOND
    inside = np.flatnonzero((times > after) & (times <= until))
    expected = values[inside[np.argsort(times[inside], kind="stable")]].tolist()
    assert read(Source(service, None, LIMITS), ["a"], after, until) == {"a": expected}


def test_more_series_than_are_read_together(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "SERIES_AT_A_TIME", 3)
    expected = {f"{number}": [float(number)] for number in range(8)}
    for name, [value] in expected.items():
        service.add(name, None, value)
    assert read(Source(service, None, LIMITS), list(expected)) == expected


def test_a_series_that_has_ended_meanwhile_has_no_events(service: EventService) -> None:
    service.add("a", None, 1.0)
    found = Source(service, None, LIMITS)
    service.end_series("a")
    service.statistics()
    assert read(found, ["a"]) == {"a": []}


def test_only_visible_series_match(service: EventService) -> None:
    for name in ("a", "b", "ab"):
        service.add(name, None, 1.0)
    found = Source(service, lambda name: "a" in name, LIMITS)
    assert found.names(lambda name: "b" in name) == ["ab"]


def test_a_question_ends_when_its_client_has_left(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LOOK_SECONDS", -1.0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = Source(service, None, Limits.of(inf, lambda: is_disconnected(ours)))
        found.check_time()
        theirs.sendall(b"GET / HTTP/1.1\r\n\r\n")
        found.check_time()
        theirs.close()
        with pytest.raises(Refused) as caught:
            found.check_time()
    assert (caught.value.code, caught.value.kind) == (503, "canceled")
