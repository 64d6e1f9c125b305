"""The native operations, by the endpoint that serves each."""

from __future__ import annotations

from api.openapi.operation import JSON, Answer, Body, Operation
from api.reading.batch_formats import CSV, NDJSON
from api.reading.queries import EventsQuery, SeriesQuery, StatisticsQuery
from api.reading.schemas import ColumnsSchema, EventSchema
from api.routes.streams import EventsStreamQuery, StreamQuery

_POSITION = ("Log-Position",)
_EVENT = {"timestamp": "2025-06-26T14:30:00Z", "value": 12.34}
_AAPL = {"timestamp": "2025-06-26T14:29:59.250Z", "value": 201.5, "series": "AAPL"}
_STATISTICS = {"count": 4, "min": 1.0, "max": 42.0, "mean": 12.3}
_STORED = Answer(description="Stored.", schema="Accepted", example={"stored": 1, "expired": 0}, headers=_POSITION)
_EXPIRED = Answer(
    description="Valid, but already older than the retention.",
    schema="Accepted",
    example={"stored": 0, "expired": 1},
    headers=_POSITION,
)
_WRITE_ERRORS = ("400-Invalid", "413-TooLarge", "415-MediaType", "429-TooManySeries", "503-Unavailable")
_READ_ERRORS = ("400-Invalid", "503-Unavailable")
_STREAM_ERRORS = (*_READ_ERRORS, "501-CannotStream")
_RESUME = ("Last-Event-ID",)
_EVENT_STREAM = "text/event-stream"
_SWITCHED = Answer(description="The WebSocket is open: one JSON text message an event.")


def _statistics(summary: str) -> Operation:
    return Operation(
        tag="statistics",
        summary=summary,
        description="Over the configured window, unless `window` or `last` say otherwise; with both, over the last "
        "events of those in the window. Exact: correctly rounded doubles, the same on every worker.",
        query=StatisticsQuery,
        answers={
            200: Answer(description="The statistics.", schema="Statistics", example=_STATISTICS, headers=_POSITION)
        },
        errors=_READ_ERRORS,
    )


def _health(summary: str, good: str, bad: str) -> Operation:
    return Operation(
        tag="health",
        summary=summary,
        answers={
            200: Answer(description="Yes.", schema="Status", example={"status": good}),
            503: Answer(description="No.", schema="Status", example={"status": bad, "detail": "why"}),
        },
    )


OPERATIONS: dict[str, Operation] = {
    "events.post_event": Operation(
        tag="events",
        summary="Take one event",
        bodies={
            JSON: (Body(schema=EventSchema, examples={"plain": _EVENT, "of a series": _AAPL}),),
        },
        answers={201: _STORED, 200: _EXPIRED},
        errors=_WRITE_ERRORS,
    ),
    "events.post_events": Operation(
        tag="events",
        summary="Take a batch of events, all or none",
        description="At most MAX_BATCH events. Columns without `timestamps` are all stamped on arrival.",
        bodies={
            JSON: (
                Body(
                    schema={"type": "array", "items": EventSchema, "minItems": 1},
                    examples={"events": [_EVENT, _AAPL]},
                ),
                Body(
                    schema=ColumnsSchema,
                    examples={
                        "columns": {
                            "series": "AAPL",
                            "timestamps": ["2025-06-26T14:29:59Z", "2025-06-26T14:30:00Z"],
                            "values": [201.5, 201.75],
                        },
                        "stamped on arrival": {"values": [1, 2.5, 3]},
                    },
                ),
            ),
            NDJSON: (
                Body(
                    schema={"type": "string", "description": "One event a line, as in `POST /event`."},
                    examples={
                        "lines": '{"timestamp": "2025-06-26T14:29:59Z", "value": 1}\n'
                        '{"timestamp": "2025-06-26T14:30:00Z", "value": 2.5, "series": "AAPL"}\n'
                    },
                ),
            ),
            CSV: (
                Body(
                    schema={
                        "type": "string",
                        "description": "With the header `timestamp,value` or that and `series`; a row whose `series` "
                        "is empty belongs to `default`.",
                    },
                    examples={"table": "timestamp,value,series\n2025-06-26T14:30:00Z,2.5,AAPL\n"},
                ),
            ),
        },
        answers={201: _STORED, 200: _EXPIRED},
        errors=_WRITE_ERRORS,
    ),
    "statistics.get_statistics": _statistics("Statistics over all series"),
    "statistics.get_statistics_of_series": _statistics("Statistics of one series; those of no events if never seen"),
    "series.get_series": Operation(
        tag="series",
        summary="The series, sorted by name",
        description="`next`, unless null, is what to ask for with `after` to get the next page.",
        query=SeriesQuery,
        answers={200: Answer(description="A page of them.", schema="SeriesPage", headers=_POSITION)},
        errors=_READ_ERRORS,
    ),
    "series.get_events": Operation(
        tag="series",
        summary="The last events of one series, oldest first",
        query=EventsQuery,
        answers={200: Answer(description="The events.", schema="Events", headers=_POSITION)},
        errors=(*_READ_ERRORS, "404-NoSeries"),
    ),
    "streams.stream_statistics": Operation(
        tag="streams",
        summary="Statistics at intervals, as Server-Sent Events",
        description="`event: statistics`, with the data of `GET /statistics` and `sum`, `last`, `rate` (events a "
        "second over the interval); `id` is the log position. A comment as heartbeat every 15 s.",
        query=StreamQuery,
        answers={200: Answer(description="The stream.", schema="Text", media_type=_EVENT_STREAM, headers=_POSITION)},
        errors=_STREAM_ERRORS,
    ),
    "streams.stream_events": Operation(
        tag="streams",
        summary="The events of a series as they are accepted, as Server-Sent Events",
        query=EventsStreamQuery,
        headers=_RESUME,
        answers={200: Answer(description="The stream.", schema="Text", media_type=_EVENT_STREAM, headers=_POSITION)},
        errors=_STREAM_ERRORS,
    ),
    "streams.websocket": Operation(
        tag="streams",
        summary="The events of a series as they are accepted, over a WebSocket",
        query=EventsStreamQuery,
        headers=_RESUME,
        answers={101: _SWITCHED},
        errors=(*_STREAM_ERRORS, "426-NoHandshake"),
    ),
    "health.get_health": _health("Whether the log can be read and written", "healthy", "unhealthy"),
    "health.get_live": Operation(
        tag="health",
        summary="That the process answers",
        answers={200: Answer(description="Yes.", schema="Status", example={"status": "alive"})},
    ),
    "health.get_ready": _health("Whether the view has caught up and the log takes writes", "ready", "not ready"),
}
