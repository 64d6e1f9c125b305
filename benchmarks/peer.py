"""The peer of the HTTP benchmark: what one would write first with FastAPI. One process, a deque, a scan."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from threading import RLock

from fastapi import FastAPI
from pydantic import BaseModel, FiniteFloat

WINDOW = 3600.0

app = FastAPI()
events: deque[tuple[float, float]] = deque()
lock = RLock()


class Event(BaseModel):
    timestamp: datetime
    value: FiniteFloat
    series: str = "default"


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.post("/event", status_code=201)
async def add(event: Event) -> dict[str, int]:
    moment = event.timestamp if event.timestamp.tzinfo else event.timestamp.replace(tzinfo=UTC)
    with lock:
        events.append((moment.timestamp(), event.value))
    return {"stored": 1, "expired": 0}


@app.get("/statistics")
async def statistics() -> dict[str, float | None]:
    with lock:
        edge = time.time() - WINDOW
        while events and events[0][0] <= edge:
            events.popleft()
        values = [value for _, value in events]
    if not values:
        return {"count": 0, "min": None, "max": None, "mean": None}
    return {"count": len(values), "min": min(values), "max": max(values), "mean": sum(values) / len(values)}
