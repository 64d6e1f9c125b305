"""The log's time follows a good clock and no bad one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_log.log_time import DOUBTFUL, TRIAL, LogTime, Moment
from tests.event_log.stores import WALL
from times import HOUR, MINUTE, SECOND

BOOT = 5000 * SECOND
NOW = Moment(WALL, BOOT)


def later(moment: Moment, elapsed: int, step: int = 0) -> Moment:
    """The clocks after some time in which the wall clock was also set by a step."""
    return Moment(moment.wall + elapsed + step, moment.boot + elapsed)


def run(time: LogTime, moment: Moment, elapsed: int) -> tuple[LogTime, Moment]:
    """Let time pass in steps of a second."""
    for _ in range(elapsed // SECOND):
        moment = later(moment, SECOND)
        time = time.at(moment)
    return time, moment


def test_it_follows_a_clock_that_is_slewed() -> None:
    time, moment = LogTime.begin(NOW), NOW
    for _ in range(1000):
        moment = later(moment, SECOND, SECOND // 100)
        time = time.at(moment)
        assert time.time == moment.wall
        assert not time.is_off(moment)


def test_it_runs_on_evenly_where_a_clock_is_set_while_the_log_is_open() -> None:
    for step in (2 * HOUR, 2 * SECOND, -2 * SECOND, -2 * HOUR):
        moment = later(NOW, SECOND, step)
        time = LogTime.begin(NOW).at(moment)
        assert time.time == WALL + SECOND
        assert time.is_off(moment)
        time, moment = run(time, moment, TRIAL + MINUTE)
        assert time.time == WALL + SECOND + TRIAL + MINUTE


def test_it_follows_again_once_the_clock_is_set_right() -> None:
    time = LogTime.begin(NOW).at(later(NOW, SECOND, 2 * HOUR))
    moment = later(NOW, 3 * SECOND, SECOND // 3)
    assert time.at(moment).time == moment.wall


def test_a_small_gap_at_a_start_is_followed_at_once() -> None:
    start = Moment(WALL + DOUBTFUL, 7)
    assert LogTime.begin(NOW).reopened(start).time == start.wall


def test_a_large_gap_at_a_start_is_followed_after_a_trial() -> None:
    start = Moment(WALL + 24 * HOUR, 7)
    time = LogTime.begin(NOW).reopened(start)
    assert time.is_off(start)
    time, moment = run(time, start, TRIAL - SECOND)
    assert time.time == WALL + TRIAL - SECOND
    time, moment = run(time, moment, SECOND)
    assert time.time == moment.wall
    assert not time.is_off(moment)


def test_a_clock_that_leaps_during_the_trial_begins_it_anew() -> None:
    start = Moment(WALL + 24 * HOUR, 7)
    time, moment = run(LogTime.begin(NOW).reopened(start), start, TRIAL - SECOND)
    moment = later(moment, 0, HOUR)
    time, moment = run(time.at(moment), moment, TRIAL - SECOND)
    assert time.time < WALL + HOUR
    time, moment = run(time, moment, 2 * SECOND)
    assert time.time == moment.wall


def test_time_that_is_ahead_of_a_tried_clock_runs_slower_until_they_meet() -> None:
    start = Moment(WALL - 2 * MINUTE, 7)
    time, moment = run(LogTime.begin(NOW).reopened(start), start, TRIAL)
    ahead = time.time - moment.wall
    slower, moment = run(time, moment, 60 * SECOND)
    assert slower.time - time.time == 30 * SECOND
    assert slower.time - moment.wall == ahead - 30 * SECOND
    time, moment = run(slower, moment, 5 * MINUTE)
    assert time.time == moment.wall


@given(st.lists(st.tuples(st.integers(0, HOUR), st.integers(-3 * HOUR, 3 * HOUR)), max_size=40), st.booleans())
def test_it_only_rises_whatever_the_clocks_do(steps: list[tuple[int, int]], reopened: bool) -> None:
    moment, time = NOW, LogTime.begin(NOW)
    if reopened:
        moment = Moment(WALL - 3 * HOUR, 0)
        time = time.reopened(moment)
    for elapsed, step in steps:
        moment = later(moment, elapsed, step)
        before, time = time, time.at(moment)
        assert time.time >= before.time + elapsed // 2
        if not before.trial:
            assert time.time <= before.time + elapsed + SECOND
