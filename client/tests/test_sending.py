"""Sending: what becomes of an event under every answer that a server may give, or not give."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from client_stub import Answer, Asked, Stub, problem

from tidemark import BufferFull, Closed, NotAllowed, NotSent, Refused, Tidemark, delivery, retrying, sender

HERE = Path(__file__).resolve().parent.parent
STORED = Answer(201, {"stored": 1, "expired": 0})


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.005)


def sent_to(stub: Stub) -> list[list[float]]:
    return [[event["value"] for event in asked.events] for asked in stub.asked]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until_sent(tidemark: Tidemark) -> None:
    wait_for(lambda: not tidemark.counts.waiting)


def values_of(stub: Stub) -> list[float]:
    return [value for values in sent_to(stub) for value in values]


def refused_by(tidemark: Tidemark) -> list[tuple[float, str]]:
    with pytest.raises(Refused) as caught:
        tidemark.flush()
    return [(event.value, event.reason) for event in caught.value.events]


def test_an_event_is_stamped_by_this_machine_when_it_is_sent() -> None:
    with Stub() as stub:
        before = datetime.now(UTC)
        with Tidemark(stub.url, key="tm_x") as tidemark:
            tidemark.send("web/ünï", 0.5)
            after = datetime.now(UTC)
            assert tidemark.flush() == (1, 0, 0, 0)
        [asked] = stub.asked
        [event] = asked.events
        assert (event["series"], event["value"]) == ("web/ünï", 0.5)
        assert before <= datetime.fromisoformat(event["timestamp"]) <= after
        assert (asked.path, asked.headers["Authorization"]) == ("/events", "Bearer tm_x")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (1750948200.25, "2025-06-26T14:30:00.250000Z"),
        (-1, "1969-12-31T23:59:59.000000Z"),
        (-62_000_000_000, "0005-04-19T09:46:40.000000Z"),
        ("2025-06-26T14:30:00", "2025-06-26T14:30:00"),
        (datetime(2025, 6, 26, tzinfo=UTC), "2025-06-26T00:00:00+00:00"),
    ],
)
def test_a_time_may_be_given(moment: Any, text: str) -> None:
    with Stub() as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1, moment)
        tidemark.flush()
        assert stub.asked[0].events[0]["timestamp"] == text


@pytest.mark.parametrize("value", [True, "1", None, b"1", [], math.nan, math.inf, -math.inf, 10**400])
def test_what_is_no_finite_number_is_not_taken(value: Any) -> None:
    with Tidemark("http://127.0.0.1:9") as tidemark, pytest.raises((TypeError, ValueError)):
        tidemark.send("a", value)


@pytest.mark.parametrize("moment", [datetime(2025, 6, 26), True, 1750948200000, math.nan, []])  # noqa: DTZ001
def test_what_is_no_time_is_not_taken(moment: Any) -> None:
    with Tidemark("http://127.0.0.1:9") as tidemark, pytest.raises(ValueError, match=r"zone|timestamp"):
        tidemark.send("a", 1, moment)


@pytest.mark.parametrize(("url", "key"), [("localhost:5000", None), ("ftp://x", None), ("http://x", "a\nb")])
def test_what_cannot_work_is_said_at_once(url: str, key: str | None) -> None:
    with pytest.raises(ValueError, match=r"http://localhost:5000|visible"):
        Tidemark(url, key=key)


def test_a_batch_goes_when_it_is_full_or_a_second_has_passed() -> None:
    with Stub() as stub, Tidemark(stub.url) as tidemark:
        for number in range(sender.BATCH + 1):
            tidemark.send("a", number)
        until_sent(tidemark)
        assert max(map(len, sent_to(stub))) == sender.BATCH
        assert values_of(stub) == list(range(sender.BATCH + 1))


@pytest.mark.parametrize(
    "fault",
    [
        Answer(cut=True),
        Answer(201, b"cut", {"Content-Length": "300", "Connection": "close"}),
        Answer(200, b"<html>the proxy says hello"),
        Answer(200, {"stored": "1", "expired": 0}),
        problem(408),
        problem(429, Retry_After="0"),
        problem(500),
        problem(502),
        problem(503, Retry_After="0"),
        problem(503, Retry_After="Mon, 30 Nov 2026 00:00:00 GMT", Date="Mon, 30 Nov 2026 00:00:00 GMT"),
        problem(503, Retry_After="soon"),
        problem(504),
    ],
    ids=str,
)
def test_what_may_have_been_stored_is_sent_again_under_its_key(fault: Answer) -> None:
    with Stub(fault, fault) as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1)
        assert tidemark.flush(30).stored == 1
        assert len(stub.asked) == 3
        assert len({(asked.key, asked.body) for asked in stub.asked}) == 1


def test_two_batches_have_two_keys_and_keep_their_order() -> None:
    with Stub(problem(503)) as stub, Tidemark(stub.url) as tidemark:
        for number in range(2):
            tidemark.send("a", number)
            tidemark.flush()
        assert sent_to(stub) == [[0], [0], [1]]
        assert len({asked.key for asked in stub.asked}) == 2


def too_large(most: int, status: int) -> Any:
    return lambda asked: problem(status) if len(asked.events) > most else None


def test_what_is_too_large_is_halved_under_new_keys_in_order() -> None:
    with Stub(decide=too_large(2, 413)) as stub, Tidemark(stub.url) as tidemark:
        for number in range(8):
            tidemark.send("a", number)
        assert tidemark.flush().stored == 8
        accepted = [values for values in sent_to(stub) if len(values) <= 2]
        assert accepted == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert len({asked.key for asked in stub.asked}) == len(stub.asked)


def test_one_event_that_is_too_large_is_refused() -> None:
    with Stub(problem(413, "large")) as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1)
        assert refused_by(tidemark) == [(1, "large")]


def test_events_that_the_server_names_are_told_and_the_rest_goes_under_a_new_key() -> None:
    errors = {"1": {"value": ["bad."], "series": ["worse."]}, "2": {"timestamp": ["old."]}, "9": {}, "body": ["x"]}
    with Stub(problem(400, errors=errors)) as stub, Tidemark(stub.url) as tidemark:
        for number in range(4):
            tidemark.send("a", number)
        assert refused_by(tidemark) == [(1, "value: bad. series: worse."), (2, "timestamp: old.")]
        assert sent_to(stub) == [[0, 1, 2, 3], [0, 3]]
        assert stub.asked[0].key != stub.asked[1].key
        assert tidemark.flush() == (2, 0, 2, 0)


@pytest.mark.parametrize(
    "answer",
    [problem(400, "all"), problem(400, "all", errors={"body": ["x"]}), problem(404, "all"), problem(422, "all")],
    ids=str,
)
def test_a_refusal_that_names_no_event_is_one_of_all(answer: Answer) -> None:
    with Stub(answer) as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1)
        tidemark.send("b", 2)
        assert refused_by(tidemark) == [(1, "all"), (2, "all")]
        assert len(stub.asked) == 1


def test_a_series_too_many_holds_up_no_other() -> None:
    def decide(asked: Asked) -> Answer | None:
        return problem(429, "MAX_SERIES") if any(event["series"] == "new" for event in asked.events) else None

    with Stub(decide=decide) as stub, Tidemark(stub.url) as tidemark:
        for number, series in enumerate(["a", "new", "b", "a", "c"]):
            tidemark.send(series, number)
        assert refused_by(tidemark) == [(1, "MAX_SERIES")]
        assert tidemark.counts == (4, 0, 1, 0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_is_told_at_once_and_tried_again(status: int) -> None:
    allowed = threading.Event()
    with (
        Stub(decide=lambda asked: None if allowed.is_set() else problem(status, "no key")) as stub,
        Tidemark(stub.url) as tidemark,
    ):
        tidemark.send("a", 1)
        with pytest.raises(NotAllowed, match="no key"):
            tidemark.flush()
        assert tidemark.counts.waiting == 1
        allowed.set()
        until_sent(tidemark)
        assert tidemark.flush().stored == 1


def test_on_error_is_told_instead() -> None:
    told: list[Any] = []

    def note(error: Exception) -> None:
        told.append(error)
        raise ZeroDivisionError

    answers = problem(403, "no key"), problem(403, "no key"), problem(400, "bad")
    with Stub(*answers) as stub, Tidemark(stub.url, on_error=note) as tidemark:
        tidemark.send("a", 1)
        assert tidemark.flush().refused == 1
        assert [type(error) for error in told] == [NotAllowed, Refused]
        assert "'a' 1.0 at 2" in str(told[1])
        assert str(told[1]).endswith(": bad")


def test_no_thread_takes_the_news_of_a_refusal_from_another() -> None:
    with Stub(problem(400, "bad")) as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1)
        assert refused_by(tidemark)
        other: list[Any] = []
        thread = threading.Thread(target=lambda: other.append(refused_by(tidemark)))
        thread.start()
        thread.join(30)
        assert other == [[(1, "bad")]]


def test_expired_events_are_told_as_such() -> None:
    with Stub(Answer(200, {"stored": 0, "expired": 1})) as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1, 0)
        assert tidemark.flush() == (0, 1, 0, 0)


def test_a_full_buffer_raises_or_waits_as_asked() -> None:
    allowed = threading.Event()
    with Stub(decide=lambda asked: None if allowed.is_set() else problem(503)) as stub:
        with Tidemark(stub.url, capacity=2, wait_when_full=0) as tidemark:
            for number in range(2):
                tidemark.send("a", number)
            with pytest.raises(BufferFull, match="2 events wait"):
                tidemark.send("a", 2)
            allowed.set()
            assert tidemark.flush(30).stored == 2
        allowed.clear()
        with Tidemark(stub.url, capacity=1) as tidemark:
            tidemark.send("a", 10)
            waiting = threading.Thread(target=tidemark.send, args=("a", 11))
            waiting.start()
            allowed.set()
            waiting.join(30)
            assert tidemark.flush(30).stored == 2


def test_time_runs_out_with_the_reason_and_the_number() -> None:
    with Stub(decide=lambda asked: problem(503, "no log")) as stub:
        tidemark = Tidemark(stub.url)
        tidemark.send("a", 1)
        with pytest.raises(NotSent, match=r"1 event is not .*\(503: no log\)"):
            tidemark.flush(0.5)
        with pytest.raises(NotSent):
            tidemark.close(0.1)
        with pytest.raises(Closed):
            tidemark.send("a", 2)


def test_a_fault_of_the_client_is_raised_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, events: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(delivery.Delivery, "deliver", fail)
    tidemark = Tidemark("http://127.0.0.1:9")
    tidemark.send("a", 1)
    for end in (tidemark.flush, tidemark.close):
        with pytest.raises(NotSent, match=r"1 event is .*ZeroDivisionError"):
            end()
    with pytest.raises(Closed):
        tidemark.send("a", 2)


def test_a_buffer_smaller_than_a_batch_does_not_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "INTERVAL_SECONDS", 1e6)
    with Stub() as stub, Tidemark(stub.url, capacity=2) as tidemark:
        for number in range(10):
            tidemark.send("a", number)
        assert tidemark.flush(30).stored == 10


def test_close_does_not_wait_for_a_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 1e6)
    with Stub(problem(503, Retry_After="1000000")) as stub:
        tidemark = Tidemark(stub.url)
        tidemark.send("a", 1)
        with pytest.raises(NotSent):
            tidemark.flush(0.3)
        tidemark.close(30)
        tidemark.close()
        assert tidemark.counts == (1, 0, 0, 0)


def leave_by_an_exception(stub: Stub, value: int) -> None:
    with Tidemark(stub.url) as tidemark:
        tidemark.send("a", value)
        raise ZeroDivisionError


def test_leaving_by_an_exception_sends_what_there_is_and_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Stub(decide=lambda asked: problem(400, "bad") if asked.events[0]["value"] else None) as stub:
        for value in (0, 1):
            with pytest.raises(ZeroDivisionError):
                leave_by_an_exception(stub, value)
        assert sent_to(stub) == [[0], [1]]
        assert capsys.readouterr().err.endswith(": bad\n")


def test_threads_send_at_once() -> None:
    with Stub() as stub, Tidemark(stub.url) as tidemark:

        def send(first: int) -> None:
            for number in range(first, first + 500):
                tidemark.send("a", number)
            tidemark.flush(60)

        threads = [threading.Thread(target=send, args=(500 * each,)) for each in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert tidemark.counts.stored == 2000
        assert sorted(values_of(stub)) == list(range(2000))


def child(tidemark: Tidemark) -> None:
    """Send one event of the child's own; what the parent has sent is the parent's."""
    assert tidemark.counts == (0, 0, 0, 0)
    tidemark.send("child", 2)


def test_a_forked_child_begins_with_an_empty_buffer_and_sends_at_its_end() -> None:
    allowed = threading.Event()
    with Stub(decide=lambda asked: None if allowed.is_set() else problem(503)) as stub:
        with Tidemark(stub.url) as tidemark:
            tidemark.send("parent", 1)
            process = multiprocessing.get_context("fork").Process(target=child, args=(tidemark,))
            process.start()
            allowed.set()
            process.join(60)
            assert process.exitcode == 0
            assert tidemark.flush(30) == (1, 0, 0, 0)
        accepted = {asked.key: asked.events for asked in stub.asked}
        assert sorted(event["series"] for events in accepted.values() for event in events) == ["child", "parent"]


def run(source: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"url = {url!r}\n{source}"],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


PROGRAM = "from tidemark import Tidemark\ntidemark = Tidemark(url)\ntidemark.send('a', 1)\n"


@pytest.mark.parametrize(
    "end", ["", "raise SystemExit(0)", "1 / 0", "import os\nif not os.fork(): tidemark.send('a', 2)"]
)
def test_at_exit_what_is_left_is_sent(end: str) -> None:
    with Stub() as stub:
        done = run(PROGRAM + end, stub.url)
        assert (done.returncode, "tidemark:" in done.stderr) == (1 if "1 /" in end else 0, False)
        wanted = [1, 2] if "fork" in end else [1]
        wait_for(lambda: sorted(values_of(stub)) == wanted)  # the child may outlive its parent


def test_at_exit_one_line_says_how_many_were_not_sent() -> None:
    shorter = "import tidemark.sender as sender\nsender.CLOSE_SECONDS = 0.3\n"
    with Stub(decide=lambda asked: problem(503, "no log")) as stub:
        done = run(shorter + PROGRAM, stub.url)
        assert done.stderr == "tidemark: 1 event is not known to be stored (503: no log)\n"
    with Stub(decide=lambda asked: problem(401, "no key")) as stub:
        done = run(shorter + PROGRAM, stub.url)
        assert done.stderr == "tidemark: 401: no key; 1 event was not sent\n"


def test_greenlets_send_while_another_waits_for_the_server() -> None:
    source = """
from gevent import monkey
monkey.patch_all()
import gevent
from tidemark import Tidemark
with Tidemark(url, capacity=10) as tidemark:
    gevent.joinall([gevent.spawn(tidemark.send, "a", each) for each in range(100)], raise_error=True)
    assert tidemark.flush(60).stored == 100
"""
    with Stub(problem(503)) as stub:
        done = run(source, stub.url)
        assert done.returncode == 0, done.stderr


def test_no_signal_handler_is_installed() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Stub() as stub, Tidemark(stub.url) as tidemark:
        tidemark.send("a", 1)
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_nothing_of_the_server_is_imported() -> None:
    source = f"import sys; sys.path.insert(0, {str(HERE)!r}); import tidemark, tidemark.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True, cwd=os.sep)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"api", "flask", "event_log", "simulator", "times", "numpy", "orjson", "requests"}
