"""A small history made by hand in which all is right, for tests that make something wrong of it."""

from __future__ import annotations

import json
from typing import Any

from tests.history.model import Stored, answers
from tests.history.recording import NEVER, Attempt, Connection, Delete, Event, History, Message, Question, Read, Write

START = 1_700_000_000_000_000
"""Microseconds. Event 1.5 is dated one millisecond after it, event 2.5 two, and so on."""
ALL = Question("statistics", "a", last=1000, include=("sum", "last"))


def at(value: float) -> int:
    """Return the time of the event of a value."""
    return START + int(value) * 1000


def attempt(
    began: int, ended: int = NEVER, status: int | None = None, position: int | None = None, body: Any = None
) -> Attempt:
    """Return a request between two moments, in milliseconds since the start, and what it was told."""
    moments = (began, START + began * 1000, ended, NEVER if ended == NEVER else START + ended * 1000)
    return Attempt(*moments, status, position, body=json.dumps(body).encode())


def write(values: list[float], *attempts: Attempt, series: str = "a", key: str | None = None) -> Write:
    """Return events posted in one request."""
    return Write("writer", list(attempts), [Event(series, at(value), value) for value in values], key)


def stored(began: int, ended: int, position: int, number: int = 1) -> Attempt:
    """Return an attempt that was told that `number` events are stored."""
    return attempt(began, ended, 201, position, {"stored": number, "expired": 0})


def again(began: int, ended: int, position: int, number: int = 1) -> Attempt:
    """Return an attempt that was told what the first under its key was."""
    answer = stored(began, ended, position, number)
    answer.replayed = True
    return answer


def read(began: int, ended: int, position: int, values: list[float], question: Question = ALL) -> Read:
    """Return a question that was answered from the events of these values."""
    series = question.series or "a"
    events = sorted(Stored(at(value), 0, value, series) for value in values)
    told = next(answers(question, events, (START + began * 1000,) * 2))
    return Read("reader", [attempt(began, ended, 404 if told is None else 200, position, told)], question)


def stream(after: int, *told: tuple[int, float | None], series: str = "a") -> Connection:
    """Return a connection that was told these positions and values; None for a gap."""
    messages = [
        Message(position, gap=True, heard=NEVER) if value is None else Message(position, at(value), value, heard=NEVER)
        for position, value in told
    ]
    return Connection("follower", series, after, messages)


TOLD = ((1, 1.5), (2, 2.5), (3, 3.5), (4, 4.5))


def right() -> History:
    """Return the history in which all is right, made anew."""
    operations = [
        write([1.5], stored(0, 10, 1)),
        write([2.5, 3.5], stored(11, 20, 3, 2), again(30, 35, 3, 2), key="once"),
        write([4.5], attempt(21)),  # is in
        write([9.5], attempt(21)),  # is not
        read(22, 25, 3, [1.5, 2.5, 3.5]),
        read(40, 45, 4, [1.5, 2.5, 3.5, 4.5]),
        write([7.5], stored(46, 47, 5), series="brief"),
        Delete("deleter", [attempt(48, 50, 204, 6)], "brief"),
        write([8.5], stored(51, 55, 7), series="brief"),
        read(56, 57, 7, [8.5], Question("events", "brief", last=10)),
        write([10.5], attempt(58), series="brief"),  # shows later
        read(60, 61, 8, [8.5, 10.5], Question("statistics", "brief", last=10)),
    ]
    connections = [stream(0, *TOLD), stream(2, *TOLD[2:]), stream(0, (5, 7.5), (7, None), (7, 8.5), series="brief")]
    final = [stream(0, *TOLD), stream(0, (7, None), (7, 8.5), series="brief")]
    return History([*operations], connections, final, brief=frozenset({"brief"}))
