"""Questions about events, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from event_log.batch import Times, Values
from rolling.figures import End
from rolling.figures import Figures as Figures
from rolling.percentiles import Percentiles

MOST_POINTS = 2000
"""Maximum number of points of one history."""


class OutOfReach(Exception):
    """A window that ends at the moment asked for is not, or not yet, all there."""

    def __init__(self, at: int, window: int, earliest: int, latest: int) -> None:
        super().__init__(at, window, earliest, latest)
        self.at = at
        self.window = window
        self.earliest = earliest
        """The first moment at which a window of this length may end."""
        self.latest = latest
        """The last one."""


class TooManyPoints(Exception):
    """A history would have more points than MOST_POINTS."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class Scope(NamedTuple):
    """The events of a question: those of the last `window` microseconds, the `last` ones, the last ones of those in the
    window, or those of the configured window. As of a moment, if one is given, the window ends there, and without a
    window reaches back to the end of the retention. None reaches behind the retention in force."""

    window: int | None = None
    last: int | None = None
    at: int | None = None


class Names(Protocol):
    """Some names of series."""

    def __contains__(self, name: str, /) -> bool:
        """Return whether a name is one of them."""


class Several(NamedTuple):
    """Several series as one: all that match any of these shell patterns, of those among which they are looked up."""

    patterns: tuple[str, ...]
    among: Names | None = None
    """Hashable; None: all."""


Which = str | Several | None
"""A series by name, several as one, or all."""


class Extras(NamedTuple):
    """Additions to a summary: the first and the last event, percentiles."""

    edges: bool = False
    percentiles: Percentiles | None = None


NO_EXTRAS = Extras()


class Matched(NamedTuple):
    """Number of series that matched where several as one were asked for."""

    number: int
    lineage: int
    """Another one than before where one of them has ended since: what had arrived of all is no longer a part of what
    has."""


@dataclass(frozen=True, slots=True)
class Answer(Figures):
    """Figures, and the position up to which the view had read."""

    position: int = 0
    arrived: int = 0
    """Number of events of the series, or of all, that this process has taken in so far."""
    known: bool = True
    """True if there is such a series."""
    matched: Matched | None = None
    """None where not several series were asked for."""


@dataclass(frozen=True, slots=True)
class History:
    """The steps of a window: their length, the beginning and the figures of each; the end of the last one. That one is
    longer if it holds all that is dated ahead of the clock, as single steps would be too many."""

    step: int
    points: list[tuple[int, Figures]]
    end: int
    position: int
    matched: Matched | None = None
    """None where not several series were asked for."""


class Distribution(NamedTuple):
    """The bounds and counts of a histogram, and how far the view had read."""

    bounds: Sequence[float]
    counts: list[int]
    position: int
    matched: Matched | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """Events of one series behind a position, in order of position."""

    positions: Times
    times: Times
    values: Values
    gap: bool
    """True if some that stood behind the position are no longer there."""
    more: bool
    """True if there were more than asked for."""
    position: int
    """Position of the log up to which the view had read."""


@dataclass(frozen=True, slots=True)
class Course:
    """The last live events of a series, oldest first."""

    initial: End
    """The event with which it began, live or not; None for a series never seen."""
    times: Times
    values: Values
    position: int
    """Position of the log up to which the view had read."""


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series in a listing: its number of live events, the first and the last of them as (time, value), the event
    with which the series began, live or not, and its figures, if wanted."""

    name: str
    initial: tuple[int, float]
    count: int
    first: End
    last: End
    figures: Figures | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Order of a list of series: by name, or by what `value` makes of the figures of each, None coming last."""

    value: Callable[[Figures], float | None] | None = None
    descending: bool = False
    extras: Extras = NO_EXTRAS
    """Additions that `value` needs."""
    visible: Callable[[str], bool] | None = None
    """Return whether a name is listed; None: all are."""

    @property
    def by_name(self) -> bool:
        """Return whether there is something behind each name: the order of names, ascending."""
        return self.value is None and not self.descending


Listed = tuple[list[SeriesInfo], str | None, int]
"""Series in an order; the name to go on after, None at the end; the position up to which the view had read."""
