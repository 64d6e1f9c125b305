"""A body with very much wrong in it is refused with little work, counted in calls of functions."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import orjson
import pytest
from flask import Flask
from marshmallow import ValidationError

from api.problems import MOST_ERRORS, Problem
from api.reading.batch_formats import NDJSON, parse_event, parse_events
from api.reading.bodies import JSON
from api.reading.csv_format import CSV
from api.reading.schemas import BodySchema, ColumnsSchema, EventSchema
from view import portions


class Counter:
    """Counts calls of Python functions while it is entered."""

    def __enter__(self) -> Counter:
        self.calls = 0
        sys.setprofile(self._count)
        return self

    def __exit__(self, *failure: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event == "call"


def refused(app: Flask, kind: str, body: bytes) -> tuple[int, Problem]:
    """Return how many calls it takes to refuse this, and what is said."""
    with app.test_request_context("/events", method="POST"), Counter() as counter, pytest.raises(Problem) as found:
        parse_events(kind, body)
    return counter.calls, found.value


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, nobody is let in between."""
    monkeypatch.setattr(portions, "give_way", lambda: None)


def unknown(count: int) -> bytes:
    return orjson.dumps({f"k{i}": None for i in range(count)})


@pytest.mark.parametrize("form", [b"%b", b"[%b]", b'{"value":NaN,%b}'], ids=["object", "array", "no JSON"])
def test_unknown_fields_cost_nothing_each(app: Flask, form: bytes) -> None:
    few, many = (form % (unknown(n)[1:-1] if form.endswith(b"}") else unknown(n)) for n in (1000, 20_000))
    (calls, _), (more_calls, problem) = refused(app, JSON, few), refused(app, JSON, many)
    assert more_calls <= calls + 10
    assert "more that are not listed" in (problem.detail or "") or form == b"[%b]"


def test_unknown_fields_of_one_event_are_all_counted(app: Flask) -> None:
    with app.test_request_context("/event", method="POST"), pytest.raises(Problem) as found:
        parse_event(b'{"timestamp":"x",' + unknown(20_000)[1:])
    assert found.value.errors is not None
    assert list(found.value.errors) == ["timestamp", "value", *(f"k{i}" for i in range(MOST_ERRORS - 2))]
    assert found.value.detail is not None
    assert found.value.detail.endswith(f" And {20_002 - MOST_ERRORS} more that are not listed.")


STAMP = "2025-06-26T14:30:00Z"


@pytest.mark.parametrize(
    ("kind", "line", "between"),
    [
        (JSON, orjson.dumps({"timestamp": STAMP, "value": 1, "serie": "a"}), b","),
        (JSON, orjson.dumps({f"k{i}": i for i in range(30)}), b","),
        (JSON, b"1", b","),
        (NDJSON, b"{}", b"\n"),
        (NDJSON, b'{"value": NaN}', b"\n"),
        (CSV, STAMP.encode() + b",x", b"\n"),
        (CSV, b"1,2,3", b"\n"),
    ],
)
def test_invalid_items_that_are_not_listed_cost_little_each(app: Flask, kind: str, line: bytes, between: bytes) -> None:
    def body(count: int) -> bytes:
        items = between.join([line] * count)
        return b"[%b]" % items if kind == JSON else b"timestamp,value\n" + items if kind == CSV else items

    (calls, _), (more_calls, problem) = refused(app, kind, body(1000)), refused(app, kind, body(3000))
    assert (more_calls - calls) / 2000 <= 25  # the schema takes 100 and more
    assert problem.errors is not None
    assert len(problem.errors) == MOST_ERRORS
    assert problem.detail is not None
    assert problem.detail.endswith(f" And {3000 - MOST_ERRORS} more that are not listed.")


def test_valid_items_after_many_faults_are_not_counted_as_wrong(app: Flask) -> None:
    items: list[dict[str, Any]] = [{}] * 30 + [{"timestamp": STAMP, "value": i} for i in range(50)] + [{"value": None}]
    _, problem = refused(app, JSON, orjson.dumps(items))
    assert problem.detail is not None
    assert problem.detail.endswith(" And 11 more that are not listed.")


@pytest.mark.parametrize("values", [b"", b'"values":[1],', b'"values":["x"],'])
def test_timestamps_beyond_the_largest_batch_are_not_read(app: Flask, values: bytes) -> None:
    stamps = orjson.dumps([STAMP] * 90_000)
    calls, problem = refused(app, JSON, b'{%b"timestamps":%b}' % (values, stamps))
    assert problem.code == 413
    assert calls < 1000


@pytest.mark.parametrize("schema", [EventSchema, ColumnsSchema])
@pytest.mark.parametrize(
    "known",
    [{}, {"timestamp": "x", "value": 1}, {"values": [1, "x"], "timestamps": []}, {"series": "a/"}],
)
def test_many_unknown_fields_are_refused_like_few(
    app: Flask, monkeypatch: pytest.MonkeyPatch, schema: type[BodySchema], known: dict[str, Any]
) -> None:
    data = {f"k{i}": "1" for i in range(60)} | known | {f"k{i}": "1" for i in range(60, 120)}

    def messages() -> list[Any]:
        with app.app_context(), pytest.raises(ValidationError) as found:
            schema().load(data)
        return list(found.value.messages_dict.items())

    quick = messages()
    monkeypatch.setattr(BodySchema, "many_fields", 1000)
    assert quick == messages()
