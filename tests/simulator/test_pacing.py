from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.pacing import CATCH_UP, MICRO, Pacer, Phases, Recurring, Schedule, Timetable, Unpaced
from tests.simulator.fakes import FakeTime

S = MICRO
BURSTS = Phases(burst=Recurring(10 * S, 2 * S), burst_factor=5)
SILENCES = Phases(idle=Recurring(10 * S, 3 * S))
BOTH = Phases(Recurring(10 * S, 2 * S), 5, Recurring(10 * S, 3 * S))


def recurring() -> st.SearchStrategy[Recurring]:
    """Periods of 0.2 to 5 s, with edges that fall on odd microseconds."""
    periods = st.integers(200_003, 5 * S)
    return periods.flatmap(lambda every: st.integers(1, every * 9 // 10).map(lambda length: Recurring(every, length)))


def pacer(schedule: Schedule, time: FakeTime, duration: float = math.inf, jitter: float = 0) -> Pacer:
    return Pacer(schedule, clock=time, sleep=time.sleep, duration=duration, jitter=jitter, random=Random(3))


@pytest.mark.parametrize(
    ("phases", "second", "expected"),
    [
        (Phases(), 5, (1, math.inf)),
        (BURSTS, 0, (1, 8 * S)),
        (BURSTS, 8, (5, 10 * S)),
        (BURSTS, 10, (1, 18 * S)),
        (SILENCES, 0, (1, 10 * S)),
        (SILENCES, 10, (0, 13 * S)),
        (SILENCES, 13, (1, 20 * S)),
        (BOTH, 9, (5, 10 * S)),
        (BOTH, 10, (0, 13 * S)),
        (BOTH, 13, (1, 18 * S)),
    ],
)
def test_a_burst_ends_its_period_and_a_silence_follows(
    phases: Phases, second: int, expected: tuple[float, float]
) -> None:
    assert phases.at(second * S) == expected


@given(st.none() | recurring(), st.none() | recurring(), st.integers(0, 20 * S))
def test_a_phase_holds_until_it_says(burst: Recurring | None, idle: Recurring | None, time: int) -> None:
    phases = Phases(burst, 3.0, idle)
    factor, until = phases.at(time)
    assert until > time
    if until < math.inf:
        assert phases.at(int(until) - 1) == (factor, until)


def test_a_rate_is_held_to_the_last_event_of_a_day() -> None:
    table = Timetable(1000, Phases())
    events = 86_400 * 1000
    assert table.due(events - 1, 0) == (events - 1) / 1000
    assert table.due(1, 0) == 86_400


def test_threads_take_turns() -> None:
    tables = [Timetable(1, Phases(), head_start=1 - (thread + 1) / 4) for thread in range(4)]
    assert [table.due(1, 0) for table in tables] == [0.25, 0.5, 0.75, 1.0]


@given(
    st.none() | recurring(), st.none() | recurring(), st.integers(20, 2000), st.lists(st.integers(1, 200), max_size=4)
)
def test_due_times_follow_the_phases_exactly(
    burst: Recurring | None, idle: Recurring | None, rate: int, batches: list[int]
) -> None:
    phases = Phases(burst, 3.0, idle)
    table = Timetable(rate, phases)
    for done, batch in zip(accumulate(batches), batches, strict=True):
        assert table.due(batch, now=0.0) == pytest.approx(exact_due(phases, rate, done), rel=1e-9)


def exact_due(phases: Phases, rate: int, events: int) -> float:
    left, time = Fraction(events), 0
    while True:
        factor, until = phases.at(time)
        room = math.inf if until == math.inf else Fraction(int(until) - time, S) * rate * int(factor)
        if left <= room:
            return float(Fraction(time, S) + left / (rate * int(factor)))
        left -= Fraction(room)
        time = int(until)


def test_a_burst_of_the_rate_and_a_silence_after() -> None:
    table = Timetable(10, BOTH)
    times = [table.due(1, 0) for _ in range(250)]
    in_second = [sum(s < due <= s + 1 for due in times) for s in range(15)]
    assert in_second == [10] * 8 + [50] * 2 + [0] * 3 + [10] * 2


def test_a_short_stall_is_made_up_for() -> None:
    table = Timetable(100, Phases())
    assert [table.due(50, now=1.2) for _ in range(3)] == [0.5, 1.0, 1.5]


def test_a_long_stall_is_made_up_for_in_part() -> None:
    time = FakeTime()
    paced = pacer(Timetable(100, Phases()), time)
    for _ in range(100):
        paced.wait(1)
    time.now = 61.0
    at_once = 0
    while paced.wait(1) and not time.slept[-1]:
        at_once += 1
    assert at_once == pytest.approx(100 * CATCH_UP, abs=1)
    assert time.now == pytest.approx(61.01, abs=0.02)


def test_the_gap_follows_the_phase() -> None:
    table = Timetable(10, BURSTS)
    table.due(1, 0)
    assert table.gap == 0.1
    table.due(85, 0)
    assert table.gap == 0.02


def test_unpaced_waits_for_nothing_but_silences() -> None:
    schedule = Unpaced(SILENCES)
    assert schedule.due(1000, 9.5) == 9.5
    assert schedule.due(1000, 11.0) == 13.0
    assert schedule.gap == 0


def test_waiting_holds_the_rate_whatever_posting_costs() -> None:
    time = FakeTime()
    paced = pacer(Timetable(100, Phases()), time)
    for _ in range(1000):
        assert paced.wait(1)
        time.now += 0.007
    assert time.now == pytest.approx(10.007)


def test_jitter_never_adds_up_and_never_reorders() -> None:
    time = FakeTime()
    paced = pacer(Timetable(10, Phases()), time, jitter=1)
    waited = []
    for _ in range(1000):
        paced.wait(1)
        waited.append(time.now)
    assert all(a <= b for a, b in pairwise(waited))
    assert all(0 <= at - (k + 1) / 10 <= 0.1 + 1e-9 for k, at in enumerate(waited))
    assert len({round(b - a, 3) for a, b in pairwise(waited)}) > 50


def test_a_run_lasts_its_duration() -> None:
    time = FakeTime()
    paced = pacer(Timetable(2, Phases()), time, duration=3.2)
    posted = 0
    while paced.wait(1):
        posted += 1
    assert (posted, time.now) == (6, 3.2)


def test_a_run_that_is_a_little_late_posts_what_was_due() -> None:
    time = FakeTime()
    time.now = 4.55
    late = pacer(Timetable(10, Phases()), time, duration=4.5)
    assert [late.wait(1) for _ in range(12)] == [True] * 10 + [False] * 2  # those of the last second
    assert time.now == 4.55


def test_a_run_that_is_very_late_ends() -> None:
    time = FakeTime()
    time.now = 5.0
    assert not pacer(Timetable(100, Phases()), time, duration=4.5).wait(1)
    assert time.now == 5.0


def test_a_stopped_run_ends_even_when_late() -> None:
    time = FakeTime()
    time.now, time.stopped = 0.9, True
    assert not pacer(Timetable(100, Phases()), time).wait(1)
