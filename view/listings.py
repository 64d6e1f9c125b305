"""Listings: the series by name, or the first of them by a statistic, each with what is to be said of it.

Which series there are, their order and all that is said of them is of one moment, that of the last portion.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from rolling.ranking import first_by
from rolling.span import Span
from rolling.steps import Steps
from rolling.timeline import Row
from view.answers import NO_EXTRAS, End, Extras, Figures, Listed, Order, SeriesInfo
from view.projection import Projection

NAMES_AT_A_TIME = 500
"""At how many names is looked in one portion, where some may not be projection."""


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


class Listing:
    """One listing of what a view has projection. Not thread safe: the caller holds the view's lock in each portion."""

    def __init__(self, projection: Projection, page: Page, order: Order, over: Over) -> None:
        self._projection = projection
        self._page = page
        self._order = order
        self._over = over
        self._visible = order.visible and cache(order.visible)
        self._infos = projection.view.together(over.cutoff, self._info)
        self._scores = projection.view.together(over.cutoff, self._score)

    def steps(self) -> Steps[Listed]:
        """The page; takes portions."""
        if self._visible is not None:
            for number, name in enumerate(self._projection.page(self._page.prefix, None, self._page.after), 1):
                self._visible(name)
                if number % NAMES_AT_A_TIME == 0:
                    yield
        while True:
            names = yield from self._ordered()
            shown = names[: self._page.limit]
            numbers = [self._projection.ids[name] for name in shown]
            stale = self._infos.stale(numbers)
            if not stale:
                break
            yield from self._infos.find(stale)
        more = len(names) > len(shown) and self._order.by_name
        infos = [info for number in numbers if (info := self._infos[number]) is not None]
        return infos, shown[-1] if more else None, self._projection.cursor.position

    def _names(self, most: int | None) -> list[str]:
        """Those of the page by name, the first of them at least."""
        prefix, _, after = self._page
        if self._visible is None:
            return self._projection.page(prefix, most, after)
        return list(filter(self._visible, self._projection.page(prefix, None, after)))

    def _ordered(self) -> Steps[list[str]]:
        """The names of the page in its order, and one more at least if there are more, as things stand at the end."""
        limit, value, descending = self._page.limit, self._order.value, self._order.descending
        if self._order.by_name:
            return self._names(None if limit is None else limit + 1)
        if value is None:
            return self._names(None)[::-1]
        while True:
            names = self._names(None)
            numbers = [self._projection.ids[name] for name in names]
            stale = self._scores.stale(numbers)
            if not stale:
                break
            yield from self._scores.find(stale)
        places = first_by([self._scores[number] for number in numbers], limit, descending=descending)
        return [names[place] for place in places]

    def _info(self, number: int) -> Steps[SeriesInfo | None]:
        """What is to be said of a series as things stand at the end; None where it has ended."""
        figures = None if self._over.span is None else (yield from self._figures(number, self._over.extras))
        entry, window = self._projection.series.get(number), self._projection.view.windows.get(number)
        if entry is None or window is None:
            return None
        count = window.live(max(self._over.cutoff, self._projection.view.horizon))
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
