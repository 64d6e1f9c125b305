"""The plain posts of the dialects, for the fast path."""

from __future__ import annotations

import math
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
    """How plain posts of the dialects are taken, by path."""
    most = service.settings.max_batch
    of_a_symbol = Conditions(keep=batches.KEEP, symbols=True)

    def tick(body: bytes) -> Outcome | None:
        found = _read(body, {"instrument", "price", "timestamp"}, "price")
        if found is None or not _is_name(instrument := found[0]["instrument"]):
            return None
        return ticks.added_outcome(service.add(instrument, *found[1:], max_age=MINUTE))

    def transaction(body: bytes) -> Outcome | None:
        found = _read(body, {"amount", "timestamp"}, "amount")
        if found is None:
            return None
        return transactions.added_outcome(service.add(transactions.SERIES, *found[1:], max_age=MINUTE))

    def batch(body: bytes) -> Outcome | None:
        found = plain_batch_in(body, most)
        if found is None:
            return None
        symbol = found["symbol"]
        return batches.added_outcome(symbol, service.add_many([symbol], None, None, found["values"], of_a_symbol))

    return {
        f"{PREFIX}/ticks/ticks": tick,
        f"{PREFIX}/transactions/transactions": transaction,
        f"{PREFIX}/batches/add_batch/": batch,
        f"{PREFIX}/batches/add_batch": batch,
    }


def _read(body: bytes, names: set[str], number: str) -> tuple[dict[str, Any], int, float] | None:
    """An object that has just these names, its time and its number; None unless all is plain."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(data) is not dict or data.keys() != names:
        return None
    time, value = data["timestamp"], data[number]
    if type(time) is not int or type(value) not in (int, float):
        return None
    value = float(value) + 0.0  # negative zero becomes zero
    return (data, time * _MILLISECOND, value) if math.isfinite(value) else None


def _is_name(name: object) -> bool:
    return type(name) is str and SERIES_NAME.fullmatch(name) is not None
