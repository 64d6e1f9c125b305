"""Prometheus' HTTP API: answers, errors, limits, and the calls that Grafana makes."""

from __future__ import annotations

import gzip
import math
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient

from app import create_app
from event_service import EventService
from prometheus import evaluation, patterns, routes
from prometheus.patterns import size_of
from settings import Settings
from times import SECOND

from ..access.guarded import basic, bearer, write_keys
from ..conftest import START

NOW = START / SECOND
VALUES = {"a": [1.0, 4.0, 2.5, -3.0, 8.0, 0.1], "b/c": [0.3, 7.0], "d": []}
"""By series, an event each 10 s, the last one 5 s before now."""


@pytest.fixture(autouse=True)
def events(service: EventService) -> None:
    for series, values in VALUES.items():
        for index, value in enumerate(values):
            service.add(series, START - (5 + 10 * (len(values) - 1 - index)) * SECOND, value)


def ask(client: FlaskClient, query: str, **arguments: Any) -> Any:
    answer = client.post("/prometheus/api/v1/query", data={"query": query, **arguments})
    assert answer.status_code == 200, answer.get_json()
    assert answer.get_json()["status"] == "success"
    return answer.get_json()["data"]


def vector(client: FlaskClient, query: str) -> dict[str, float]:
    return {one["metric"].get("series", ""): float(one["value"][1]) for one in ask(client, query)["result"]}


FIGURES: dict[str, Any] = {
    "count": len,
    "sum": math.fsum,
    "min": min,
    "max": max,
    "avg": statistics.mean,
    "stddev": statistics.pstdev,
    "stdvar": statistics.pvariance,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "present": lambda values: 1,
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_function_is_that_of_the_events_of_its_window(client: FlaskClient, name: str) -> None:
    expected = {"a": FIGURES[name](VALUES["a"][-3:]), "b/c": FIGURES[name](VALUES["b/c"])}
    assert vector(client, f"{name}_over_time(tidemark[30s])") == pytest.approx(expected, rel=1e-15)


def test_a_window_is_open_on_the_left(client: FlaskClient) -> None:
    assert vector(client, "count_over_time(tidemark[25s])") == {"a": 2, "b/c": 2}


@pytest.mark.parametrize("q", [0, 0.25, 0.5, 0.99, 1])
def test_a_quantile_is_interpolated(client: FlaskClient, q: float) -> None:
    found = vector(client, f"quantile_over_time({q}, tidemark[10m])")
    assert found["a"] == pytest.approx(float(np.quantile(VALUES["a"], q)), rel=1e-15)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('tidemark{series="a"}', {"a": 0.1}),
        ('tidemark{series!="a"}', {"b/c": 7.0}),
        ('tidemark{series=~"b.*"}', {"b/c": 7.0}),
        ('tidemark{series!~"b|b/c"}', {"a": 0.1}),
        ('{__name__="tidemark",job=""}', {"a": 0.1, "b/c": 7.0}),
        ("tidemark offset 8s", {"a": 8.0, "b/c": 0.3}),
        (f"tidemark @ {NOW - 8}", {"a": 8.0, "b/c": 0.3}),
        ("tidemark * 2 + tidemark", {"a": 0.1 * 2 + 0.1, "b/c": 21}),
        ("-tidemark", {"a": -0.1, "b/c": -7}),
        ("tidemark > 1", {"b/c": 7}),
        ("1 < tidemark", {"b/c": 7}),
        ("tidemark > bool 1", {"a": 0, "b/c": 1}),
        ("sum(tidemark)", {"": 7.1}),
        ("avg(tidemark)", {"": 3.55}),
        ("max by (series) (tidemark)", {"a": 0.1, "b/c": 7}),
        ("min without (series) (tidemark)", {"": 0.1}),
        ("count(tidemark)", {"": 2}),
        ("topk(1, tidemark)", {"b/c": 7}),
        ("bottomk(1, tidemark)", {"a": 0.1}),
        ('absent_over_time(tidemark{series="no"}[1m])', {"no": 1}),
        ("absent_over_time(tidemark[1m])", {}),
    ],
)
def test_an_expression_is_what_prometheus_says(client: FlaskClient, query: str, expected: dict[str, float]) -> None:
    assert vector(client, query) == expected


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("1 + 1", "2"),
        ("1 / 0", "+Inf"),
        ("-1 / 0", "-Inf"),
        ("0 / 0", "NaN"),
        ("1e21", "1e+21"),
        ("1 / 3", "0.3333333333333333"),
        ("1e16", "10000000000000000"),
        ("123456789012345678", "123456789012345680"),
        ("1e-5", "0.00001"),
        ("1.5e-7", "1.5e-7"),
        ("-0", "-0"),
        ("+".join(["1e-5"] * 100), "0.001000000000000002"),
        ("(" * 99 + "1" + ")" * 99, "1"),
    ],
)
def test_a_scalar_is_written_as_prometheus_does(client: FlaskClient, query: str, text: str) -> None:
    assert ask(client, query, time=NOW) == {"resultType": "scalar", "result": [NOW, text]}


def test_a_window_of_the_whole_retention_is_exact_now(client: FlaskClient) -> None:
    answer = client.get("/prometheus/api/v1/query", query_string={"query": "count_over_time(tidemark[1h])"}).get_json()
    assert {row["metric"]["series"]: row["value"] for row in answer["data"]["result"]} == {
        "a": [NOW, "6"],
        "b/c": [NOW, "2"],
    }
    assert "warnings" not in answer


@pytest.mark.parametrize("base", ["/prometheus", "/v1/prometheus"])
@pytest.mark.parametrize(
    "path",
    [
        "query",
        "query_range",
        "series",
        "labels",
        "label/series/values",
        "metadata",
        "status/buildinfo",
        "rules",
        "alerts",
    ],
)
def test_every_call_is_a_get_a_form_a_head_and_an_options(client: FlaskClient, base: str, path: str) -> None:
    arguments = {"query": "1", "match[]": "tidemark", "start": NOW, "end": NOW, "step": "1"}
    url = f"{base}/api/v1/{path}"
    told = client.get(url, query_string=arguments)
    assert told.get_json()["status"] == "success"
    assert client.post(url, data=arguments).get_json() == told.get_json()
    assert (client.head(url, query_string=arguments).status_code, client.options(url).status_code) == (200, 204)
    refused = client.delete(url)
    assert (refused.status_code, refused.get_json()["status"]) == (405, "error")


def test_each_step_of_a_range_has_its_own_window(client: FlaskClient) -> None:
    query = {"query": 'sum_over_time(tidemark{series="a"}[30s])', "start": NOW - 20, "end": NOW, "step": "10s"}
    answer = client.get("/prometheus/api/v1/query_range", query_string=query)
    [row] = answer.get_json()["data"]["result"]
    a = VALUES["a"]
    assert [float(value) for _, value in row["values"]] == [math.fsum(a[i : i + 3]) for i in (1, 2, 3)]
    assert int(answer.headers["Log-Position"]) > 0


def test_steps_that_reach_behind_the_retention_are_left_out(client: FlaskClient) -> None:
    query = {"query": "count_over_time(tidemark[50m])", "start": NOW - 1200, "end": NOW, "step": "300"}
    answer = client.get("/prometheus/api/v1/query_range", query_string=query).get_json()
    assert {len(row["values"]) for row in answer["data"]["result"]} == {1}
    assert "2025-06-26T14:20:00Z" in answer["warnings"][0]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "missing"),
        ("rate(tidemark[1m])", "count_over_time(x[W]) / seconds"),
        ("abs(tidemark)", "abs() is not there"),
        ("tidemark[1m]", "last_over_time"),
        ("avg_over_time(tidemark[2m:1m])", "subqueries"),
        ("count_over_time(tidemark[2h])", "longer than the retention"),
        ("tidemark and tidemark", "`and` is not there"),
        ("tidemark + on (series) tidemark", "on, ignoring and group"),
        ("stddev(tidemark)", "stddev is not there"),
        ("quantile_over_time(tidemark, tidemark[1m])", "parse error"),
        ('tidemark{series=~"(?<=a)b"}', "parse error"),
        ('tidemark{series=~"' + "a" * 1001 + '"}', "1000 characters"),
        ("(" * 101 + "1" + ")" * 101, "100 deep"),
        ('#"\n' + "(" * 101 + '1 # "' + ")" * 101, "100 deep"),
        ("-" * 5000 + "tidemark", "100 deep"),
        ("+".join(["tidemark"] * 102), "100 deep"),
        ("1" + "+1" * 150 + "+(1" * 51 + ")" * 51, "100 deep"),
        ("+".join(["(1" + "+1" * 60 + ")"] * 60), "500 operators"),
        ("1" + " UNLESS 1" * 501, "100 deep"),
        ("tidemark offset 99999y", "out of range"),
        ("tidemark @ 1e20", "out of range"),
        ("1" * 9000, "8192 bytes"),
        ("tidemark{", "parse error"),
        ('"text"', "StringLiteral is not there"),
    ],
)
def test_what_is_not_there_is_bad_data(client: FlaskClient, query: str, says: str) -> None:
    answer = client.post("/prometheus/api/v1/query", data={"query": query})
    assert answer.status_code == 400
    assert answer.get_json()["status"] == "error"
    assert answer.get_json()["errorType"] == "bad_data"
    assert says in answer.get_json()["error"]


@pytest.mark.parametrize(
    "bad",
    [
        {"start": "x"},
        {"start": "2025-06-26T14:30:00"},
        {"end": NOW - 100},
        {"end": "1e300"},
        {"step": "0"},
        {"step": "1w1"},
        {"step": "0.001"},
        {"timeout": "-1"},
    ],
)
def test_a_bad_argument_is_bad_data(client: FlaskClient, bad: dict[str, Any]) -> None:
    query = {"query": "1", "start": NOW - 60, "end": NOW, "step": "1", **bad}
    answer = client.get("/prometheus/api/v1/query_range", query_string=query)
    assert answer.status_code == 400
    assert answer.get_json()["errorType"] == "bad_data"


def test_limits_are_told(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    query = {"query": "tidemark", "start": NOW - 60, "end": NOW, "step": "1"}
    path = "/prometheus/api/v1/query_range"
    assert client.get(path, query_string={**query, "timeout": "0.001"}).status_code in (200, 503)
    monkeypatch.setattr(routes, "MOST_POINTS", 10)
    answer = client.get(path, query_string=query)
    assert (answer.status_code, answer.get_json()["errorType"]) == (422, "execution")
    monkeypatch.setattr(evaluation, "MOST_VALUES", 10)
    assert "10 values" in client.get(path, query_string=query).get_json()["error"]
    monkeypatch.setattr(routes, "MOST_SECONDS", 0.0)
    answer = client.get(path, query_string=query)
    assert (answer.status_code, answer.get_json()["errorType"]) == (503, "timeout")


SLOW = "x{0,1000}" * 100


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("web/.*|a+?(?:b)", 7),
        ("x{0,1000}", 1000),
        ("x{,9}{ 2, 3 }y{4,}z{0}", 27 + 4 + 1),
        ("(?i)((a?){10}b){10}", 110),
        ("[0-9a-f]{8}-[^x]", 451),
        (r"\w[]x]\{3}[\]]{2}", 50 + 50 + 3 + 100),
        ("a{))(((b){3", 5),
        ("(xx(?i)y){10}(?P<n>a(?i:b)){3}", 30 + 6),
        ("[[a]]{3}", 150),
        (SLOW, patterns.LARGEST + 1),
        (r"\pL" * 40, 40 * 51),
    ],
)
def test_a_pattern_is_as_large_as_it_is_written_out(pattern: str, size: int) -> None:
    assert size_of(pattern) == size


@pytest.mark.parametrize(
    "query",
    [
        f'tidemark{{series=~"{SLOW}"}}',
        f"tidemark{{series!~'{SLOW}'}}",
        f"tidemark{{series=~`{SLOW}`}}",
        'tidemark{series=~"a"' + ',series=~"x{0,999}"' * 5 + "}",
        f"tidemark # a comment\n{{series=~ # '\n '{SLOW}'}}",
        f'tidemark{{series=~"{SLOW}"}}'.replace("0,", "\\x30,"),
        f"tidemark{{series=~'{SLOW}'}}".replace("0,", "\\60,"),
    ],
)
@pytest.mark.parametrize("call", ["query?query=", "series?match[]="])
def test_a_pattern_that_takes_long_to_compile_is_refused(client: FlaskClient, call: str, query: str) -> None:
    """RE2 compiled the first one for a minute."""
    began = time.thread_time()
    answer = client.get(f"/prometheus/api/v1/{call}{quote(query)}")
    assert time.thread_time() - began < 2
    assert (answer.status_code, answer.get_json()["errorType"]) == (400, "bad_data")
    assert "written out" in answer.get_json()["error"] or "takes no escape" in answer.get_json()["error"]


def test_braces_and_escapes_that_are_no_repetition_are_taken(client: FlaskClient) -> None:
    for query in (
        f'tidemark{{series="{SLOW}"}}',
        'tidemark{series=~"a|[[:alpha:]]\\\\{3}"}',
        "tidemark{series='\\x61'}",
    ):
        ask(client, query)
    assert vector(client, 'count_over_time(tidemark{series=~"[a-z](/c{1,2})?"}[1h])') == {"a": 6.0, "b/c": 2.0}


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"a&" * 1_000_000, "longer than 65536 bytes"),
        (b"query=" + b"%25" * 690_000, "longer than 65536 bytes"),
        (b"a&" * 100 + b"query=1", "more than 100 fields"),
        (b"query=" + b"%31" * 8193, "longer than 8192 bytes"),
    ],
)
def test_a_form_is_bounded_before_it_is_parsed(client: FlaskClient, body: bytes, says: str) -> None:
    """Two megabytes of fields held a worker for above a second."""
    began = time.thread_time()
    answer = client.post("/prometheus/api/v1/query", data=body, headers=FORM)
    assert time.thread_time() - began < 0.3
    assert (answer.status_code, answer.get_json()["errorType"]) == (400, "bad_data")
    assert says in answer.get_json()["error"]


def test_a_form_goes_before_the_query_and_may_be_packed(client: FlaskClient) -> None:
    path = "/prometheus/api/v1/query?query=1"
    packed = gzip.compress(b"query=2&query=3&time=")
    for body, more in ((b"query=2&query=3", {}), (packed, {"Content-Encoding": "gzip"})):
        answer = client.post(path, data=body, headers=FORM | more)
        assert answer.get_json()["data"]["result"][1] == "2"
    for body, kind in ((b"query=2", "text/plain"), (b"", FORM["Content-Type"])):
        answer = client.post(path, data=body, content_type=kind)
        assert answer.get_json()["data"]["result"][1] == "1"


def test_other_errors_have_the_shape_too(client: FlaskClient) -> None:
    answer = client.get("/prometheus/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.get_json()["errorType"] == "not_found"


RANGE = {"start": f"{NOW - 3600:.0f}", "end": f"{NOW:.0f}"}
ALL = {"match[]": '{__name__!=""}', "limit": "40000", **RANGE}
ROWS = [{"__name__": "tidemark", "series": name} for name in ("a", "b/c")]
RANGED = {
    "query": 'count_over_time(tidemark{series="a"}[1m])',
    **RANGE,
    "end": f"{NOW}",
    "step": "15",
    "timeout": "60s",
}
GRAFANA: list[tuple[str, str, dict[str, str], Any]] = [
    # The health of the data source: pkg/promlib/healthcheck.go asks as of four seconds after the epoch.
    ("POST", "query", {"query": "1+1", "time": "4"}, {"resultType": "scalar", "result": [4, "2"]}),
    ("GET", "query", {"query": "1+1", "time": "4"}, {"resultType": "scalar", "result": [4, "2"]}),
    ("GET", "status/buildinfo", {}, None),  # pkg/promlib/heuristics.go
    ("GET", "rules", {}, {"groups": []}),
    ("GET", "metadata", {}, None),  # packages/grafana-prometheus/src/language_provider.ts
    ("GET", "metadata", {"limit": "40000"}, None),
    # packages/grafana-prometheus/src/resource_clients.ts
    ("POST", "labels", {"limit": "40000", **RANGE}, ["__name__", "series"]),
    ("POST", "labels", {"limit": "40000", **RANGE, "match[]": 'tidemark{series="a"}'}, ["__name__", "series"]),
    ("GET", "label/__name__/values", {"limit": "40000", **RANGE}, ["tidemark"]),
    ("GET", "label/series/values", {"limit": "40000", **RANGE, "match[]": "tidemark"}, ["a", "b/c"]),
    ("GET", "label/series/values", {"limit": "1", **RANGE, "match[]": 'tidemark{series=~"b.*"}'}, ["b/c"]),
    ("GET", "label/other/values", {"limit": "40000", **RANGE}, []),
    ("POST", "series", ALL, ROWS),
    ("GET", "series", ALL, ROWS),
    ("POST", "series", {**ALL, "match[]": '{series!=""}'}, ROWS),
    ("POST", "series", {**ALL, "match[]": '{__name__="tidemark",series="a",series!=""}'}, ROWS[:1]),
    # pkg/promlib/client/client.go
    ("POST", "query_range", RANGED, None),
    ("GET", "query_range", RANGED, None),
    ("POST", "query", {"query": "tidemark", "time": f"{NOW}"}, None),
    ("GET", "alerts", {}, {"alerts": []}),
]
"""Method, path, arguments, and the data where this test says what they are: the calls of Grafana v12.2.0."""


@pytest.mark.parametrize(("method", "path", "arguments", "data"), GRAFANA)
def test_what_grafana_asks(client: FlaskClient, method: str, path: str, arguments: dict[str, str], data: Any) -> None:
    how = {"data": arguments} if method == "POST" else {"query_string": arguments}
    answer = client.open(f"/prometheus/api/v1/{path}", method=method, **how)  # type: ignore[arg-type]
    assert answer.status_code == 200
    found = answer.get_json()
    assert found["status"] == "success"
    if data is not None:
        assert found["data"] == data


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of an application with keys, one of which may read series of `ours` alone; and two series."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    write_keys(keys)
    client = create_app(Settings(log_url="memory:", keys=str(keys)), clock=lambda: START).test_client()
    for series in ("ours/a", "theirs"):
        body = {"series": series, "values": [1, 2]}
        assert client.post("/events", json=body, headers=bearer("everything")).status_code == 201
    return client


ANY = {"match[]": '{series=~".+"}'}


@pytest.mark.parametrize("header", [bearer, basic])
@pytest.mark.parametrize(
    ("path", "arguments", "all_of_them"),
    [
        ("query", {"query": "count_over_time(tidemark[1h])"}, 2),
        ("query", {"query": 'tidemark{series="theirs"}'}, 1),
        ("query_range", {"query": "sum(count_over_time(tidemark[1h]))", "start": NOW, "end": NOW, "step": 1}, 1),
        ("series", ANY, 2),
        ("labels", ANY, 2),
        ("label/series/values", {}, 2),
    ],
)
def test_a_key_of_some_series_sees_no_others(
    guarded: FlaskClient, header: Callable[[str], dict[str, str]], path: str, arguments: Any, all_of_them: int
) -> None:
    """Grafana sends a token or a password in `Authorization`."""
    answers = [
        guarded.post(f"/prometheus/api/v1/{path}", data=arguments, headers=header(key)).get_json()
        for key in ("everything", "restricted")
    ]
    assert [answer["status"] for answer in answers] == ["success", "success"]
    every, own = (answer["data"]["result"] if "query" in path else answer["data"] for answer in answers)
    assert len(every) == all_of_them
    assert "theirs" not in str(own)
    assert own != every or path == "labels"
    if path == "query_range":
        assert [row["values"] for row in (*every, *own)] == [[[NOW, "4"]], [[NOW, "2"]]]


@pytest.mark.parametrize(
    "arguments", [{}, {"match[]": ["tidemark"] * 21}, {"match[]": "1"}, {"match[]": "tidemark", "limit": "-1"}]
)
def test_a_bad_question_for_series_is_refused(client: FlaskClient, arguments: dict[str, Any]) -> None:
    answer = client.get("/prometheus/api/v1/series", query_string=arguments)
    assert (answer.status_code, answer.get_json()["errorType"]) == (400, "bad_data")
