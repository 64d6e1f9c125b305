"""The tickers dialect's WebSocket: every new price of one ticker."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from flask import Blueprint, g
from simple_websocket import Server

from api.context import service
from api.streams import feed, require_place, require_streaming
from event_log.base import Times, Values
from streaming.websocket import close, serve, websocket_route
from streaming.wire import json_timestamps, text_frame

UNKNOWN_TICKER = 4004
DECIMALS = 2

bp = Blueprint("ticker_stream", __name__, url_prefix="/dialects/tickers")


@bp.before_request
def require_a_server_that_streams() -> None:
    """The only route here is a stream. Prices begin before the handshake: the client may post as soon as it is done."""
    require_streaming()
    require_place()
    g.beginning = service().log.position()


@websocket_route(bp, "/ws/<series:ticker>")
def price_updates(ws: Server, ticker: str) -> None:
    """One `price_update` for each new price, from now on."""
    found = service().events(ticker, 1)
    if found is None or not len(found[0]):
        close(ws, UNKNOWN_TICKER, "Ticker not found")
    else:
        serve(ws, feed(), (ticker, price_frames), g.beginning)


def price_frames(series: str, positions: Times, times: Times, values: Values) -> bytes:
    """A text frame for each price, rounded as the dialect's other answers round it."""
    prices = (orjson.dumps(round(value, DECIMALS)) for value in values.tolist())
    return b"".join(map(text_frame, _updates(orjson.dumps(series), prices, json_timestamps(times))))


def _updates(ticker: bytes, prices: Iterable[bytes], timestamps: Iterable[bytes]) -> Iterable[bytes]:
    form = b'{"type":"price_update","data":{"ticker_id":%b,"price":%b,"timestamp":%b}}'
    return (form % (ticker, price, timestamp) for price, timestamp in zip(prices, timestamps, strict=True))
