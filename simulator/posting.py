"""Posting: one thread's loop from its prices to the server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from itertools import count

import orjson

from simulator.client import Client, Failed, Reply
from simulator.dialects import Call, Form
from simulator.events import Event, Feed
from simulator.pacing import Pacer
from simulator.tally import Tally

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between attempts to reach a server that is gone: doubled each time, up to this."""

Announce = Callable[[Sequence[Event], Call, str], None]


def fault_of(reply: Reply) -> str:
    """Return the server's message about a fault, as one line."""
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return ""
    detail = answer.get("detail", "") if isinstance(answer, dict) else ""
    return detail if isinstance(detail, str) else orjson.dumps(detail).decode()[:200]


class Poster:
    """Posts what its feed gives, when its pacer says so, until either ends or the run is stopped.

    A request without an answer, and one the server asks to repeat later, is sent again until it is answered. It keeps
    its `Idempotency-Key`, so that its events count once, whether it had arrived or not.
    """

    def __init__(
        self,
        feed: Feed,
        pacer: Pacer,
        form: Form,
        client: Client,
        tally: Tally,
        *,
        wall_clock: Callable[[], int],
        sleep: Callable[[float], bool],
        announce: Announce | None = None,
    ) -> None:
        self._feed = feed
        self._pacer = pacer
        self._form = form
        self._client = client
        self._tally = tally
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._announce = announce
        run = secrets.token_hex(8)
        self._keys = (f"{run}-{number}" for number in count())

    def run(self) -> None:
        """Post until the end; closes the connection."""
        try:
            while (size := self._feed.next_size()) and self._pacer.wait(size):
                events = self._feed.take(self._wall_clock(), self._pacer.gap)
                self._deliver(events, self._form(events))
        finally:
            self._client.close()

    def _deliver(self, events: Sequence[Event], call: Call) -> None:
        pause = FIRST_PAUSE
        key = next(self._keys)
        while True:
            began = time.perf_counter()
            try:
                reply = self._client.post(call, key)
            except Failed as failure:
                self._failed(failure, events, call)
                if self._sleep(pause):
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._answered(reply, time.perf_counter() - began, events, call)
                if reply.accepted or reply.retry_after is None or self._sleep(reply.retry_after):
                    return

    def _answered(self, reply: Reply, seconds: float, events: Sequence[Event], call: Call) -> None:
        self._tally.answered(reply.status, seconds, call.events if reply.accepted else 0)
        if not reply.accepted:
            self._tally.error(f"status {reply.status}", fault_of(reply))
        if self._announce is not None:
            self._announce(events, call, f"{reply.status} in {seconds * 1000:.1f} ms")

    def _failed(self, failure: Failed, events: Sequence[Event], call: Call) -> None:
        self._tally.error(failure.kind)
        if self._announce is not None:
            self._announce(events, call, failure.kind)
