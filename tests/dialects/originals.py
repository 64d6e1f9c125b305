"""The services whose dialects we speak, as far as they read requests: real FastAPI with real pydantic models.

What their models refuse, and in which words, is not copied from documentation but asked of them here.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import FastAPI, Query, Response
from pydantic import BaseModel, Field, FiniteFloat, field_validator

app = FastAPI(strict_content_type=False)  # as it was for all versions before it could be strict

# FastAPI looks the annotations of its functions up by name: the models must stand at module level.


class Tick(BaseModel):
    instrument: Annotated[str, Field(min_length=1, max_length=128)]
    price: FiniteFloat
    timestamp: int


class Transaction(BaseModel):
    amount: FiniteFloat
    timestamp: int


class BatchData(BaseModel):
    symbol: Annotated[str, Field(max_length=128)]
    values: list[FiniteFloat]

    @field_validator("symbol")
    @classmethod
    def check_symbol(cls, symbol: str) -> str:
        if not symbol:
            raise ValueError("Symbol cannot be empty")
        return symbol

    @field_validator("values")
    @classmethod
    def check_values(cls, values: list[float]) -> list[float]:
        if not values:
            raise ValueError("Values cannot be empty")
        if len(values) > 10_000:
            raise ValueError("Batch size cannot exceed 10000 values")
        return values


@app.post("/ticks/ticks", status_code=201)
def add_tick(tick: Tick) -> dict[str, str]:
    return {}


@app.post("/transactions/transactions", status_code=201)
def add_transaction(transaction: Transaction) -> Response:
    return Response(status_code=201)


@app.post("/batches/add_batch/", status_code=201)
def add_batch(data: BatchData) -> dict[str, str]:
    return {"status": "success", "message": f"Added batch for symbol: {data.symbol}"}


@app.get("/batches/stats/")
def stats_by_query(symbol: str, k: int) -> None:
    return None


@app.get("/batches/stats/{symbol}/{k}")
def stats_by_path(symbol: str, k: int) -> None:
    return None


@app.get("/tickers/api/v1/tickers/{ticker}/history")
def history(ticker: str, limit: Annotated[int, Query(ge=1, le=1000)] = 1000) -> None:
    return None


def ask(method: str, target: str, body: bytes = b"", media_type: str | None = "application/json") -> tuple[int, Any]:
    """Status and JSON (None when there is no body) of the original's answer."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"content-type", media_type.encode())] if media_type else [],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    answering = app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts are what ASGI messages are
    with ThreadPoolExecutor(1) as thread:  # Playwright keeps a loop running in this one, once it has begun
        thread.submit(asyncio.run, answering).result()
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(content) if content else None
