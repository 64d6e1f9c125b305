"""`POST /events` in its five forms."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_service import EventService
from settings import Settings
from tests.api.problems import assert_names, assert_problem
from tests.conftest import START, FakeClock
from times import SECOND, format_timestamp

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
T0 = "2025-06-26T14:29:58Z"
T1 = "2025-06-26T14:29:59.5Z"
OLD = "2025-06-26T13:29:59Z"
BC = "b/c"
EXPIRED = f"The oldest event is of {OLD}, and what is older than the retention (1h) is not stored."
AHEAD = "2025-06-26T14:31:00.5Z"


def post(client: FlaskClient, body: Any, content_type: str = JSON) -> TestResponse:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post("/events", data=data, content_type=content_type)


def stored(service: EventService, series: str = "default") -> list[tuple[int, float]]:
    found = service.events(series, 1000)
    return [] if found is None else list(zip(found[0].tolist(), found[1].tolist(), strict=True))


def item(timestamp: Any = T0, value: Any = 1, **more: Any) -> dict[str, Any]:
    return {"timestamp": timestamp, "value": value, **more}


BOTH = [(START - 2 * SECOND, 1.0), (START - SECOND // 2, 2.5)]


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, json.dumps([item(T0, 1), item(T1, 2.5)])),
        (JSON, json.dumps([item(T0, 1), item(T1, 2.5, series="default")])),
        (JSON, json.dumps({"timestamps": [T0, T1], "values": [1, 2.5]})),
        (JSON, json.dumps({"series": "default", "timestamps": [T0, T1], "values": [1, 2.5]})),
        (NDJSON, f'{{"timestamp": "{T0}", "value": 1}}\n{{"value": 2.5, "timestamp": "{T1}"}}'),
        (NDJSON, f'\n{{"timestamp": "{T0}", "value": 1}}\r\n\r\n{{"timestamp": "{T1}", "value": 2.5}}\n'),
        (CSV, f"timestamp,value\n{T0},1\n{T1},2.5"),
        (CSV, f"\ufeffvalue,timestamp\r\n1,{T0}\r\n\r\n25e-1,{T1}\r\n"),
        (CSV, f'timestamp,value,series\n{T0},"1",default\n"{T1}",2.5,"default"\n'),
    ],
)
def test_each_form_stores_the_same(
    client: FlaskClient, service: EventService, prefix: str, content_type: str, body: str
) -> None:
    response = client.post(f"{prefix}/events", data=body.encode(), content_type=content_type)
    assert (response.status_code, response.json) == (201, {"stored": 2, "expired": 0})
    assert response.headers["Log-Position"] == "2"
    assert stored(service) == BOTH


def test_columns_without_timestamps_are_stamped_on_arrival(client: FlaskClient, service: EventService) -> None:
    assert post(client, {"series": "AAPL", "values": [3, -0.0, 1e-300]}).json == {"stored": 3, "expired": 0}
    assert stored(service, "AAPL") == [(START, 3.0), (START, 0.0), (START, 1e-300)]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (
            JSON,
            json.dumps([item(T0, 1, series=BC), item(T0, 2, series="a"), item(T1, 3, series=BC), item(T1, 4)]),
        ),
        (
            NDJSON,
            "\n".join(
                json.dumps(event)
                for event in [
                    item(T0, 1, series=BC),
                    item(T0, 2, series="a"),
                    item(T1, 3, series=BC),
                    item(T1, 4, series="default"),
                ]
            ),
        ),
        (CSV, f"series,timestamp,value\nb/c,{T0},1\na,{T0},2\nb/c,{T1},3\ndefault,{T1},4"),
    ],
)
def test_a_batch_may_hold_many_series(client: FlaskClient, service: EventService, content_type: str, body: str) -> None:
    assert post(client, body, content_type).json == {"stored": 4, "expired": 0}
    values = {name: [value for _, value in stored(service, name)] for name in ("b/c", "a", "default")}
    assert values == {"b/c": [1.0, 3.0], "a": [2.0], "default": [4.0]}


def test_a_row_without_a_series_belongs_to_default(client: FlaskClient, service: EventService) -> None:
    table = f'timestamp,value,series\n{T0},1,\n{T1},2,b\n{T1},3,""'
    assert post(client, table, CSV).json == {"stored": 3, "expired": 0}
    assert [value for _, value in stored(service)] == [1.0, 3.0]
    assert_names(post(client, f"{table}\n{T0},x,", CSV), "3.value", "'x'")


def test_names_with_quotation_marks_and_escapes(client: FlaskClient, service: EventService) -> None:
    name = '"a":{\\'
    assert post(client, [item(series=name), item(series=name)]).status_code == 201
    assert post(client, {"series": name, "values": [1]}).status_code == 201
    assert len(stored(service, name)) == 3


def test_expired_events_are_counted_and_not_stored(client: FlaskClient, service: EventService) -> None:
    response = post(client, [item(T0, 1), item(OLD, 2), item(T1, 2.5)])
    assert (response.status_code, response.get_json()) == (201, {"stored": 2, "expired": 1, "detail": EXPIRED})
    assert stored(service) == BOTH


def test_all_expired_is_no_creation(client: FlaskClient, service: EventService) -> None:
    response = post(client, {"timestamps": [OLD, OLD], "values": [1, 2]})
    assert (response.status_code, response.get_json()) == (200, {"stored": 0, "expired": 2, "detail": EXPIRED})
    assert response.headers["Log-Position"] == "0"


BAD_ITEMS = [
    (JSON, [item(), item(value="1"), item()], "1.value", "not a string"),
    (JSON, [item(), item(value=True)], "1.value", "not a boolean"),
    (JSON, [item(), item(value=None)], "1.value", "not null"),
    (JSON, [item(), item("2025-06-26")], "1.timestamp", "date without a time"),
    (JSON, [item(), item(True)], "1.timestamp", "not a boolean"),
    (JSON, [item(), item("1750948200")], "1.timestamp", "ISO-8601"),
    (JSON, [item(), item(-99e9)], "1.timestamp", "Before the year 1; read as seconds"),
    (JSON, [item(), item(serie="a")], "1.serie", "Unknown field"),
    (JSON, [item(), item(series="")], "1.series", "1 to 128"),
    (JSON, [item(series=None), item()], "0.series", "not null"),
    (JSON, [item(), 7], "1.event", "JSON object"),
    (JSON, [item(), None], "1.event", "JSON object"),
    (JSON, [[item()]], "0.event", "JSON object"),
    (JSON, [{}], "0.value", "required"),
    (JSON, [item(), item(), item(AHEAD)], "2.timestamp", "More than 1m ahead"),
    (JSON, [item(f"2025-06-26T14:29:{s:02}Z") for s in range(59)] + [item("2025-06-26T14:29:60Z")], "59.timestamp", ""),
    (JSON, '[{"timestamp": "2025-06-26T14:30:00Z", "value": NaN}]', "0.value", "finite"),
    (JSON, '[{"timestamp": "2025-06-26T14:30:00Z", "value": 1e400}]', "0.value", "finite"),
    (JSON, {"values": [1, "2"]}, "1.value", "not a string"),
    (JSON, {"values": [1, 2, True]}, "2.value", "not a boolean"),
    (JSON, {"values": [None]}, "0.value", "not null"),
    (JSON, {"values": [[1, 2], 3]}, "0.value", "not an array"),
    (JSON, '{"values": [1, 1e999]}', "1.value", "finite"),
    (JSON, '{"values": [-Infinity]}', "0.value", "finite"),
    (JSON, {"values": [1, 2], "timestamps": [T0, "x"]}, "1.timestamp", "ISO-8601"),
    (JSON, {"values": [1, 2], "timestamps": [T0, None]}, "1.timestamp", "not null"),
    (JSON, {"values": [1, 2], "timestamps": [T0, AHEAD]}, "1.timestamp", "ahead"),
    (JSON, {"values": [1, 2], "timestamps": [T0]}, "timestamps", "1 timestamps, 2 values"),
    (JSON, {"values": [1], "timestamps": []}, "timestamps", "0 timestamps, 1 values"),
    (JSON, {"values": [1], "timestamps": None}, "timestamps", "array"),
    (JSON, {"values": [1], "timestamps": T0}, "timestamps", "array"),
    (JSON, {"values": 1}, "values", "array"),
    (JSON, {"values": "12"}, "values", "array"),
    (JSON, {"values": {"0": 1}}, "values", "array"),
    (JSON, {"values": None}, "values", "array"),
    (JSON, {}, "values", "required"),
    (JSON, {"value": [1]}, "value", "known are series, timestamps, values"),
    (JSON, {"values": [1], "timestamp": [T0]}, "timestamp", "Unknown field"),
    (JSON, {"values": [1], "series": ""}, "series", "1 to 128"),
    (JSON, {"values": [1], "series": "py/"}, "series", "slash"),
    (
        JSON,
        [{"timestamp": T0, "value": 1, "series": "py"}, {"timestamp": T0, "value": 1, "series": "py/"}],
        "1.series",
        "slash",
    ),
    (CSV, f"timestamp,value,series\n{T0},1,py/", "0.series", "slash"),
    (JSON, {"values": [1], "series": ["a"]}, "series", "not an array"),
    (JSON, '{"values": [1], "series": "\\ud800"}', "series", "surrogates"),
    (NDJSON, f'{{"timestamp": "{T0}", "value": 1}}\n{{"timestamp": "{T0}"}}', "1.value", "required"),
    (NDJSON, f'{{"timestamp": "{T0}", "value": 1}}\n{{"timestamp": "{T0}"', "1.event", "at column 37"),
    (NDJSON, f'{{"timestamp": "{T0}", "value": 1}}\n{{"timestamp": "{T0}", "value": NaN}}', "1.value", "finite"),
    (NDJSON, f'{{"timestamp": "{T0}", "value": 1}},\n', "0.event", "Not valid JSON"),
    (NDJSON, "[]\n", "0.event", "JSON object"),
    (NDJSON, b'{"timestamp": "\xff", "value": 1}', "0.event", "UTF-8"),
    (CSV, f"timestamp,value\n{T0},1\n{T0},x", "1.value", "Not a number such as 12.34: 'x'."),
    (CSV, f"timestamp,value\n{T0},", "0.value", "Not a number such as 12.34: ''."),
    (CSV, f"timestamp,value\n{T0},nan", "0.value", "Not a number such as 12.34: 'nan'."),
    (CSV, f"timestamp,value\n{T0},NaN", "0.value", "finite"),
    (CSV, f"timestamp,value\n{T0},1e400", "0.value", "finite"),
    (CSV, f"timestamp,value\n{T0},true", "0.value", "'true'"),
    (CSV, f"timestamp,value\n{T0},null", "0.value", "'null'"),
    (CSV, "timestamp,value\nx,y", "0.value", "'y'"),
    (CSV, "timestamp,value\nx,y", "0.timestamp", "ISO-8601"),
    (CSV, f"timestamp,value\n{T0},{'9' * 5000}", "0.value", f"'{'9' * 40}'."),
    (CSV, f"timestamp,value\n{T0},0x10", "0.value", "'0x10'"),
    (CSV, f'timestamp,value\n{T0},"1,2"', "0.value", "'1,2'"),
    (CSV, f"timestamp,value\n{T0},[1\n{T0},2]", "0.value", "'[1'"),
    (CSV, f"timestamp,value\n{T0},{'[' * 100_000}", "0.value", f"'{'[' * 40}'."),
    (CSV, f"timestamp,value\n{T0},1\n,1", "1.timestamp", "ISO-8601"),
    (CSV, f"timestamp,value,series\n{T0},1,\0", "0.series", "control characters"),
    (CSV, f"timestamp,value\n{T0},1\n{T0}", "1.event", "2 cells, not 1"),
    (CSV, f"timestamp,value\n{T0},1,a", "0.event", "2 cells, not 3"),
    (CSV, "value\n1,2", "0.event", "Must have 1 cell, not 2"),
    (CSV, f"timestamp,value\n{T0}\n1,{T0},2", "0.event", "2 cells, not 1"),
    (CSV, f"timestamp,value\n{T0},1,{T0},2", "0.event", "2 cells, not 4"),
]


@pytest.mark.parametrize(("content_type", "body", "field", "says"), BAD_ITEMS)
def test_one_bad_item_is_named_and_nothing_is_stored(
    client: FlaskClient, service: EventService, content_type: str, body: Any, field: str, says: str
) -> None:
    assert_names(post(client, body, content_type), field, says)
    assert service.position() == 0


@pytest.mark.parametrize(
    ("content_type", "body", "field", "says"),
    [
        (JSON, [], "body", "The batch is empty"),
        (JSON, {"values": []}, "values", "The batch is empty"),
        (JSON, {"values": [], "timestamps": []}, "values", "The batch is empty"),
        (NDJSON, "", "body", "The batch is empty"),
        (NDJSON, "\n \n", "body", "The batch is empty"),
        (CSV, "timestamp,value\n", "body", "The batch is empty"),
        (CSV, "", "body", "header"),
        (CSV, f"{T0},1", "body", "header"),
        (CSV, f"timestamp,value,serie\n{T0},1,a", "body", "header"),
        (CSV, f"timestamp,value,value\n{T0},1,1", "body", "header"),
        (CSV, f"timestamp;value\n{T0};1", "body", "header"),
        (CSV, b"timestamp,value\n\xff,1", "body", "Not valid CSV in UTF-8"),
        (CSV, f'timestamp,value\n{T0},"1', "body", "Not valid CSV in UTF-8"),
        (JSON, "", "body", "The body is empty"),
        (JSON, "[", "body", "Not valid JSON"),
        (JSON, "7", "body", "array of events, or an object of columns"),
        (JSON, "NaN", "body", "array of events"),
        (JSON, '"x"', "body", "array of events"),
        (JSON, '{"values": [1], "values": [2]}', "values", "Stands twice"),
        (JSON, f'{{"timestamps": [{START}], "values": [1], "values": [2]}}', "values", "Stands twice"),
        (JSON, f'[{json.dumps(item())}, {{"timestamp": "{T0}", "value": 1, "value": 2}}]', "1.value", "Stands twice"),
        (JSON, f'[{{"timestamp": {START}, "value": 1, "value": 2}}]', "0.value", "Stands twice"),
        (NDJSON, f'{json.dumps(item())}\n\n{{"timestamp": "{T0}", "value": 1, "value": 2}}', "1.value", "Stands twice"),
        (NDJSON, f'{{"timestamp": {START}.5, "value": 1, "value": 2}}', "0.value", "Stands twice"),
    ],
)
def test_a_body_that_is_no_batch(
    client: FlaskClient, service: EventService, content_type: str, body: Any, field: str, says: str
) -> None:
    response = post(client, body, content_type)
    assert_names(response, field, says)
    assert_problem(response, 400, says)
    assert service.position() == 0


def test_many_bad_items_are_counted_not_listed(client: FlaskClient) -> None:
    for body in ([item(value=None)] * 100, {"values": [None] * 100}):
        problem = assert_problem(post(client, body), 400, "And 80 more")
        assert list(problem["errors"]) == [str(index) for index in range(20)]


def test_other_content_types_are_told_what_is_accepted(client: FlaskClient) -> None:
    response = post(client, [item()], "text/plain")
    assert_problem(response, 415, "text/csv")
    kinds = "application/x-ndjson, application/ndjson, application/jsonl, application/x-jsonlines"
    assert response.headers["Accept"] == f"application/json, {kinds}, text/csv"
    assert_problem(post(client, [item()], "text/csv; charset=cp1252"), 415)


class TestLimits:
    """MAX_BATCH and MAX_BODY."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(max_batch=3, max_body=1024)

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (JSON, json.dumps([item()] * 4)),
            (JSON, json.dumps({"values": [1] * 4})),
            (NDJSON, "\n".join([json.dumps(item())] * 4)),
            (CSV, "timestamp,value" + f"\n{T0},1" * 4),
        ],
    )
    def test_a_batch_over_the_limit(
        self, client: FlaskClient, service: EventService, content_type: str, body: str
    ) -> None:
        assert_problem(post(client, body, content_type), 413, "4 events; the most in one request is 3 (MAX_BATCH)")
        assert service.position() == 0

    def test_a_batch_at_the_limit(self, client: FlaskClient) -> None:
        assert post(client, {"values": [1] * 3}).status_code == 201

    @pytest.mark.parametrize("path", ["/event", "/events"])
    def test_a_body_over_the_limit(self, client: FlaskClient, path: str) -> None:
        body = json.dumps(item())
        padding = " " * (1024 - len(body))
        assert client.post(path, data=body + padding + " ", content_type=JSON).status_code == 413
        response = client.post(path, data=body + padding * 9, content_type=JSON)
        assert_problem(response, 413, "1024 bytes (MAX_BODY)")
        expected = 201 if path == "/event" else 400
        assert client.post(path, data=body + padding, content_type=JSON).status_code == expected


def test_ten_thousand_events_in_one_request(client: FlaskClient, service: EventService, clock: FakeClock) -> None:
    stamps = [format_timestamp(clock.now - 137 * i) for i in range(10_000)]
    assert post(client, [item(stamp, i) for i, stamp in enumerate(stamps)]).json == {"stored": 10_000, "expired": 0}
    times, values, position = service.events("default", 10_000) or pytest.fail("no such series")
    assert position == 10_000
    assert np.array_equal(times, clock.now - 137 * np.arange(9_999, -1, -1))
    assert np.array_equal(values, np.arange(9_999, -1, -1))
