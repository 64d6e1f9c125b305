"""`POST /event`."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_service import EventService
from tests.api.problems import assert_names, assert_problem
from tests.conftest import FakeClock
from times import HOUR, MINUTE, parse_timestamp

NOW = "2025-06-26T14:30:00Z"
EXPIRED = "The oldest event is of 2025-06-26T13:30:00Z, and what is older than the retention (1h) is not stored."
VALID = b'{"timestamp": "2025-06-26T14:30:00Z", "value": 12.34}'


def post(client: FlaskClient, body: str | bytes, content_type: str = "application/json") -> TestResponse:
    return client.post("/event", data=body, content_type=content_type)


def event(timestamp: str = f'"{NOW}"', value: str = "1", more: str = "") -> str:
    return f'{{"timestamp": {timestamp}, "value": {value}{more}}}'


def stored(service: EventService, series: str = "default") -> list[tuple[int, float]]:
    found = service.events(series, 1000)
    return [] if found is None else list(zip(found[0].tolist(), found[1].tolist(), strict=True))


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_stores_an_event(client: FlaskClient, service: EventService, prefix: str) -> None:
    response = client.post(f"{prefix}/event", json={"timestamp": NOW, "value": 12.34, "series": "AAPL"})
    assert (response.status_code, response.json) == (201, {"stored": 1, "expired": 0})
    assert response.content_type == "application/json"
    assert response.headers["Log-Position"] == "1"
    assert stored(service, "AAPL") == [(parse_timestamp(NOW), 12.34)]


def test_an_event_without_series_belongs_to_default(client: FlaskClient, service: EventService) -> None:
    post(client, VALID)
    assert stored(service, "default") == [(parse_timestamp(NOW), 12.34)]


def test_an_expired_event_is_valid_and_not_stored(client: FlaskClient, service: EventService) -> None:
    post(client, VALID)
    response = post(client, event('"2025-06-26T13:30:00Z"'))
    assert (response.status_code, response.json) == (200, {"stored": 0, "expired": 1, "detail": EXPIRED})
    assert response.headers["Log-Position"] == "1"
    assert len(stored(service)) == 1


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2025-06-26T14:29:59Z", -1_000_000),
        ("2025-06-26T14:29:59", -1_000_000),
        ("2025-06-26 14:29:59.5", -500_000),
        ("2025-06-26T16:29:59+02:00", -1_000_000),
        ("2025-06-26T09:59:59-04:30", -1_000_000),
        ("2025-06-26T14:29:59.123456789Z", -876_544),
        ("2025-06-26T14:31:00Z", MINUTE),
    ],
)
def test_timestamps_that_are_understood(
    client: FlaskClient, service: EventService, clock: FakeClock, text: str, microseconds: int
) -> None:
    assert post(client, event(f'"{text}"')).status_code == 201
    assert stored(service) == [(clock.now + microseconds, 1.0)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("-0.0", 0.0),
        ("-17", -17.0),
        ("5e-324", 5e-324),
        ("1e-400", 0.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("9007199254740993", 9007199254740992.0),
        ("18446744073709551616", 18446744073709551616.0),
        ("1" + "0" * 300, 1e300),
    ],
)
def test_values_that_are_understood(client: FlaskClient, service: EventService, text: str, value: float) -> None:
    assert post(client, event(value=text)).status_code == 201
    [(_, found)] = stored(service)
    assert (found, str(found)) == (value, str(value))


@pytest.mark.parametrize(
    "name", ["AAPL", "BTC/USD", "température", "a b", "/a", "..", '"', "\u2028", "\ufffd", "😀" * 128, "x" * 128, "0"]
)
def test_series_names_that_are_understood(client: FlaskClient, service: EventService, name: str) -> None:
    assert client.post("/event", json={"timestamp": NOW, "value": 1, "series": name}).status_code == 201
    assert len(stored(service, name)) == 1


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        # timestamps
        (event("1751000000"), "timestamp", "More than 1m ahead"),
        (event("1e400"), "timestamp", "Beyond 64 bits; read as nanoseconds"),
        (event("null"), "timestamp", "not null"),
        (event("true"), "timestamp", "not a boolean"),
        (event("[]"), "timestamp", "not an array"),
        (event("{}"), "timestamp", "not an object"),
        (event('""'), "timestamp", "ISO-8601"),
        (event('"2025-06-26"'), "timestamp", "date without a time"),
        (event('"2025-02-30T00:00:00Z"'), "timestamp", "no such date"),
        (event('"2025-06-26T24:30:00Z"'), "timestamp", "no such date"),
        (event('"2025-06-26T14:30:00.1234567891Z"'), "timestamp", "nanoseconds"),
        (event('"2025-06-26T14:30:00Z "'), "timestamp", "ISO-8601"),
        (event('"now"'), "timestamp", "ISO-8601"),
        (event('"' + "2" * 100_000 + '"'), "timestamp", "ISO-8601"),
        (event('"2025-06-26T14:31:00.000001Z"'), "timestamp", "More than 1m ahead"),
        (event('"9999-12-31T23:59:59Z"'), "timestamp", "MAX_FUTURE"),
        # values
        (event(value='"1"'), "value", "JSON number such as 12.34, not a string"),
        (event(value="true"), "value", "not a boolean"),
        (event(value="null"), "value", "not null"),
        (event(value="[1]"), "value", "not an array"),
        (event(value="{}"), "value", "not an object"),
        (event(value="NaN"), "value", "finite"),
        (event(value="Infinity"), "value", "finite"),
        (event(value="-Infinity"), "value", "finite"),
        (event(value="1e400"), "value", "finite"),
        (event(value="1" + "0" * 400), "value", "finite"),
        (event(value="-" + "9" * 5000), "value", "finite"),
        # series
        (event(more=', "series": ""'), "series", "1 to 128 characters, not 0"),
        (event(more=f', "series": "{"x" * 129}"'), "series", "1 to 128 characters, not 129"),
        (event(more=', "series": null'), "series", "string, not null"),
        (event(more=', "series": 7'), "series", "not a number"),
        (event(more=', "series": true'), "series", "not a boolean"),
        (event(more=', "series": "a\\u0000b"'), "series", "control characters"),
        (event(more=', "series": "a\\nb"'), "series", "control characters"),
        (event(more=', "series": "\\u007f"'), "series", "control characters"),
        (event(more=', "series": "\\u0085"'), "series", "control characters"),
        (event(more=', "series": "\\ud800"'), "series", "lone surrogates"),
        (event(more=', "series": "py/"'), "series", "Must not end with a slash"),
        (event(more=', "series": "/"'), "series", "Must not end with a slash"),
        # fields
        ("{}", "value", "required"),
        ('{"timestamp": "2025-06-26T14:30:00Z"}', "value", "required"),
        (event(more=', "serie": "AAPL"'), "serie", "known are timestamp, value, series"),
        (event(more=', "series": "AAPL", "x": 1'), "x", "Unknown field"),
        ("[]", "event", "JSON object"),
        ("7", "event", "JSON object"),
        ("null", "event", "JSON object"),
        ('"event"', "event", "JSON object"),
        (f"[{event()}]", "event", "JSON object"),
        ("[" * 1000 + "]" * 1000, "event", "JSON object"),
    ],
)
def test_bad_fields_are_named(client: FlaskClient, service: EventService, body: str, field: str, says: str) -> None:
    response = post(client, body)
    assert_names(response, field, says)
    assert "Log-Position" not in response.headers
    assert service.position() == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"  ", "empty"),
        (b"{", "line 1 column 2"),
        (VALID + b"}", "Not valid JSON"),
        (VALID[:-1] + b",}", "Not valid JSON"),
        (b"timestamp=1", "Not valid JSON"),
        (b"[" * 100_000, "depth"),
        (b'{"a":' * 100_000, "depth"),
        (b'{"timestamp": "\xff", "value": 1}', "UTF-8"),
        (b'{"timestamp": "\xed\xa0", "value": 1}', "UTF-8"),
        (b"\xef\xbb\xbf" + VALID, "byte order mark"),
        (VALID.decode().encode("utf-16"), "Not valid JSON"),
    ],
)
def test_malformed_json(client: FlaskClient, service: EventService, body: bytes, says: str) -> None:
    assert_names(post(client, body), "body", says)
    assert service.position() == 0


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (', "value": 2', "value"),
        (', "series": "a", "series": "a"', "series"),
        (', "series": "\\"", "series": "a"', "series"),
        (', "\\u0076alue": 2', "value"),
    ],
)
def test_a_field_that_stands_twice(client: FlaskClient, service: EventService, more: str, field: str) -> None:
    for timestamp in (f'"{NOW}"', "1750948200"):
        assert_names(post(client, event(timestamp, more=more)), field, "Stands twice")
    assert service.position() == 0


@pytest.mark.parametrize("path", ["/event", "/v1/event", "/events"])
@pytest.mark.parametrize(
    ("query", "name"), [("series=AAPL", "series"), ("x", "x"), ("x=1&x=2", "x"), ("%ff=1", "\ufffd")]
)
def test_no_parameter_passes_silently(
    client: FlaskClient, service: EventService, path: str, query: str, name: str
) -> None:
    response = client.post(f"{path}?{query}", data=VALID, content_type="application/json")
    assert list(assert_problem(response, 400, name)["errors"]) == [name]
    assert service.position() == 0


@pytest.mark.parametrize("path", ["/event", "/events"])
@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "gzip, br", "deflate", "x" * 500])
def test_an_encoded_body_is_refused(client: FlaskClient, path: str, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    response = client.post(path, data=VALID, content_type="application/json", headers=headers)
    assert encoding[:100] in assert_problem(response, 415, "Content-Encoding")["detail"]
    assert response.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", ","])
def test_an_encoding_that_changes_nothing_is_accepted(client: FlaskClient, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    assert client.post("/event", data=VALID, content_type="application/json", headers=headers).status_code == 201


def test_field_names_that_utf_8_cannot_write_are_reported_too(client: FlaskClient) -> None:
    assert_names(post(client, event(more=', "\\ud800": 1')), "\\ud800", "Unknown field")


def test_an_answer_about_many_unknown_fields_is_short(client: FlaskClient) -> None:
    names = ", ".join(f'"{"x" * 1000}{i}": 1' for i in range(1000))
    response = post(client, f"{{{names}}}")
    body = assert_problem(response, 400, "more")
    assert len(body["errors"]) <= 20
    assert len(response.data) < 10_000


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf8"',
    ],
)
def test_content_types_that_are_accepted(client: FlaskClient, content_type: str) -> None:
    assert post(client, VALID, content_type).status_code == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/csv",
        "json",
        "a" * 500,
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
    ],
)
def test_other_content_types_are_told_what_is_accepted(client: FlaskClient, content_type: str) -> None:
    response = post(client, VALID, content_type)
    assert_problem(response, 415, "Send application/json in UTF-8")
    assert response.headers["Accept"] == "application/json"


def test_retention_is_counted_from_the_clock(client: FlaskClient, clock: FakeClock) -> None:
    clock.advance(HOUR - 1)
    assert post(client, VALID).json == {"stored": 1, "expired": 0}
    clock.advance(1)
    assert post(client, VALID).get_json()["expired"] == 1


def test_unknown_fields_are_told_last_and_in_the_order_in_which_they_came(client: FlaskClient) -> None:
    names = [f"{letter}x" for letter in "qwertyuiopasdfg"]
    more = "".join(f', "{name}": 1' for name in names)
    for _ in range(2):
        answer = post(client, '{"zz": 1, "timestamp": null, "series": 6' + more + "}")
        assert list(answer.get_json()["errors"]) == ["timestamp", "value", "series", "zz", *names]
    answer = client.get("/statistics?" + "&".join(f"{name}=1" for name in names))
    assert list(answer.get_json()["errors"]) == names
