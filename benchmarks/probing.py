"""Measuring of how long something holds a worker: as a client beside it sees it, and as the worker does.

A process of its own asks `/health/live` every millisecond over one connection. The worker runs with
`benchmarks/hub.py`, which notes when the greenlets of the worker had to wait for their turn.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

import requests

PAUSE_SECONDS = 0.001
MOST_SECONDS = 600.0


class Hold(NamedTuple):
    """Delays that the probe saw while something was asked, in milliseconds."""

    asked: int
    typical: float
    p99: float
    longest: float
    """Longest wait of the probe for an answer."""
    hub: float
    """The longest that the worker itself held its hub: what the machine did meanwhile does not count."""
    used: float
    """The most that the hub's thread computed at a time."""


class Notes:
    """A file of lines of numbers that another process goes on writing; each begins with a begin and an end."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._path = path
        self._at = 0
        self._rows: list[list[float]] = []

    def during(self, begin: float, end: float) -> list[list[float]]:
        """The lines of what was in part between these two moments."""
        self._read()
        return [row for row in self._rows if row[0] < end and row[1] > begin]

    def longest_ms(self, begin: float, end: float) -> float:
        """Return the longest that the worker itself held its hub between these two moments, by the hub's notes."""
        return max((1000 * row[2] for row in self.during(begin, end)), default=0.0)

    def most_used_ms(self, begin: float, end: float) -> float:
        """Return the most that its thread computed at a time between these two moments, by the hub's notes."""
        return max((1000 * row[3] for row in self.during(begin, end)), default=0.0)

    def wait_for(self, moment: float) -> None:
        """Until there is a line of what has begun at a moment or later."""
        deadline = time.monotonic() + MOST_SECONDS
        while not self._rows or self._rows[-1][0] < moment:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the probe had no answer for {MOST_SECONDS:g} s")
            time.sleep(0.005)
            self._read()

    def _read(self) -> None:
        with self._path.open() as file:
            file.seek(self._at)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._at += len(whole)
        self._rows.extend([float(number) for number in line.split()] for line in whole.splitlines())


class Probe:
    """Measures holds of the worker at a URL; made by `probing`."""

    def __init__(self, url: str, answers: Notes, hub: Notes) -> None:
        self._url = url
        self._answers = answers
        self._hub = hub

    def hold(self, ask: Callable[[], object], seconds: float, times: int = 1) -> Hold:
        """Call `ask` for about `seconds`, and at least `times` times; return the holds meanwhile."""
        asked = 0
        begin = time.monotonic()
        while asked < times or time.monotonic() < begin + seconds:
            ask()
            asked += 1
        requests.get(f"{self._url}/statistics", timeout=MOST_SECONDS).raise_for_status()  # so all is taken in by now
        self._answers.wait_for(time.monotonic())
        end = time.monotonic()
        took = sorted(1000 * (row[1] - row[0]) for row in self._answers.during(begin, end))
        return Hold(
            asked,
            median(took),
            took[int(len(took) * 0.99)],
            took[-1],
            self._hub.longest_ms(begin, end),
            self._hub.most_used_ms(begin, end),
        )


@contextmanager
def probing(url: str, folder: Path, hub_notes: Path) -> Iterator[Probe]:
    """A probe beside the worker at a URL, whose hub takes these notes; its own go to the folder."""
    answers, hub = Notes(folder / "answers"), Notes(hub_notes)
    command = [sys.executable, "-m", "benchmarks.probing", url, str(folder / "answers")]
    process = subprocess.Popen(command)
    try:
        answers.wait_for(0.0)
        yield Probe(url, answers, hub)
    finally:
        process.terminate()
        process.wait()


def ask_for_ever(url: str, path: Path) -> None:
    """Ask for ever, in the probe's process, and note how long each answer took."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=MOST_SECONDS)
    with path.open("a", buffering=1) as notes:
        while True:
            begin = time.monotonic()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            notes.write(f"{begin} {time.monotonic()}\n")
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    ask_for_ever(sys.argv[1], Path(sys.argv[2]))
