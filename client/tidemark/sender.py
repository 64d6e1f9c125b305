"""The sender: a buffer, and a background thread that delivers what is in it."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from multiprocessing.util import Finalize
from weakref import WeakSet

from tidemark.buffer import Buffer, Sent
from tidemark.delivery import Delivery
from tidemark.errors import Counts, NotAllowed, NotSent, Refused, RefusedEvent, TidemarkError
from tidemark.transport import Transport

BATCH = 1000
"""Events of one flush, at most."""
INTERVAL_SECONDS = 1.0
MOST_KEPT = 1000
"""Refused events that are kept to be raised."""
CLOSE_SECONDS = 10.0
_HURRIED_PAUSE = 0.5
"""Seconds between attempts, at most, while somebody waits in `close`."""
_log = logging.getLogger("tidemark")
_senders: WeakSet[Sender] = WeakSet()
"""Those that a forked child must begin anew."""


class _State:
    """State of a sender in one process. `buffer.changed` guards all fields."""

    def __init__(self, transport: Transport, capacity: int) -> None:
        self.transport = transport
        self.buffer = Buffer(capacity, BATCH)
        self.thread: threading.Thread | None = None
        self.stored = self.expired = self.refused = 0
        self.kept: deque[RefusedEvent] = deque(maxlen=MOST_KEPT)
        self.denied: NotAllowed | None = None
        self.trouble = ""
        self.failed: BaseException | None = None
        """Error that has ended the thread before its time."""
        self.hurried = False
        self.stopped = False
        self.told = threading.local()
        """`told.count` is the number of refused events that this thread has been told of."""


class Sender:
    """Delivers what is put into it, in order, until it is known what became of it."""

    def __init__(
        self,
        connect: Callable[[], Transport],
        capacity: int,
        on_error: Callable[[Refused | NotAllowed], object] | None,
    ) -> None:
        self._connect = connect
        self._capacity = capacity
        self._on_error = on_error
        self._begin()
        _begin_anew_in_children()
        _senders.add(self)

    def _begin(self) -> None:
        self._state = _State(self._connect(), self._capacity)

    def transport(self) -> Transport:
        """Return the connections of this process."""
        return self._state.transport

    def put(self, event: Sent, wait_seconds: float | None) -> None:
        """Take an event. Raises BufferFull or Closed."""
        state = self._state
        state.buffer.put(event, wait_seconds)
        if state.thread is None:
            self._start(state)

    def _start(self, state: _State) -> None:
        with state.buffer.changed:
            if state.thread is not None:
                return
            state.thread = threading.Thread(target=self._run, args=(state,), name="tidemark", daemon=True)
            state.thread.start()
        atexit.register(self.close_saying)
        if parent_process() is not None:  # children of multiprocessing end without atexit
            Finalize(self, self.close_saying, exitpriority=10)

    def flush(self, timeout: float | None) -> Counts:
        """Wait until everything put in before is known to be stored. Raises Refused, NotAllowed or NotSent."""
        state = self._state
        self._wait(state, state.buffer.want_all(), timeout)
        return self.counts()

    def _wait(self, state: _State, target: int, timeout: float | None) -> None:
        buffer = state.buffer
        deadline = None if timeout is None else time.monotonic() + timeout
        with buffer.changed:
            while buffer.done < target:
                if state.failed is not None:
                    raise NotSent(target - buffer.done, f"the client failed: {state.failed!r}") from state.failed
                if state.denied is not None and self._on_error is None:
                    raise NotAllowed(state.denied.status, state.denied.detail)
                left = 0.0 if state.stopped else buffer.wait(deadline)
                if left is not None and left <= 0 and buffer.done < target:
                    raise NotSent(target - buffer.done, state.trouble)
            self._raise_refused(state)

    def _raise_refused(self, state: _State) -> None:
        """Raise what was refused since this thread was last told: no thread takes the news from another."""
        new = state.refused - getattr(state.told, "count", 0)
        state.told.count = state.refused
        if new and self._on_error is None:
            raise Refused(list(state.kept)[-new:], new)

    def counts(self) -> Counts:
        """Return the numbers of all events, by what has become of them."""
        state = self._state
        with state.buffer.changed:
            return Counts(state.stored, state.expired, state.refused, len(state.buffer))

    def close(self, timeout: float | None) -> None:
        """Flush, then take no more; the second time nothing is left to do. Raises as `flush` does."""
        state = self._state
        with state.buffer.changed:
            state.hurried = True
            state.buffer.close()
        try:
            self._wait(state, state.buffer.want_all(), timeout)
        finally:
            atexit.unregister(self.close_saying)
            with state.buffer.changed:
                state.stopped = True
                state.buffer.changed.notify_all()
            if not len(state.buffer):
                state.transport.close()

    def close_saying(self) -> None:
        """Close, and say on standard error what was lost, in one line: there is nobody to raise it to."""
        state = self._state
        if state.stopped:
            return
        try:
            self.close(CLOSE_SECONDS)
        except TidemarkError as fault:
            print(f"tidemark: {fault}{_lost(fault, len(state.buffer))}", file=sys.stderr)

    def _run(self, state: _State) -> None:
        try:
            self._deliver(state)
        except Exception as fault:  # noqa: BLE001 - a bug of ours, whatever it is: nobody must wait for ever
            _log.exception("the delivery has failed")
            with state.buffer.changed:
                state.failed = fault
            state.buffer.close()
        finally:
            state.transport.close()

    def _deliver(self, state: _State) -> None:
        watched = _Watched(state, self._tell)
        delivery = Delivery(state.transport.post, watched, watched.pause)
        while not state.stopped:
            batch = state.buffer.next_batch(INTERVAL_SECONDS)
            if not batch:
                if state.buffer.closed:
                    return
            elif delivery.deliver(batch):
                watched.all_is_well()
                state.buffer.take_out(len(batch))

    def _tell(self, error: Refused | NotAllowed) -> None:
        """Call `on_error`, with no lock held. What it raises is logged: it must not end the delivery."""
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:  # noqa: BLE001 - code of the user, which may raise anything
                _log.exception("on_error has failed")

    def begin_anew(self) -> None:
        """Begin with an empty buffer, no thread and no connection: in a child, those of the parent are not ours."""
        self._begin()


def _lost(fault: TidemarkError, waiting: int) -> str:
    """Return how many events were not sent, unless the fault says so itself or there are none."""
    if isinstance(fault, NotSent) or not waiting:
        return ""
    return f"; {waiting:,} {'event was' if waiting == 1 else 'events were'} not sent"


class _Watched:
    """Notes in the state what the delivery tells, and wakes those who wait."""

    def __init__(self, state: _State, tell: Callable[[Refused | NotAllowed], None]) -> None:
        self._state = state
        self._tell = tell

    def accepted(self, stored: int, expired: int) -> None:
        """Count events that were taken."""
        with self._state.buffer.changed:
            self._state.stored += stored
            self._state.expired += expired

    def refused(self, events: Sequence[RefusedEvent]) -> None:
        """Keep events that were not taken, and tell of them."""
        with self._state.buffer.changed:
            self._state.refused += len(events)
            self._state.kept.extend(events)
        self._tell(Refused(events))

    def troubled(self, reason: str, denied: NotAllowed | None) -> None:
        """Note a failed attempt; a denied key is told when it begins, not with every attempt."""
        state = self._state
        with state.buffer.changed:
            is_news = denied is not None and (state.denied is None or state.denied.detail != denied.detail)
            state.trouble, state.denied = reason, denied
            state.buffer.changed.notify_all()
        if denied is not None and is_news:
            self._tell(denied)

    def all_is_well(self) -> None:
        """Forget the trouble: a batch got through."""
        with self._state.buffer.changed:
            self._state.trouble, self._state.denied = "", None

    def pause(self, seconds: float) -> bool:
        """Wait before the next attempt, shortly while somebody closes; False when there shall be none."""
        state = self._state
        deadline = time.monotonic() + seconds
        with state.buffer.changed:
            while not state.stopped:
                if state.hurried:
                    deadline = min(deadline, time.monotonic() + _HURRIED_PAUSE)
                    state.buffer.changed.wait_for(lambda: state.stopped, max(deadline - time.monotonic(), 0.0))
                    break
                left = state.buffer.wait(deadline)
                if left is not None and left <= 0:
                    break
            return not state.stopped


_registered: list[int] = []


def _begin_anew_in_children() -> None:
    """Have every sender begin anew in a forked child; asked once in the life of a program."""
    if not _registered and hasattr(os, "register_at_fork"):
        _registered.append(os.getpid())
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for sender in list(_senders):
        sender.begin_anew()
