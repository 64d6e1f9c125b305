"""The plain posts of the dialects, for the fast path."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson

from api.answers import Outcome
from api.fast_path import Take
from api.reading.schemas import SERIES_NAME
from dialects import PREFIX, batches, ticks, transactions
from dialects.plain_batches import plain_batch_in
from event_log.writes import Conditions
from event_service import EventService
from times import MINUTE

_MILLISECOND = 1000


def takes(service: EventService) -> dict[str, Take]:
    """Return the functions that take plain posts of the dialects, by path."""
    most = service.settings.max_batch
    of_a_symbol = Conditions(keep=batches.KEEP, symbols=True)

    def of_a_minute(names: set[str], number: str, outcome: Callable[[Any], Outcome]) -> Take:
        def take(body: bytes) -> Outcome | None:
            found = _read(body, names, number)
            return None if found is None else outcome(service.add(*found, max_age=MINUTE))

        return take

    def batch(body: bytes) -> Outcome | None:
        found = plain_batch_in(body, most)
        if found is None:
            return None
        symbol = found["symbol"]
        return batches.added_outcome(symbol, service.add_many([symbol], None, None, found["values"], of_a_symbol))

    return {
        f"{PREFIX}/ticks/ticks": of_a_minute({"instrument", "price", "timestamp"}, "price", ticks.added_outcome),
        f"{PREFIX}/transactions/transactions": of_a_minute(
            {"amount", "timestamp"}, "amount", transactions.added_outcome
        ),
        f"{PREFIX}/batches/add_batch/": batch,
        f"{PREFIX}/batches/add_batch": batch,
    }


def _read(body: bytes, names: set[str], number: str) -> tuple[str, int, float] | None:
    """Return the event in an object that has just these names; None unless all is plain."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(data) is not dict or data.keys() != names:
        return None
    series, time, value = data.get("instrument", transactions.SERIES), data["timestamp"], data[number]
    if not _is_name(series) or type(time) is not int or type(value) not in (int, float):
        return None
    value = float(value) + 0.0  # negative zero becomes zero
    return (series, time * _MILLISECOND, value) if math.isfinite(value) else None


def _is_name(name: object) -> bool:
    return type(name) is str and SERIES_NAME.fullmatch(name) is not None
