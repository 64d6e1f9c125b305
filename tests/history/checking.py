"""The checker: what is wrong in a history, line by line; nothing, if the service kept its contract."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter

from tests.history.answers import wrong_answers
from tests.history.placing import Log, placed_log, reads_of
from tests.history.recording import Connection, Delete, History

MOST = 20
"""Faults told, at most: one cause makes many."""


def check(history: History) -> list[str]:
    """Return the faults of a history, the first of each kind.

    1. Each write is in the log once and whole, or not at all; what was acknowledged is in it, and answers under one
       key are identical (tests/history/placing.py).
    2. Positions respect real time: what began after another's end never has a lower one, a write has a higher one.
    3. Each answer is that of the brute-force model at its position and moment (tests/history/answers.py).
    4. Streams tell each event once, in the order of positions, or say that there is a gap.
    """
    log = placed_log(history)
    kinds = (iter(log.faults), _out_of_order(history, log), wrong_answers(history, log), _wrong_streams(history, log))
    return [fault for kind in kinds for fault, _ in zip(kind, range(MOST), strict=False)]


def _out_of_order(history: History, log: Log) -> Iterator[str]:
    """Yield what has a lower position than an answer that had come before it began."""
    told: list[tuple[int, int]] = []  # when an answer had come, and its position
    new: list[tuple[int, int, bool, object]] = []  # when one began, its position, whether it must be higher
    for read, answer in reads_of(history):
        if answer.position is None:
            continue  # a failure, which is told as that
        told.append((answer.ended, answer.position))
        new.append((answer.began, answer.position, False, read))
    for placed in log.placed:
        told += [(attempt.ended, placed.position) for attempt in placed.write.attempts if attempt.is_definite]
        new.append((placed.write.first.began, placed.position, True, placed.write))
    for delete in history.of(Delete):
        if (answer := delete.answer) is not None and answer.status == 204:
            told.append((answer.ended, answer.position or 0))
            new.append((answer.began, answer.position or 0, True, delete))
    for message_ended, position in _heard(history):
        told.append((message_ended, position))
    yield from _below(sorted(told), sorted(new, key=itemgetter(0)))


def _heard(history: History) -> Iterator[tuple[int, int]]:
    """Yield when streams told a position. Where positions jump, what was told may be lost, but never comes again."""
    for connection in history.connections:
        yield from ((message.heard, message.position) for message in connection.messages if not message.gap)


def _below(told: list[tuple[int, int]], new: list[tuple[int, int, bool, object]]) -> Iterator[str]:
    highest, index = -1, 0
    for began, position, higher, operation in new:
        while index < len(told) and told[index][0] < began:
            highest = max(highest, told[index][1])
            index += 1
        if position < highest or (higher and position == highest):
            yield f"{operation}: at {position}, though {highest} had been told before it began"


def _wrong_streams(history: History, log: Log) -> Iterator[str]:
    """Yield what streams told twice, out of order, or not at all without a gap."""
    there: dict[str, list[int]] = {}
    for placed in log.placed:
        for event in placed.events if placed.lost_at is None else ():
            there.setdefault(event.series, []).append(event.position)
    for positions in there.values():
        positions.sort()
    for connection in history.connections:
        yield from _wrong_stream(history, connection, there.get(connection.series, []))
    for connection in history.final:
        yield from _wrong_stream(history, connection, there.get(connection.series, []), whole=True)


def _wrong_stream(history: History, connection: Connection, there: list[int], *, whole: bool = False) -> Iterator[str]:
    told = connection.after
    for message in connection.messages:
        if message.gap:
            if connection.series not in history.brief and not history.gaps:
                yield f"{connection}: {message}, and nothing was lost"
            told = max(told, message.position - 1)
        elif message.position <= told:
            yield f"{connection}: {message} after {told}"
        else:
            skipped = there[bisect_right(there, told) : bisect_left(there, message.position)]
            if skipped:
                yield f"{connection}: {message} after {told}, without {skipped}"
            told = message.position
    if whole and (rest := there[bisect_right(there, told) :]):
        yield f"{connection}: ended without {rest}"
