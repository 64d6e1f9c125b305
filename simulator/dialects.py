"""The wire forms: how each dialect writes events, and where its statistics are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from simulator.events import Event
from times import format_timestamp

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One POST, ready to be sent, and the number of its events."""

    path: str
    body: bytes
    events: int
    content_type: str = JSON


Form = Callable[[Sequence[Event]], Call]


@dataclass(frozen=True, slots=True)
class Target:
    """Target of a run's posts: the form of a batch, whether a batch is of one series, the statistics' paths."""

    form: Form
    one_series: bool
    all_statistics: str
    statistics: Callable[[str], str] | None


class NoSuchForm(Exception):
    """The dialect cannot carry what was asked; the message says what it can."""


def _milliseconds(event: Event) -> int:
    return event.time // 1000


def _object(event: Event) -> dict[str, object]:
    return {"timestamp": format_timestamp(event.time), "value": event.value, "series": event.series}


def _single(events: Sequence[Event]) -> Call:
    return Call("/event", orjson.dumps(_object(events[0])), 1)


def _array(events: Sequence[Event]) -> Call:
    return Call("/events", orjson.dumps([_object(event) for event in events]), len(events))


def _columns(events: Sequence[Event]) -> Call:
    body = {
        "series": events[0].series,
        "timestamps": [format_timestamp(event.time) for event in events],
        "values": [event.value for event in events],
    }
    return Call("/events", orjson.dumps(body), len(events))


def _values(events: Sequence[Event]) -> Call:
    body = {"series": events[0].series, "values": [event.value for event in events]}
    return Call("/events", orjson.dumps(body), len(events))


def _ndjson(events: Sequence[Event]) -> Call:
    body = b"".join(orjson.dumps(_object(event), option=orjson.OPT_APPEND_NEWLINE) for event in events)
    return Call("/events", body, len(events), "application/x-ndjson")


def _csv_field(text: str) -> str:
    """Quoted only where it must be: a server reads a table without quotes faster."""
    return text if not set(text) & set(',"\r\n') else '"' + text.replace('"', '""') + '"'


def _csv(events: Sequence[Event]) -> Call:
    rows = [f"{format_timestamp(event.time)},{event.value},{_csv_field(event.series)}" for event in events]
    return Call("/events", "\r\n".join(["timestamp,value,series", *rows, ""]).encode(), len(events), "text/csv")


def _tick(events: Sequence[Event]) -> Call:
    event = events[0]
    body = {"instrument": event.series, "price": event.value, "timestamp": _milliseconds(event)}
    return Call("/dialects/ticks/ticks", orjson.dumps(body), 1)


def _transaction(events: Sequence[Event]) -> Call:
    body = {"amount": events[0].value, "timestamp": _milliseconds(events[0])}
    return Call("/dialects/transactions/transactions", orjson.dumps(body), 1)


def _symbol_batch(events: Sequence[Event]) -> Call:
    body = {"symbol": events[0].series, "values": [event.value for event in events]}
    return Call("/dialects/batches/add_batch/", orjson.dumps(body), len(events))


FORMATS: dict[str, tuple[Form, bool]] = {
    "array": (_array, False),
    "columns": (_columns, True),
    "values": (_values, True),
    "ndjson": (_ndjson, False),
    "csv": (_csv, False),
}
"""The bodies of `POST /events`, each with whether it is of one series."""

DIALECTS = ("native", "ticks", "transactions", "batches", "tickers")
LARGEST_SYMBOL_BATCH = 10_000


def _native_statistics(series: str) -> str:
    return "/statistics/" + quote(series, safe="")


def _ticks_statistics(instrument: str) -> str:
    return "/dialects/ticks/statistics/" + quote(instrument, safe="")


def _symbol_statistics(symbol: str) -> str:
    return f"/dialects/batches/stats/?symbol={quote(symbol, safe='')}&k=3"


def target(dialect: str, batch: int, body_format: str | None) -> Target:
    """Return the target of the posts. Raises NoSuchForm when the dialect has no such batch or format."""
    if dialect in ("native", "tickers"):  # the tickers' prices are any events
        form, one_series = (_single, False) if body_format is None and batch == 1 else FORMATS[body_format or "array"]
        return Target(form, one_series, "/statistics", _native_statistics)
    if body_format is not None:
        raise NoSuchForm(f"--format is for the native dialect; {dialect} has one form of its own")
    if dialect == "batches":
        if batch > LARGEST_SYMBOL_BATCH:
            raise NoSuchForm(f"--batch {batch}: the batches dialect takes at most {LARGEST_SYMBOL_BATCH} values")
        # It has no statistics over all symbols; the native ones cover the same events.
        return Target(_symbol_batch, True, "/statistics", _symbol_statistics)
    if batch != 1:
        raise NoSuchForm(f"--batch {batch}: the {dialect} dialect takes one event a request; leave --batch out")
    if dialect == "ticks":
        return Target(_tick, False, "/dialects/ticks/statistics", _ticks_statistics)
    return Target(_transaction, False, "/dialects/transactions/statistics", None)
