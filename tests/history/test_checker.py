"""The checker finds whatever is wrong in a history, and nothing where all is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from math import fsum, nextafter
from statistics import pvariance

import pytest

from tests.history.checking import check
from tests.history.made import ALL, START, TOLD, again, at, attempt, read, right, stored, stream, write
from tests.history.model import Stored, answers
from tests.history.recording import Delete, Event, History, Operation, Question, Write

Change = Callable[[History], object]
FIRST, KEYED, UNKNOWN, _, EARLY, LATE = range(6)


def retold(index: int, **changes: object) -> Change:
    """Have an operation's last answer tell something else."""

    def change(history: History) -> None:
        answer = history.operations[index].attempts[-1]
        answer.body = json.dumps(answer.json | changes).encode()

    return change


def moved(index: int, position: int) -> Change:
    """Have an operation's last answer tell another position."""
    return lambda history: setattr(history.operations[index].attempts[-1], "position", position)


def also(*operations: Operation) -> Change:
    """Have more operations in the history."""
    return lambda history: history.operations.extend(operations)


def streamed(*told: tuple[int, float | None], after: int = 0) -> Change:
    """Have another stream in the history."""
    return lambda history: history.connections.append(stream(after, *told))


def ends_with(*told: tuple[int, float | None]) -> Change:
    """Have the log tell something else at the end, and nobody have heard it otherwise."""

    def change(history: History) -> None:
        history.connections = []
        history.final[0] = stream(0, *told)

    return change


WRONG: dict[str, tuple[Change, str]] = {
    "a write is lost": (ends_with(*TOLD[1:]), "acknowledged and lost"),
    "half a batch is lost": (ends_with(TOLD[0], *TOLD[2:]), "in the log in part"),
    "half a batch of unknown outcome is in": (
        lambda history: history.operations[UNKNOWN].events.append(Event("a", at(6.5), 6.5)),  # type: ignore[attr-defined]
        "in the log in part",
    ),
    "an answer lacks an event": (also(read(46, 47, 4, [1.5, 2.5, 4.5])), "not {'count': 4"),
    "an answer has an event too many": (also(read(46, 47, 3, [1.5, 2.5, 3.5, 4.5])), "not {'count': 3"),
    "an answer has half a batch": (also(read(22, 23, 2, [1.5, 2.5])), "not {'count': 1"),
    "an answer has an event twice": (also(read(46, 47, 4, [1.5, 1.5, 2.5, 3.5, 4.5])), "not {'count': 4"),
    "an answer is off by one bit": (retold(LATE, mean=nextafter(3.0, 4.0)), "not {'count': 4"),
    "what nobody knew is in": (also(read(70, 71, 9, [1.5, 2.5, 3.5, 4.5, 9.5])), "not {'count': 4"),
    "what was in is out": (also(read(70, 71, 9, [8.5], Question("statistics", "brief", last=5))), "not {'count': 2"),
    "an answer is stale": (also(read(46, 47, 1, [1.5])), "though 4 had been told"),
    "a write goes back in time": (also(write([6.5], stored(50, 51, 2))), "though 5 had been told"),
    "a position is given twice": (also(write([6.5], stored(0, 10, 1))), "at the position of"),
    "the end of a series is not seen": (
        also(read(56, 57, 7, [7.5, 8.5], Question("statistics", "brief", last=5))),
        "not {'count': 1",
    ),
    "a series is unknown that is not": (also(read(46, 47, 4, [], Question("events", "a", last=5))), "told None"),
    "a series ends where it was not known": (also(Delete("x", [attempt(80, 81, 404, 9)], "a")), "told None"),
    "a write is done twice under a key": (
        lambda history: setattr(history.operations[KEYED].attempts[1], "replayed", False),
        "done twice",
    ),
    "a repetition is answered otherwise": (moved(KEYED, 4), "another answer under the same key"),
    "a repetition has another body": (retold(KEYED, stored=1), "not 2 stored and 0 expired"),
    "a key takes another body": (
        also(Write("x", [again(40, 41, 3)], [Event("a", at(6.5), 6.5)], "once", clash=True)),
        "status 201",
    ),
    "an expired event is stored": (
        also(Write("x", [stored(80, 81, 9)], [Event("a", 0, 6.5, expired=True)])),
        "status 201",
    ),
    "a question fails": (
        lambda history: setattr(history.operations[LATE].attempts[0], "status", 500),
        "status 500",
    ),
    "a stream skips an event": (streamed(TOLD[0], *TOLD[2:]), "without [2]"),
    "a stream skips the first event": (streamed(*TOLD[2:], after=1), "without [2]"),
    "a stream tells an event twice": (streamed(TOLD[0], *TOLD), "after 1"),
    "a stream repeats what was told before": (streamed(*TOLD, after=1), "after 1"),
    "a stream goes back": (streamed(TOLD[1], TOLD[0]), "after 2"),
    "a stream tells another position": (streamed((1, 1.5), (8, 1.5)), "to another"),
    "a stream tells two events at one position": (streamed((1, 2.5)), "stands where"),
    "a stream tells what nobody sent": (streamed((8, 6.5)), "nobody sent"),
    "a stream tells a gap where nothing is lost": (streamed((1, None), *TOLD), "nothing was lost"),
    "a stream tells what is not in": (streamed(*TOLD, (8, 9.5)), "told by a stream, and not in the log"),
    "the log ends without its last event": (lambda history: history.final[1].messages.pop(), "ended without [7]"),
    "an event is stamped outside its request": (
        lambda history: history.operations.__setitem__(FIRST, Write("x", [stored(5, 10, 1)], [Event("a", None, 1.5)])),
        "outside its request",
    ),
    "a window is of no moment of its request": (
        also(read(46, 48, 4, [2.5, 3.5, 4.5], Question("statistics", "a", window=1000_000))),
        "not {'count': 4",
    ),
}


def test_nothing_is_found_where_all_is_right() -> None:
    assert check(right()) == []


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_found(what: str) -> None:
    change, said = WRONG[what]
    history = right()
    change(history)
    assert [fault for fault in check(history) if said in fault]


JUMP = 1 << 40


def after_a_failover(*kept: float) -> History:
    """Return a history in which positions jumped when only the events of these values were kept."""
    history = right()
    history.gaps = history.losses = True
    told = [(position, value) for position, value in TOLD if value in kept]
    history.final[0] = stream(0, *told, (JUMP, 20.5))
    history.operations += [
        write([20.5], stored(70, 75, JUMP)),
        read(80, 85, JUMP, [*kept, 20.5]),
    ]
    return history


def test_what_nobody_acknowledged_may_be_lost_at_a_failover_and_nothing_else() -> None:
    assert check(after_a_failover(1.5, 2.5, 3.5, 4.5)) == []
    assert check(after_a_failover(1.5, 2.5, 3.5)) == []
    assert "acknowledged and lost" in check(after_a_failover(2.5, 3.5))[0]
    history = after_a_failover(1.5, 2.5, 3.5)
    history.losses = False
    assert "told by a stream, and not in the log" in check(history)[0]


def test_what_was_lost_at_a_failover_does_not_come_back() -> None:
    history = after_a_failover(1.5, 2.5, 3.5)
    history.operations.append(read(86, 87, JUMP, [1.5, 2.5, 3.5, 4.5, 20.5]))
    assert "not {'count': 4" in check(history)[0]


def test_an_end_without_an_answer_may_have_been_carried_out_at_any_place() -> None:
    history = right()
    history.operations += [
        Delete("deleter", [attempt(62)], "brief"),
        write([11.5], stored(63, 64, 9), series="brief"),
        read(65, 66, 9, [8.5, 10.5, 11.5], Question("statistics", "brief", last=10)),
        read(67, 68, 10, [11.5], Question("statistics", "brief", last=10)),
    ]
    history.final[1] = stream(0, (9, None), (9, 11.5), series="brief")
    assert check(history) == []
    history.operations.append(read(69, 70, 11, [10.5, 11.5], Question("statistics", "brief", last=10)))
    assert "not {'count': 1" in check(history)[0]


VALUES = [0.1, 0.2, 1e16, 0.3, -1e16, 5e-324, 1e-30]


def test_the_model_is_exact() -> None:
    question = Question("statistics", "a", include=("sum", "variance", "stddev", "first", "last", "median", "p90"))
    events = sorted(Stored(START + number, number, value, "a") for number, value in enumerate(VALUES))
    (told,) = answers(question, events, (0, 0))
    variance = pvariance(map(Fraction, VALUES))
    assert told["sum"] == fsum(VALUES) == 0.6
    assert (told["count"], told["min"], told["max"]) == (7, -1e16, 1e16)
    assert told["mean"] == float(sum(map(Fraction, VALUES)) / 7)
    assert told["variance"] == float(variance)
    assert Fraction(nextafter(told["stddev"], 0)) ** 2 < variance < Fraction(nextafter(told["stddev"], 1e99)) ** 2
    assert (told["median"], told["p90"]) == (0.1, 1e16)
    assert told["first"] == {"timestamp": "2023-11-14T22:13:20Z", "value": 0.1}
    assert told["last"] == {"timestamp": "2023-11-14T22:13:20.000006Z", "value": 1e-30}
    assert list(answers(ALL, [], (0, 0))) == [
        {"count": 0, "min": None, "max": None, "mean": None, "sum": 0.0, "last": None}
    ]


def test_the_model_cuts_windows_and_steps_where_the_contract_does() -> None:
    events = [Stored(START + number, number, float(number), "a") for number in range(10)]
    counts = [told["count"] for told in answers(Question("statistics", "a", window=4), events, (START + 9, START + 11))]
    assert counts == [4, 3, 2]
    (told,) = answers(Question("statistics", "a", window=4, last=3, at=START + 5), events, (0, 0))
    assert (told["count"], told["min"], told["max"]) == (3, 3.0, 5.0)
    (told,) = answers(Question("history", "a", window=4, at=START + 5, step=2), events, (0, 0))
    assert [point["count"] for point in told["points"]] == [2, 2]
    (told,) = answers(Question("history", "a", window=4, at=START + 6, step=2), events, (0, 0))
    assert [point["count"] for point in told["points"]] == [1, 2, 1]
