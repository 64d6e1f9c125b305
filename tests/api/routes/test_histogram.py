"""`GET /histogram` and `GET /histogram/<series>`."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.api.problems import assert_names
from tests.api.routes.test_statistics import send
from tests.conftest import FakeClock
from times import MINUTE, format_timestamp


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_values_are_counted_from_each_bound_up_to_the_next(client: FlaskClient, clock: FakeClock, prefix: str) -> None:
    send(client, 0.5, 1, 1.5, 2, 5, 7, at=clock.now)
    send(client, 3, at=clock.now, series="b")
    response = client.get(f"{prefix}/histogram/default?bounds=1,2,5")
    assert response.status_code == 200
    assert response.headers["Log-Position"] == "7"
    assert response.text == '{"bounds":[1.0,2.0,5.0],"counts":[1,2,1,2]}\n'
    assert client.get(f"{prefix}/histogram?bounds=1,2,5").get_json()["counts"] == [1, 2, 2, 2]
    assert client.get(f"{prefix}/histogram/default?bounds=-1e3").get_json() == {"bounds": [-1000.0], "counts": [0, 6]}
    head = client.head(f"{prefix}/histogram?bounds=1,2,5")
    assert (head.status_code, head.data) == (200, b"")


def test_bins_are_of_the_same_width(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 0, 1, 2, 10, at=clock.now)
    assert client.get("/histogram?bins=4").get_json() == {"bounds": [2.5, 5.0, 7.5], "counts": [3, 0, 0, 1]}
    assert client.get("/histogram?bins=1").get_json() == {"bounds": [], "counts": [4]}
    assert len(client.get("/histogram").get_json()["counts"]) == 20


def test_it_is_of_the_events_asked_for(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 1, at=clock.now - 5 * MINUTE)
    send(client, 2, at=clock.now - 2 * MINUTE)
    send(client, 3, 4, at=clock.now)
    earlier = format_timestamp(clock.now - MINUTE)
    for query in ("window=3m", "last=1", "window=3m&last=9", f"at={earlier}&window=2m", f"at={earlier}&last=1", ""):
        for path in ("", "/default"):
            histogram, statistics = (client.get(f"/{name}{path}?{query}") for name in ("histogram", "statistics"))
            assert histogram.status_code == statistics.status_code == 200, query
            assert sum(histogram.get_json()["counts"]) == statistics.get_json()["count"], query
    assert client.get("/histogram?bounds=2,3&window=3m").get_json()["counts"] == [0, 1, 2]


@pytest.mark.parametrize("query", ["", "bounds=1,2", "bins=7"])
def test_an_empty_window_has_no_bounds(client: FlaskClient, query: str) -> None:
    for path in ("/histogram", "/histogram/never"):
        assert client.get(f"{path}?{query}").get_json() == {"bounds": [], "counts": [0]}


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("bounds=1&bins=2", "bins", "Does not go with `bounds`"),
        ("bounds=", "bounds", "Must be finite numbers"),
        ("bounds=1,,2", "bounds", "Must be finite numbers"),
        ("bounds=1,x", "bounds", "not 'x'"),
        ("bounds=1e400", "bounds", "Must be finite numbers"),
        ("bounds=1,NaN", "bounds", "Must be finite numbers"),
        ("bounds=2,1", "bounds", "Must rise"),
        ("bounds=1,1", "bounds", "Must rise"),
        ("bounds=0,-0.0", "bounds", "Must rise"),
        (f"bounds={','.join(map(str, range(1001)))}", "bounds", "Has 1001 numbers"),
        ("bins=0", "bins", "from 1 to 1000"),
        ("bins=1001", "bins", "from 1 to 1000"),
        ("window=2h", "window", "longer than the retention"),
        ("at=2025-06-26T10:00:00Z", "at", "reaches behind the retention"),
        ("step=1m", "step", ""),
    ],
)
def test_what_is_wrong_is_named(client: FlaskClient, query: str, name: str, message: str) -> None:
    assert_names(client.get(f"/histogram?{query}"), name, message)


def test_a_thousand_bounds_are_taken(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 0.5, 999, at=clock.now)
    counts = client.get(f"/histogram?bounds={','.join(map(str, range(1000)))}").get_json()["counts"]
    assert [i for i, count in enumerate(counts) if count] == [1, 1000]
