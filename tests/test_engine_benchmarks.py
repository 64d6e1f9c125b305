from __future__ import annotations

import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from fractions import Fraction
from math import ulp
from pathlib import Path

from benchmarks.naive import NaiveWindow, ask
from benchmarks.peers import Truth, samples_of
from benchmarks.services import remote_write
from benchmarks.timing import NOW, hour_of_events, view_of
from simulator.dialects import FORMATS
from times import HOUR, MINUTE

CHECKOUT = Path(__file__).resolve().parent.parent


def run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, "--quick", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_engine_benchmark_prints_its_tables_and_the_machine() -> None:
    printed = run("benchmarks.engine")
    for row in (
        "one event, on time",
        "10,000 events, one series",
        "replay, 10 series",
        "random window",
        "an idle series",
    ):
        assert row in printed
    assert "Python" in printed.splitlines()[-1]


def test_the_percentiles_benchmark_prints_its_tables_and_the_machine() -> None:
    printed = run("benchmarks.percentiles")
    for row in ("np.partition", "all 10 series", "2,000 points, four percentiles each", "by p99", "one event, on time"):
        assert row in printed
    assert "Python" in printed.splitlines()[-1]


def test_the_benchmark_of_several_series_prints_what_each_question_takes() -> None:
    printed = run("benchmarks.several")
    for row in (
        "matching 20 hostile patterns anew",
        "statistics, 20 minutes",
        "the last 100,000",
        "a history, 60 steps",
    ):
        assert f"| {row} " in printed


def test_the_benchmark_of_range_queries_prints_what_each_takes() -> None:
    printed = run("benchmarks.ranges")
    for row in ("sum_over_time(x[1500ms])", "stddev_over_time(x[10m])", "quantile_over_time(0.99, x[1h])"):
        assert f"| {row} " in printed


def test_the_error_of_a_mean_is_that_of_the_events_in_its_hour() -> None:
    samples = samples_of(1000)
    moment = samples.end + 1_800_000
    values = samples.values[samples.times > moment - 3_600_000].tolist()
    assert len(values) == 500
    exact = float(sum(map(Fraction, values)) / 500)
    assert Truth(samples).error(moment, exact) == 0
    assert Truth(samples).error(moment, exact + 3 * ulp(exact)) == 3


def test_what_prometheus_is_written_says_all_samples() -> None:
    """Taken apart by hand: a literal of snappy, in it a series of protobuf, in it a label and the samples."""
    samples = samples_of(100)
    body = remote_write(samples)
    message = body[-struct.unpack("<I", body[3:7])[0] - 1 :]
    assert body[2:3] == b"\xfc"
    assert body[0] % 128 + 128 * body[1] == len(message) == len(body) - 7
    assert message.count(b"\n\x08__name__\x12\x05peers") == 1
    rows = [message[start : start + 18] for start in range(len(message) - 1800, len(message), 18)]
    assert [struct.unpack("<d", row[3:11])[0] for row in rows] == samples.values.tolist()
    sevens = [[byte % 128 << 7 * place for place, byte in enumerate(row[12:])] for row in rows]
    assert [sum(parts) for parts in sevens] == samples.times.tolist()


def test_the_naive_benchmark_prints_a_table_and_draws_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    assert "| deque / Tidemark |" in run("benchmarks.naive", "--picture", str(picture))
    drawn = "".join(ET.parse(picture).getroot().itertext())
    for words in ("events in the window", "Tidemark", "a scan of a deque", "10,000"):
        assert words in drawn
    assert picture.stat().st_size < 30_000


def test_the_reading_benchmark_prints_a_row_for_each_format() -> None:
    printed = run("benchmarks.reading")
    for name in (*FORMATS, "line protocol, 1 a line", "line protocol, 4 a line"):
        assert f"| {name} " in printed


def test_the_sending_benchmark_prints_what_client_and_server_cost() -> None:
    printed = run("benchmarks.sending")
    for row in ("client, processor", "server, processor", "both, on one core"):
        assert f"| {row} " in printed


def test_the_log_benchmark_prints_its_tables_and_the_machine() -> None:
    printed = run("benchmarks.log")
    for row in (
        "| files | 2 ",
        "nothing new",
        "the same, compacted",
        "an idempotency record",
        "SYNC=always, 50 greenlets",
    ):
        assert row in printed
    assert "Python" in printed.splitlines()[-1]


def test_both_sides_of_the_comparison_answer_the_same() -> None:
    naive, view = NaiveWindow(MINUTE), view_of(20_000, series=1)
    for _, times, values in hour_of_events(20_000, 1, in_order=True):
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            naive.add(time, value)
    count, least, most, mean = naive.statistics(NOW)
    found = ask(view, NOW - MINUTE)
    assert found[:3] == (count, least, most)
    assert found[3] is not None
    assert abs(found[3] - mean) < 1e-9
    assert ask(view, NOW - HOUR)[0] == 20_000
