"""Telling receivers of changes: hands what waits in the log to couriers, and notes there what they have brought.

Only whoever holds the lease does so. A change is removed once all receivers have been told of it, or it was dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from alerts.board import Standing
from alerts.courier import Count, Courier, Send
from alerts.file import Receiver
from alerts.rows import LEASE, OUTBOX, RECEIVERS, Note, Waiting, alert_of, key_of, pack, told_of, waiting_of
from alerts.states import shown
from event_log.outcomes import Void
from event_log.tables import Change, Row
from event_service import EventService
from view.asking import SECONDS
from view.portions import giving_way

MOST_WAITING = 20_000
"""Maximum number of changes that wait; the oldest are dropped for those that come."""
REMOVED_AT_A_TIME = 500


class Delivery:
    """The couriers of the process that holds the lease. For one thread or greenlet."""

    def __init__(self, service: EventService, count: Count, post: Send, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._count = count
        self._post = post
        self._monotonic = monotonic
        self._couriers: dict[str, Courier] = {}
        self._lease: int | None = None

    def tick(self, receivers: Mapping[str, Receiver], standing: Standing, lease: int) -> None:
        """Do what is due. Raises LogError."""
        with self._service.level() as projection:
            outbox = dict(projection.tables.rows(OUTBOX))
            told = dict(projection.tables.rows(RECEIVERS))
        self._follow(receivers, told, lease)
        self._note(outbox, told, lease)
        now = self._service.store.time()
        for courier in self._couriers.values():
            if courier.is_due():
                waiting = [
                    change
                    for change in map(waiting_of, giving_way(outbox.values(), SECONDS))
                    if change.position > courier.told.position and _is_for(change.note, courier.receiver)
                ]
                again = _firing(standing, courier) if courier.wants_again(now) else ()
                if waiting or again:
                    courier.begin(waiting, again)

    def stop(self) -> None:
        """Forget the couriers: another process has the lease. What is being sent may be sent twice."""
        for courier in self._couriers.values():
            courier.stop()
        self._couriers.clear()
        self._lease = None

    def _follow(self, receivers: Mapping[str, Receiver], told: Mapping[str, Row], lease: int) -> None:
        """Have a courier for each receiver of the file, which may have changed."""
        if lease != self._lease:
            self.stop()
            self._lease = lease
        for name in list(self._couriers):
            if name not in receivers:
                self._couriers.pop(name).stop()
        for name, receiver in receivers.items():
            known = self._couriers.get(name)
            if known is None or known.receiver != receiver:
                before = told_of(told.get(name)) if known is None else known.told
                if known is not None:
                    known.stop()
                clocks = self._service.store.time, self._monotonic
                self._couriers[name] = Courier(receiver, before, self._count, self._post, *clocks)

    def _note(self, outbox: Mapping[str, Row], told: Mapping[str, Row], lease: int) -> None:
        """Note in the log what receivers have been told, and remove what nobody waits for: one record a second."""
        changes = [*self._reached(told), *self._removed(outbox)]
        if changes:
            try:
                self._service.change(changes, (LEASE, lease))
            except Void:
                self.stop()

    def _reached(self, told: Mapping[str, Row]) -> Iterator[Change]:
        for name, courier in self._couriers.items():
            if courier.told != told_of(told.get(name)):
                yield Change.replacing(told.get(name), RECEIVERS, name, pack(courier.told))
        for name, row in told.items():
            if name not in self._couriers:
                yield Change.replacing(row, RECEIVERS, name, None)

    def _removed(self, outbox: Mapping[str, Row]) -> Iterator[Change]:
        done = [key for key, row in giving_way(outbox.items(), SECONDS) if self._is_done(row)]
        if len(outbox) - len(done) > MOST_WAITING:
            done = list(outbox)[: len(outbox) - MOST_WAITING]
            dropped = [waiting_of(outbox[key]) for key in done]
            for courier in self._couriers.values():
                courier.drop([change for change in dropped if _is_for(change.note, courier.receiver)])
        for key in done[:REMOVED_AT_A_TIME]:
            yield Change.replacing(outbox[key], OUTBOX, key, None)

    def _is_done(self, row: Row) -> bool:
        position, note = waiting_of(row)
        return all(
            position <= courier.told.position for courier in self._couriers.values() if _is_for(note, courier.receiver)
        )


def _is_for(note: Note, receiver: Receiver) -> bool:
    return note.to is None or receiver.name in note.to


def _firing(standing: Standing, courier: Courier) -> Sequence[Waiting]:
    """Return the alerts that fire and of which this receiver has been told."""
    found = []
    for text, row in standing.rows.items():
        alert = alert_of(row)
        if shown(alert.state) == "firing" and alert.position <= courier.told.position:
            since, value, summary = alert.since, alert.value, alert.summary
            note = Note(*key_of(text), "firing", since, since, value, summary, "", alert.labels, alert.to)
            if _is_for(note, courier.receiver):
                found.append(Waiting(alert.position, note))
    return found
