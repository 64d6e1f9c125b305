"""The fast way and the schemas are one definition of validity: properties that hold them equal."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from api.problems import Problem
from api.reading.batch_formats import NDJSON, parse_events, plain_event_in, plain_events_in
from api.reading.bodies import JSON
from api.reading.columns import EventColumns, plain_event
from api.reading.csv_format import CSV
from api.reading.schemas import ColumnsSchema, EventSchema
from event_log.batch import ON_ARRIVAL

EPOCHS = st.integers(-(2**65), 2**65) | st.floats() | st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12)
STAMPS = st.sampled_from(
    ["2025-06-26T14:30:00Z", "2025-06-26T14:30:00.25+02:00", "2025-06-26", "", "x", "2025-06-26T14:30:61Z"]
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 5e-324]),
)
OTHERS = st.sampled_from([None, True, False, "1", "", [], [1], {}, {"value": 1}, float("nan"), float("inf"), 10**400])
NAMES = st.one_of(
    st.sampled_from(["a", "default", "", "\0", "\x9f", "\ud800", "x" * 128, "x" * 129, "BTC/USD"]), st.text(max_size=3)
)
PLAIN = st.fixed_dictionaries({"value": NUMBERS}, optional={"series": NAMES, "timestamp": STAMPS | EPOCHS})
ODD = st.dictionaries(
    st.sampled_from(["timestamp", "value", "series", "serie", "Value"]), STAMPS | NUMBERS | NAMES | OTHERS, max_size=4
)
ANYTHING = PLAIN | ODD | OTHERS | NUMBERS | NAMES
RELAXED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_schema(item: Any) -> tuple[str, int | None, float] | None:
    try:
        event = EventSchema().load(item)
    except ValidationError:
        return None
    return event["series"], event.get("timestamp"), event["value"]


@given(ANYTHING)
def test_a_plain_event_is_what_the_schema_accepts(item: Any) -> None:
    found = plain_event(item)
    plain, slow = None if found is None else found[:3], by_schema(item)
    assert plain == slow
    assert repr(plain) == repr(slow)  # 0.0 and -0.0 are equal, and so are 1 and 1.0


def none_on_arrival(time: int) -> int | None:
    return None if time == ON_ARRIVAL else time


def rows(columns: EventColumns) -> list[tuple[str, int | None, float]]:
    which = [0] * len(columns) if columns.which is None else columns.which.tolist()
    times = [None] * len(columns) if columns.times is None else map(none_on_arrival, columns.times.tolist())
    return [
        (columns.names[i], time, value) for i, time, value in zip(which, times, columns.values.tolist(), strict=True)
    ]


def sent(app: Flask, kind: str, body: bytes) -> list[tuple[str, int | None, float]] | None:
    with app.test_request_context("/events", method="POST"):
        try:
            return rows(parse_events(kind, body))
        except Problem as problem:
            return None if problem.code == 400 and problem.errors else pytest.fail(str(problem))


def writable(item: Any) -> bytes | None:
    """JSON can say it."""
    try:
        return orjson.dumps(item)
    except TypeError:
        return None


@RELAXED
@given(st.lists(PLAIN, min_size=1, max_size=12) | st.lists(ANYTHING, min_size=1, max_size=4))
def test_a_batch_is_what_the_schema_accepts_item_by_item(app: Flask, items: list[Any]) -> None:
    documents = [document for document in map(writable, items) if document is not None]
    if not documents:
        return
    expected = [by_schema(orjson.loads(document)) for document in documents]
    accepted = None if None in expected else expected
    assert sent(app, JSON, b"[%b]" % b",".join(documents)) == accepted
    assert sent(app, NDJSON, b"\n".join(documents)) == accepted


@RELAXED
@given(
    st.dictionaries(st.sampled_from(["series", "timestamps", "values", "value"]), OTHERS | NAMES | NUMBERS, max_size=4)
    | st.fixed_dictionaries(
        {"values": st.lists(NUMBERS | OTHERS, min_size=1, max_size=3) | st.lists(NUMBERS, min_size=1, max_size=3)},
        optional={"series": NAMES, "timestamps": st.lists(STAMPS | OTHERS, max_size=3) | st.lists(STAMPS, max_size=3)},
    )
)
def test_columns_are_what_their_schema_accepts(app: Flask, data: dict[str, Any]) -> None:
    document = writable(data)
    if document is None or data.get("values") == []:
        return
    try:
        loaded = ColumnsSchema().load(orjson.loads(document))
    except ValidationError:
        expected = None
    else:
        times = loaded.get("timestamps", [None] * len(loaded["values"]))
        expected = [(loaded["series"], *row) for row in zip(times, loaded["values"], strict=True)]
    assert sent(app, JSON, document) == expected


CELLS = st.one_of(
    NUMBERS.map(str),
    st.sampled_from(
        ["1", "-0.0", " 1", "1 ", "", " ", "1,2", "[1", "2]", '"a', "null", "true", "NaN", "1e999", "01", "+1", ".5"]
    ),
)


BREAKS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", ",", ""])


@RELAXED
@given(st.lists(st.tuples(STAMPS, CELLS, NAMES), min_size=1, max_size=4), st.booleans())
def test_csv_is_what_the_schema_accepts(app: Flask, table: list[tuple[str, str, str]], named: bool) -> None:
    header = ["timestamp", "value", "series"] if named else ["timestamp", "value"]
    try:
        lines = [",".join(header), *(",".join(map(quoted, row[: len(header)])) for row in table)]
        body = "\r\n".join(lines).encode()
    except UnicodeEncodeError:
        return
    expected = [
        by_schema(dict(zip(header, (row[0], number(row[1]), row[2] or "default"), strict=False))) for row in table
    ]
    assert sent(app, CSV, body) == (None if None in expected else expected)


@RELAXED
@given(st.lists(st.tuples(STAMPS, CELLS, NAMES), min_size=1, max_size=4), st.booleans(), BREAKS, BREAKS)
def test_a_csv_without_quotes_reads_as_the_csv_module_reads_it(
    app: Flask, table: list[tuple[str, str, str]], named: bool, between: str, at_end: str
) -> None:
    header = ["timestamp", "value", "series"] if named else ["timestamp", "value"]
    text = "\n".join([",".join(header), between.join(",".join(row[: len(header)]) for row in table)]) + at_end
    body = text.encode(errors="replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.reading.csv_format._from_plain_csv", lambda body: None)
        expected = sent(app, CSV, body)
    assert repr(sent(app, CSV, body)) == repr(expected)


def test_a_long_csv_is_read_without_the_csv_module(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"timestamp,value\n" + b"2025-06-26T14:30:00Z,1\n" * 100
    monkeypatch.delattr("api.reading.csv_format.csv")
    assert len(sent(app, CSV, body) or ()) == 100


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def number(cell: str) -> Any:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell


KEYS = st.sampled_from(["timestamp", "value", "series"])


@RELAXED
@given(
    st.permutations(["timestamp", "value", "series"]),
    KEYS,
    st.sampled_from(["a", "{", '"', '\\"', "série"]),
    st.sampled_from(["2025-06-26T14:30:00Z", 1_750_948_200, 1_750_948_200.5]),
)
def test_a_field_that_stands_twice_is_refused(app: Flask, keys: list[str], twice: str, name: str, stamp: Any) -> None:
    values: dict[str, Any] = {"timestamp": stamp, "value": 1.5, "series": name}
    pairs = [b"%b:%b" % (orjson.dumps(key), orjson.dumps(values[key])) for key in [*keys, twice]]
    with app.test_request_context("/events", method="POST"), pytest.raises(Problem, match="Stands twice"):
        parse_events(JSON, b"[{%b}]" % b",".join(pairs))


PLAIN_BODIES = [
    {"timestamps": [1_750_948_200, 1_750_948_200.5], "values": [1, 2]},
    {"timestamps": ["2025-06-26T14:30:00Z"], "values": [1], "series": "a"},
    [{"timestamp": 1_750_948_200_000, "value": 1}, {"timestamp": 1_750_948_200_500, "value": 2}],
    [{"timestamp": 1_750_948_200_000, "value": 1, "series": "a"}],
    [{"value": 1}],
]


@pytest.mark.parametrize("data", PLAIN_BODIES)
def test_a_plain_body_is_parsed_once(data: Any) -> None:
    """Bodies with numbers as times were parsed three times, once of them by the standard library."""
    assert plain_events_in(orjson.dumps(data), 10) is not None
    [one, *_] = data if isinstance(data, list) else [{"value": 1}]
    assert plain_event_in(orjson.dumps(one)) is not None


FORMS = [
    (
        JSON,
        b'[{"timestamp": "2025-06-26T14:30:00Z", "value": 1}, {"timestamp": "2025-06-26T14:30:00Z", "value": -0.0}]',
    ),
    (JSON, b'{"series": "a", "timestamps": ["2025-06-26T14:30:00Z"], "values": [1]}'),
    (JSON, b'{"values": [1, 2.5, -0.0]}'),
    (NDJSON, b'{"timestamp": "2025-06-26T14:30:00Z", "value": 1, "series": "b"}\n'),
    (CSV, b"timestamp,value\n2025-06-26T14:30:00Z,1"),
]


@pytest.mark.parametrize(("kind", "body"), FORMS)
def test_the_slow_way_alone_gives_the_same(app: Flask, monkeypatch: pytest.MonkeyPatch, kind: str, body: bytes) -> None:
    fast = sent(app, kind, body)
    monkeypatch.setattr("api.reading.batch_formats.gather", lambda *columns: None)
    monkeypatch.setattr("api.reading.columns.plain_event", lambda data: None)
    assert repr(sent(app, kind, body)) == repr(fast)
    assert fast
