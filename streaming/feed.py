"""The open streams of a worker: their places, and the one thread that fills their mailboxes and ends them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Hashable

from event_log.applied import Begun, Told
from event_log.errors import LogUnavailable
from event_service import EventService
from streaming.channels import Channel, Channels
from streaming.endings import BROKEN, GONE, NO_KEY, NO_LOG, SHUTDOWN, TOO_MANY_STREAMS, Ending
from streaming.polling import DISCONNECTED, READABLE, SocketPoll
from streaming.pulses import Answered, Pulses, Question
from streaming.subscriber import Subscriber

FOLLOW_SECONDS = 0.02
"""Seconds between two looks for news in the log while somebody wants events, and for what clients of WebSockets have
said; half of it is the typical delay."""
TURN_SECONDS = 0.001
"""Seconds that readers and requests have their turn between two chunks of work; after a sleep of 0 gevent looks at no
socket."""
SWEEP_SECONDS = 1.0
"""Seconds between two looks for departed clients, due heartbeats and stuck writes."""
HEARTBEAT_SWEEPS = 15
CUT_SWEEPS = 11
"""Sweeps after which the socket of a stream that has not ended by itself is shut down: ten seconds at least."""

_log = logging.getLogger(__name__)


class NoPlace(Exception):
    """This worker takes no more streams: all places are taken, or it is shutting down."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


def _in_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="feed", daemon=True).start()


class Feed:
    """The open streams of one worker.

    That thread runs only while there are streams. `lock` guards everything here; no client is
    written to under it, so it is held for as long as a step takes to compute and no longer.
    """

    def __init__(
        self,
        source: EventService,
        answer: Callable[[Hashable], Answered],
        max_streams: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        worker_is_stopping: Callable[[], bool] = lambda: False,
        spawn: Callable[[Callable[[], None]], None] = _in_thread,
        on_change: Callable[[int], None] = lambda open_streams: None,
    ) -> None:
        """`on_change` is told the number of open streams whenever it changes."""
        self._max_streams = max_streams
        self._clock = clock
        self._worker_is_stopping = worker_is_stopping
        self._spawn = spawn
        self._on_change = on_change
        self._lock = threading.RLock()
        self._source = source
        self._channels = Channels(source, self._lock)
        self._pulses = Pulses(answer, source.position, self._lock, clock)
        # All below: under _lock.
        self._disconnects = SocketPoll[Subscriber](DISCONNECTED)
        self._speakers = SocketPoll[Subscriber](READABLE)
        self._places: dict[Subscriber, int] = {}  # and the descriptor that is watched for each
        self._next_sweep = -math.inf
        self._closed = False
        self._running = False
        self._something_new = threading.Event()

    @property
    def open_streams(self) -> int:
        """Return the number of places that are taken."""
        return len(self._places)

    def check(self) -> None:
        """Raises NoPlace when no stream can be opened now."""
        if self._closed or self._worker_is_stopping():
            raise NoPlace(SHUTDOWN)
        if len(self._places) >= self._max_streams:
            raise NoPlace(TOO_MANY_STREAMS)

    def enter(self, subscriber: Subscriber) -> None:
        """Take a place. Raises NoPlace."""
        with self._lock:
            self.check()
            fileno = subscriber.fileno()
            self._places[subscriber] = fileno
            self._on_change(len(self._places))
            self._disconnects.watch(fileno, subscriber)
            if subscriber.two_way:
                self._speakers.watch(fileno, subscriber)
            if not self._running:
                self._running = True
                self._spawn(self._run)

    def leave(self, subscriber: Subscriber) -> None:
        """Give the place back, and what it listened to; may be called twice."""
        self._pulses.leave(subscriber)
        with self._lock:
            fileno = self._places.pop(subscriber, -1)
            self._disconnects.forget(fileno, subscriber)
            self._speakers.forget(fileno, subscriber)
            self._on_change(len(self._places))

    def events(self, subscriber: Subscriber, channel: Channel, after: int) -> Generator[bytes]:
        """The channel's events after position `after`, those that exist and then those to come."""
        behind: int | None = after
        try:
            while behind is not None:
                subscriber.behind = None
                yield from self._channels.join(subscriber, channel, behind)
                self._something_new.set()  # the thread may be in a longer rest than one who wants events can bear
                yield from subscriber
                behind = subscriber.behind
        except LogUnavailable:
            subscriber.end(NO_LOG)
        finally:
            self._channels.leave(subscriber, channel)

    def statistics(self, subscriber: Subscriber, question: Question) -> int | None:
        """Let the subscriber have the answers to a question, one at once and then one each interval, until it leaves;
        returns the position of the first. None where the log cannot answer: the stream is ended."""
        try:
            position = self._pulses.join(subscriber, question)
        except LogUnavailable:
            subscriber.end(NO_LOG)
            return None
        self._something_new.set()
        return position

    def hear(self, told: Told | Begun) -> None:
        """Hear what the projection has taken in, or that another one has taken its place."""
        if isinstance(told, Begun):
            self._channels.begin_anew(told.position)
        else:
            self._channels.take(told)
        if self._channels.waiting:
            self._something_new.set()

    def close(self) -> None:
        """End all streams politely and take no more; may be called twice."""
        with self._lock:
            self._closed = True
            for subscriber in self._places:
                subscriber.end(SHUTDOWN)

    def tick(self) -> float:
        """Do what is due; seconds until there is something to do again."""
        rest = self._pulses.step()
        if self._channels:
            rest = min(rest, 0.0 if self._follow() else FOLLOW_SECONDS)
        if self._speakers:
            rest = min(rest, self._listen())
        return min(rest, self._sweep_if_due())

    def _run(self) -> None:
        try:
            while not self._finished():
                self._rest(self.tick())
        except Exception:  # noqa: BLE001 - whatever it is: better all streams reconnect than hang for ever
            _log.exception("the feed failed; its streams are ended")
            with self._lock:
                self._running = False
                for subscriber in self._places:
                    subscriber.end(BROKEN)

    def _rest(self, seconds: float) -> None:
        if seconds:
            self._something_new.wait(seconds)
            self._something_new.clear()
        else:
            time.sleep(TURN_SECONDS)

    def _finished(self) -> bool:
        with self._lock:
            self._running = bool(self._places)
            return not self._running

    def _follow(self) -> bool:
        """See that the projection takes in what is new, and hand out some of that; whether there is more."""
        try:
            more = self._source.advance()
            return self._channels.step() or more
        except LogUnavailable:  # it may come back; nothing is skipped, since the projection stays where it is
            return False

    def _listen(self) -> float:
        """Wake the readers of those WebSockets whose clients have said something; seconds until the next look."""
        with self._lock:
            for subscriber in self._speakers.found():
                subscriber.hear()
        return FOLLOW_SECONDS

    def _sweep_if_due(self) -> float:
        with self._lock:
            now = self._clock()
            if now >= self._next_sweep:
                self._next_sweep = now + SWEEP_SECONDS
                self._sweep()
            return self._next_sweep - now

    def _sweep(self) -> None:
        if self._worker_is_stopping() and not self._closed:
            self.close()
        for subscriber in self._disconnects.found():
            subscriber.end(GONE)
        for subscriber in self._places:
            self._check(subscriber)

    def _check(self, subscriber: Subscriber) -> None:
        subscriber.quiet_sweeps += 1
        if subscriber.ending is not None:
            if subscriber.quiet_sweeps >= CUT_SWEEPS:
                subscriber.cut()
        elif subscriber.barred():
            subscriber.end(NO_KEY)
        elif subscriber.quiet_sweeps >= HEARTBEAT_SWEEPS:
            subscriber.beat()
