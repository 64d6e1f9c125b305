"""The life of an alert, as a table: from a state, by what a look has found, into another state.

    inactive -> pending -> firing -> keeping -> inactive
                                     waiting

`keeping` and `waiting` are shown as firing: the condition no longer holds, and `keep_firing_for` runs, or waits because
there is no value. Times are of the clock that counts only while somebody looks (`alerts.evaluation`).
"""

from __future__ import annotations

from typing import Literal

State = Literal["inactive", "pending", "firing", "keeping", "waiting"]
Found = Literal["met", "unmet", "no value", "gone"]
STATES: tuple[State, ...] = ("inactive", "pending", "firing", "keeping", "waiting")

TABLE: dict[tuple[str, Found], State] = {
    ("inactive", "met"): "pending",
    ("pending", "unmet"): "inactive",
    ("pending", "no value"): "inactive",
    ("pending", "gone"): "inactive",
    ("firing", "unmet"): "keeping",
    ("firing", "gone"): "inactive",
    ("keeping", "met"): "firing",
    ("keeping", "no value"): "waiting",
    ("keeping", "gone"): "inactive",
    ("waiting", "met"): "firing",
    ("waiting", "unmet"): "keeping",
    ("waiting", "gone"): "inactive",
}
"""The next state by state and finding; for a pair that is not here the state stays as it is."""
RUNS_OUT: dict[str, State] = {"pending": "firing", "keeping": "inactive"}
"""The next state once the time of a state is over."""


def shown(state: str) -> str:
    """Return the state as answers tell it."""
    return "firing" if state in ("keeping", "waiting") else state


def step(state: str, begun: int, found: Found, now: int, holds: int, keeps: int) -> tuple[str, int]:
    """Return the state after a look, and its time. `begun` is when the state began; for `waiting`, how long it had been
    `keeping` by then. `holds` and `keeps` are the durations after which `pending` and `keeping` run out."""
    after: str = TABLE.get((state, found), state)
    if after != state:
        begun = now - begun if {state, after} == {"keeping", "waiting"} else now
    spans = {"pending": holds, "keeping": keeps}
    if after in RUNS_OUT and now - begun >= spans[after]:
        return RUNS_OUT[after], now
    return after, begun
