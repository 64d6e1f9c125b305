"""`GET /metrics`: metrics of the service, for Prometheus. `GET /metrics/windows`: the windows themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from flask import Blueprint, Response, request
from prometheus_client.core import Metric

from access.keys import METRICS
from alerts.states import shown as shown_state
from api.answers import in_portions, written
from api.context import context, meter, service
from api.guard import needs, visible
from api.openapi.components import POSITIONED
from api.openapi.operation import Operation, Reply
from api.reading.queries import Query, load_query
from api.reading.query_fields import Include, Prefix, Window
from api.statistics import extras, shown
from event_log.errors import LogUnavailable
from metrics import exposition
from metrics.meter import Totals
from settings import VERSION
from times import format_duration
from view.answers import Order, Scope, SeriesInfo

MOST_SERIES = 1000
"""Maximum number of series whose windows are shown."""

bp = Blueprint("metrics", __name__)


class MetricsQuery(Query):
    """Parameters of `GET /metrics/windows`: the series, their windows, the statistics."""

    series = Prefix()
    window = Window()
    include = Include(load_default=())


_QUERY = MetricsQuery()
_TEXT = Reply("In Prometheus' text format.", "Text", media_type="text/plain")


@bp.get("/metrics")
@needs(METRICS)
@Operation(query=MetricsQuery, replies={200: _TEXT})
def get_metrics() -> Response:
    """The state of the service, for Prometheus.

    Counters are sums over all workers of this host since the service started. While the log cannot be read,
    `tidemark_log_up` is 0, and what the log tells is left out: the rest is wanted most then. With any parameter it is
    `GET /metrics/windows`, and has no counters: none comes twice where both are scraped.
    """
    if request.query_string:
        return _windows()
    totals = Totals(meter().table)
    try:
        told = [*exposition.gauges(_standing()), *_alerts()]
    except LogUnavailable:
        told = []
    own = (
        ("open_streams", "Streams open now.", totals.open_streams),
        ("log_up", "1 where the log could be read just now, 0 where what it tells is left out.", int(bool(told))),
    )
    return _text([*exposition.counted(totals), *told, *exposition.gauges(own), exposition.build_info(VERSION)])


@bp.get("/metrics/windows")
@needs(METRICS)
@Operation(query=MetricsQuery, replies={200: replace(_TEXT, headers=POSITIONED)})
def get_windows() -> Response:
    """The windows of series, for Prometheus.

    The statistics of each series in a window, as the gauge `tidemark_window`, of at most 1,000 series by name;
    `tidemark_windows_left_out` is 1 where more match.
    """
    return _windows()


def _text(families: Iterable[Metric], position: int | None = None) -> Response:
    return written(exposition.write(families), exposition.CONTENT_TYPE, position=position)


def _standing() -> exposition.Gauges:
    everything = service().statistics(window=service().rules.retention)
    usage = service().usage()
    snapshots, age = service().snapshots()
    return (
        ("live_events", "Events of the retention.", everything.summary.count),
        ("series", "Series known.", service().series_count()),
        ("log_position", "Where the log stands.", everything.position),
        ("log_used_bytes", "What the log takes.", usage.bytes_used),
        ("log_allowed_bytes", "What the log may take.", usage.bytes_allowed),
        ("snapshots", "Snapshots that long questions read in the worker that answers.", snapshots),
        ("oldest_snapshot_seconds", "Age of the oldest of them.", age),
        ("log_synced_age_seconds", "Age of the oldest record that a power cut could still cost.", usage.synced),
    )


def _alerts() -> list[Metric]:
    """Return the number of alerts of each rule in each state; nothing where there are no rules."""
    standing = context().boards.here().standing()
    if not standing.targets:
        return []
    counts = Counter((key[0], shown_state(standing.alert(key).state)) for key in in_portions(standing.targets))
    text = "Alerts of a rule that are in a state."
    return [
        exposition.labelled("alerts", text, ("name", "state"), sorted(counts.items())),
        *exposition.gauges([("alerts_left_out", "Alerts that the limits leave out.", standing.left_out)]),
    ]


def _windows() -> Response:
    """The statistics of every series asked for, as one gauge; and whether that are all of them."""
    query = load_query(_QUERY, request.args)
    window = query.get("window") or service().rules.window
    include = query["include"]
    infos, following, position = service().ranking(
        query.get("series", ""), MOST_SERIES, None, Scope(window), Order(visible=visible()), extras(include)
    )
    samples = (
        ((info.name, name, format_duration(window)), number)
        for info in in_portions(infos)
        for name, number in _numbers(info, include)
    )
    labels = ("series", "statistic", "window")
    left_out = ("windows_left_out", "1 where more series match than are shown.", int(following is not None))
    return _text(
        [
            exposition.labelled("window", "A statistic of the events of a series in a window.", labels, samples),
            *exposition.gauges([left_out]),
        ],
        position,
    )


def _numbers(info: SeriesInfo, include: Iterable[str]) -> Iterator[tuple[str, float]]:
    """The statistics of a series that there are, by name."""
    assert info.figures is not None
    for name, value in shown(info.figures, include).items():
        number = value["value"] if isinstance(value, dict) else value
        if number is not None:
            yield name, number
