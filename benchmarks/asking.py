"""Requests of clients to a worker that holds millions of events, each in a way that makes it hard."""

from __future__ import annotations

import gzip
import json
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import requests
import websocket

from benchmarks import bodies
from benchmarks.flooding import FLOODS, POLICY, flood
from event_log.batch import Batch
from event_log.files.store import FilesStore
from event_log.log import Log
from event_log.rules import Rules
from times import HOUR, MINUTE, wall_clock

BATCH = 10_000
LARGE = "large"
"""The series with most of the events."""
QUIET = 10_000
"""Number of series with but a few events each, half of them expired."""
SERIES = 2 * QUIET
SETTINGS = {
    "TIDEMARK_MAX_SERIES": str(SERIES),
    "TIDEMARK_MAX_WAIT": "0",  # holds are to be seen, not to be refused
}
"""Settings under which the service allows all that is asked here."""
MAX_LOG_BYTES = 10 * 1024**3
TIMEOUT = 600.0
Json = Callable[[], Any]


class Fill(NamedTuple):
    """Numbers of events that the log begins with: of one series, and of many."""

    large: int
    of_quiet_series: int


class Question(NamedTuple):
    """Something to ask again and again."""

    routes: tuple[str, ...]
    """Routes of the application that it is about, as `GET /history/<series>`."""
    note: str
    ask: Callable[[], object]
    once: bool = False
    """True if it can be asked but once."""

    @property
    def name(self) -> str:
        more = f" and {len(self.routes) - 1} more" if len(self.routes) > 1 else ""
        return f"{self.routes[0]}{more}{self.note and ', '}{self.note}"


def fill(path: Path, events: Fill) -> None:
    """Write the log that a worker is then started on."""
    store = FilesStore(path, max_bytes=MAX_LOG_BYTES, sync="never")
    log = Log(store)
    log.claim(Rules(HOUR, 1000, HOUR, MINUTE, SERIES, 10), "fill")
    rng = np.random.default_rng(1)
    now = wall_clock()
    ticks = 50 * MINUTE // events.large
    for first in range(0, events.large, BATCH):
        times = now - 50 * MINUTE + ticks * np.arange(first, first + BATCH)
        log.append(Batch([LARGE], None, times, rng.lognormal(3, 1, BATCH).round(2)))
    names = [f"quiet {number}" for number in range(QUIET)]
    each = np.arange(QUIET, dtype=np.uint32)
    for first in range(0, events.of_quiet_series, QUIET):
        minutes = 61 if 2 * first < events.of_quiet_series else 30
        log.append(Batch(names, each, now - minutes * MINUTE + each.astype(np.int64), rng.random(QUIET)))
    store.close()


class NotGood(Exception):
    """An answer that tells of an error."""


class Client:
    """Asks one server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, *paths: str | Callable[[], str], **headers: str) -> Callable[[], None]:
        """Each of these paths in turn; a callable makes one anew each time."""

        def ask() -> None:
            for path in paths:
                made = path if isinstance(path, str) else path()
                _check(self._session.get(self.url + made, headers=headers, timeout=TIMEOUT))

        return ask

    def post(self, path: str, make: Json, *, squeezed: bool = False, once: bool = False) -> Callable[[], None]:
        """Return a function that posts what `make` makes: text as it is with its media type, anything else as JSON."""

        def ask() -> None:
            made = make()
            kind, text = made if isinstance(made, tuple) else ("application/json", json.dumps(made))
            headers = {"Content-Type": kind}
            body = text.encode()
            if squeezed:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body, 1)
            if once:
                headers["Idempotency-Key"] = secrets.token_hex(16)
            _check(self._session.post(self.url + path, body, headers=headers, timeout=TIMEOUT))

        return ask

    def delete(self, path: str) -> Callable[[], None]:
        return lambda: _check(self._session.delete(self.url + path, timeout=TIMEOUT))

    def stream(self, path: str, count: int) -> Callable[[], None]:
        """Open a stream, read a number of its events as fast as they come, and leave."""

        def ask() -> None:
            with requests.get(self.url + path, stream=True, timeout=TIMEOUT) as answer:
                _check(answer)
                seen = 0
                with suppress(StopIteration):
                    chunks = answer.iter_content(None)
                    while seen <= count:
                        piece = next(chunks)
                        seen += piece.count(b"\nevent: ") or count == 0

        return ask

    def socket(self, path: str, count: int, meanwhile: Callable[[], None] = lambda: None) -> Callable[[], None]:
        """The same of a WebSocket."""

        def ask() -> None:
            own = websocket.create_connection(self.url.replace("http", "ws", 1) + path, timeout=TIMEOUT)
            meanwhile()
            for _ in range(count):
                own.recv()
            own.close()

        return ask

    def flood(self, path: str, kind: str) -> Callable[[], None]:
        """Flood a WebSocket until it is closed for it."""

        def ask() -> None:
            if (code := flood(self.url.replace("http", "ws", 1) + path, kind, TIMEOUT)) != POLICY:
                raise NotGood(f"a flood of {kind} was closed with {code}")

        return ask


def _check(answer: requests.Response) -> None:
    if not answer.ok:
        raise NotGood(f"{answer.request.method} {answer.url}: {answer.status_code}: {answer.text[:500]}")


def questions(client: Client) -> Iterator[Question]:
    """All of them, in an order that leaves each something to be asked about."""
    yield from _writes(client)
    yield from _unfriendly_bodies(client)
    yield from _reads(client)
    yield from _streams(client)
    yield from _of_dialects(client)
    yield from _of_influx(client)
    yield from _of_prometheus(client)
    delete = "DELETE /series/<series>"
    yield Question((delete,), "a small one", client.delete("/series/quiet%201"), once=True)
    yield Question((delete,), "the large one", client.delete(f"/series/{LARGE}"), once=True)


def _writes(client: Client) -> Iterator[Question]:
    one, many = ("POST /event",), ("POST /events",)
    yield Question(one, "", client.post("/event", lambda: {"timestamp": _now(), "value": 1.5}))
    yield Question(many, "10,000 in columns", client.post("/events", _columns))
    yield Question(many, "10,000 in columns, gzip", client.post("/events", _columns, squeezed=True))
    yield Question(many, "10,000 with an Idempotency-Key", client.post("/events", _columns, once=True))
    yield Question(many, "10,000 rows of CSV", client.post("/events", lambda: ("text/csv", _csv())))
    yield Question(many, "10,000 lines of JSON", client.post("/events", lambda: ("application/x-ndjson", _lines())))
    yield Question(many, "10,000 out of order", client.post("/events", _unordered))
    yield Question(many, "10,000 of 10,000 series", client.post("/events", _of_all_series))


def _unfriendly_bodies(client: Client) -> Iterator[Question]:
    live, many, url = ("GET /health/live",), ("POST /events",), client.url
    yield Question(live, "POST, a terabyte", bodies.unwanted(url, "POST /health/live"))
    closing = bodies.unwanted(url, "POST /health/live", "Connection: close")
    yield Question(live, "POST, a terabyte, closing", closing)
    yield Question(live, "POST, chunks of one byte", bodies.in_tiny_chunks(url, "POST /health/live"))
    yield Question(many, "413, a terabyte", bodies.unwanted(url, "POST /events", "Content-Type: text/csv"))
    yield Question(many, "chunks of one byte", bodies.in_tiny_chunks(url, "POST /events"))
    yield Question(many, "150 bodies of 2 MiB at a time", bodies.many(url, "POST /events", 2 * 1024**2))


def _reads(client: Client) -> Iterator[Question]:
    all_series, one = ("GET /statistics",), ("GET /statistics/<series>",)
    yield Question(all_series, "", client.get("/statistics"))
    yield Question(all_series, "a window anew", client.get(lambda: f"/statistics?window={_window()}"))
    yield Question(all_series, "last=, behind the retention", client.get("/statistics?last=100000000"))
    yield Question(
        all_series, "percentiles, anew", client.get(lambda: f"/statistics?include=median,p99&window={_window()}")
    )
    yield Question(one, "last=, anew", client.get(lambda: f"/statistics/{LARGE}?last={random.randint(1, 10**6)}"))
    yield Question(
        one, "percentiles, anew", client.get(lambda: f"/statistics/{LARGE}?include=median,p99&window={_window()}")
    )
    points = "window=1998s&step=1s&include=stddev,p99"  # and the steps that it touches: 2,000 are the most
    yield Question(("GET /history",), "2,000 points", client.get(lambda: f"/history?{points}&at={_now()}"))
    csv = client.get(lambda: f"/history/{LARGE}?{points}&at={_now()}", Accept="text/csv")
    yield Question(("GET /history/<series>",), "2,000 points, CSV", csv)
    histogram = client.get(lambda: f"/histogram?bins=1000&window={_window()}", f"/histogram/{LARGE}?bins=1000")
    yield Question(("GET /histogram", "GET /histogram/<series>"), "1,000 bins", histogram)
    yield from _several(client)
    listing = ("GET /series",)
    yield Question(listing, "1,000 of them", client.get("/series?limit=1000"))
    yield Question(listing, "ranked by count", client.get("/series?sort=-count&limit=1000&window=1h"))
    yield Question(listing, "ranked by p99", client.get("/series?sort=-p99&include=p99&limit=1000&window=1h"))
    yield Question(("GET /series/<series>/events",), "1,000", client.get(f"/series/{LARGE}/events?limit=1000"))
    gauges = client.get("/metrics/windows?series=&window=1m&include=p99", "/metrics")
    yield Question(("GET /metrics/windows", "GET /metrics"), "1,000 series, p99", gauges)
    pages = ("/", "/openapi.json", "/settings", "/alerts", "/health", "/health/ready", "/health/live")
    yield Question(tuple(f"GET {path}" for path in pages), "", client.get(*pages))


def _several(client: Client) -> Iterator[Question]:
    """Several series as one: nearly all that there are, so that none of the indexes over all of them helps."""
    quiet, extras = "series=quiet*[0-8]&window=1h", "include=median,p99"
    routes = tuple(f"GET /{name}" for name in ("statistics", "history", "histogram"))
    several = client.get(*(f"/{name}?{quiet}&{extras}" for name in ("statistics", "history")), f"/histogram?{quiet}")
    yield Question(routes, "several as one, percentiles", several)
    last = client.get(f"/statistics?series={LARGE}&series=quiet*&last=200000&{extras}")
    yield Question(("GET /statistics",), "several as one, last=", last)
    yield Question(("GET /statistics",), "20 hostile patterns, anew", client.get(lambda: f"/statistics?{_hostile()}"))
    stream = client.stream(f"/stream?{quiet}&interval=0.1", 5)
    yield Question(("GET /stream",), "several as one, interval=0.1", stream)


def _streams(client: Client) -> Iterator[Question]:
    events = ("GET /series/<series>/stream",)
    yield Question(events, "the large one after 0", client.stream(f"/series/{LARGE}/stream?after=0", 100_000))
    yield Question(events, "an unknown one after 0", client.stream("/series/none/stream?after=0", 0))
    yield Question(events, "a quiet one after 0", client.stream("/series/quiet%207/stream?after=0", 1))
    yield Question(("GET /ws/<series>",), "the large one after 0", client.socket(f"/ws/{LARGE}?after=0", 1000))
    for kind in FLOODS:
        yield Question(("GET /ws/<series>",), f"a flood of {kind}", client.flood("/ws/flooded", kind))
    yield Question(("GET /stream",), "last=250000, interval=0.1", client.stream("/stream?last=250000&interval=0.1", 5))


def _of_dialects(client: Client) -> Iterator[Question]:
    yield from _of_ticks(client)
    batches, stats = "/dialects/batches/add_batch", "/dialects/batches/stats"
    post = client.post(f"{batches}/", lambda: {"symbol": "symbol", "values": _values()})
    yield Question((f"POST {batches}",), "10,000", post)
    paths = f"{stats}/?symbol={LARGE}&k=8", f"{stats}/{LARGE}/7"
    yield Question((f"GET {stats}", f"GET {stats}/<symbol>/<k>"), "k=8 and 7", client.get(*paths))
    tickers = "/dialects/tickers/api/v1/tickers"
    yield Question((f"GET {tickers}",), "", client.get(tickers))
    yield Question((f"GET {tickers}/<ticker>/history",), "1,000", client.get(f"{tickers}/{LARGE}/history"))
    price = client.post("/event", lambda: {"series": LARGE, "timestamp": _now(), "value": 1.5})
    ws = "/dialects/tickers/ws"
    yield Question((f"GET {ws}/<ticker>",), "", client.socket(f"{ws}/{LARGE}", 1, price))
    yield Question((f"GET {ws}/<ticker>",), "a flood of pings", client.flood(f"{ws}/{LARGE}", "pings"))
    pages = [f"/dialects/{name}/openapi.json" for name in ("batches", "tickers", "ticks", "transactions")]
    pages.append("/dialects/tickers/health")
    yield Question(tuple(f"GET {path}" for path in pages), "", client.get(*pages))


def _of_ticks(client: Client) -> Iterator[Question]:
    ticks, transactions = "/dialects/ticks/ticks", "/dialects/transactions/transactions"
    yield Question((f"POST {ticks}",), "", client.post(ticks, lambda: {"instrument": LARGE, "price": 1.5} | _epoch()))
    paths = "/dialects/ticks/statistics", f"/dialects/ticks/statistics/{LARGE}"
    yield Question((f"GET {paths[0]}", f"GET {paths[0]}/<instrument>"), "", client.get(*paths))
    yield Question((f"POST {transactions}",), "", client.post(transactions, lambda: {"amount": 1.5} | _epoch()))
    path = "/dialects/transactions/statistics"
    yield Question((f"GET {path}",), "", client.get(path))
    yield Question((f"DELETE {transactions}",), "", client.delete(transactions), once=True)


def _of_influx(client: Client) -> Iterator[Question]:
    root = "/dialects/influx"
    for path in (f"{root}/api/v2/write", f"{root}/write"):
        post = client.post(path, lambda: ("text/plain", _points()))
        yield Question((f"POST {path}",), "10,000 points of 100 series", post)
    pages = [f"{root}/health", f"{root}/ping", f"{root}/openapi.json"]
    yield Question(tuple(f"GET {path}" for path in pages), "", client.get(*pages))


def _of_prometheus(client: Client) -> Iterator[Question]:
    root = "/prometheus/api/v1"
    found = {
        "query": f'quantile_over_time(0.99,tidemark{{series="{LARGE}"}}[1h])',
        "query_range": f'avg_over_time(tidemark{{series="{LARGE}"}}[5m])&start=END-2500&end=END&step=5',
    }
    for name, query in found.items():
        yield from _asked_both_ways(client, f"{root}/{name}", partial(_until_now, query))
    ranking = client.get(f"{root}/query?query=topk(5,count_over_time(tidemark[30m]))")
    yield Question((f"GET {root}/query",), "of all series", ranking)
    match = 'match[]={series=~"quiet .*7"}'
    lists = {"series": match, "labels": match, "label/series/values": match, "metadata": "", "status/buildinfo": ""}
    for name, query in (lists | {"rules": "", "alerts": ""}).items():
        yield from _asked_both_ways(client, f"{root}/{name}", partial(str, query))


def _asked_both_ways(client: Client, path: str, make: Callable[[], str]) -> Iterator[Question]:
    """A query in the address, and in a form."""
    route = path.replace("/label/series/", "/label/<name>/")
    yield Question((f"GET {route}",), "", client.get(lambda: f"{path}?{make()}"))
    yield Question((f"POST {route}",), "", client.post(path, lambda: ("application/x-www-form-urlencoded", make())))


def _until_now(query: str) -> str:
    now = int(time.time())
    return f"query={query}".replace("END-2500", str(now - 2500)).replace("END", str(now))


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _epoch() -> dict[str, int]:
    return {"timestamp": int(time.time() * 1000)}


def _window() -> str:
    return f"{random.uniform(1, 3000):.6f}"


def _hostile() -> str:
    return "&".join(f"series=*[!{random.randrange(10**6)}]{'*1' * 55}" for _ in range(20))


def _values() -> list[float]:
    return [round(random.lognormvariate(3, 1), 2) for _ in range(BATCH)]


def _columns() -> object:
    return {"values": _values()}


def _csv() -> str:
    stamp = _now()
    return "timestamp,value\n" + "".join(f"{stamp},{value}\n" for value in _values())


def _lines() -> str:
    stamp = _now()
    return "".join(f'{{"timestamp": "{stamp}", "value": {value}}}\n' for value in _values())


def _unordered() -> object:
    now = datetime.now(UTC)
    stamps = [(now - timedelta(seconds=random.uniform(0, 3000))).isoformat() for _ in range(BATCH)]
    return {"series": "unordered", "timestamps": stamps, "values": _values()}


def _points() -> str:
    return "".join(f"points,host=h{number % 100} value=1.5\n" for number in range(BATCH))


def _of_all_series() -> Sequence[object]:
    stamp = _now()
    return [{"series": f"quiet {number}", "timestamp": stamp, "value": 1} for number in range(QUIET)]
