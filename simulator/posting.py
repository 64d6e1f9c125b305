"""Posting: one thread's loop from its prices to the server, through the Python client's connections and its rules."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

from simulator.dialects import Call, Form
from simulator.events import Event, Feed
from simulator.pacing import Pacer
from simulator.tally import Tally
from tidemark import Unanswered
from tidemark.retrying import retry
from tidemark.transport import Reply, Transport

LONGEST_PAUSE = 2.0
"""Seconds between attempts, at most, unless the server asks for more: a demonstration is soon to go on."""

Announce = Callable[[Sequence[Event], Call, str], None]


class Poster:
    """Posts what its feed gives, when its pacer says so, until either ends or the run is stopped.

    It does not put events into the client's buffer: each request is one that the options ask for, in the form of its
    dialect, and its latency is measured. A request whose answer is missing or temporary is sent again, as the client
    does it, under the same `Idempotency-Key`.
    """

    def __init__(
        self,
        feed: Feed,
        pacer: Pacer,
        form: Form,
        transport: Transport,
        tally: Tally,
        *,
        wall_clock: Callable[[], int],
        sleep: Callable[[float], bool],
        announce: Announce,
    ) -> None:
        self._feed = feed
        self._pacer = pacer
        self._form = form
        self._transport = transport
        self._tally = tally
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._announce = announce

    def run(self) -> None:
        """Post until the end; closes the connection."""
        try:
            while (size := self._feed.next_size()) and self._pacer.wait(size):
                events = self._feed.take(self._wall_clock(), self._pacer.gap)
                attempt = partial(self._attempt, events, self._form(events), secrets.token_hex(16))
                retry(attempt, lambda seconds: not self._sleep(seconds), LONGEST_PAUSE)
        finally:
            self._transport.close()

    def _attempt(self, events: Sequence[Event], call: Call, key: str) -> Reply:
        began = time.perf_counter()
        try:
            reply = self._transport.post(call.path, call.body, key, call.content_type)
        except Unanswered as failure:
            self._tally.error(failure.reason)
            self._announce(events, call, failure.reason)
            raise
        seconds = time.perf_counter() - began
        accepted = 200 <= reply.status < 300
        self._tally.answered(reply.status, seconds, call.events if accepted else 0)
        if not accepted:
            self._tally.error(f"status {reply.status}", reply.detail)
        self._announce(events, call, f"{reply.status} in {seconds * 1000:.1f} ms")
        return reply
