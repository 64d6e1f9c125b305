"""Looks at alerts, over the real service and a log in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from alerts import board, evaluation, measuring
from alerts.board import Board, Standing
from alerts.evaluation import Evaluator
from alerts.members import Members
from alerts.rows import ALERTS, RULES, key_of, pack_rules
from event_log.log_time import Moment
from event_log.memory_store import MemoryStore
from event_log.outcomes import Void
from event_log.tables import Change
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from times import HOUR, MINUTE, SECOND
from view import asking, portions

SLOW = {"name": "slow", "series": "web/*", "statistic": "mean", "window": "10s", "above": 1.0, "summary": "{value}"}


@pytest.fixture
def settings() -> Settings:
    return Settings(keep_last=0)


class Looking:
    """An evaluator of some rules, and the clock."""

    def __init__(self, service: EventService, clock: FakeClock) -> None:
        self.service = service
        self.clock = clock
        self.board = Board(service)
        self.evaluator = Evaluator(service, self.board)

    def put(self, *rules: dict[str, Any]) -> None:
        with self.service.level() as projection:
            row = projection.tables.rows(RULES).get(RULES)
        text = pack_rules(rules, {}, self.clock.now)
        self.service.change([Change(RULES, RULES, text, 0 if row is None else row.position)])

    @property
    def standing(self) -> Standing:
        return self.board.standing()

    def look(self, seconds: int = 1) -> dict[tuple[str, str], str]:
        """Look once a second; the states after that."""
        for _ in range(seconds):
            self.clock.advance(SECOND)
            self.evaluator.look()
        standing = self.standing
        return {key_of(text): standing.alert(key_of(text)).state for text in standing.rows}


@pytest.fixture
def store(service: EventService) -> MemoryStore:
    assert isinstance(service.store, MemoryStore)
    return service.store


@pytest.fixture
def looking(service: EventService, clock: FakeClock) -> Looking:
    return Looking(service, clock)


def test_a_pattern_has_an_alert_for_each_series(looking: Looking) -> None:
    looking.put(SLOW | {"for": "3s"})
    for series, value in (("web/a", 2.0), ("web/b", 0.5), ("other", 2.0)):
        looking.service.add(series, None, value)
    assert looking.look() == {("slow", "web/a"): "pending"}
    assert looking.look(2) == {("slow", "web/a"): "pending"}
    assert looking.look() == {("slow", "web/a"): "firing"}
    alert = looking.standing.alert(("slow", "web/a"))
    assert (alert.value, alert.summary, alert.since) == (2.0, "2", looking.clock.now)
    assert looking.look(10) == {("slow", "web/a"): "firing"}  # no value: it goes on
    looking.service.add("web/a", None, 0.5)
    assert looking.look() == {("slow", "web/a"): "inactive"}


def test_a_late_event_undoes_a_crossing(looking: Looking) -> None:
    looking.put(SLOW | {"for": "5s"})
    looking.service.add("web/a", None, 2.0)
    assert looking.look(2) == {("slow", "web/a"): "pending"}
    looking.service.add("web/a", looking.clock.now - 2 * SECOND, -5.0)
    assert looking.look() == {("slow", "web/a"): "inactive"}


def test_an_alert_ends_with_its_series_or_its_rule(looking: Looking) -> None:
    looking.put(SLOW, SLOW | {"name": "exact", "series": "web/b"})
    looking.service.add("web/a", None, 2.0)
    looking.service.add("web/b", None, 2.0)
    assert set(looking.look().values()) == {"firing"}
    looking.service.end_series("web/b")
    ends = {("slow", "web/b"): "inactive", ("exact", "web/b"): "inactive"}  # of a pattern, told before it is forgotten
    assert looking.look() == {("slow", "web/a"): "firing"} | ends
    assert looking.standing.alert(("slow", "web/b")).reason == "ended"
    assert looking.standing.alert(("exact", "web/b")).reason == "ended"
    looking.put(SLOW | {"name": "exact", "series": "web/b"})
    removed = {("slow", "web/a"): "inactive"}
    assert looking.look() == removed | {("exact", "web/b"): "inactive"}
    assert looking.standing.alert(("slow", "web/a")).reason == "removed"
    assert looking.look() == {("exact", "web/b"): "inactive"}


def test_silence_is_counted_from_the_newest_event(looking: Looking) -> None:
    looking.put({"name": "silent", "series": "web/a", "absent": "5s"}, {"name": "all", "absent": "5s"})
    assert looking.look(4) == {}
    looking.service.add("web/a", None, 1.0)
    assert looking.look(4) == {}
    assert set(looking.look().values()) == {"firing"}
    assert looking.standing.alert(("silent", "web/a")).value == 5.0
    looking.service.add("web/a", None, 1.0)
    assert set(looking.look().values()) == {"inactive"}


def test_silence_of_all_series_goes_on_once_their_last_event_has_expired(looking: Looking) -> None:
    looking.service.add("web/a", None, 1.0)
    looking.clock.advance(30 * MINUTE)
    looking.put({"name": "all", "absent": "50m"})  # in force for less long than nothing has come
    assert looking.look() == {}
    looking.clock.advance(25 * MINUTE)
    assert set(looking.look().values()) == {"firing"}
    looking.clock.advance(10 * MINUTE)
    looking.service.log.raise_horizon(looking.clock.now)
    with looking.service.level() as projection:
        assert projection.view.newest(None) < 0
    assert set(looking.look().values()) == {"firing"}


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("count", 2.0), ("sum", 6.0), ("rate", 0.2), ("first", 2.0), ("last", 4.0), ("median", 2.0), ("p100", 4.0)],
)
def test_every_statistic_is_that_of_the_window(looking: Looking, statistic: str, value: float) -> None:
    looking.put(SLOW | {"statistic": statistic, "above": 0})
    looking.service.add("web/a", None, 2.0)
    looking.service.add("web/a", None, 4.0)
    looking.look()
    assert looking.standing.alert(("slow", "web/a")).value == value


def test_a_pause_in_which_nobody_looked_does_not_count(looking: Looking, store: MemoryStore) -> None:
    looking.put(SLOW | {"for": "8s", "window": "10m"})
    looking.service.add("web/a", None, 2.0)
    looking.look(3)
    looking.clock.advance(MINUTE)
    after_a_restart = Looking(EventService(store, looking.service.settings, looking.clock), looking.clock)
    assert after_a_restart.look(5) == {("slow", "web/a"): "pending"}
    assert after_a_restart.look(4) == {("slow", "web/a"): "firing"}  # nor do the seconds since the count was noted


def test_a_short_restart_in_the_middle_of_for_is_no_break(looking: Looking, store: MemoryStore) -> None:
    looking.put(SLOW | {"for": "8s", "window": "10m"})
    looking.service.add("web/a", None, 2.0)
    looking.look(1)
    looking.clock.advance(7 * SECOND)
    after_a_restart = Looking(EventService(store, looking.service.settings, looking.clock), looking.clock)
    assert after_a_restart.look() == {("slow", "web/a"): "firing"}


def test_a_wall_clock_that_steps_counts_for_nothing(clock: FakeClock) -> None:
    steps = [0]
    store = MemoryStore(lambda: Moment(clock.now + steps[-1], clock.now))
    looking = Looking(EventService(store, Settings(), lambda: clock.now + steps[-1]), clock)
    looking.put({"name": "quiet", "series": "a", "statistic": "count", "window": "10s", "below": 1, "for": "8s"})
    states = list[str]()
    for step in (0, 0, 0, HOUR, HOUR, -HOUR, -HOUR, 0, 0):
        steps.append(step)
        states.extend(looking.look().values())
    assert states == ["pending"] * 8 + ["firing"]


def test_who_has_lost_the_lease_changes_nothing(looking: Looking, store: MemoryStore) -> None:
    looking.put(SLOW)
    looking.look()
    other = Looking(EventService(store, looking.service.settings, looking.clock), looking.clock)
    assert other.evaluator.look() is None
    looking.clock.advance(MINUTE)
    looking.service.add("web/a", None, 2.0)
    lease = looking.service.log.machine.leases.current("alerts", 0)
    assert other.evaluator.look() == 1
    position = store.end().position
    assert looking.evaluator.look() is None
    assert lease is not None
    with pytest.raises(Void):  # what it had ready when it stalled
        looking.service.change([Change(ALERTS, "slow\nweb/b", "[]")], ("alerts", lease.number))
    assert store.end().position == position


def test_others_go_first_between_any_two_parts_of_a_look(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    looking.put(*({"name": name, "series": "web/*", "absent": "1s"} for name in "abc"))
    for name in "de":
        looking.service.add(f"web/{name}", None, 2.0)
    parts = list[str]()

    def noting(name: str, done: Callable[..., Any]) -> Callable[..., Any]:
        def work(*arguments: Any) -> Any:
            parts.append(name)
            return done(*arguments)

        return work

    for module in (board, evaluation, asking, portions):
        monkeypatch.setattr(module, "give_way", noting("yield", lambda: None))
        monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(board, "FEW", 0)
    for owner, name in ((Members, "match"), (Members, "of"), (measuring, "_measure"), (evaluation, "_judge")):
        monkeypatch.setattr(owner, name, noting(name, getattr(owner, name)))
    looking.look()
    assert [parts.count(name) for name in ("match", "of", "_measure", "_judge")] == [2, 3, 6, 6]
    assert all("yield" in pair for pair in pairwise(parts))


def test_alerts_are_bounded(looking: Looking) -> None:
    looking.put(SLOW | {"limit": 2})
    for name in "abc":
        looking.service.add(f"web/{name}", None, 2.0 if name == "c" else 0.0)
    looking.look()
    assert looking.standing.left_out == 1
