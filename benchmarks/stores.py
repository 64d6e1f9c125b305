"""The store on files alone: appends, reading, waiting for the disk: `python -m benchmarks.stores`.

`--peer FOLDER` measures the log on LMDB of that checkout in turn with it. `--quick` only shows that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median

from benchmarks.table import machine, show

CHECKOUT = Path(__file__).resolve().parent.parent
WORKER = CHECKOUT / "benchmarks" / "store_worker.py"
PROCESSES = (1, 2, 4)


def measured(kind: str, checkout: Path, measure: str, count: int, processes: int = 1) -> dict[str, float]:
    """The mean of what each process measured; rates are added."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        command = [sys.executable, str(WORKER), kind, measure, f"{folder}/log", str(count)]
        if measure == "waiting":
            command.append("gevent")
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
        _all_say(workers, "ready")
        results = [json.loads(line) for line in _all_say(workers)]
        for worker in workers:
            worker.communicate("\n")
    means = {name: fmean(result[name] for result in results) for name in results[0]}
    return {name: value * processes if name == "rate" else value for name, value in means.items()}


def _all_say(workers: Sequence[subprocess.Popen[str]], expected: str = "") -> list[str]:
    """A line of each, after all have been told to go on, unless one is expected first."""
    lines = []
    for worker in workers if not expected else ():
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.stdout is not None
        lines.append(worker.stdout.readline())
        assert lines[-1].startswith(expected)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work")
    parser.add_argument("--peer", type=Path, help="a checkout whose log on LMDB is measured too")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, in turn")
    arguments = parser.parse_args()
    part = 0.01 if arguments.quick else 1.0
    kinds = [("files", CHECKOUT), *([("lmdb", arguments.peer)] if arguments.peer else [])]

    def medians(measure: str, count: float, processes: int = 1) -> list[dict[str, float]]:
        """Of each kind, measured in turn."""
        rounds = [
            [measured(kind, checkout, measure, int(count * part), processes) for kind, checkout in kinds]
            for _ in range(arguments.rounds)
        ]
        columns = list(zip(*rounds, strict=True))
        return [{name: median(one[name] for one in column) for name in column[0]} for column in columns]

    rows = []
    for processes in PROCESSES:
        for (kind, _), one in zip(kinds, medians("appends", 40_000, processes), strict=True):
            figures = [f"{one['p50']:.1f} µs", f"{one['p99']:.0f} µs", f"{one['rate']:,.0f}/s"]
            rows.append([kind, str(processes), *figures])
    show(["store", "processes", "append p50", "p99", "all together, while following"], rows)
    print()
    reading, waiting = medians("reading", 300_000), medians("waiting", 400)
    rows = [
        [kind, f"{read['read'] / 1e6:.1f} M/s", f"{read['ask']:.2f} µs", f"{wait['rate']:,.0f}/s"]
        for (kind, _), read, wait in zip(kinds, reading, waiting, strict=True)
    ]
    show(["store", "single events to columns", "nothing new", "`always`, 50 greenlets"], rows)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
