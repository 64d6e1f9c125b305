"""Listings: the series by name, or the first of them by a statistic, each with what is to be said of it.

Which series there are, their order and all that is said of them is of one moment, that at which their names are read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import NamedTuple, TypeVar

from rolling.ranking import first_by
from rolling.snapshot import Snapshot
from rolling.span import Span
from rolling.steps import Steps
from rolling.timeline import Row
from view.answers import NO_EXTRAS, End, Extras, Figures, Listed, Order, SeriesInfo
from view.projection import Projection

NAMES_AT_A_TIME = 500
"""Names that are looked at in one portion, where some may not be seen."""

V = TypeVar("V")


class Page(NamedTuple):
    """Up to `limit` series, or all, of those whose names begin with `prefix` and come behind `after`."""

    prefix: str = ""
    limit: int | None = 100
    after: str | None = None


class Over(NamedTuple):
    """The events of each series that are live, and those of them that figures are about, if any are wanted."""

    cutoff: int
    span: Span | None = None
    extras: Extras = NO_EXTRAS

    def as_of(self, horizon: int) -> Over:
        """The same, whatever becomes of the horizon."""
        span = self.span and self.span._replace(horizon=horizon)
        return self._replace(cutoff=max(self.cutoff, horizon), span=span)


class Listing:
    """One listing of what a view has seen. Not thread safe: the caller holds the view's lock in each portion."""

    def __init__(self, projection: Projection, page: Page, order: Order, over: Over) -> None:
        self._projection = projection
        self._page = page
        self._order = order
        self._over = over
        self._visible = order.visible and cache(order.visible)

    def steps(self) -> Steps[Listed]:
        """The page; takes portions."""
        if self._visible is not None:
            for number, name in enumerate(self._projection.page(self._page.prefix, None, self._page.after), 1):
                self._visible(name)
                if number % NAMES_AT_A_TIME == 0:
                    yield
        limit, by_name, position = self._page.limit, self._order.by_name, self._projection.cursor.position
        names = self._names(limit + 1 if by_name and limit is not None else None)
        numbers = [self._projection.ids[name] for name in names]
        self._over = self._over.as_of(self._projection.view.horizon)
        with self._snapshot(numbers, self._info) as infos:
            places = yield from self._places(numbers)
            shown = [numbers[place] for place in places[:limit]]
            infos.only(shown)
            yield from infos.find_all()
        more = by_name and len(names) > len(shown)
        return [infos[number] for number in shown], names[len(shown) - 1] if more else None, position

    def _snapshot(self, numbers: list[int], find: Callable[[int], Steps[V]]) -> AbstractContextManager[Snapshot[V]]:
        return self._projection.view.snapshots.take(self._projection.view.horizon, numbers, find)

    def _names(self, most: int | None) -> list[str]:
        """Those of the page by name, the first of them at least."""
        prefix, _, after = self._page
        if self._visible is None:
            return self._projection.page(prefix, most, after)
        return list(filter(self._visible, self._projection.page(prefix, None, after)))

    def _places(self, numbers: list[int]) -> Steps[list[int]]:
        """The places of these series, given by name, in the order of the page; all that it shows at least."""
        if self._order.value is None:
            places = list(range(len(numbers)))
            return places[::-1] if self._order.descending else places
        with self._snapshot(numbers, self._score) as scores:
            yield from scores.find_all()
        values = [scores[number] for number in numbers]
        return first_by(values, self._page.limit, descending=self._order.descending)

    def _info(self, number: int) -> Steps[SeriesInfo]:
        """What is to be said of a series."""
        entry, window = (
            self._projection.series[number],
            self._projection.view.windows[number],
        )  # it may end between two portions
        figures = None if self._over.span is None else (yield from self._figures(number, self._over.extras))
        count = window.live(self._over.cutoff)
        first, last = (end_of(window.row(count)), end_of(window.row(1))) if count else (None, None)
        return SeriesInfo(entry.name, (entry.created, entry.initial), count, first, last, figures)

    def _score(self, number: int) -> Steps[float | None]:
        assert self._order.value is not None
        return self._order.value((yield from self._figures(number, self._order.extras)))

    def _figures(self, number: int, extras: Extras) -> Steps[Figures]:
        assert self._over.span is not None
        tail, found = yield from self._projection.view.figures(
            number, self._over.span, ends=extras.edges, wanted=extras.percentiles
        )
        return Figures(tail.summary, end_of(tail.first), end_of(tail.last), found)


def end_of(row: Row | None) -> End:
    """The time and value of an event."""
    return row and (row[0], row[2])
