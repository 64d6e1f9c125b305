"""The place of each write of a history in the log, as far as anybody was told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.history.model import Stored
from tests.history.recording import Attempt, Delete, Event, History, Message, Question, Read, Write

LEAST_JUMP = 1 << 30
"""Minimum number of positions of a jump: no run can have put as many events between two positions."""


@dataclass(slots=True)
class Placed:
    """A write that is in the log at a position, for good or until positions jumped."""

    write: Write
    position: int
    events: list[Stored]
    lost_at: int | None = None


@dataclass(slots=True)
class Log:
    """The order of all that is known to be in the log."""

    placed: list[Placed] = field(default_factory=list)
    deletes: list[tuple[int, Delete]] = field(default_factory=list)
    pending: list[Write] = field(default_factory=list)
    """Writes that nobody knows the place of; they may turn up, once, after they began."""
    pending_deletes: list[Delete] = field(default_factory=list)
    told: dict[float, Message] = field(default_factory=dict)
    """Messages of streams, by value."""
    jumps: list[int] = field(default_factory=list)
    """The first position behind each jump."""
    faults: list[str] = field(default_factory=list)


def placed_log(history: History) -> Log:
    """The log of a history, and what is wrong with the outcome of its writes."""
    log = Log()
    _hear(history, log)
    log.jumps = _jumps(history, log) if history.losses else []
    final = {message.value for connection in history.final for message in connection.messages if not message.gap}
    for write in history.of(Write):
        log.faults += _wrong_outcomes(write)
        if not write.clash and write.stored:
            _place(history, log, write, final)
    for delete in history.of(Delete):
        _place_delete(log, delete)
    log.faults += _twice_at_one_position(log)
    return log


def _hear(history: History, log: Log) -> None:
    """Take in what streams told. Each value has one position, and each position one value."""
    sent = {event.value: event for write in history.of(Write) for event in write.events}
    at: dict[int, float] = {}
    for connection in history.streams():
        for message in connection.messages:
            if message.gap:
                continue
            known = log.told.setdefault(message.value, message)
            if known.position != message.position or known.time != message.time:
                log.faults.append(f"{connection}: {message} was {known} to another")
            if at.setdefault(message.position, message.value) != message.value:
                log.faults.append(f"{connection}: {message} stands where {at[message.position]} does")
            event = sent.get(message.value)
            if event is None or event.expired or event.series != connection.series:
                log.faults.append(f"{connection}: nobody sent {message}")
            elif event.time not in (None, message.time):
                log.faults.append(f"{connection}: {message} was sent with the time {event.time}")


def _jumps(history: History, log: Log) -> list[int]:
    positions = {attempt.position for operation in history.operations for attempt in operation.attempts}
    positions |= {message.position for message in log.told.values()}
    known = sorted(position for position in positions if position is not None)
    return [after for before, after in pairwise(known) if after - before > LEAST_JUMP]


def _wrong_outcomes(write: Write) -> Iterator[str]:
    """Yield what is wrong with the answers to a write, each by itself and beside the others."""
    stored, expired = len(write.stored), len(write.events) - len(write.stored)
    definite = [attempt for attempt in write.attempts if attempt.is_definite]
    for attempt in definite:
        if attempt.status != (422 if write.clash else 201 if stored else 200):
            yield f"{write}: status {attempt.status}, {attempt.body[:300]!r}"
        elif not write.clash and _outcome(attempt)[2:] != (stored, expired):
            yield f"{write}: {attempt.body[:300]!r}, not {stored} stored and {expired} expired"
        elif not write.clash and _outcome(attempt) != _outcome(definite[0]):
            yield f"{write}: another answer under the same key"
    if sum(attempt.status == 201 and not attempt.replayed for attempt in definite) > 1:
        yield f"{write}: done twice under the same key"


def _outcome(attempt: Attempt) -> tuple[object, ...]:
    body = attempt.json
    return attempt.status, attempt.position, body.get("stored"), body.get("expired")


def _place(history: History, log: Log, write: Write, final: set[float]) -> None:
    values = [event.value for event in write.stored]
    there = final.issuperset(values)
    if write.answer is not None and write.answer.status != 201:
        return
    if not there and not final.isdisjoint(values) and not _is_brief(history, write):
        log.faults.append(f"{write}: in the log in part")
    elif write.answer is not None:
        if not there and not _is_brief(history, write):
            log.faults.append(f"{write}: acknowledged and lost")
        log.faults += _told_elsewhere(log, write, write.answer)
        log.placed.append(_placed(log, write, write.answer.position or 0))
    elif there or (_is_brief(history, write) and log.told.keys() >= set(values)):
        log.placed.append(_placed(log, write, max(log.told[value].position for value in values)))
    elif _is_brief(history, write):
        log.pending.append(write)
    elif log.told.keys().isdisjoint(values):
        log.pending += [write] if history.losses else []
    else:
        _lose(log, write)


def _is_brief(history: History, write: Write) -> bool:
    return any(event.series in history.brief for event in write.events)


def _lose(log: Log, write: Write) -> None:
    """A write without an answer was told and is gone: that is right only where positions jumped."""
    told = [log.told[event.value].position for event in write.stored if event.value in log.told]
    jump = next((jump for jump in log.jumps if jump > max(told)), None)
    if jump is None:
        log.faults.append(f"{write}: told by a stream, and not in the log")
    else:
        log.placed.append(_placed(log, write, max(told), jump))


def _told_elsewhere(log: Log, write: Write, answer: Attempt) -> Iterator[str]:
    """Yield that streams told a write's last event at another position, or one stamped outside its request."""
    told = [log.told[event.value] for event in write.stored if event.value in log.told]
    if len(told) == len(write.stored) and max(message.position for message in told) != answer.position:
        yield f"{write}: streams told it up to {max(message.position for message in told)}"
    for event in write.stored:
        message = log.told.get(event.value)
        if message and event.time is None and not write.first.wall_began <= message.time <= answer.wall_ended:
            yield f"{write}: stamped {message}, outside its request"


def _placed(log: Log, write: Write, position: int, lost_at: int | None = None) -> Placed:
    return Placed(write, position, list(stored(log, write.stored, position)), lost_at)


def stored(log: Log, events: list[Event], position: int) -> Iterable[Stored]:
    """Yield events as they stand in the log when their write stands at a position."""
    for before, event in enumerate(reversed(events)):
        told = log.told.get(event.value)
        time = told.time if told else event.time or 0
        yield Stored(time, told.position if told else position - before, event.value, event.series)


def _place_delete(log: Log, delete: Delete) -> None:
    answer = delete.answer
    if answer is None:
        log.pending_deletes.append(delete)
    elif answer.status == 204:
        log.deletes.append((answer.position or 0, delete))
        if len(delete.attempts) > 1:
            log.pending_deletes.append(delete)  # an earlier attempt may have been carried out as well
    elif answer.status == 404:
        log.pending_deletes += [delete] if len(delete.attempts) > 1 else []
    else:
        log.faults.append(f"{delete}: status {answer.status}, {answer.body[:300]!r}")


def _twice_at_one_position(log: Log) -> Iterator[str]:
    at: dict[int, object] = {}
    for placed in log.placed:
        if (other := at.setdefault(placed.position, placed.write)) is not placed.write:
            yield f"{placed.write}: at the position of {other}"
    for position, delete in log.deletes:
        if (ended := at.setdefault(position, delete)) is not delete:
            yield f"{delete}: at the position of {ended}"


def reads_of(history: History) -> Iterator[tuple[Read, Attempt]]:
    """Yield the reads that were answered, with their answers. To be told that there is no series to delete is one."""
    for operation in history.operations:
        answer = operation.answer
        if isinstance(operation, Read) and answer is not None:
            yield operation, answer
        elif isinstance(operation, Delete) and answer is not None and answer.status == 404:
            yield Read(operation.client, [answer], Question("events", operation.series, last=1)), answer
