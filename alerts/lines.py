"""Line numbers of entries and fields of a TOML file: the parser of the standard library tells no line numbers."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\[\s*(\w+)\s*\]\]")


class Lines:
    """Finds the lines of a file that the parser has found to be good. A line that looks like a header inside a text of
    several lines may mislead it: then it says the line of the entry as nearly as it can, never another file's."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._headers = [
            (number, match[1]) for number, line in enumerate(self._lines) if (match := _HEADER.match(line))
        ]

    def entry(self, table: str, index: int) -> int:
        """Return the line of the `index`th entry of a table, counted from 0."""
        found = [number for number, name in self._headers if name == table]
        return (found[index] if index < len(found) else self._top(table)) + 1

    def field(self, table: str, index: int, name: str) -> int:
        """Return the line of a field of that entry; that of the entry where the field is not there."""
        start = self.entry(table, index)
        end = min((number for number, _ in self._headers if number >= start), default=len(self._lines))
        wanted = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*[=.]""")
        return next((number + 1 for number in range(start, end) if wanted.match(self._lines[number])), start)

    def top(self, name: str) -> int:
        """Return the line on which a name stands at the top of the file."""
        return self._top(name) + 1

    def _top(self, name: str) -> int:
        wanted = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[\]=.]""")
        return next((number for number, line in enumerate(self._lines) if wanted.match(line)), 0)
