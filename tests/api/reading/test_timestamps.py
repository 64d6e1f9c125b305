"""Many timestamps at once are what `parse_timestamp` makes of each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.reading.timestamps import parse_timestamps
from times import parse_timestamp

ZONES = st.sampled_from(
    ["", "Z", "z", "+00:00", "-00:00", "+05:30", "-23:59", "+24:00", "+1:00", "+0530", " Z", "+00:00:30"]
)
DATES = st.sampled_from(
    ["2025-06-26", "2024-02-29", "2025-02-29", "0001-01-01", "9999-12-31", "2025-W26-4", "2025-177"]
)
HOURS = st.sampled_from(
    ["T14:30:", "t23:59:", " 00:00:", "T24:00:", "T14:60:", "_14:30:", "T143000.", "T1:30:0", "T14,30,"]
)
SECONDS = st.one_of(st.integers(0, 59).map("{:02}".format), st.sampled_from(["60", "5", " 5", "5/", "5:", "٣٠"]))
FRACTIONS = st.one_of(
    st.just(""),
    st.text("0123456789", min_size=1, max_size=11).map(".{}".format),
    st.sampled_from([",5", ".", "..5", ":5", ".5 ", ".५", "/5", ".1e2", ".-1", ".1_0"]),
)
HOSTILE = st.tuples(DATES, HOURS, SECONDS, FRACTIONS, ZONES).map("".join)
VALID = st.builds(
    lambda moment, minutes, spec: moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(timespec=spec),
    st.datetimes(),
    st.integers(-1439, 1439),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
)


def one_by_one(texts: list[str]) -> list[int] | None:
    try:
        return [parse_timestamp(text) for text in texts]
    except ValueError:
        return None


def together(texts: list[str]) -> list[int] | None:
    try:
        return [int(time) for time in parse_timestamps(texts)]
    except ValueError:
        return None


@given(st.lists(VALID, min_size=1, max_size=30))
def test_valid_timestamps(texts: list[str]) -> None:
    assert together(texts) == one_by_one(texts) is not None


@given(st.lists(VALID, min_size=1, max_size=4), st.lists(HOSTILE | VALID, max_size=2), st.integers(1, 5))
@example(["2025-06-26T14:30:00.5"], ["2025-06-26T14:30:00Z5"], 4)
@example(["2025-06-26T14:30:00+01:00"], ["2025-06-26T14:30:00+02:00"], 4)
def test_valid_and_hostile_timestamps_together(valid: list[str], hostile: list[str], times: int) -> None:
    texts = valid * 2 * times + hostile
    assert together(texts) == one_by_one(texts)


@given(HOSTILE, HOSTILE, st.integers(1, 12))
@example("0000-12-31T23:59:59-01:00", "0000-12-31T23:59:59-01:00", 9)
def test_hostile_timestamps_alike(first: str, second: str, times: int) -> None:
    for texts in ([first] * times, [first] * times + [second], [first, second] * times):
        assert together(texts) == one_by_one(texts)


@given(st.lists(st.text(max_size=40), min_size=8, max_size=12))
def test_any_text(texts: list[str]) -> None:
    assert together(texts) == one_by_one(texts)


@pytest.mark.parametrize("spec", ["seconds", "milliseconds", "microseconds"])
@pytest.mark.parametrize("zone", ["Z", "", "+00:00", "-08:00"])
def test_a_column_of_usual_timestamps(spec: str, zone: str) -> None:
    begin = datetime(2025, 6, 26, 23, 58, tzinfo=UTC)
    texts = [
        (begin + timedelta(microseconds=i * 137_003)).replace(tzinfo=None).isoformat(timespec=spec) + zone
        for i in range(2000)
    ]
    assert together(texts) == one_by_one(texts)
