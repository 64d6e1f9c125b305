"""Time that a worker takes to read a batch of events, by format: `python -m benchmarks.reading`."""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from api.gzip_coding import pack, unpack
from api.reading.batch_formats import parse_events
from app import create_app
from benchmarks.table import machine, show
from dialects.lines import PRECISIONS, parse
from settings import Settings
from simulator.dialects import FORMATS, Call
from simulator.events import Event
from times import wall_clock

EVENTS = 10_000
SERIES = 50
TIMES = 31
VALUES_A_LINE = 1, 4


def events(count: int, series: int) -> list[Event]:
    """Return events of the last minutes, in order, their values with all decimals, as sensors give them."""
    generator, now = random.Random(count), wall_clock()
    return [
        Event(f"ITEM_{generator.randrange(series):02}", now - before * 12_345, generator.gauss(100, 9))
        for before in range(count, 0, -1)
    ]


def line_protocol(events: Sequence[Event], values: int) -> Call:
    """Return events as InfluxDB's clients send them, with a number of values in a line."""
    lines = []
    for start in range(0, len(events), values):
        first, *_ = row = events[start : start + values]
        fields = ",".join(f"value{number}={event.value!r}" for number, event in enumerate(row))
        lines.append(f"prices,item={first.series} {fields} {first.time * 1000}\n")
    return Call("/dialects/influx/api/v2/write", "".join(lines).encode(), len(events))


def milliseconds(call: Call, read: Callable[[], object], times: int) -> tuple[float, float]:
    """The median processor time to read a body, and to unpack it before, had it come as gzip."""
    packed = pack(call.body)
    return _median(read, times), _median(lambda: unpack(packed, len(call.body)), times)


def _row(name: str, call: Call, read: Callable[[], object], times: int) -> list[str]:
    return [name, f"{len(call.body) / 1024:,.0f}", *(f"{taken:.1f}" for taken in milliseconds(call, read, times))]


def _median(work: Callable[[], object], times: int) -> float:
    taken = []
    gc.collect()
    for _ in range(times):
        start = time.process_time_ns()
        work()
        taken.append(time.process_time_ns() - start)
    return median(taken) / 1e6


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once only")
    times = 1 if parser.parse_args().quick else TIMES
    print(f"{EVENTS:,} events in one body, of {SERIES} series or of one: milliseconds of one core to read it, and to")
    print("unpack it if it comes as gzip; medians.\n")
    rows = []
    with create_app(Settings(log_url="memory:", log_level="WARNING")).app_context():
        for name, (form, one_series) in FORMATS.items():
            call = form(events(EVENTS, 1 if one_series else SERIES))
            rows.append(_row(name, call, partial(parse_events, call.content_type, call.body), times))
        for values in VALUES_A_LINE:
            call = line_protocol(events(EVENTS, SERIES), values)
            read = partial(parse, call.body.decode(), PRECISIONS["ns"], EVENTS)
            rows.append(_row(f"line protocol, {values} a line", call, read, times))
    show(["format", "KiB", "read, ms", "unpack, ms"], rows)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
