"""Every worker gives the same exact answer, however gunicorn runs them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.e2e.model import EVERYTHING, Event, history, position, statistics
from tests.servers import Server, until
from times import MINUTE, SECOND, format_timestamp, wall_clock

SERIES = ("AAPL", "BTC/USD", "température")
QUESTIONS = (
    "/statistics?include=" + EVERYTHING,
    "/statistics/AAPL?include=" + EVERYTHING,
    "/statistics/température?window=30m&include=" + EVERYTHING,
    "/statistics/BTC%2FUSD?last=7&include=" + EVERYTHING,
    "/statistics?last=50&include=" + EVERYTHING,
    "/series/AAPL/events?limit=1000",
)
WAYS = {
    "defaults": ["-w", "2"],
    "gthread": ["-w", "2", "-k", "gthread", "--threads", "4"],
    "gevent": ["-w", "2", "-k", "gevent", "--preload"],
}


def some_events(seed: int) -> list[Event]:
    """Events that make inexact sums differ: all magnitudes, any order, many at one time. None leaves the window of an
    hour or of half an hour for ten minutes to come."""
    rng = random.Random(seed)
    now = wall_clock()
    times = [now - minutes * MINUTE - rng.randrange(10 * MINUTE) for minutes in (0, 10, 35, 40) for _ in range(10)]
    values = [rng.choice([-1, 1]) * rng.random() * 10 ** rng.randrange(-12, 17) for _ in range(300)]
    return [(rng.choice(SERIES), rng.choice(times), value) for value in values]


def as_json(event: Event) -> dict[str, Any]:
    return {"series": event[0], "timestamp": format_timestamp(event[1]), "value": event[2]}


def post_all(server: Server, events: list[Event]) -> int:
    """Send some one by one and the rest in batches, over many connections; the last position."""
    last = 0
    for event in events[:60]:
        answer = server.post("/event", as_json(event))
        assert answer.status_code == 201, answer.text
        last = position(answer)
    for start in range(60, len(events), 40):
        answer = server.post("/events", [as_json(event) for event in events[start : start + 40]])
        assert answer.status_code == 201, answer.text
        last = position(answer)
    return last


def expected(events: list[Event]) -> list[Any]:
    """Return what the questions must be answered with."""
    ordered = sorted(events, key=lambda event: event[1])
    of = {series: [event for event in events if event[0] == series] for series in SERIES}
    recent = [event for event in of["température"] if event[1] > wall_clock() - 30 * MINUTE]
    return [
        statistics(events),
        statistics(of["AAPL"]),
        statistics(recent),
        statistics([event for event in ordered if event[0] == "BTC/USD"][-7:]),
        statistics(ordered[-50:]),
        {"series": "AAPL", "events": history(events, "AAPL")},
    ]


def ask(server: Server) -> list[Any]:
    return [server.get(question).json() for question in QUESTIONS]


@pytest.mark.parametrize("way", WAYS)
def test_all_workers_give_the_same_exact_answers(way: str) -> None:
    events = some_events(1)
    with Server(WAYS[way]) as server:
        count = int(WAYS[way][1])
        server.wait_for_workers(count)
        assert post_all(server, events) == len(events)
        answers = server.ask_each_worker(lambda: ask(server))
        assert answers == [expected(events)] * count
        read_your_writes(server)
        assert_ends_in_peace(server)


def assert_ends_in_peace(server: Server) -> None:
    assert server.stop() == 0
    assert server.workers() == []
    assert "Traceback" not in server.output()


@pytest.fixture(scope="module")
def two() -> Iterator[Server]:
    with Server(["-w", "2"]) as server:
        server.wait_for_workers(2)
        yield server


def test_all_workers_give_the_same_percentiles_histories_and_rankings(two: Server) -> None:
    events = some_events(3)
    moment = format_timestamp(wall_clock() - 5 * MINUTE)
    values = {series: sorted(value for name, _, value in events if name == series) for series in SERIES}
    values[""] = sorted(value for _, _, value in events)
    questions = (
        "/statistics?include=median,p99.9",
        "/statistics/AAPL?include=median,p99.9&last=1000",
        f"/statistics?window=20m&at={moment}&include=p10",
        f"/history?window=20m&at={moment}&step=2m&include=sum,p90,last",
        f"/history/AAPL?window=20m&at={moment}&include=first&percentiles=linear",
        "/series?include=p99&sort=-median&last=1000",
        f"/histogram/AAPL?window=20m&at={moment}&bins=30",
        "/histogram?bounds=-1e9,0,50,1e9",
        "/settings",
    )
    assert post_all(two, events) == len(events)
    answers = two.ask_each_worker(lambda: [two.get(question).json() for question in questions])
    assert answers == [answers[0]] * 2
    everything, one, before, history, _, ranking, _, histogram, _ = answers[0]
    for found, name in ((everything, ""), (one, "AAPL")):
        count = len(values[name])
        assert (found["median"], found["p99.9"]) == (values[name][(count + 1) // 2 - 1], values[name][-1])
    assert sum(point["count"] for point in history["points"]) == before["count"] > 0
    assert sum(histogram["counts"]) == everything["count"]
    medians = {series: values[series][(len(values[series]) + 1) // 2 - 1] for series in SERIES}
    order = sorted(SERIES, key=lambda series: -medians[series])
    assert [entry["series"] for entry in ranking["series"]] == order


def with_key(server: Server, values: list[int], key: str) -> requests.Response:
    body = {"series": "keyed", "values": values}
    return server.post("/events", body, headers={"Idempotency-Key": key})


def told(answer: requests.Response) -> tuple[int, bytes, str]:
    return answer.status_code, answer.content, answer.headers["Log-Position"]


def is_replay(answer: requests.Response) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def test_every_worker_gives_the_answer_of_the_first_under_a_key(two: Server) -> None:
    """Whatever is killed meanwhile: tests/history."""
    first = with_key(two, [1, 2], "each")
    assert (first.status_code, is_replay(first)) == (201, False)
    again = two.ask_each_worker(lambda: with_key(two, [1, 2], "each"))
    assert [told(answer) for answer in again] == [told(first)] * 2
    assert all(map(is_replay, again))
    others = two.ask_each_worker(lambda: with_key(two, [3], "each").status_code)
    assert others == [422] * 2
    assert two.get("/statistics/keyed").json()["count"] == 2


def test_of_many_at_once_under_a_key_exactly_one_stores(two: Server) -> None:
    before = two.get("/statistics").json()["count"]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: with_key(two, [number % 6] * 3, f"at-once-{number % 6}"), range(120)))
    assert sum(not is_replay(answer) for answer in answers) == 6
    assert len({told(answer) for answer in answers}) == 6
    assert two.get("/statistics").json()["count"] == before + 18


def read_your_writes(server: Server) -> None:
    """Every GET begun after a 201 sees that event."""
    for number in range(1, 31):
        written = server.post("/event", {"series": "counter", **now(), "value": 1.0})
        read = server.get("/statistics/counter")
        assert position(read) >= position(written)
        assert read.json()["count"] == number


def now() -> dict[str, str]:
    return {"timestamp": format_timestamp(wall_clock() - SECOND)}


def test_workers_that_are_replaced_all_the_time_agree() -> None:
    events = some_events(2)
    with Server(["-w", "2", "--max-requests", "30", "--max-requests-jitter", "10"]) as server:
        before = set(server.wait_for_workers(2))
        assert post_all(server, events) == len(events)
        question = QUESTIONS[0]
        answers = [server.get(question).json() for _ in range(60)]
        assert answers == [statistics(events)] * 60
        until(lambda: before - set(server.workers()), "a worker to have been replaced")
        assert server.get(question).json() == statistics(events)
        read_your_writes(server)
        assert_ends_in_peace(server)
