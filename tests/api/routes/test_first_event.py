"""The first event without friction: no timestamp, a number for one, a time that has expired unnoticed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.reading.epoch import epoch_time, epoch_times
from event_log.log import Log
from event_service import EventService
from tests.conftest import START, FakeClock
from times import HOUR

MOMENT = START - 1_000_001
"""Microseconds."""
CSV = "text/csv"
NDJSON_NAMES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")


def times(service: EventService) -> list[int]:
    found = service.events("default", 1000)
    return [] if found is None else found[0].tolist()


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/event", "application/json", '{"value": 1}'),
        ("/events", "application/json", '[{"value": 1}]'),
        ("/events", "application/json", '[{"value": 1, "series": "default"}]'),
        *(("/events", kind, '{"value": 1}\n') for kind in NDJSON_NAMES),
        ("/events", CSV, "value\n1\n"),
        ("/events", CSV, "series,value\ndefault,1\n"),
        ("/events", CSV, 'value\n"1"\n'),
    ],
)
def test_a_missing_timestamp_is_stamped_on_arrival(
    client: FlaskClient, service: EventService, path: str, kind: str, body: str
) -> None:
    response = client.post(path, data=body, content_type=kind)
    assert (response.status_code, response.get_json()) == (201, {"stored": 1, "expired": 0})
    assert times(service) == [START]


def test_some_of_a_batch_are_stamped_where_others_are_not(client: FlaskClient, service: EventService) -> None:
    items = [{"value": 1}, {"value": 2, "timestamp": MOMENT}, {"value": 3, "timestamp": START / 1e6}]
    assert client.post("/events", json=items).get_json() == {"stored": 3, "expired": 0}
    assert times(service) == [MOMENT, START, START]
    ahead = client.post("/events", json=[*items, {"value": 4, "timestamp": START + 60_000_001}])
    assert list(ahead.get_json()["errors"]) == ["3"]


@pytest.mark.parametrize("number", [f"{MOMENT / 1e6:.6f}", str(MOMENT), str(MOMENT * 1000), f"{MOMENT}e-3"])
def test_a_number_is_a_timestamp_in_every_format(client: FlaskClient, service: EventService, number: str) -> None:
    item = f'{{"timestamp": {number}, "value": 1}}'
    sent = [
        ("/event", "application/json", item),
        ("/events", "application/json", f"[{item}]"),
        ("/events", "application/json", f'{{"timestamps": [{number}], "values": [1]}}'),
        ("/events", "application/x-ndjson", item),
        ("/events", CSV, f"timestamp,value\n{number},1"),
        ("/events", CSV, f'timestamp,value\n"{number}",1'),
    ]
    for path, kind, body in sent:
        assert client.post(path, data=body, content_type=kind).status_code == 201, body
    assert times(service) == [MOMENT] * len(sent)
    answer = client.get(f"/statistics?window=1s&at={number}")
    assert answer.get_json()["count"] == len(sent)


@pytest.mark.parametrize(
    ("stamp", "shown", "is_zoneless"),
    [
        ("2025-06-26T10:30:00", "2025-06-26T10:30:00Z", True),
        ("2025-06-26T10:30:00-01:00", "2025-06-26T11:30:00Z", False),
        ("2025-06-26T10:30:00.5Z", "2025-06-26T10:30:00.500Z", False),
        (0, "1970-01-01T00:00:00Z", False),
        (-1.5, "1969-12-31T23:59:58.500Z", False),
    ],
)
def test_what_has_expired_is_explained(client: FlaskClient, stamp: Any, shown: str, is_zoneless: bool) -> None:
    headers = {"Idempotency-Key": "k"}
    event = {"timestamp": stamp, "value": 1}
    first = client.post("/event", json=event, headers=headers)
    assert (first.status_code, first.get_json()["expired"]) == (200, 1)
    assert f"is of {shown}, " in first.get_json()["detail"]
    assert "(1h)" in first.get_json()["detail"]
    assert ("read as UTC" in first.get_json()["detail"]) == is_zoneless
    again = client.post("/event", json=event, headers=headers)
    assert (again.headers["Idempotent-Replayed"], again.data) == ("true", first.data)
    batch = client.post("/events", json=[{"value": 1}, event]).get_json()
    assert (batch["stored"], batch["detail"]) == (1, first.get_json()["detail"])


EDGES = [10**11, 10**14, 10**17]
NUMBERS: list[float] = [
    *(sign * (edge + more) for edge in EDGES for more in (-1, 0, 1, 499, 500, 501, 1500) for sign in (1, -1)),
    *(edge * 1.0 for edge in EDGES),
    *(1750948200.25, 1750948200.1234567, -1750948200.1234567, 1750948200123.4567, 1750948200123456.5, 0, -0.0, 5e-324),
    *(20000.0000005, 0.0000005, 2**63 - 1, -(2**63), -(2.0**63), 1750948200123456789),
]


def nearest(number: float) -> int:
    size = abs(number)
    scale = next((scale for edge, scale in zip(EDGES, (10**6, 1000, 1), strict=True) if size < edge), Fraction(1, 1000))
    return round(Fraction(number) * scale)


def test_numbers_come_to_the_nearest_microsecond_of_their_unit() -> None:
    numbers = [number for number in NUMBERS if nearest(number) > -6e16]
    assert [epoch_time(number) for number in numbers] == [nearest(number) for number in numbers]
    whole = [number for number in numbers if type(number) is int]
    doubles = [float(number) for number in numbers if 20_000 <= abs(number) < 2**62]
    for column in (numbers, whole, doubles):
        assert epoch_times(column).tolist() == [nearest(number) for number in column]
    generator = np.random.default_rng(1)
    some = (generator.uniform(-1, 1, 5000) * 10.0 ** generator.uniform(5, 18, 5000)).tolist()
    some = [number for number in some if nearest(number) > -6e16]
    assert epoch_times(some).tolist() == [nearest(number) for number in some]


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        *((-1e11 + 1, "seconds"), (-(10**14) + 1, "milliseconds"), (-9.3e18, "nanoseconds"), (1e300, "nano")),
        (2**63, "nanoseconds"),
    ],
)
def test_numbers_beyond_all_years_say_their_unit(client: FlaskClient, number: float, unit: str) -> None:
    problem = client.post("/event", json={"timestamp": number, "value": 1})
    assert problem.status_code == 400
    assert f"read as {unit}" in problem.get_json()["errors"]["timestamp"][0]
    for column in ([number], [number, number]):
        assert client.post("/events", json={"timestamps": column, "values": [1.0] * len(column)}).status_code == 400


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_time_whose_zone_leads_out_of_all_years_is_refused(client: FlaskClient, stamp: str) -> None:
    """It has no form in UTC in which an answer could name it."""
    assert client.post("/event", json={"timestamp": stamp, "value": 1}).status_code == 400
    columns = {"timestamps": [stamp] * 9, "values": [1] * 9}
    assert set(client.post("/events", json=columns).get_json()["errors"]) == set("012345678")
    assert "years 1 to 9999" in client.get("/statistics", query_string={"at": stamp}).get_json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/write", 404, "/dialects/influx"),
        ("/api/v2/write?org=a&bucket=b", 404, "/dialects/influx"),
        ("/api/v1/write", 404, "remote write"),
        ("/v1/metrics", 405, "OTLP"),
        ("/api/put", 404, "OpenTSDB"),
    ],
)
def test_clients_of_other_databases_are_told_what_to_use(
    client: FlaskClient, path: str, status: int, said: str
) -> None:
    answer = client.post(path, data="cpu value=1")
    assert answer.status_code == status
    assert said in answer.get_json()["detail"]
    assert "/event" in answer.get_json()["detail"]
    assert "/events" not in client.put(path).get_json()["detail"]


def test_names_of_other_systems_are_told_ours(client: FlaskClient) -> None:
    assert "called mean here" in client.get("/statistics?include=avg").get_json()["detail"]
    assert "called stddev here" in client.get("/series?sort=-std").get_json()["detail"]
    assert list(client.get("/statistics?include=count,mean,sum").get_json()) == ["count", "min", "max", "mean", "sum"]


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("/event", {"value": 1}, 1),
        ("/events", {"values": [1, 2]}, 2),
        ("/events", [{"value": 1}, {"value": 2}], 2),
        ("/events", [{"value": 1}, {"value": 2, "series": "b"}], 2),
    ],
)
def test_what_is_stamped_by_a_clock_that_is_behind_may_have_expired(
    client: FlaskClient,
    service: EventService,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: object,
    count: int,
) -> None:
    """Another process has raised the horizon, which this one has yet to hear of."""
    assert service.add("a", None, 1.0).stored == 1
    behind = clock.now
    clock.advance(3 * HOUR)
    other = Log(service.store)
    other.catch_up()
    assert other.raise_horizon(clock.now)
    monkeypatch.setattr(service, "clock", lambda: behind)
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.get_json()["expired"]) == (200, count)
    assert "clock is behind" in answer.get_json()["detail"]
