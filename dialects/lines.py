"""InfluxDB's line protocol, parsed: `measurement,tag=value field=1.5,other=2i 1750948200000000000`.

A body is read in chunks of whole lines. Where all lines of a chunk are plain (`dialects.line_columns`) it is parsed in
columns; any other is read line by line (`dialects.single_lines`), which also says what is wrong. Tests hold both equal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dialects.line_columns import MICROSECONDS, Chunk, Precision, parse_columns
from dialects.single_lines import Reader
from view.portions import giving_way

PRECISIONS: dict[str, Precision] = {"ns": (1, 1000), "us": MICROSECONDS, "ms": (1000, 1), "s": (10**6, 1)}
"""Multiplier and divisor that make microseconds of a time, as version 2 names them."""
PRECISIONS_OF_1 = PRECISIONS | {"n": PRECISIONS["ns"], "u": PRECISIONS["us"]}
"""The same, as version 1 names them."""
VALUES_A_LINE = 10
"""Values that a request may have for each line that it may have."""
CHUNK = 1 << 17
"""Characters of a chunk, about: 2,000 lines, which take 2 ms in columns."""


class TooMany(Exception):
    """More lines or values than a request may have."""


def parse(text: str, precision: Precision, most: int) -> Chunk:
    """Return the values of a body of at most `most` lines. Raises BadLine or TooMany."""
    names = dict[str, int]()
    parts = [Chunk.of([], [], [], [], 0, 0)]
    lines = count = 0
    for chunk in giving_way(_chunks(text, precision)):
        lines += chunk.line_count
        count += len(chunk.values)
        if lines > most or count > VALUES_A_LINE * most:
            raise TooMany
        indexes = np.array([names.setdefault(name, len(names)) for name in chunk.names], np.uint32)
        parts.append(chunk._replace(which=indexes[chunk.which]))
    columns = zip(*(part[1:5] for part in parts), strict=True)
    which, times, values, numbers = map(np.concatenate, columns)
    return Chunk(list(names), which, times, values, numbers, lines, sum(part.left_out for part in parts))


def _chunks(text: str, precision: Precision) -> Iterator[Chunk]:
    """Yield the lines of a body, chunk by chunk; one that has a string goes on to the end of its last line."""
    reader = Reader(text if text.endswith("\n") else text + "\n", precision)
    while reader.at < len(reader.text):
        end = reader.text.find("\n", reader.at + CHUNK - 1) + 1 or len(reader.text)
        is_short = end - reader.at <= 2 * CHUNK  # a long line is read in portions
        text = reader.text[reader.at : end - 1] if is_short else ""
        columns = parse_columns(text, precision, reader.number, reader.known)
        if columns is None:
            yield from reader.read(end)
        else:
            reader.skip(end)
            yield columns
