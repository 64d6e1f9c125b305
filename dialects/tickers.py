"""Drop-in for a service of live tickers: each series with its price now and at first, its history, its new prices."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import wraps
from typing import Any

import orjson
from flask import Blueprint, Response, g, request

from access.keys import READ
from api.answers import in_portions
from api.context import service
from api.guard import lease, needs, visible
from api.handshake import websocket_route
from api.openapi.components import NUMBER, POSITIONED, TEXT, TIME, array, object_of, ref, share
from api.openapi.operation import Operation, Reply
from api.reading.schemas import NAME
from api.routes import health
from api.stream_answers import feed, require_streaming
from dialects.answers import END, answer
from dialects.descriptions import READ_ERRORS
from dialects.fields import Limit, Model
from dialects.requests import Refused, load_query
from event_log.batch import Times, Values
from streaming.websocket import WebSocket, serve
from streaming.wire import Wire, json_timestamps, text_frame
from times import format_timestamp

UNKNOWN_TICKER = 4004
DECIMALS = 2
"""Decimals of the prices in answers; price updates have all of theirs."""
_NUMBERED = re.compile(r"ITEM_(\d{2,})", re.ASCII)

bp = Blueprint("tickers", __name__)


@bp.get("/health", strict_slashes=False)
@wraps(health.get_health)  # it is described, and open, as that one is
def get_health() -> Response:
    """Return whether the log can be read and written."""
    return health.health_answer(END)


stream = Blueprint("stream", __name__)

Price = tuple[int, float]
"""Time and value."""


class History(Model):
    """Parameters of a ticker's history: its length."""

    limit = Limit()


_TICKER = {
    "id": "ITEM_00",
    "name": "Item 00",
    "current_price": 101.5,
    "initial_price": 100.0,
    "created_at": "2025-06-26T14:29:00Z",
    "updated_at": "2025-06-26T14:30:00Z",
}

share(
    Ticker=object_of(
        {
            "id": NAME,
            "name": TEXT,
            "current_price": NUMBER,
            "initial_price": NUMBER,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
    Tickers=array(ref("Ticker")),
    TickerHistory=object_of(
        {"ticker": ref("Ticker"), "history": array(object_of({"value": NUMBER, "timestamp": TIME}))}
    ),
)
_EXAMPLE = {"ticker": _TICKER, "history": [{"value": 101.5, "timestamp": "2025-06-26T14:30:00Z"}]}
_HISTORY = History()


@bp.get("/api/v1/tickers", strict_slashes=False)
@needs(READ)
@Operation(replies={200: Reply("The tickers.", "Tickers", [_TICKER], headers=POSITIONED)}, errors=(503,))
def tickers() -> Response:
    """All tickers, sorted by name: every series that holds an event."""
    infos, _, position = service().series(limit=None, visible=visible())
    body = [_ticker(info.name, info.initial, info.last) for info in in_portions(infos) if info.last]
    return answer(body, position=position)


@bp.get("/api/v1/tickers/<series:ticker>/history", strict_slashes=False)
@bp.get("/api/v1/tickers/<series:ticker>/history/", strict_slashes=False)
@needs(READ, series="ticker")
@Operation(
    query=History,
    replies={200: Reply("The ticker and its prices.", "TickerHistory", _EXAMPLE, headers=POSITIONED)},
    errors=READ_ERRORS,
)
def history(ticker: str) -> Response:
    """The last prices of a ticker, oldest first."""
    limit = load_query(_HISTORY)["limit"]
    found = service().course(ticker, limit)
    if found.initial is None or not len(found.times):
        raise Refused(404, f"Ticker {ticker} not found", position=found.position)
    last = (int(found.times[-1]), float(found.values[-1]))
    prices = [
        {"value": round(value, DECIMALS), "timestamp": format_timestamp(time)}
        for time, value in in_portions(zip(found.times.tolist(), found.values.tolist(), strict=True))
    ]
    return answer({"ticker": _ticker(ticker, found.initial, last), "history": prices}, position=found.position)


def _ticker(name: str, initial: Price, last: Price) -> dict[str, Any]:
    return {
        "id": name,
        "name": _NUMBERED.sub(r"Item \1", name) if _NUMBERED.fullmatch(name) else name,
        "current_price": round(last[1], DECIMALS),
        "initial_price": round(initial[1], DECIMALS),
        "created_at": format_timestamp(initial[0]),
        "updated_at": format_timestamp(last[0]),
    }


@stream.before_request
def require_a_server_that_streams() -> None:
    """The only route here is a stream. Prices begin before the handshake: the client may post as soon as it is done.
    And the log is asked before it, since only until then an answer can say that it is not there."""
    if request.method == "OPTIONS":
        return
    require_streaming()
    found = service().events((request.view_args or {})["ticker"], 1)
    g.is_known = found is not None and len(found[0]) > 0
    g.beginning = service().position()


@websocket_route(stream, "/ws/<series:ticker>")
@needs(READ, series="ticker")
@Operation(replies={101: Reply("The WebSocket is open.")}, errors=(400, 426, 501, 503))
def price_updates(ws: WebSocket, ticker: str) -> None:
    """Each new price of a ticker, over a WebSocket.

    `{"type": "price_update", "data": {"ticker_id", "price", "timestamp"}}`; an unknown ticker is closed with code 4004.
    """
    if g.is_known:
        serve(ws, feed(), (ticker, _PRICES), g.beginning, lease(ticker))
    else:
        ws.close(UNKNOWN_TICKER, "Ticker not found")


def price_frames(series: str, positions: Times, times: Times, values: Values) -> bytes:
    """A text frame for each price, as it was posted: here, unlike in its other answers, the original does not round."""
    prices = map(orjson.dumps, values.tolist())
    return b"".join(map(text_frame, _updates(orjson.dumps(series), prices, json_timestamps(times))))


def _updates(ticker: bytes, prices: Iterable[bytes], timestamps: Iterable[bytes]) -> Iterable[bytes]:
    form = b'{"type":"price_update","data":{"ticker_id":%b,"price":%b,"timestamp":%b}}'
    return (form % (ticker, price, timestamp) for price, timestamp in zip(prices, timestamps, strict=True))


_PRICES = Wire(price_frames, lambda series, position: b"")
"""The originals have no word for a gap."""

bp.register_blueprint(stream)
