"""One run: prices, threads and report wired together, from the first request to the summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from random import Random
from threading import Event as Flag
from threading import Thread

from simulator.dialects import Call
from simulator.events import Event, Feed, budgets
from simulator.options import Options
from simulator.pacing import GRACE, Pacer, Phases, Schedule, Timetable, Unpaced
from simulator.posting import Poster
from simulator.prices import WALK, Draws, Prices, Walk
from simulator.report import Console, Reporter, posted_line, summary
from simulator.tally import Tally
from tidemark import Unanswered
from tidemark.transport import Transport
from times import wall_clock

LOOK = 0.1
"""Seconds between two looks at whether the run goes on."""
LAST_ANSWERS = 2.0
"""Seconds that requests under way get to end once the run is over."""


class ServerNotThere(Exception):
    """No Tidemark server answers; the message is one line that says what to do."""


def check_server(url: str, timeout: float) -> None:
    """Raise ServerNotThere unless a Tidemark server answers at `url`, healthy or not."""
    try:
        with closing(Transport(url, None, timeout)) as transport:
            reply = transport.get_once("/health")
    except Unanswered as failure:
        raise ServerNotThere(
            f"no server answers at {url} ({failure.reason}); start one with `make run`, or name another with --url"
        ) from failure
    if reply.status not in (200, 503) or b'"status"' not in reply.body:
        raise ServerNotThere(
            f"what answers at {url} is not Tidemark (GET /health: {reply.status}); name the right server with --url"
        )


def intention(options: Options) -> str:
    """The first line of a run: what it is about to do, with the seed that repeats it."""
    names = options.names
    instruments = names[0] if len(names) == 1 else f"{len(names):,} instruments ({names[0]} ... {names[-1]})"
    return f"Posting {instruments} to {options.url}: {pace(options)}, seed {options.seed}; Ctrl+C ends it"


def pace(options: Options) -> str:
    """Return the rate that is asked for, in words."""
    if not options.rate:
        return "as fast as possible"
    phased = options.phases != Phases()
    return f"{options.rate:,.1f} events/s asked{', outside bursts and silences' if phased else ''}"


class Simulation:
    """A run as `options` ask, shown on `console`. `run` may be called once."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._tally = Tally()
        self._stop = Flag()
        self._began = time.monotonic()

    def run(self, wanted: Callable[[], bool] = lambda: True) -> None:
        """Post until the options' end, or until `wanted` answers no; then print the summary."""
        self._began = time.monotonic()
        if not self._options.quiet:
            self._console.line(intention(self._options))
        reporter = self._reporter()
        # Daemons: a server that never answers must not keep the program from ending.
        threads = [Thread(target=poster.run, daemon=True) for poster in self._posters()]
        for thread in threads:
            thread.start()
        while wanted() and not self._console.closed and self._clock() < self._options.duration + GRACE:
            running = [thread for thread in threads if thread.is_alive()]
            if not running:
                break
            running[0].join(LOOK)
            reporter.tick()
        elapsed = self._end(threads)
        reporter.close()
        self._console.line(summary(self._tally.totals(), elapsed, pace(self._options)))

    def _end(self, threads: Sequence[Thread]) -> float:
        self._stop.set()
        latest = self._clock() + LAST_ANSWERS
        for thread in threads:
            thread.join(max(latest - self._clock(), 0.0))
        return self._clock()

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _reporter(self) -> Reporter:
        options = self._options
        return Reporter(
            self._console,
            self._tally,
            Transport(options.url, options.key, min(options.timeout, LAST_ANSWERS)),
            options.target,
            options.names,
            clock=self._clock,
            random=Random(f"{options.seed}/report"),
            progress=not (options.verbose or options.quiet),
            statistics=not options.quiet,
        )

    def _posters(self) -> list[Poster]:
        options = self._options
        starts = options.starts if len(options.starts) > 1 else options.starts * len(options.names)
        instruments = [self._prices(name, start) for name, start in zip(options.names, starts, strict=True)]
        return [self._poster(instruments[thread :: options.threads], thread) for thread in range(options.threads)]

    def _prices(self, name: str, start: tuple[float, float]) -> Prices:
        options = self._options
        if options.distribution == WALK:
            return Walk(name, options.seed, start, options.step, options.decimals)
        return Draws(name, options.seed, start, options.distribution, options.spread, options.decimals)

    def _poster(self, instruments: Sequence[Prices], thread: int) -> Poster:
        options = self._options
        one_series = options.target.one_series
        feed = Feed(instruments, batch=options.batch, one_series=one_series, budget=self._budget(thread))
        return Poster(
            feed,
            self._pacer(len(instruments), thread),
            options.target.form,
            Transport(options.url, options.key, options.timeout),
            self._tally,
            wall_clock=wall_clock,
            sleep=self._stop.wait,
            announce=self._announce,
        )

    def _budget(self, thread: int) -> int | None:
        options = self._options
        if options.count is None:
            return None
        turn = options.batch if options.target.one_series else 1
        return sum(budgets(options.count, len(options.names), turn)[thread :: options.threads])

    def _pacer(self, instruments: int, thread: int) -> Pacer:
        options = self._options
        schedule: Schedule
        if options.rate:
            # Threads take turns: each begins a part of its interval after the one before.
            head_start = options.batch * (1 - (thread + 1) / options.threads)
            schedule = Timetable(options.rate * instruments / len(options.names), options.phases, head_start)
        else:
            schedule = Unpaced(options.phases)
        return Pacer(
            schedule,
            clock=self._clock,
            sleep=self._stop.wait,
            duration=options.duration,
            jitter=options.jitter,
            random=Random(f"{options.seed}/jitter/{thread}"),
        )

    def _announce(self, events: Sequence[Event], call: Call, outcome: str) -> None:
        if self._options.verbose:
            self._console.line(posted_line(events, call, outcome))
