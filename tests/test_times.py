from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from times import (
    HOUR,
    MINUTE,
    SECOND,
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
    wall_clock,
)

NOON = int(datetime(2025, 6, 26, 12, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("text", "after_noon"),
    [
        ("2025-06-26T12:00:00Z", 0),
        ("2025-06-26T12:00:00z", 0),
        ("2025-06-26t12:00:00", 0),
        ("2025-06-26 12:00:00", 0),
        ("2025-06-26T12:00", 0),
        ("2025-06-26T12", 0),
        ("20250626T120000Z", 0),
        ("2025-W26-4T12:00:00Z", 0),
        ("2025-06-26T12:00:00.5Z", 500_000),
        ("2025-06-26T12:00:00,25Z", 250_000),
        ("2025-06-26T12:00:00.000001Z", 1),
        ("2025-06-26T12:00:00.123456789Z", 123_456),
        ("2025-06-26T12:00:00.999999999Z", 999_999),
        ("2025-06-26T14:00:00+02:00", 0),
        ("2025-06-26T14:00:00+0200", 0),
        ("2025-06-26T06:30:00-05:30", 0),
        ("2025-06-27T11:59:00+23:59", 0),
    ],
)
def test_timestamps_are_read_in_utc(text: str, after_noon: int) -> None:
    assert parse_timestamp(text) == NOON + after_noon


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "12:00:00",
        "2025-06-26T12:60:00Z",
        "2025-06-26T12:00:60Z",
        "2025-06-26X12:00:00Z",
        "2025-06-26T12:00:00 Z",
        " 2025-06-26T12:00:00Z",
        "2025-06-26T12:00:00Z\n",
        "2025-06-26T12:00:00Zulu",
        "٢٠٢٥-06-26T12:00:00Z",
        "-2025-06-26T12:00:00Z",
        "12025-06-26T12:00:00Z",
        "2025-06-26T12:00:00" + "Z" * 50,
        # What `datetime.fromisoformat` reads in its own way.
        "2025-06-26T14:30.5Z",
        "2025-06-26T14.5Z",
        "2025-06-26T143Z",
        "2025-06-26T14:Z",
        "2025-06-26T14:30:Z",
        "2025-06-26T14:30:00.Z",
        "2025-06-26T14:30:00:00Z",
        "2025-06-26T1430:00Z",
        "2025-W26T14:30Z",
        "2025-06-26T12:00:00+01:60",
        "2025-06-26T12:00:00+05.5",
        "2025-06-26T12:00:00+00:00:01",
    ],
)
def test_anything_else_is_no_timestamp(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Not an ISO-8601 date and time such as 2025-06-26T14:30:00Z\.$"):
        parse_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        "2025-02-30T12:00:00Z",
        "2025-02-29T12:00:00Z",
        "2025-06-26T25:00:00Z",
        "2025-06-26T12:00:00+25:00",
        "2025-W54-1T12:00:00Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_impossible_dates_and_times_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"^There is no such date or time as {re.escape(text)}"):
        parse_timestamp(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999-00:01"])
def test_times_outside_the_years_1_to_9999_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)} is beyond the years 1 to 9999"):
        parse_timestamp(text)
    for edge in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        assert format_timestamp(parse_timestamp(edge)) == edge


@pytest.mark.parametrize("text", ["2025-06-26", "20250626"])
def test_a_date_alone_says_what_is_missing(text: str) -> None:
    with pytest.raises(ValueError, match="A date without a time"):
        parse_timestamp(text)


def test_finer_than_nanoseconds_says_so() -> None:
    with pytest.raises(ValueError, match="nine decimals"):
        parse_timestamp("2025-06-26T12:00:00.1234567890Z")


offsets = st.integers(-24 * 60 + 1, 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)), offsets)  # noqa: DTZ001
def test_whatever_datetime_writes_is_read_back_exactly(naive: datetime, zone: timezone) -> None:
    moment = naive.replace(tzinfo=zone)
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_timestamp(moment.isoformat()) == microseconds
    assert parse_timestamp(format_timestamp(microseconds)) == microseconds


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (NOON, "2025-06-26T12:00:00Z"),
        (NOON + 250_000, "2025-06-26T12:00:00.250Z"),
        (NOON + 1, "2025-06-26T12:00:00.000001Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_timestamps_have_as_many_decimals_as_they_need(microseconds: int, text: str) -> None:
    assert format_timestamp(microseconds) == text


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("90s", 90 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("1h30m", 90 * MINUTE),
        ("2d", 48 * HOUR),
        ("1d2h3m4.5s", 26 * HOUR + 3 * MINUTE + 4_500_000),
        ("60", MINUTE),
        ("2.5", 2_500_000),
        ("0.5h", 30 * MINUTE),
        ("500ms", 500_000),
        ("1m500ms", MINUTE + 500_000),
        ("1h2m3s4.5ms", HOUR + 2 * MINUTE + 3 * SECOND + 4_500),
        ("0.1", 100_000),
        ("0.000001", 1),
        ("1.0000019s", SECOND + 1),
    ],
)
def test_durations(text: str, microseconds: int) -> None:
    assert parse_duration(text) == microseconds


@pytest.mark.parametrize("text", ["0", "0s", "0h0m", "0.0000001", "0.0"])
def test_a_duration_is_above_zero(text: str) -> None:
    with pytest.raises(ValueError, match="not above zero"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "s", "-5", "-5s", "+5", "5 m", "1m1h", "1h1h", "5x", "1e3", ".5", "5.", "inf", "nan", "٥s", "1" * 41, "1,5s"],
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write 90s, 5m, 1h30m, 500ms or plain seconds"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (HOUR, "1h"),
        (90 * MINUTE, "1h30m"),
        (48 * HOUR, "48h"),
        (90 * SECOND, "1m30s"),
        (2_500_000, "2.5s"),
        (HOUR + 10 * SECOND, "1h10s"),
        (500_000, "500ms"),
        (MINUTE + 1500, "1m1.5ms"),
        (1, "0.001ms"),
        (0, "0s"),
    ],
)
def test_durations_are_written_short(microseconds: int, text: str) -> None:
    assert format_duration(microseconds) == text


@given(st.integers(1, 10**16))
def test_durations_are_read_back(microseconds: int) -> None:
    assert parse_duration(format_duration(microseconds)) == microseconds


def test_the_wall_clock_counts_microseconds_since_the_epoch() -> None:
    before = time.time_ns()
    now = wall_clock()
    assert before // 1000 <= now <= time.time_ns() // 1000
