"""Range queries of Prometheus' kind, of a service in this process: `python -m benchmarks.ranges`.

Two thousand steps over a million events of one series, or of ten; how much of a processor each query takes, its answer
included, and how long it computes at a stretch, others being let in between; both in the processor's time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
from flask.testing import FlaskClient

from api.context import service
from app import create_app
from benchmarks.several import Stretches, Taken, measure
from benchmarks.table import machine, show
from settings import Settings
from times import HOUR, wall_clock
from view import asking, portions

STEPS = 2000
STEP_MS = 1500
QUERIES = (
    "count_over_time(x[1500ms])",
    "sum_over_time(x[1500ms])",
    "sum_over_time(x[10m])",
    "sum_over_time(x[1h])",
    "stddev_over_time(x[10m])",
    "max_over_time(x[10m])",
    "quantile_over_time(0.99, x[1500ms])",
    "quantile_over_time(0.99, x[10m])",
    "quantile_over_time(0.99, x[1h])",
)
"""Queries, `x` being all series; windows of 1,500 ms do not overlap."""
ROUNDS = 5
BATCH = 10_000


def client_of(series: int, events: int, now: int) -> FlaskClient:
    """Return a client of a service whose series have that many events of the last hour in all."""
    app = create_app(Settings(log_url="memory:", log_level="WARNING", retention=2 * HOUR), clock=lambda: now)
    generator = np.random.default_rng(1)
    with app.app_context():
        names = [f"series {number}" for number in range(series)]
        for start in range(0, events, BATCH):
            places = np.arange(start, min(start + BATCH, events))
            ids = (places % series).astype(np.uint32)
            service().add_many(
                names, ids, now - HOUR + (places + 1) * HOUR // events, generator.lognormal(3, 1, len(ids))
            )
        while service().advance():
            pass
    return app.test_client()


def ask(client: FlaskClient, query: str, now: int) -> None:
    """Ask a query for each of the steps."""
    end = now // 1000
    arguments = {"start": (end - STEPS * STEP_MS) / 1000, "end": end / 1000, "step": STEP_MS / 1000}
    answer = client.post("/prometheus/api/v1/query_range", data=arguments | {"query": query.replace("x[", "tidemark[")})
    if answer.status_code != 200 or b'"warnings"' in answer.data:
        raise SystemExit(f"{query}: {answer.status_code} {answer.data[:500]!r}")


def columns(events: int, rounds: int) -> Iterator[list[Taken]]:
    """Yield what each query takes, of one series and of ten."""
    stretches = Stretches()
    for module in (asking, portions):
        setattr(module, "give_way", stretches.give_way)  # noqa: B010  # mypy wants it to be exported
    now = wall_clock()
    for series in (1, 10):
        client = client_of(series, events, now)
        yield [measure(partial(ask, client, query, now), stretches, rounds) for query in QUERIES]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranges", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once, and fewer events")
    events, rounds = (10_000, 1) if parser.parse_args().quick else (1_000_000, ROUNDS)
    found = zip(QUERIES, *columns(events, rounds), strict=True)
    rows = [
        [query, *(f"{milliseconds:.1f} ms" for taken in of_series for milliseconds in taken)]
        for query, *of_series in found
    ]
    show([f"{STEPS:,} steps, {events:,} events", "one series", "longest", "ten series", "longest"], rows)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
