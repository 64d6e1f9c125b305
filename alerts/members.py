"""The series that each pattern of the rules matches, kept up to date as series come and end.

Ids of series only rise, so those above the highest one that was matched are new. A name is matched only with the
patterns that begin as it does: a thousand rules over series of their own cost no more than a few.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from alerts.rules import Rule
from event_log.patterns import literal_prefix
from event_log.series import Series
from view.matches import newer


class Members:
    """The series that match each pattern, by id, in the order in which they began."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._highest = -1
        self._of: dict[str, dict[int, str]] = {}
        self._by_prefix: dict[str, list[tuple[re.Pattern[str], dict[int, str]]]] = {}
        for rule in rules:
            if rule.is_pattern and rule.series is not None and rule.series not in self._of:
                found = self._of[rule.series] = {}
                self._by_prefix.setdefault(literal_prefix(rule.series), []).append((rule.pattern, found))
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})

    def new(self, series: dict[int, Series]) -> list[tuple[int, str]]:
        """Return the series that are yet to be matched, in order."""
        return list(newer(series, self._highest))[::-1] if self._of else []

    def match(self, number: int, name: str) -> None:
        """Find the patterns of a series that has come."""
        self._highest = max(self._highest, number)
        for length in self._lengths:
            for pattern, found in self._by_prefix.get(name[:length], ()):
                if len(name) >= length and pattern.match(name):
                    found[number] = name

    def forget_ended(self, series: dict[int, Series]) -> None:
        """Let go of series that live no more."""
        for found in self._of.values():
            for number in [number for number in found if number not in series]:
                del found[number]

    def of(self, rule: Rule) -> list[str]:
        """Return the series that a rule is about; empty for all series together."""
        return list(self._of[rule.series or ""].values()) if rule.is_pattern else [rule.exact]
