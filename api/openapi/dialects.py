"""The operations of the dialects, by the endpoint that serves each."""

from __future__ import annotations

from api.openapi.native import OPERATIONS as NATIVE
from api.openapi.operation import JSON, Answer, Body, Operation
from dialects.batches import NewBatch, Question
from dialects.tickers import History
from dialects.ticks import Tick
from dialects.transactions import Transaction

_POSITION = ("Log-Position",)
_WRITE_ERRORS = ("400-Detail", "413-Detail", "422-Detail", "429-Detail", "503-Detail")
_OLD = Answer(description="Older than 60 seconds; not stored.", headers=_POSITION)
_TICKER = {
    "id": "ITEM_00",
    "name": "Item 00",
    "current_price": 101.5,
    "initial_price": 100.0,
    "created_at": "2025-06-26T14:29:00Z",
    "updated_at": "2025-06-26T14:30:00Z",
}
_BATCH_STATISTICS = Answer(
    description="The statistics; `values` is how many there were.",
    schema="BatchStatistics",
    example={"min": 1.0, "max": 3.0, "last": 3.0, "avg": 2.0, "var": 0.6666666666666666, "values": 3},
    headers=_POSITION,
)

OPERATIONS: dict[str, Operation] = {
    "ticks.add_tick": Operation(
        tag="dialect ticks",
        summary="Take a price of an instrument",
        bodies={
            JSON: (
                Body(
                    schema=Tick,
                    examples={"tick": {"instrument": "AAPL", "price": 201.5, "timestamp": 1750948200000}},
                ),
            )
        },
        answers={201: Answer(description="Stored.", schema="Nothing", example={}, headers=_POSITION), 204: _OLD},
        errors=_WRITE_ERRORS,
    ),
    "ticks.statistics": Operation(
        tag="dialect ticks",
        summary="Statistics of the last 60 seconds, of all instruments or one; all zero when empty",
        answers={
            200: Answer(
                description="The statistics.",
                schema="MinuteOfTicks",
                example={"avg": 150.0, "max": 200.0, "min": 100.0, "count": 2},
                headers=_POSITION,
            )
        },
        errors=("503-Detail",),
    ),
    "transactions.add_transaction": Operation(
        tag="dialect transactions",
        summary="Take a transaction",
        bodies={
            JSON: (Body(schema=Transaction, examples={"transaction": {"amount": 12.5, "timestamp": 1750948200000}}),)
        },
        answers={201: Answer(description="Stored.", headers=_POSITION), 204: _OLD},
        errors=_WRITE_ERRORS,
    ),
    "transactions.statistics": Operation(
        tag="dialect transactions",
        summary="Statistics of the transactions of the last 60 seconds; all zero when empty",
        answers={
            200: Answer(
                description="The statistics.",
                schema="MinuteOfTransactions",
                example={"sum": 300.0, "avg": 150.0, "max": 200.0, "min": 100.0, "count": 2},
                headers=_POSITION,
            )
        },
        errors=("503-Detail",),
    ),
    "batches.add_batch": Operation(
        tag="dialect batches",
        summary="Take values of a symbol, oldest to newest",
        bodies={JSON: (Body(schema=NewBatch, examples={"batch": {"symbol": "BTC/USD", "values": [1, 2.5, 3]}}),)},
        answers={
            201: Answer(
                description="Stored.",
                schema="BatchAdded",
                example={"status": "success", "message": "Added batch for symbol: BTC/USD"},
                headers=_POSITION,
            )
        },
        errors=_WRITE_ERRORS,
    ),
    "batches.stats_by_query": Operation(
        tag="dialect batches",
        summary="Statistics of the last 10^k values of a symbol",
        query=Question,
        answers={200: _BATCH_STATISTICS},
        errors=("404-Detail", "422-Detail", "503-Detail"),
    ),
    "batches.stats_by_path": Operation(
        tag="dialect batches",
        summary="Statistics of the last 10^k values of a symbol",
        answers={200: _BATCH_STATISTICS},
        errors=("404-Detail", "422-Detail", "503-Detail"),
    ),
    "tickers.get_health": NATIVE["health.get_health"],
    "tickers.tickers": Operation(
        tag="dialect tickers",
        summary="All tickers",
        answers={200: Answer(description="The tickers.", schema="Tickers", example=[_TICKER], headers=_POSITION)},
        errors=("503-Detail",),
    ),
    "tickers.history": Operation(
        tag="dialect tickers",
        summary="The last prices of a ticker, oldest first",
        query=History,
        answers={
            200: Answer(
                description="The ticker and its prices.",
                schema="TickerHistory",
                example={"ticker": _TICKER, "history": [{"value": 101.5, "timestamp": "2025-06-26T14:30:00Z"}]},
                headers=_POSITION,
            )
        },
        errors=("404-Detail", "422-Detail", "503-Detail"),
    ),
    "tickers.prices.price_updates": Operation(
        tag="dialect tickers",
        summary="Each new price of a ticker, over a WebSocket",
        description='`{"type": "price_update", "data": {"ticker_id", "price", "timestamp"}}`; an unknown ticker is '
        "closed with code 4004.",
        answers={101: Answer(description="The WebSocket is open.")},
        errors=("400-Detail", "426-Detail", "501-Detail", "503-Detail"),
    ),
}
