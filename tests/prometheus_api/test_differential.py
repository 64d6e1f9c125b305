"""Generated queries, asked of ours and of a real Prometheus that was loaded with the same samples."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from math import isclose, isnan
from typing import Any

import numpy as np
import pytest
import requests
from flask.testing import FlaskClient

from event_service import EventService

from .. import prometheus
from .generated import AGGREGATIONS, FUNCTIONS, MATCHERS, MILLISECOND, Query, queries, samples

SEED = 25
SAMPLES = samples(SEED)
Rows = dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]
"""By labels, the values at each moment."""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has the samples."""
    directory = tmp_path_factory.mktemp("prometheus")
    (directory / "samples").write_text(open_metrics())
    command = [prometheus.required("promtool"), "tsdb", "create-blocks-from", "openmetrics", "samples", "data"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    with prometheus.running(directory, "") as url:
        yield url


def open_metrics() -> str:
    lines = ["# TYPE tidemark gauge"]
    for name, found in SAMPLES.items():
        label = name.replace("\\", "\\\\").replace('"', '\\"')
        for moment, value in found:
            seconds = f"{moment / 1000:.4f}"  # promtool cuts the product off, which may be one too small
            if int(float(seconds) * 1000) != moment:
                seconds = f"{moment / 1000:.3f}5"
            assert int(float(seconds) * 1000) == moment
            lines.append(f'tidemark{{series="{label}"}} {value!r} {seconds}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture
def ours(client: FlaskClient, service: EventService) -> FlaskClient:
    for name, found in SAMPLES.items():
        moments, values = (np.array(column) for column in zip(*found, strict=True))
        service.add_many([name], None, moments.astype(np.int64) * MILLISECOND, values.astype(np.float64))
    return client


def arguments(query: Query) -> tuple[str, dict[str, str]]:
    if query.step is None:
        return "query", {"query": query.text, "time": f"{query.end / 1000:.3f}"}
    times = {"start": f"{query.start / 1000:.3f}", "end": f"{query.end / 1000:.3f}", "step": f"{query.step / 1000:g}"}
    return "query_range", {"query": query.text, **times}


def rows(answer: Any) -> Rows:
    assert answer["status"] == "success", answer
    found: Rows = {}
    for row in answer["data"]["result"]:
        labels = tuple(sorted(row["metric"].items()))
        assert labels not in found
        found[labels] = [(moment, float(value)) for moment, value in row.get("values") or [row["value"]]]
    return found


def is_close(one: float, other: float, error: float) -> bool:
    return (isnan(one) and isnan(other)) or isclose(one, other, rel_tol=error, abs_tol=0)


def ranked(found: Rows) -> Rows:
    """Of a ranking the values alone: which of two equal ones is in it nobody says."""
    moments: dict[float, list[float]] = {}
    for row in found.values():
        for moment, value in row:
            moments.setdefault(moment, []).append(value)
    return {(): [(moment, value) for moment in sorted(moments) for value in sorted(moments[moment])]}


def differences(query: Query, found: Rows, expected: Rows) -> list[str]:
    if query.features & {"aggregation topk", "aggregation bottomk"}:
        found, expected = ranked(found), ranked(expected)
    told = [f"{query}: labels {found.keys() ^ expected.keys()}"] if found.keys() != expected.keys() else []
    for labels in found.keys() & expected.keys():
        one, other = found[labels], expected[labels]
        if [moment for moment, _ in one] != [moment for moment, _ in other]:
            told.append(f"{query}: moments of {labels}: {one[:3]} {other[:3]}")
        pairs = zip(one, other, strict=False)
        told += [f"{query}: {labels}: {a} {b}" for a, b in pairs if not is_close(a[1], b[1], query.error)][:1]
    return told


@pytest.mark.soak(count=(165, 500))
def test_generated_queries_are_answered_alike(ours: FlaskClient, theirs: str, count: int) -> None:
    features: Counter[str] = Counter()
    different, with_results = [], 0
    with requests.Session() as session:
        for query in queries(SEED, count):
            path, asked = arguments(query)
            expected = rows(session.post(f"{theirs}/api/v1/{path}", asked, timeout=60).json())
            found = rows(ours.post(f"/prometheus/api/v1/{path}", data=asked).get_json())
            different += differences(query, found, expected)
            with_results += bool(expected)
            features.update(query.features)
    assert not different, f"{len(different)} differ: {different[:5]}"
    assert with_results >= 0.8 * count
    wanted = [f"function {name}" for name in FUNCTIONS] + [f"matcher {operator}" for operator in MATCHERS]
    wanted += [f"modifier {name}" for name in ("offset", "-offset", "@", "@ end", "@ start")]
    wanted += [f"aggregation {name}" for name in AGGREGATIONS]
    assert {name for name in wanted if features[name] < 10} == set()
