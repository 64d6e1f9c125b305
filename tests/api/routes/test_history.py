"""`GET /history` and `GET /history/<series>`."""

from __future__ import annotations

import csv
import io
import random
from itertools import pairwise
from typing import Any

import pytest
from flask.testing import FlaskClient

from rolling.grid import preferred_step
from settings import Settings
from tests.api.problems import assert_names
from tests.api.routes.test_statistics import send
from tests.conftest import FakeClock
from times import HOUR, MINUTE, SECOND, format_duration, format_timestamp, parse_duration, parse_timestamp

EMPTY = {"count": 0, "min": None, "max": None, "mean": None}


def points(client: FlaskClient, query: str = "", series: str = "") -> list[dict[str, Any]]:
    response = client.get(f"/history{series}?{query}")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.get_json()["points"]
    return found


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_point_for_every_step_that_the_window_touches(client: FlaskClient, clock: FakeClock, prefix: str) -> None:
    clock.advance(30 * SECOND)  # 14:30:30
    send(client, 1, 3, at=clock.now - 70 * SECOND)  # 14:29:20
    send(client, 8, at=clock.now)
    send(client, 100, at=clock.now - 91 * SECOND)  # behind the window
    send(client, 5, at=clock.now - 80 * SECOND, series="b")
    response = client.get(f"{prefix}/history/default?window=90s&step=1m")
    assert response.status_code == 200
    assert response.headers["Log-Position"] == "5"
    assert response.get_json() == {
        "step": "1m",
        "points": [
            {"start": "2025-06-26T14:29:00Z", "end": "2025-06-26T14:30:00Z", "count": 2, "min": 1.0, "max": 3.0}
            | {"mean": 2.0},
            {"start": "2025-06-26T14:30:00Z", "end": "2025-06-26T14:31:00Z", "count": 1, "min": 8.0, "max": 8.0}
            | {"mean": 8.0},
        ],
    }
    assert [point["count"] for point in client.get(f"{prefix}/history?window=90s&step=1m").get_json()["points"]] == [
        3,
        1,
    ]


def test_a_step_holds_its_start_but_not_its_end(client: FlaskClient, clock: FakeClock) -> None:
    for micros in (-1, 0, 1):
        send(client, micros, at=clock.now - MINUTE + micros)
    found = points(client, "window=2m&step=1m")
    assert [(point["start"][11:16], point["count"]) for point in found] == [("14:28", 1), ("14:29", 2), ("14:30", 0)]


@pytest.mark.parametrize(
    ("window", "step"),
    [
        ("1s", "1s"), ("119s", "1s"), ("120s", "2s"), ("3m", "2s"), ("10m", "10s"), ("20m", "15s"), ("30m", "30s"),
        ("1h", "1m"), ("59m", "30s"), ("1h30m", "1m"), ("10h", "10m"), ("24h", "15m"), ("30d", "10h"), ("200d", "48h"),
    ],
)  # fmt: skip
def test_without_a_step_it_is_the_shortest_that_makes_few_points(window: str, step: str) -> None:
    end = parse_timestamp("2025-06-26T14:30:00Z")
    assert format_duration(preferred_step(end - parse_duration(window), end)) == step


def test_counts_add_up_to_the_statistics_of_the_same_window(client: FlaskClient, clock: FakeClock) -> None:
    generator = random.Random(1)
    clock.advance(1_234_567)
    for _ in range(40):
        send(
            client,
            *(generator.random() for _ in range(generator.randrange(1, 9))),
            at=clock.now + generator.randrange(-HOUR + 1, MINUTE),
            series=generator.choice("ab"),
        )
    moment = format_timestamp(clock.now - 10 * MINUTE)
    for series in ("", "/a", "/never-seen"):
        for query in ("window=1h", "window=7m", "window=1s", "window=20m&at=" + moment, ""):
            whole = client.get(f"/statistics{series}?include=sum&{query}").get_json()
            for step in ("", "step=1m", "step=17.5s", "step=1h"):
                found = points(client, f"include=sum&{query}&{step}".strip("&"), series)
                assert sum(point["count"] for point in found) == whole["count"]
                assert sum(point["sum"] for point in found) == pytest.approx(whole["sum"])
                starts = [parse_timestamp(point["start"]) for point in found]
                length = parse_timestamp(found[0]["end"]) - starts[0]
                assert all(start % length == 0 for start in starts)
                assert starts == list(range(starts[0], starts[-1] + 1, length))


def test_events_ahead_of_the_clock_have_their_steps(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 1, at=clock.now + 50 * SECOND)
    assert [point["count"] for point in points(client, "window=1m&step=30s")] == [0, 0, 0, 1]
    assert [point["count"] for point in points(client, f"window=1m&step=30s&at={format_timestamp(clock.now)}")] == [
        0
    ] * 3


@pytest.mark.parametrize("ahead", [30, 59.9])
@pytest.mark.parametrize("query", ["window=500ms", "window=1ms", "window=0.000001", "window=1h", ""])
def test_without_a_step_there_are_few_points_however_far_ahead_events_are(
    client: FlaskClient, clock: FakeClock, query: str, ahead: float
) -> None:
    send(client, 1, 2, at=clock.now + int(ahead * SECOND))
    send(client, 3, at=clock.now)
    found = points(client, query)
    assert len(found) <= 120
    assert sum(point["count"] for point in found) == 3


@pytest.mark.parametrize(("window", "step", "steps"), [("500ms", "5ms", 1999), ("1s", "1ms", 1999), ("90s", "1s", 120)])
def test_too_many_steps_ahead_of_the_clock_are_one(
    client: FlaskClient, clock: FakeClock, window: str, step: str, steps: int
) -> None:
    for seconds in range(-5, 31):
        send(client, seconds, at=clock.now + seconds * SECOND)
    found = points(client, f"window={window}&step={step}&include=first,last")
    whole = client.get(f"/statistics?window={window}&include=first,last").get_json()
    length = parse_duration(step)
    bounds = [parse_timestamp(point["start"]) for point in found] + [parse_timestamp(found[-1]["end"])]
    assert [point["end"] for point in found[:-1]] == [point["start"] for point in found[1:]]
    assert {end - start for start, end in pairwise(bounds[:-1])} == {length}
    assert len(found) == steps + 1
    assert bounds[-1] == clock.now + 30 * SECOND + length
    assert bounds[-1] - bounds[-2] == length if steps == 120 else bounds[-1] - bounds[-2] > length
    assert sum(point["count"] for point in found) == whole["count"]
    assert next(point["first"] for point in found if point["count"]) == whole["first"]
    assert found[-1]["last"] == whole["last"]


def test_what_is_included_stands_in_each_point(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 4, 1, 2, at=clock.now)
    [point] = points(client, "window=0.000001&step=1s&include=sum,p99,first,median,last")
    assert list(point) == ["start", "end", "count", "min", "max", "mean", "sum", "p99", "first", "median", "last"]
    assert (point["p99"], point["median"], point["first"]["value"], point["last"]["value"]) == (4.0, 2.0, 4.0, 2.0)
    [point] = points(client, "window=1&step=1h&include=p75&percentiles=linear")
    assert point["p75"] == 3.0
    [point] = points(client, "window=1&step=1h&include=p75,first", "/none")
    assert (point["p75"], point["first"], point["count"]) == (None, None, 0)


def test_csv_for_those_who_ask_for_it(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 4, 1, at=clock.now - SECOND)
    query = "/history?window=2s&step=1s&include=last,median"
    response = client.get(query, headers={"Accept": "text/csv"})
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.headers["Log-Position"] == "2"
    assert "Accept" in response.headers["Vary"]
    assert response.text == (
        "start,end,count,min,max,mean,last_timestamp,last_value,median\r\n"
        "2025-06-26T14:29:58Z,2025-06-26T14:29:59Z,0,,,,,,\r\n"
        "2025-06-26T14:29:59Z,2025-06-26T14:30:00Z,2,1.0,4.0,2.5,2025-06-26T14:29:59Z,1.0,1.0\r\n"
        "2025-06-26T14:30:00Z,2025-06-26T14:30:01Z,0,,,,,,\r\n"
    )
    again = client.get(query, headers={"Accept": "text/csv;charset=UTF-8"})
    assert (again.content_type, again.text) == (response.content_type, response.text)
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["count"] for row in rows] == ["0", "2", "0"]
    for accept in ("application/json", "*/*", "text/html", "text/csv;q=0.1, application/json"):
        assert client.get(query, headers={"Accept": accept}).content_type == "application/json"


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("step=0", "step", "A step is above zero and at most 1h."),
        ("step=2h", "step", "2h is longer than the retention; the longest step is 1h."),
        ("step=1s", "step", "Makes 3601 points, and 2000 are the most"),
        ("step=0.000001s", "step", "2000 are the most"),
        ("window=2h", "window", "the longest window is 1h"),
        ("include=counts", "include", "There is no 'counts'"),
        ("at=now", "at", "Not an ISO-8601"),
        ("window=30m&at=2025-06-26T13:59:59Z", "at", "the earliest is 2025-06-26T14:00:05Z"),
        ("last=5", "last", "Unknown parameter"),
    ],
)
def test_bad_parameters_are_named(client: FlaskClient, query: str, field: str, says: str) -> None:
    for path in ("/history", "/history/a"):
        assert_names(client.get(f"{path}?{query}"), field, says)


def test_two_thousand_points_are_not_too_many(client: FlaskClient, clock: FakeClock) -> None:
    clock.advance(-1)
    assert len(points(client, "window=2000s&step=1s")) == 2000
    clock.advance(1)
    assert_names(client.get("/history?window=2000s&step=1s"), "step", "Makes 2001 points")


class TestLongRetention:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(retention=72 * HOUR)

    def test_a_step_of_a_day_is_a_utc_day(self, client: FlaskClient, clock: FakeClock) -> None:
        send(client, 1, at=clock.now - 15 * HOUR)
        found = points(client, "window=48h&step=1d")
        assert [(point["start"], point["count"]) for point in found] == [
            ("2025-06-24T00:00:00Z", 0),
            ("2025-06-25T00:00:00Z", 1),
            ("2025-06-26T00:00:00Z", 0),
        ]
