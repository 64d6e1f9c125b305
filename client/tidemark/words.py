"""Output of the command line: names made harmless, tables, CSV, and a plot of blocks."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 10
_FORMULA = ("=", "+", "-", "@")
Rows = Sequence[Mapping[str, Any]]


def harmless(name: str) -> str:
    """Return a name with what a terminal would obey escaped: control, C1 and bidirectional characters."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char
        for char in name
    )


def as_csv(rows: Rows) -> str:
    """Return a table with a header; no cell of it is a formula to a spreadsheet."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    if rows:
        table.writerow(rows[0])
    table.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{harmless(value)}" if value.startswith(_FORMULA) and not _is_number(value) else harmless(value)
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def table_of(rows: Rows) -> Table:
    """Return the rows as a table for a terminal; numbers stand at the right, and are whole in a narrow one."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, value in (rows[0] if rows else {}).items():
        is_number = isinstance(value, (int, float))
        table.add_column(
            Text(harmless(name)), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold"
        )
    for row in rows:
        table.add_row(*[Text(shown(value)) for value in row.values()])
    return table


def shown(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}".removesuffix(".0") if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"
    return harmless(value) if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else json.dumps(value)


def plot(values: Sequence[float | None], width: int) -> list[str]:
    """Return the lines of a plot, highest first; a step without a value stays empty."""
    known = [value for value in values if value is not None]
    if not known:
        return ["(no events)"]
    low, high = min(known), max(known)
    shrunk = _shrink(values, max(width - 14, 10))
    span = (high - low) or 1.0
    levels = [None if value is None else 1 + round((value - low) / span * (_HEIGHT * 8 - 1)) for value in shrunk]
    lines = []
    for row in range(_HEIGHT - 1, -1, -1):
        label = shown(float(low)) if row == 0 else shown(float(high)) if row == _HEIGHT - 1 and high > low else ""
        bars = "".join(" " if level is None else _BLOCKS[min(max(level - row * 8, 0), 8)] for level in levels)
        lines.append(f"{label:>12} {bars}")
    return lines


def _shrink(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return at most `width` values, each the highest of its stretch."""
    each = -(-len(values) // width)
    stretches = [values[start : start + each] for start in range(0, len(values), each)]
    return [max((value for value in stretch if value is not None), default=None) for stretch in stretches]


def console(error: bool = False) -> Console:
    """Return the terminal; what is printed there is no markup."""
    return Console(stderr=error, markup=False, highlight=False, emoji=False)
