"""Tidemark beside what people would pick instead, with the same samples: `python -m benchmarks.peers`.

VictoriaMetrics and Prometheus, Debian's packages, which are unpacked beside the Python packages where they are missing
and of which no service is started. Each in turn is started on a port and a folder of its own, takes in a million
samples of one series over an hour in 100 requests of one connection, and is asked over and over, each time as of
another moment: the mean of the hour, its p99, and the p99 of a minute. Bodies are made beforehand, and each service is
spoken to in its own way: columns of epoch milliseconds, `/api/v1/import`, and remote write (which Prometheus takes
while it runs; `promtool tsdb create-blocks-from` writes files for a server that does not). Values have three decimals,
which all of them store without loss. Tidemark has one worker, and the others have as many threads as they like.
"""

from __future__ import annotations

import argparse
import http.client
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import accumulate
from math import isclose, ulp
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import orjson
import psutil

from benchmarks.http import cpu_seconds
from benchmarks.services import MEAN, PACKAGES, PEERS, QUESTIONS, Peer, Question, Samples
from benchmarks.table import machine, show
from tests import debian
from tests.servers import CHECKOUT, is_ok, reserve_port, until
from times import HOUR, MINUTE, wall_clock

MILLISECOND = 1000
HOUR_MS = HOUR // MILLISECOND
FEWEST = 20
"""Minimum number of times that a question is asked: the system counts processor time by hundredths of a second."""
FIXED_POINT = 2**64
"""Values are whole multiples of its reciprocal, so that sums of the products are exact."""


class Taken(NamedTuple):
    """Seconds: that passed, and of all processors that the service used."""

    passed: float
    cpu: float


class Client:
    """Asks one service over one connection."""

    def __init__(self, peer: Peer, port: int, process: psutil.Process) -> None:
        self._peer, self._process = peer, process
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, path: str, body: bytes | None = None) -> bytes:
        """Return the body of the answer."""
        self._connection.request("GET" if body is None else "POST", path, body, dict(self._peer.headers))
        answer = self._connection.getresponse()
        found = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{self._peer.name} answered {path} with {answer.status}: {found[:500]!r}")
        return found

    def take_in(self, bodies: list[bytes]) -> Taken:
        """Write all bodies, each once the one before has been acknowledged."""
        cpu, began = cpu_seconds(self._process), time.perf_counter()
        for body in bodies:
            self.call(self._peer.write, body)
        taken = Taken(time.perf_counter() - began, cpu_seconds(self._process) - cpu)
        if self._peer.flush is not None:
            self.call(self._peer.flush)
        return taken

    def ask(self, paths: Iterator[str], seconds: float) -> tuple[Taken, list[bytes]]:
        """Ask for some seconds; return what one answer took, and all answers."""
        passed: list[float] = []
        answers: list[bytes] = []
        cpu, end = cpu_seconds(self._process), time.perf_counter() + seconds
        while len(answers) < FEWEST or time.perf_counter() < end:
            path, began = next(paths), time.perf_counter()
            answers.append(self.call(path))
            passed.append(time.perf_counter() - began)
        return Taken(median(passed), (cpu_seconds(self._process) - cpu) / len(answers)), answers

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def serving(peer: Peer) -> Iterator[Client]:
    """Start a service on a free port, and end it by its process."""
    with tempfile.TemporaryDirectory() as directory, reserve_port() as reservation:
        port = reservation.getsockname()[1]
        command = peer.command(port, Path(directory))
        started = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = Client(peer, port, psutil.Process(started.pid))
        try:
            until(lambda: is_ok(f"http://127.0.0.1:{port}{peer.ready}"), f"{peer.name} to be ready")
            yield client
        finally:
            client.close()
            started.terminate()
            started.wait()


def samples_of(count: int) -> Samples:
    """Return samples of the hour before the last minute, whose values have three decimals."""
    end = (wall_clock() - MINUTE) // MILLISECOND // 2 * 2
    times = end - np.arange(count, dtype=np.int64)[::-1] * HOUR_MS // count // 2 * 2
    return Samples(times, np.random.default_rng(1).lognormal(3, 1, count).round(3))


class Truth:
    """The true means of the hours that end at the moments that are asked."""

    def __init__(self, samples: Samples) -> None:
        self._times = samples.times
        self._sums = list(accumulate((int(value * FIXED_POINT) for value in samples.values.tolist()), initial=0))

    def error(self, moment: int, mean: float) -> float:
        """Return by how many units in the last place a mean differs from the correctly rounded one."""
        first, past = self._times.searchsorted((moment - HOUR_MS, moment), side="right").tolist()
        true = float(Fraction(self._sums[past] - self._sums[first], (past - first) * FIXED_POINT))
        return abs(mean - true) / ulp(true)


class Measured:
    """Measurements of the services, by row and service, over all rounds."""

    def __init__(self, samples: Samples, requests: int, seconds: float) -> None:
        self._samples, self._requests, self._seconds = samples, requests, seconds
        self._truth = Truth(samples)
        self._found: dict[str, float] = {}
        self.taken: dict[str, dict[str, list[Taken]]] = defaultdict(lambda: defaultdict(list))
        self.errors: dict[str, float] = defaultdict(float)

    def run(self, peer: Peer) -> None:
        """Start a service, have it take in the samples, and ask all questions."""
        columns = (np.array_split(column, self._requests) for column in self._samples)
        bodies = [peer.pack(Samples(*part)) for part in zip(*columns, strict=True)]
        with serving(peer) as client:
            row = f"taking in {len(self._samples.times):,} in {self._requests} requests"
            self.taken[row][peer.name].append(client.take_in(bodies))
            for question in QUESTIONS:
                paths = (peer.path(question, moment) for moment in self._moments())
                taken, answers = client.ask(paths, self._seconds)
                self.taken[question.name][peer.name].append(taken)
                self.check(peer, question, [peer.found(question, orjson.loads(answer)) for answer in answers])
            taken, _ = client.ask(iter(lambda: peer.ready, None), self._seconds)
            self.taken["a request that asks nothing"][peer.name].append(taken)

    def _moments(self) -> range:
        return range(self._samples.end, 2**60, 2)

    def check(self, peer: Peer, question: Question, found: list[float]) -> None:
        expected = self._found.setdefault(question.name, found[0])
        if not isclose(found[0], expected, rel_tol=1e-9):
            raise SystemExit(f"{question.name}: {peer.name} says {found[0]}, and {PEERS[0].name} {expected}")
        if question is MEAN:
            errors = [self._truth.error(*pair) for pair in zip(self._moments(), found, strict=False)]
            self.errors[peer.name] = max([*errors, self.errors[peer.name]])

    def rows(self) -> Iterator[list[str]]:
        """Yield the rows of the table."""
        for name, taken in self.taken.items():
            medians = [Taken(*map(median, zip(*taken[peer.name], strict=True))) for peer in PEERS]
            yield [name, *(f"{_words(one.passed)}, {_words(one.cpu)} of CPU" for one in medians)]
        yield ["largest error of the mean", *(f"{self.errors[peer.name]:,.0f} ulp" for peer in PEERS)]


def _words(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.5 else f"{1000 * seconds:.2f} ms"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the samples, once only")
    count, requests, seconds, rounds = (10_000, 5, 0.1, 1) if parser.parse_args().quick else (1_000_000, 100, 1, 3)
    for package, programs in PACKAGES.items():
        debian.ensure(package, *programs)
    measured = Measured(samples_of(count), requests, seconds)
    for _ in range(rounds):
        for peer in PEERS:
            measured.run(peer)
    show(["one series, an hour", *(peer.name for peer in PEERS)], measured.rows())
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
