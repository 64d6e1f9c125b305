"""Table that all benchmarks print: one that a README can take as it is, with the date and the machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime


def show(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table with aligned columns."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("\n".join(lines))


def machine() -> str:
    """The date and the machine, in one line. A million additions tell how fast the processor is: on one that is shared
    they take several times as much of its time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"load {load:.1f} at the end, a million additions in {_additions():.0f} ms."
    )


def _additions() -> float:
    began, total = time.thread_time(), 0
    for _ in range(1_000_000):
        total += 1  # noqa: SIM113  # it is the work
    return (time.thread_time() - began) * 1000
