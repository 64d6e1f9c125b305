"""Vectors of a range question: for each set of labels a value at each step, or none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Present = NDArray[np.bool_]
Labels = tuple[tuple[str, str], ...]
NAME = "__name__"
METRIC = "tidemark"
SERIES = "series"


class Column(NamedTuple):
    """The values of one set of labels, and where there are any. A value may be NaN and be there."""

    values: Floats
    there: Present


Vector = dict[Labels, Column]
Value = Vector | Floats
"""A scalar has one value at each step."""


def nameless(labels: Labels) -> Labels:
    """Return the labels without the metric's name."""
    return tuple(pair for pair in labels if pair[0] != NAME)


def labels_of(series: str) -> Labels:
    """Return the labels of a series."""
    return ((NAME, METRIC), (SERIES, series))
