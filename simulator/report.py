"""The report: a line on how it goes, the statistics every 2 seconds, a summary at the end."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from random import Random
from threading import Lock
from types import TracebackType
from typing import TextIO

from simulator.dialects import Call, Target
from simulator.events import Event
from simulator.tally import Tally, Totals
from tidemark import Unanswered
from tidemark.transport import Transport
from times import format_timestamp

EVERY = 2.0
"""Seconds between two looks at the statistics."""
REFRESH = 0.2
"""Seconds between two progress lines on a terminal."""
SAMPLED = 2
"""Number of instruments whose statistics are shown, drawn anew each time."""
CLEAR_LINE = "\r\x1b[K"


class Console:
    """Lines to `out`, the progress to `err`: one line that is written over on a terminal. Thread-safe.

    `closed` becomes true when nobody reads `out` any more.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._lock = Lock()
        self._shown = False
        self.live = err.isatty()
        self.closed = False

    def __enter__(self) -> Console:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.closed:
            # The interpreter must not fail at its end over what is still buffered for nobody.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())

    def line(self, text: str) -> None:
        """Write lines to stay."""
        with self._lock:
            try:
                self._clear()
                print(text, file=self._out, flush=True)
            except BrokenPipeError:
                self.closed = True

    def progress(self, text: str) -> None:
        """Write the progress, over the one before where that is possible."""
        with self._lock:
            try:
                self._clear()
                print(text, file=self._err, end="" if self.live else "\n", flush=True)
                self._shown = self.live
            except BrokenPipeError:
                self.closed = True

    def _clear(self) -> None:
        if self._shown:
            print(CLEAR_LINE, file=self._err, end="", flush=True)
            self._shown = False


def milliseconds(seconds: float) -> str:
    """A latency for people: `1.2 ms`."""
    return f"{seconds * 1000:.1f} ms"


def number(value: float | None) -> str:
    """A statistic for people: thousands set apart, two decimals where those say enough."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    readable = value == 0 or (0.01 <= abs(value) < 1e15)
    return f"{value:,.2f}" if readable else f"{value:.4g}"


def statistics_line(name: str, answer: Mapping[str, float | None]) -> str:
    """One line of statistics, in the words and the order of the dialect."""
    return f"    {name:<12} " + "  ".join(f"{key} {number(value)}" for key, value in answer.items())


def posted_line(events: Sequence[Event], call: Call, outcome: str) -> str:
    """Return the line that `-v` prints of one request."""
    first, last = events[0], events[-1]
    what = f"{first.series} {first.value}"
    if len(events) > 1:
        what = f"{len(events):,} events, {what} ... {last.series} {last.value}"
    return f"{format_timestamp(last.time)}  POST {call.path}  {what}  -> {outcome}"


class Recurrence:
    """Something every `period` seconds; what was missed is left out."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._next = period

    def due(self, now: float) -> bool:
        """Return whether it is time again."""
        if now < self._next:
            return False
        self._next = (now // self._period + 1) * self._period
        return True


class Reporter:
    """Shows how a run goes. Belongs to one thread, which calls `tick` often.

    `transport` asks for the statistics, and is the reporter's own; `clock` gives seconds since the start.
    """

    def __init__(
        self,
        console: Console,
        tally: Tally,
        transport: Transport,
        target: Target,
        names: Sequence[str],
        *,
        clock: Callable[[], float],
        random: Random,
        progress: bool = True,
        statistics: bool = True,
    ) -> None:
        self._console = console
        self._tally = tally
        self._transport = transport
        self._target = target
        self._names = names
        self._clock = clock
        self._random = random
        self._progress = Recurrence(REFRESH if console.live else EVERY) if progress else None
        self._statistics = Recurrence(EVERY) if statistics else None
        self._marks = deque([(0.0, 0)])

    def tick(self) -> None:
        """Show what is due now."""
        now = self._clock()
        if self._progress is not None and self._progress.due(now):
            self._console.progress(self._progress_line(now))
        if self._statistics is not None and self._statistics.due(now):
            self._show_statistics()

    def close(self) -> None:
        """Close the reporter's connection."""
        self._transport.close()

    def _progress_line(self, now: float) -> str:
        events, errors = self._tally.counts()
        self._marks.append((now, events))
        while len(self._marks) > 2 and now - self._marks[1][0] >= EVERY:
            self._marks.popleft()
        since, events_then = self._marks[0]
        rate = (events - events_then) / (now - since) if now > since else 0.0
        return f"{now:7.1f} s  {events:,} events  {rate:,.1f}/s  {errors:,} {'error' if errors == 1 else 'errors'}"

    def _show_statistics(self) -> None:
        try:
            lines = [self._statistics_of("all", self._target.all_statistics)]
            if self._target.statistics is not None:
                chosen = self._random.sample(self._names, min(SAMPLED, len(self._names)))
                lines += [self._statistics_of(name, self._target.statistics(name)) for name in sorted(chosen)]
        except Unanswered as failure:
            lines = [f"    no statistics: {failure.reason}"]
        self._console.line("\n".join(lines))

    def _statistics_of(self, name: str, path: str) -> str:
        reply = self._transport.get_once(path)
        if reply.status != 200:
            return f"    {name:<12} status {reply.status} {reply.detail}"
        return statistics_line(name, reply.document)


def summary(totals: Totals, elapsed: float, asked: str) -> str:
    """The end of a run of `elapsed` seconds, for people. `asked`: the pace in words."""
    lines = [
        "Summary",
        f"  events    {totals.events:,} accepted in {elapsed:.2f} s: {totals.events / elapsed:,.1f}/s ({asked})",
        f"  requests  {totals.requests:,} answered: {totals.requests / elapsed:,.1f}/s",
        "  latency   " + "  ".join(f"{name} {milliseconds(value)}" for name, value in totals.latencies.items()),
        "  statuses  " + ("  ".join(f"{status}: {times:,}" for status, times in totals.statuses.items()) or "none"),
        "  errors    " + ("" if totals.errors else "none"),
    ]
    for kind, times in totals.errors.items():
        example = totals.examples.get(kind)
        lines.append(f"    {times:,} x {kind}" + (f", such as: {example}" if example else ""))
    return "\n".join(line.rstrip() for line in lines)
