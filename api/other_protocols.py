"""Paths at which other databases take data, each with what to use here instead."""

from __future__ import annotations

_EVENTS = 'post {"value": 12.34, "series": "web"} to /event, or many events to /events as JSON, NDJSON or CSV'
_INFLUX = f"InfluxDB's line protocol is taken below the base URL /dialects/influx; or {_EVENTS}."
INSTEAD = {
    "/write": _INFLUX,
    "/api/v2/write": _INFLUX,
    "/api/v1/write": f"Prometheus' remote write is not taken; {_EVENTS}.",
    "/v1/metrics": f"OpenTelemetry's metrics (OTLP) are not taken; {_EVENTS}.",
    "/api/put": f"OpenTSDB's puts are not taken; {_EVENTS}.",
}
"""Advice to the client of a POST, by path."""


def instead(method: str, path: str) -> str:
    """Return the advice instead of a request, as the end of a message; empty where it is none of another database."""
    return f" {INSTEAD[path]}" if method == "POST" and path in INSTEAD else ""
