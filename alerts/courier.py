"""Delivery of changes to one receiver: in order, again and again until it has them, and never in anybody's way.

What is to be told waits in the log, not here: a courier holds one batch of it. Where the process is killed, whoever
takes over goes on behind what the receiver has acknowledged.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from alerts import bodies
from alerts.file import Receiver
from alerts.receivers import SendFailed
from alerts.rows import Told, Waiting
from times import HOUR, MINUTE

MOST_ALERTS_A_BODY = 100
MOST_BODIES = 10
"""Maximum number of bodies that a courier takes at a time, and sends in a second."""
LEAST_PAUSE, MOST_PAUSE = 1.0, 300.0
"""Seconds before a receiver that failed is tried again: twice as many each time."""
PATIENCE = HOUR
"""Microseconds after which a change is dropped that a receiver does not take."""
AGAIN = MINUTE
"""Microseconds after which an Alertmanager is sent a firing alert again."""
Send = Callable[[Receiver, bytes, int], None]
Count = Callable[[str, str, int], None]
"""Count notifications: the receiver, the outcome, their number."""
logger = logging.getLogger("tidemark.alerts")


def bodies_of(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Split the changes into bodies: neighbours of one look and one status go into one. Where a receiver has
    acknowledged some bodies, those that follow stay the same."""
    found = list[list[Waiting]]()
    for change in waiting:
        last = found[-1] if found else []
        together = last and (last[0].note.look, last[0].note.status) == (change.note.look, change.note.status)
        if together and len(last) < MOST_ALERTS_A_BODY:
            last.append(change)
        else:
            found.append([change])
    return found


class Courier:
    """Tells one receiver, in a thread of its own while there is something to tell."""

    def __init__(
        self,
        receiver: Receiver,
        told: Told,
        count: Count,
        post: Send,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`clock` tells the log's time."""
        self.receiver = receiver
        self.told = told
        """Progress of the receiver; the log may not know all of it yet."""
        self._count = count
        self._clock = clock
        self._post = post
        self._monotonic = monotonic
        self._stopped = False
        self._pause = 0.0
        self._next = -math.inf  # when it may be tried again
        self._refreshed = 0  # log time at which firing alerts were last sent again
        self._thread: threading.Thread | None = None

    def is_due(self) -> bool:
        """Return whether more could be sent now."""
        is_busy = self._thread is not None and self._thread.is_alive()
        return not is_busy and self._monotonic() >= self._next

    def wants_again(self, now: int) -> bool:
        """Return whether firing alerts are to be sent again."""
        return self.receiver.is_alertmanager and now - self._refreshed >= AGAIN

    def begin(self, waiting: Sequence[Waiting], again: Sequence[Waiting]) -> None:
        """Send some of what waits, in the background; then `again`, the alerts that fire."""
        self._thread = threading.Thread(target=self._run, args=(waiting, again), name="courier", daemon=True)
        self._thread.start()

    def drop(self, waiting: Sequence[Waiting]) -> None:
        """Give up changes, the oldest that wait: their receiver is never told."""
        dropped = [change for change in waiting if change.position > self.told.position]
        if dropped:
            self._count(self.receiver.name, "dropped", len(dropped))
            self.told = Told(dropped[-1].position, self.told.dropped + len(dropped))

    def stop(self) -> None:
        """Send no more: another process does, which goes on behind what the log knows."""
        self._stopped = True

    def _run(self, waiting: Sequence[Waiting], again: Sequence[Waiting]) -> None:
        """Send until all is sent, or something fails."""
        try:
            self._send_changes(waiting)
            waiting = ()  # what is left of it was not tried
            self._send_again(again)
        except SendFailed as fault:
            self._count(self.receiver.name, "failed", 1)
            self._fail()
            logger.warning("%s; trying again in %g s", fault, self._pause)
            self._give_up(waiting)
        except Exception:  # the next try is in the thread that follows
            logger.exception("sending to receiver %s failed", self.receiver.name)
            self._fail()

    def _send_changes(self, waiting: Sequence[Waiting]) -> None:
        for body in bodies_of(waiting)[:MOST_BODIES]:
            if self._stopped:
                return
            self._send(body)
            self._count(self.receiver.name, "sent", len(body))
            self.told = Told(max(body[-1].position, self.told.position))
            time.sleep(1 / MOST_BODIES)

    def _send_again(self, firing: Sequence[Waiting]) -> None:
        """Send firing alerts again, which no change is waiting for; what fails is tried at the next minute."""
        if not firing or self._stopped:
            return
        self._refreshed = self._clock()
        for start in range(0, len(firing), MOST_ALERTS_A_BODY):
            self._send(firing[start : start + MOST_ALERTS_A_BODY])
            time.sleep(1 / MOST_BODIES)

    def _send(self, changes: Sequence[Waiting]) -> None:
        """Raises SendFailed."""
        notes = [change.note for change in changes]
        if self.receiver.is_alertmanager:
            body = bodies.alertmanager(notes, self._clock())
        else:
            body = bodies.webhook(self.receiver.name, notes)
        self._post(self.receiver, body, max(change.position for change in changes))
        self._pause = 0.0

    def _fail(self) -> None:
        self._pause = min(max(LEAST_PAUSE, 2 * self._pause), MOST_PAUSE)
        self._next = self._monotonic() + self._pause

    def _give_up(self, waiting: Sequence[Waiting]) -> None:
        """Drop what has been tried for too long."""
        old = [change for change in waiting if self._clock() - change.note.look >= PATIENCE]
        if old:
            logger.error("receiver %s: %d changes are dropped after an hour", self.receiver.name, len(old))
            self.drop(old)
