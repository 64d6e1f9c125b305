"""The log without HTTP: appending, following, reading at a start, waiting for the disk: `python -m benchmarks.log`.

Every process is a worker: it appends events one by one and follows what all have appended, as a worker that is asked
all the time does. `--peer FOLDER` measures the log on LMDB of a checkout of commit 838a7fa in turn with it. `--quick`
only shows that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

from benchmarks.table import machine, show

CHECKOUT = Path(__file__).resolve().parent.parent
WORKER = CHECKOUT / "benchmarks" / "log_worker.py"
PROCESSES = (1, 2, 4)
Figures = dict[str, float]


def measured(kind: str, checkout: Path, measure: str, count: int, processes: int = 1) -> Figures:
    """The mean of what each process measured; rates are added."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        command = [sys.executable, str(WORKER), kind, measure, f"{folder}/log", str(count)]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        workers = [
            subprocess.Popen(
                command,
                env=environment,
                cwd=checkout,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            )
            for _ in range(processes)
        ]
        for line in _said(workers):
            assert line == "ready\n", f"{kind} {measure}: {line}"
        _tell(workers)
        results = [json.loads(line) for line in _said(workers)]
        for worker in workers:
            worker.communicate("\n")
    means = {name: fmean(result[name] for result in results) for name in results[0]}
    return {name: value * processes if name == "rate" else value for name, value in means.items()}


def _tell(workers: Sequence[subprocess.Popen[str]]) -> None:
    """Have all go on."""
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


def _said(workers: Sequence[subprocess.Popen[str]]) -> list[str]:
    """A line of each."""
    return [worker.stdout.readline() for worker in workers if worker.stdout is not None]


class Runs:
    """Measures each kind of log, in turn."""

    def __init__(self, peer: Path | None, part: float, rounds: int) -> None:
        self.kinds = [("files", CHECKOUT), *([("lmdb", peer)] if peer else [])]
        self._part = part
        self._rounds = rounds

    def medians(self, measure: str, count: float, processes: int = 1) -> Iterator[tuple[str, Figures]]:
        """Kinds, and the medians of their rounds."""
        rounds = [
            [measured(kind, checkout, measure, int(count * self._part), processes) for kind, checkout in self.kinds]
            for _ in range(self._rounds)
        ]
        for (kind, _), column in zip(self.kinds, zip(*rounds, strict=True), strict=True):
            yield kind, {name: median(one[name] for one in column) for name in column[0]}

    def appends(self, most: int) -> Iterator[Sequence[str]]:
        """Rows of the first table, for so many processes at most."""
        for processes in filter(lambda count: count <= most, PROCESSES):
            for kind, one in self.medians("appends", 40_000, processes):
                times = [f"{one[name]:.1f} µs" for name in ("p50", "p99", "cpu")]
                yield [kind, str(processes), *times, f"{one['rate']:,.0f}/s"]

    def others(self) -> Iterator[Sequence[str]]:
        """Rows of the second table."""
        runs = (
            ("reading", 1_000_000, ("tail", "compacted", "ask")),
            ("replay", 5_000_000, ("batched", "live", "read", "ready")),
            ("once", 20_000, ("first", "spent", "again", "bytes")),
            ("waiting", 400, ("rate",)),
        )
        for measure, count, names in runs:
            found = dict(self.medians(measure, count))
            for name in names:
                yield [LABELS[name][0], *(LABELS[name][1].format(found[kind][name]) for kind, _ in self.kinds)]


LABELS = {
    "tail": ("single events read as columns", "{:.1f} M/s"),
    "compacted": ("the same, compacted", "{:.1f} M/s"),
    "ask": ("nothing new", "{:.2f} µs"),
    "batched": ("an event of a batch of 10,000 appended, CPU", "{:.0f} ns"),
    "live": ("the same, compacted", "{:.1f} bytes"),
    "read": ("a worker that starts: 5 M events read", "{:.2f} s"),
    "ready": ("read and made windows", "{:.2f} s"),
    "first": ("a write under an idempotency key, p50", "{:.1f} µs"),
    "spent": ("the same, CPU", "{:.1f} µs"),
    "again": ("the same key again, p50", "{:.1f} µs"),
    "bytes": ("an idempotency record", "{:.1f} bytes"),
    "rate": ("SYNC=always, 50 greenlets", "{:,.0f}/s"),
}
"""Measured values, each with its label and its format."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work, once")
    parser.add_argument("--part", type=float, default=1.0, help="so much of the work")
    parser.add_argument("--peer", type=Path, help="a checkout whose log on LMDB is measured too")
    arguments = parser.parse_args()
    runs = Runs(arguments.peer, *((0.01, 1) if arguments.quick else (arguments.part, 3)))
    print("Events appended one by one, each process catching up after 20 of its own:\n")
    show(
        ["log", "processes", "append p50", "p99", "CPU an append", "all together"],
        list(runs.appends(2 if arguments.quick else 4)),
    )
    print()
    show(["measured", *(kind for kind, _ in runs.kinds)], list(runs.others()))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
