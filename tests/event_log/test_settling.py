"""What is taken over at once: bounded in bytes, and of few enough pieces to be let go of in no time."""

from __future__ import annotations

from event_log.entries import pack_position, unpack_position
from event_log.records import RUN, SINGLE_SIZE, is_intact, pack_one
from event_log.settling import PORTION, _portion

EVENTS = 200_000


def test_a_portion_of_single_events_comes_in_runs_and_the_next_one_goes_on_behind_it() -> None:
    singles = [(pack_position(at), pack_one(7, at, 1.0, at)) for at in range(1, EVENTS + 1)]
    items, is_last = _portion(singles)
    reached = unpack_position(items[-1][0])
    assert not is_last
    assert reached == len(items) * RUN
    assert PORTION <= sum(len(data) for _, data in items) < PORTION + RUN * SINGLE_SIZE
    rest, is_last = _portion(singles[reached:])
    assert is_last
    assert unpack_position(rest[-1][0]) == EVENTS
    assert all(is_intact(data, unpack_position(key)) for key, data in items + rest)
