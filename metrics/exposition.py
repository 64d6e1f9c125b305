"""The numbers as Prometheus reads them. prometheus-client writes the text: the escapes and the order of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.samples import Sample

from metrics.meter import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ROUTE = ("route", "method")

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values of the labels, and the number."""
Gauges = Sequence[tuple[str, str, float | None]]
"""Name without the prefix, help, value; None where there is none."""


class _Families:
    """Collector in the form that prometheus-client asks for."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def write(families: Iterable[Metric]) -> bytes:
    """The families as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(list(families)))
    return generate_latest(registry)


def counted(totals: Totals) -> Iterator[Metric]:
    """Yield the counters of all workers of this host since the service started."""
    requests = CounterMetricFamily("tidemark_requests", "Requests answered.", labels=(*_ROUTE, "status"))
    for route, method, status, count in totals.requests():
        requests.add_metric((route, method, status), count)
    yield requests
    seconds = HistogramMetricFamily("tidemark_request_seconds", "From request to answer, in seconds.", labels=_ROUTE)
    for route, method, buckets, sum_ in totals.seconds():
        seconds.add_metric((route, method), buckets, sum_)
    yield seconds
    stored, expired = totals.events("stored"), totals.events("expired")
    yield CounterMetricFamily("tidemark_events_stored", "Events stored.", value=stored)
    yield CounterMetricFamily("tidemark_events_expired", "Events that were too old to be stored.", value=expired)
    refused = CounterMetricFamily(
        "tidemark_events_refused", "Events refused; a request that cannot be read counts as one.", labels=("reason",)
    )
    for reason, count in totals.refused().items():
        refused.add_metric((reason,), count)
    yield refused
    count, seconds_ = totals.looks()
    if count:
        yield SummaryMetricFamily(
            "tidemark_alert_evaluation_seconds", "Looks at all alerts.", count_value=count, sum_value=seconds_
        )
    notifications = CounterMetricFamily(
        "tidemark_notifications", "Changes of alerts, by receiver and outcome.", labels=("receiver", "outcome")
    )
    for receiver, outcome, number in totals.notifications():
        notifications.add_metric((receiver, outcome), number)
    if notifications.samples:
        yield notifications


def gauges(found: Gauges) -> Iterator[Metric]:
    """Yield the gauges that have a value."""
    for name, text, value in found:
        if value is not None:
            yield GaugeMetricFamily(f"tidemark_{name}", text, value=value)


def build_info(version: str) -> Metric:
    """Return the version of the service and of Python, as labels."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = GaugeMetricFamily("tidemark_build_info", "What runs here, as labels.", labels=("version", "python"))
    found.add_metric((version, python), 1)
    return found


def labelled(name: str, text: str, labels: Sequence[str], samples: Samples) -> Metric:
    """One gauge of many series, whose samples are asked for one by one when they are written."""
    found = GaugeMetricFamily(f"tidemark_{name}", text, labels=labels)
    found.samples = (  # type: ignore[assignment]  # prometheus-client goes through them once
        Sample(found.name, dict(zip(labels, values, strict=True)), value) for values, value in samples
    )
    return found
