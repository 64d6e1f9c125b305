"""Delivery to receivers: every change, in order for each alert, again and again until they have it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from alerts.board import Board
from alerts.file import Receiver
from alerts.following import LOOKS, MISSING, AlertsFollower
from alerts.receivers import SendFailed
from alerts.rows import OUTBOX, RECEIVERS
from alerts.watch import AlertsWatch
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from times import HOUR, MINUTE, SECOND
from view.per_process import PerProcess
from watched.memory import Memory

RECEIVER = '[[receiver]]\nname = "{}"\n{} = "http://nowhere.example/"\n'
OPS, AM = RECEIVER.format("ops", "webhook"), RECEIVER.format("am", "alertmanager")
HIGH = '[[alert]]\nname = "high"\nseries = "s/*"\nstatistic = "last"\nwindow = "1h"\nabove = 0.5\n'
MORE = 'summary = "{series} is {value}"\nlabels = { severity = "page" }\n'


class Seconds:
    """A monotonic clock that goes with the fake one."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def __call__(self) -> float:
        return self._clock.now / SECOND


class Post:
    """Stands for the network: what was taken of each receiver, and who fails."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int, Any]] = []
        self.failing: set[str] = set()
        self.tries = 0

    def __call__(self, receiver: Receiver, body: bytes, position: int) -> None:
        self.tries += 1
        if receiver.name in self.failing:
            raise SendFailed(f"receiver {receiver.name}: status 500")
        self.taken.append((receiver.name, position, json.loads(body)))

    def told(self, receiver: str = "ops") -> list[tuple[str, str]]:
        """Status and series of each alert that a webhook was told."""
        return [
            (alert["status"], alert["labels"]["series"])
            for name, _, body in self.taken
            if name == receiver
            for alert in body["alerts"]
        ]


class Process:
    """One process that follows a file."""

    def __init__(self, service: EventService, path: Path, clock: FakeClock, post: Post) -> None:
        self.service = service
        self.clock = clock
        self.post = post
        self.counts: list[tuple[str, str, int]] = []
        self.watch = AlertsWatch(path, HOUR, clock=Seconds(clock), memory=Memory(), pause=lambda seconds: None)
        self.follower = AlertsFollower(
            self.watch,
            service,
            PerProcess(lambda: Board(service)),
            count=lambda *counted: self.counts.append(counted),
            post=post,
            monotonic=Seconds(clock),
        )

    def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.clock.advance(SECOND)
            self.follower.tick()
            for thread in threading.enumerate():
                if thread.name == "courier":
                    thread.join(60)

    def rows(self, table: str) -> dict[str, str]:
        with self.service.level() as projection:
            return {key: row.value for key, row in projection.tables.rows(table).items()}


Start = Callable[..., Process]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.toml"


@pytest.fixture
def start(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a process with this file, on a log in memory that all share."""
    monkeypatch.setattr("alerts.courier.MOST_BODIES", 10**6)  # no pause between posts
    store = MemoryStore(clock.moment)
    post = Post()

    def begin(text: str = OPS + HIGH + MORE, path: Path = path) -> Process:
        path.write_text(text)
        return Process(EventService(store, Settings(), clock), path, clock, post)

    return begin


def test_a_webhook_is_told_what_fires_and_what_is_resolved(start: Start) -> None:
    process = start()
    process.service.add("s/a", None, 1.0)
    process.service.add("s/b", None, 0.0)
    process.tick()
    [(name, position, body)] = process.post.taken
    assert (name, body["version"], body["status"], body["receiver"]) == ("ops", "4", "firing", "ops")
    labels = {"alertname": "high", "series": "s/a", "severity": "page"}
    assert body["commonLabels"] == labels
    [alert] = body["alerts"]
    assert alert["labels"] == labels
    assert alert["annotations"] == {"summary": "s/a is 1", "value": "1"}
    assert (alert["startsAt"], alert["endsAt"]) == ("2025-06-26T14:30:01Z", "0001-01-01T00:00:00Z")
    process.tick(3)
    process.service.add("s/a", None, 0.0)
    process.tick(3)
    [_, (_, later, body)] = process.post.taken
    assert later > position
    assert (body["status"], body["alerts"][0]["startsAt"]) == ("resolved", "2025-06-26T14:30:01Z")
    assert body["alerts"][0]["endsAt"] == "2025-06-26T14:30:05Z"
    assert process.rows(OUTBOX) == {}
    assert json.loads(process.rows(RECEIVERS)["ops"]) == [later, 0]
    assert process.counts == [("ops", "sent", 1)] * 2


def test_changes_of_one_look_go_together_those_that_fire_first(start: Start) -> None:
    process = start()
    for number in range(250):
        process.service.add(f"s/{number:03}", None, 1.0)
    process.tick()
    sizes = [(body["status"], len(body["alerts"])) for _, _, body in process.post.taken]
    assert sizes == [("firing", 100), ("firing", 100), ("firing", 50)]
    process.post.taken.clear()
    for number in range(3):
        process.service.add(f"s/{number:03}", None, 0.0)
    process.service.add("s/new", None, 1.0)
    process.tick()
    assert process.post.told() == [("firing", "s/new"), *(("resolved", f"s/{number:03}") for number in range(3))]


def test_whoever_takes_over_sends_the_same_again(start: Start) -> None:
    process = start()
    process.post.failing = {"ops"}
    process.service.add("s/a", None, 1.0)
    process.tick()
    process.service.add("s/a", None, 0.0)
    process.tick()
    process.post.failing = set()
    other = start()
    process.clock.advance(10 * SECOND)
    other.tick()
    assert process.post.told() == [("firing", "s/a"), ("resolved", "s/a")]
    before = [(position, body) for _, position, body in process.post.taken]
    again = start()  # killed before it could note what it had sent
    with again.service.level() as projection:
        assert projection.tables.rows(OUTBOX) != {}
    process.clock.advance(10 * SECOND)
    again.tick()
    assert [(position, body) for _, position, body in process.post.taken[2:]] == before
    assert again.rows(OUTBOX) != {}
    again.tick()
    assert again.rows(OUTBOX) == {}


def test_a_receiver_that_fails_is_tried_with_growing_pauses_and_dropped_after_an_hour(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(OPS + RECEIVER.format("other", "webhook") + HIGH)
    process.post.failing = {"ops"}
    process.service.add("s/a", None, 1.0)
    process.tick(10)
    assert process.post.told("other") == [("firing", "s/a")]  # receivers are independent
    assert process.post.tries == 1 + 4  # after 1, 2 and 4 seconds again
    for _ in range(70):
        process.clock.advance(MINUTE)
        process.tick()
    assert process.post.tries < 30
    assert process.counts.count(("ops", "dropped", 1)) == 1
    assert "dropped after an hour" in caplog.text
    process.tick()
    assert process.rows(OUTBOX) == {}
    board = Board(process.service)
    assert board.notices() == ["receiver ops was not told of 1 changes of alerts"]
    process.post.failing = set()
    process.service.add("s/a", None, 0.0)
    for _ in range(6):
        process.clock.advance(MINUTE)
        process.tick()
    assert process.post.told() == [("resolved", "s/a")]
    assert board.notices() == []


def test_an_alertmanager_is_sent_again_what_fires_each_minute(start: Start) -> None:
    process = start(AM + HIGH + MORE)
    process.service.add("s/a", None, 1.0)
    process.tick(130)
    bodies = [body for _, _, body in process.post.taken]
    assert len(bodies) == 1 + 3
    assert {body[0]["startsAt"] for body in bodies} == {"2025-06-26T14:30:01Z"}
    assert [body[0]["endsAt"] for body in bodies][:2] == ["2025-06-26T14:34:01Z", "2025-06-26T14:34:02Z"]
    assert bodies[0][0]["labels"] == {"alertname": "high", "series": "s/a", "severity": "page"}
    assert len({position for _, position, _ in process.post.taken}) == 1
    process.service.add("s/a", None, 0.0)
    process.tick(130)
    assert [body[0]["endsAt"] for _, _, body in process.post.taken[4:]] == ["2025-06-26T14:32:11Z"]


def test_a_removed_rule_is_resolved_under_its_old_labels(start: Start, path: Path) -> None:
    process = start()
    process.service.add("s/a", None, 1.0)
    process.tick()
    path.write_text(OPS)
    process.tick(4)
    body = process.post.taken[-1][2]
    assert (body["status"], body["commonLabels"]["severity"]) == ("resolved", "page")
    assert body["alerts"][0]["annotations"]["reason"] == "removed"


def test_only_named_receivers_are_told(start: Start) -> None:
    process = start(OPS + RECEIVER.format("other", "webhook") + HIGH + 'to = ["other"]\n')
    process.service.add("s/a", None, 1.0)
    process.tick(3)
    assert [name for name, _, _ in process.post.taken] == ["other"]
    assert process.rows(OUTBOX) == {}


def test_a_host_that_lacks_a_receiver_does_not_evaluate(
    start: Start, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lacking = start(AM + HIGH, path.with_name("other.toml"))
    lacking.tick()
    process = start(OPS + HIGH + 'to = ["ops"]\n')
    process.tick(10)  # puts its rules in force, and has the lease once the other's is over
    process.service.add("s/a", None, 1.0)
    process.clock.advance(60 * SECOND)
    lacking.tick()
    assert lacking.follower.lacks_a_receiver
    assert MISSING in caplog.text
    process.tick()
    assert process.post.told() == [("firing", "s/a")]


def test_the_file_that_changed_last_is_in_force_on_hosts_with_different_ones(start: Start, path: Path) -> None:
    one, other = start(OPS + HIGH), start(OPS + HIGH.replace("high", "higher"), path.with_name("other.toml"))
    in_force, are_level = list[str](), list[bool]()
    one.service.add("s/a", None, 1.0)
    for changed in (HIGH, HIGH, HIGH.replace("high", "highest")):
        path.write_text(OPS + changed)
        for _ in range(5):
            for host in (one, other):
                host.tick()
                standings = [Board(each.service).standing() for each in (one, other)]
                in_force.extend(standings[0].rules)
                are_level.append(standings[0] == standings[1])
    assert [name for name, _ in groupby(in_force)] == ["high", "higher", "highest"]  # they do not go back and forth
    assert all(are_level)
    told = [(body["status"], body["commonLabels"]["alertname"]) for _, _, body in one.post.taken]
    changes = [("firing", "higher"), ("resolved", "high"), ("firing", "highest"), ("resolved", "higher")]
    assert told == [("firing", "high"), *changes]


def test_too_many_waiting_changes_are_dropped_the_oldest_first(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.delivery.MOST_WAITING", 3)
    process = start()
    process.post.failing = {"ops"}
    for number in range(5):
        process.service.add(f"s/{number}", None, 1.0)
    process.tick(2)
    assert len(process.rows(OUTBOX)) == 3
    assert ("ops", "dropped", 2) in process.counts
    process.post.failing = set()
    process.tick(10)
    assert process.post.told() == [("firing", "s/2"), ("firing", "s/3"), ("firing", "s/4")]


def test_looks_come_less_often_where_they_take_long(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start()
    looks, takes = list[int](), [0.5]

    def evaluate(**_: Any) -> int:
        looks.append(process.clock.now)
        process.clock.advance(round(takes[-1] * SECOND))
        return 0

    process.tick()
    evaluator = process.follower._evaluator
    assert evaluator is not None
    monkeypatch.setattr(evaluator, "look", evaluate)
    process.tick(LOOKS)
    assert len(looks) == LOOKS
    board = Board(process.service)
    assert any("one in 2 seconds" in notice for notice in board.notices())
    process.tick(20)
    assert len(looks) < LOOKS + 20
    takes.append(0.0)
    process.tick(3)
    assert board.notices() == []
