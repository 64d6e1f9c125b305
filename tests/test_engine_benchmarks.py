from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from benchmarks.naive import NaiveWindow, ask
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
