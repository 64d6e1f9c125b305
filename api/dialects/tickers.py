"""Drop-in for a service of live tickers: every series with its price now and at first, and its history."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response

from api.answers import answer
from api.context import service
from api.dialects.faults import Refused, speak_dialect
from api.dialects.fields import Limit, Model
from api.dialects.inputs import load_query
from api.health import get_health
from times import format_timestamp

PAGE = 1000
_NUMBERED = re.compile(r"ITEM_(\d{2,})", re.ASCII)

bp = Blueprint("tickers", __name__)
speak_dialect(bp)
bp.get("/health", strict_slashes=False)(get_health)

Event = tuple[int, float]
"""Time and value."""


class History(Model):
    """How much history to give."""

    limit = Limit()


_HISTORY = History()


@bp.get("/api/v1/tickers", strict_slashes=False)
def tickers() -> Response:
    """Every series that holds an event, sorted by name."""
    infos, after, position = service().series(limit=PAGE)
    while after is not None:
        # The first page's position stands for all: no page knows less of the log.
        page, after, _ = service().series(limit=PAGE, after=after)
        infos += page
    body = [_ticker(info.name, info.initial, info.last) for info in infos if info.last]
    return answer(body, position=position)


@bp.get("/api/v1/tickers/<series:ticker>/history", strict_slashes=False)
@bp.get("/api/v1/tickers/<series:ticker>/history/", strict_slashes=False)
def history(ticker: str) -> Response:
    """The last events of a series, oldest first."""
    limit = load_query(_HISTORY)["limit"]
    initial, known = _initial(ticker)
    found = service().events(ticker, limit)
    if initial is None or found is None or not len(found[0]):
        raise Refused(404, f"Ticker {ticker} not found", position=known)
    times, values, position = found
    last = (int(times[-1]), float(values[-1]))
    prices = [
        {"value": value, "timestamp": format_timestamp(time)}
        for time, value in zip(times.tolist(), values.tolist(), strict=True)
    ]
    return answer({"ticker": _ticker(ticker, initial, last), "history": prices}, position=position)


def _initial(name: str) -> tuple[Event | None, int]:
    """The event with which a series began, and how far the view had read.

    Among the names that begin with its name, its own comes first.
    """
    infos, _, position = service().series(prefix=name, limit=1)
    return infos[0].initial if infos and infos[0].name == name else None, position


def _ticker(name: str, initial: Event, last: Event) -> dict[str, Any]:
    return {
        "id": name,
        "name": _NUMBERED.sub(r"Item \1", name) if _NUMBERED.fullmatch(name) else name,
        "current_price": round(last[1], 2),
        "initial_price": round(initial[1], 2),
        "created_at": format_timestamp(initial[0]),
        "updated_at": format_timestamp(last[0]),
    }
