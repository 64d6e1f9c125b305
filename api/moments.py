"""Questions of windows that are not, or not all, there: what the client is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from api.context import service
from api.problems import invalid
from times import SECOND, format_duration, format_timestamp
from view.answers import MOST_POINTS, OutOfReach, TooManyPoints

LEEWAY = 5 * SECOND
"""The retention moves on with the clock: a moment that a message names can still be asked for that long."""


@contextmanager
def within_reach() -> Iterator[None]:
    """400 where the service finds that the moment or the steps asked for cannot be had."""
    try:
        yield
    except OutOfReach as fault:
        raise invalid({"at": [_out_of_reach(fault)]}) from fault
    except TooManyPoints as fault:
        message = f"Makes {fault.count} points, and {MOST_POINTS} are the most; take a longer step or a shorter window."
        raise invalid({"step": [message]}) from fault


def _out_of_reach(fault: OutOfReach) -> str:
    if fault.at > fault.latest:
        return (
            f"More than {format_duration(service().rules.max_future)} ahead of the server's clock, which is the limit."
        )
    earliest = -(-(fault.earliest + LEEWAY) // SECOND) * SECOND
    named = f"; the earliest is {format_timestamp(earliest)}" if earliest <= fault.latest else ""
    if not fault.window:
        return f"Reaches behind the retention{named}."
    window = format_duration(fault.window)
    return f"A window of {window} reaches behind the retention there{named}{', or' if named else ';'} shorten `window`."
