from __future__ import annotations

import io
import os
from collections.abc import Sequence
from random import Random

import pytest

from simulator.dialects import Call, target
from simulator.events import Event
from simulator.report import CLEAR_LINE, Console, Reporter, number, posted_line, statistics_line, summary
from simulator.tally import Tally, Totals
from tests.simulator.fakes import CLOSED_PORT, FakeTime
from tests.simulator.stub import Scripted, Stub
from tidemark.transport import Transport

NAMES = ("AAPL", "BTC/USD", "MSFT", "ORCL")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Shown:
    """A reporter, what it wrote, and the time that it goes by."""

    def __init__(self, url: str, err: io.StringIO, dialect: str = "native", names: Sequence[str] = NAMES) -> None:
        self.out, self.err, self.time, self.tally = io.StringIO(), err, FakeTime(), Tally()
        self.reporter = Reporter(
            Console(self.out, err),
            self.tally,
            Transport(url, None, 5),
            target(dialect, 1, None),
            names,
            clock=self.time,
            random=Random(1),
        )

    def tick(self, *times: float) -> None:
        for now in times:
            self.time.now = now
            self.reporter.tick()
        self.reporter.close()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (1234567, "1,234,567"),
        (0.0, "0.00"),
        (-1234.567, "-1,234.57"),
        (0.00012345, "0.0001234"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


def test_statistics_keep_the_words_of_the_dialect() -> None:
    assert statistics_line("AAPL", {"avg": 12.345, "count": 1000}) == "    AAPL         avg 12.35  count 1,000"


def test_what_was_posted() -> None:
    events = [Event("AAPL", 1_750_948_200_000_000, 1.5), Event("MSFT", 1_750_948_201_500_000, 2.5)]
    call = Call("/events", b"", 2)
    assert posted_line(events, call, "201 in 1.0 ms") == (
        "2025-06-26T14:30:01.500Z  POST /events  2 events, AAPL 1.5 ... MSFT 2.5  -> 201 in 1.0 ms"
    )
    assert posted_line(events[:1], call, "timeout") == "2025-06-26T14:30:00Z  POST /events  AAPL 1.5  -> timeout"


def test_statistics_come_every_two_seconds() -> None:
    with Stub() as server:
        shown = Shown(server.url, Terminal())
        shown.tick(0.1, 1.9, 2.0, 2.1, 3.9, 4.05, 5.9)
    assert [path for path in server.asked if path == "/statistics"] == ["/statistics"] * 2
    assert shown.out.getvalue().count("count 1,234  min 1.00  max 42.50  mean -") == 6


def test_two_instruments_are_drawn_anew_each_time() -> None:
    with Stub() as server:
        Shown(server.url, Terminal()).tick(*range(0, 40, 2))
    asked = [path for path in server.asked if path != "/statistics"]
    assert len(asked) == 38
    assert set(asked) == {f"/statistics/{name}" for name in ("AAPL", "BTC%2FUSD", "MSFT", "ORCL")}
    assert all(first != second for first, second in zip(asked[::2], asked[1::2], strict=True))


def test_one_instrument_is_shown_once() -> None:
    with Stub() as server:
        Shown(server.url, Terminal(), names=("AAPL",)).tick(2.0)
    assert server.asked == ["/statistics", "/statistics/AAPL"]


def test_a_dialect_without_instruments_shows_its_whole() -> None:
    with Stub() as server:
        Shown(server.url, Terminal(), "transactions").tick(2.0)
    assert server.asked == ["/dialects/transactions/statistics"]


def test_statistics_that_the_server_does_not_give() -> None:
    missing = Scripted(404, b'{"detail": "Symbol AAPL not found"}')
    with Stub(gets={"/dialects/batches/stats/?symbol=AAPL&k=3": missing}) as server:
        shown = Shown(server.url, Terminal(), "batches", names=("AAPL",))
        shown.tick(2.0)
    assert "    AAPL         status 404 Symbol AAPL not found\n" in shown.out.getvalue()


def test_no_server_for_the_statistics() -> None:
    shown = Shown(f"http://127.0.0.1:{CLOSED_PORT}", Terminal())
    shown.tick(2.0)
    assert shown.out.getvalue() == "    no statistics: connection refused\n"


def test_a_terminal_shows_the_progress_in_one_line() -> None:
    with Stub() as server:
        shown = Shown(server.url, Terminal())
        shown.tick(0.1, 0.25)
        shown.tally.answered(201, 0.001, 50)
        shown.tick(0.5, 2.0)
    assert shown.err.getvalue() == (
        "    0.2 s  0 events  0.0/s  0 errors"
        f"{CLEAR_LINE}    0.5 s  50 events  100.0/s  0 errors"
        f"{CLEAR_LINE}    2.0 s  50 events  25.0/s  0 errors{CLEAR_LINE}"
    )


def test_a_file_gets_a_line_every_two_seconds() -> None:
    with Stub() as server:
        shown = Shown(server.url, io.StringIO())
        for tenth in range(1, 62):
            if tenth % 2 == 0:
                shown.tally.answered(201, 0.001, 10)
            shown.tick(tenth / 10)
        shown.tally.error("timeout")
        shown.tick(8.0)
    assert shown.err.getvalue().splitlines() == [
        "    2.0 s  100 events  50.0/s  0 errors",
        "    4.0 s  200 events  50.0/s  0 errors",
        "    6.0 s  300 events  50.0/s  0 errors",
        "    8.0 s  300 events  0.0/s  1 error",
    ]


def test_a_console_that_nobody_reads_is_closed() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out, Console(out, io.StringIO()) as console:
        console.line("one")
        assert console.closed
    with io.StringIO() as fine, Console(fine, fine) as console:
        console.line("one")
        assert not console.closed


def test_a_progress_that_nobody_reads_closes_the_console_too() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as err:
        console = Console(io.StringIO(), err)
        console.progress("one")
        assert console.closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)


def test_the_summary() -> None:
    totals = Totals(
        events=19_990,
        requests=2_000,
        statuses={201: 1999, 503: 1},
        errors={"timeout": 3, "status 503": 1},
        examples={"timeout": "", "status 503": "The log is full."},
        latencies={"p50": 0.0012, "p90": 0.002, "p99": 0.01, "max": 1.5},
    )
    assert summary(totals, 10.0, "2,000.0 events/s asked").splitlines() == [
        "Summary",
        "  events    19,990 accepted in 10.00 s: 1,999.0/s (2,000.0 events/s asked)",
        "  requests  2,000 answered: 200.0/s",
        "  latency   p50 1.2 ms  p90 2.0 ms  p99 10.0 ms  max 1500.0 ms",
        "  statuses  201: 1,999  503: 1",
        "  errors",
        "    3 x timeout",
        "    1 x status 503, such as: The log is full.",
    ]


def test_the_summary_of_nothing() -> None:
    text = summary(Totals(latencies={"p50": 0.0}), 1.0, "as fast as possible")
    assert "statuses  none" in text
    assert text.endswith("errors    none")
