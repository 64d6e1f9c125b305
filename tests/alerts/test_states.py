"""The life of an alert, against a plain restatement of what the contract says."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from alerts.states import RUNS_OUT, STATES, TABLE, Found, shown, step

FOUND = get_args(Found)
LOOKS = st.lists(st.tuples(st.sampled_from(FOUND), st.integers(1, 5)), max_size=60)


def test_the_table_names_only_states_that_there_are() -> None:
    assert {state for state, _ in TABLE} | set(TABLE.values()) | set(RUNS_OUT) | set(RUNS_OUT.values()) == set(STATES)
    assert {found for _, found in TABLE} == set(FOUND)


@given(LOOKS, st.integers(0, 12), st.integers(0, 12))
def test_states_follow_the_contract(looks: list[tuple[Any, int]], holds: int, keeps: int) -> None:
    now, state, begun = 100, "inactive", 0
    met_since: int | None = None  # of the pending alert
    is_firing, quiet, counts = False, 0, False
    for found, passed in looks:
        now += passed
        state, begun = step(state, begun, found, now, holds, keeps)
        if is_firing:
            quiet = quiet + passed if counts else quiet
            if found == "gone":
                is_firing = False
            elif found == "met":
                quiet, counts = 0, False
            elif found == "unmet":
                counts = True
                is_firing = quiet < keeps
            elif counts:
                counts = False
            if not is_firing:
                met_since, quiet, counts = None, 0, False
        elif found == "met":
            met_since = now if met_since is None else met_since
            is_firing = now - met_since >= holds
        else:
            met_since = None
        expected = "firing" if is_firing else "inactive" if met_since is None else "pending"
        assert shown(state) == expected
